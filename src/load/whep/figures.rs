//! What a crowd of viewers has seen, summed up.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::load::gaps::Counts;
use crate::load::tell::{Spread, rounded};
use crate::load::viewer::Figures;

/// Everything that one run has measured.
pub(super) struct Measured {
    pub(super) viewers: usize,
    /// Whether only a sample was decrypted.
    pub(super) sample: bool,
    /// Why viewers could not join.
    pub(super) failures: Vec<String>,
    pub(super) measured_for: Duration,
    /// Of each viewer, in the same order.
    pub(super) at_begin: Vec<Figures>,
    pub(super) at_end: Vec<Figures>,
    /// Before anybody joined, and at both ends of measuring.
    pub(super) before: Sample,
    pub(super) begin: Sample,
    pub(super) end: Sample,
}

/// What processes had used at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) own_cpu: Duration,
    pub(super) cpu: Option<Duration>,
    pub(super) resident_bytes: Option<u64>,
    pub(super) server: Option<Value>,
}

/// Sums over the time that was measured.
#[derive(Default)]
struct Sums {
    packets: u64,
    bytes: u64,
    counts: Counts,
    retransmissions: u64,
    nacks: u64,
    plis: u64,
    verified: u64,
    refused: u64,
    frames: u64,
    broken: u64,
    broken_before: u64,
}

// === impl Measured ===

impl Measured {
    /// One object for programs.
    pub(super) fn json(&self) -> Value {
        let sums = self.sums();
        let seconds = self.measured_for.as_secs_f64();
        let after = |at: fn(&Figures) -> Option<std::time::Instant>| {
            let took = self.at_end.iter().filter_map(|it| Some(at(it)? - it.answered_at));
            Spread::json(Spread::of(took))
        };
        let answers = self.at_end.iter().map(|it| it.answer_took);
        let own_cpu = (self.end.own_cpu - self.begin.own_cpu).as_secs_f64();
        let cpu = self.cpu();
        json!({
            "viewers": self.viewers,
            "connected": self.connected(),
            "with_keyframe": self.with_keyframe(),
            "failures": tally(self.failures.iter()),
            "ended_early": tally(self.at_end.iter().filter_map(|it| it.ended.as_ref())),
            "cipher": self.cipher(),
            "answer_ms": Spread::json(Spread::of(answers)),
            "connected_after_answer_ms": after(|it| it.connected.map(|(at, _)| at)),
            "first_packet_after_answer_ms": after(|it| it.first_packet),
            "first_keyframe_after_answer_ms": after(|it| it.frames.first_keyframe),
            "seconds": rounded(seconds, 3),
            "packets": sums.packets,
            "packets_per_second": rounded(sums.packets as f64 / seconds, 1),
            "bits_per_second": (sums.bytes as f64 * 8.0 / seconds).round(),
            "expected": sums.counts.received + sums.counts.lost(),
            "lost": sums.counts.lost(),
            "loss_percent": rounded(sums.loss() * 100.0, 4),
            "unrecovered": sums.counts.unrecovered(),
            "out_of_order": sums.counts.out_of_order,
            "repeated": sums.counts.repeated,
            "retransmissions": sums.retransmissions,
            "nacked": sums.nacks,
            "plis": sums.plis,
            "frames": sums.frames,
            "broken_frames": sums.broken,
            "broken_before_keyframe": sums.broken_before,
            "longest_freeze_ms": Spread::json(self.freezes()),
            "verified": if self.sample { "sample" } else { "all" },
            "verified_packets": sums.verified,
            "refused_packets": sums.refused,
            "udp_gro": false,
            "own_cpu_seconds": rounded(own_cpu, 3),
            "process_cpu_seconds": cpu.map(|cpu| rounded(cpu, 3)),
            "packets_per_cpu_second": cpu.map(|cpu| (sums.packets as f64 / cpu).round()),
            "process_resident_bytes": {
                "before": self.before.resident_bytes,
                "begin": self.begin.resident_bytes,
                "end": self.end.resident_bytes,
            },
            "samples": {
                "before": self.before.server,
                "begin": self.begin.server,
                "end": self.end.server,
            },
        })
    }

    /// Rows for people.
    pub(super) fn table(&self) -> Vec<(String, String)> {
        let json = self.json();
        let sums = self.sums();
        let seconds = self.measured_for.as_secs_f64();
        let after = |at: fn(&Figures) -> Option<std::time::Instant>| {
            Spread::text(Spread::of(
                self.at_end.iter().filter_map(|it| Some(at(it)? - it.answered_at)),
            ))
        };
        let answers = Spread::of(self.at_end.iter().map(|it| it.answer_took));
        let mut rows = vec![
            ("viewers", format!("{} of {} connected", self.connected(), self.viewers)),
            ("cipher", self.cipher()),
            ("time to answer", Spread::text(answers)),
            ("answer to connected", after(|it| it.connected.map(|(at, _)| at))),
            ("answer to first packet", after(|it| it.first_packet)),
            ("answer to whole keyframe", after(|it| it.frames.first_keyframe)),
            (
                "received",
                format!(
                    "{:.0} packets/s, {:.2} Mbit/s, for {seconds:.1} s",
                    sums.packets as f64 / seconds,
                    sums.bytes as f64 * 8.0 / seconds / 1e6
                ),
            ),
            (
                "lost",
                format!(
                    "{} ({:.4} %), {} of them for good",
                    sums.counts.lost(),
                    sums.loss() * 100.0,
                    sums.counts.unrecovered()
                ),
            ),
            ("out of order", sums.counts.out_of_order.to_string()),
            ("retransmissions", format!("{} for {} NACKs", sums.retransmissions, sums.nacks)),
            ("frames", format!("{} decodable, {} not", sums.frames, sums.broken)),
            ("longest freeze", Spread::text(self.freezes())),
            (
                "decrypted",
                if self.sample {
                    "the first 2 s, while no keyframe is there, and every tenth viewer".into()
                } else {
                    "all".into()
                },
            ),
            ("UDP_GRO", "off".into()),
            ("own CPU", format!("{} s", json["own_cpu_seconds"])),
        ];
        if let Some(cpu) = self.cpu() {
            let rate = sums.packets as f64 / cpu;
            rows.push(("its CPU", format!("{cpu:.2} s: {rate:.0} packets per CPU-second")));
        }
        let problems =
            self.failures.iter().chain(self.at_end.iter().filter_map(|it| it.ended.as_ref()));
        let mut rows: Vec<_> = rows.into_iter().map(|(name, text)| (name.into(), text)).collect();
        rows.extend(tally(problems).into_iter().map(|(why, n)| (format!("{n} times"), why)));
        rows
    }

    fn sums(&self) -> Sums {
        let mut sums = Sums::default();
        for (begin, end) in self.at_begin.iter().zip(&self.at_end) {
            sums.packets += end.packets - begin.packets;
            sums.bytes += end.bytes - begin.bytes;
            sums.counts += end.audio.since(&begin.audio);
            sums.counts += end.video.since(&begin.video);
            sums.retransmissions += end.retransmissions - begin.retransmissions;
            sums.nacks += end.nacks - begin.nacks;
            sums.plis += end.plis - begin.plis;
            sums.verified += end.verified - begin.verified;
            sums.refused += end.refused - begin.refused;
            sums.frames += end.frames.frames - begin.frames.frames;
            sums.broken += end.frames.broken - begin.frames.broken;
            sums.broken_before += end.frames.broken_before - begin.frames.broken_before;
        }
        sums
    }

    fn connected(&self) -> usize {
        self.at_end.iter().filter(|it| it.connected.is_some()).count()
    }

    fn with_keyframe(&self) -> usize {
        self.at_end.iter().filter(|it| it.frames.first_keyframe.is_some()).count()
    }

    fn cipher(&self) -> String {
        let names = self.at_end.iter().filter_map(|it| Some(it.connected?.1.name().to_owned()));
        tally(names.collect::<Vec<_>>().iter()).into_keys().collect::<Vec<_>>().join(", ")
    }

    fn freezes(&self) -> Option<Spread> {
        let watching = self.at_end.iter().filter(|it| it.frames.first_keyframe.is_some());
        Spread::of(watching.map(|it| it.frames.longest_freeze))
    }

    fn cpu(&self) -> Option<f64> {
        let used = self.end.cpu?.checked_sub(self.begin.cpu?)?.as_secs_f64();
        (used > 0.0).then_some(used)
    }
}

// === impl Sums ===

impl Sums {
    fn loss(&self) -> f64 {
        let expected = self.counts.received + self.counts.lost();
        self.counts.lost() as f64 / (expected.max(1)) as f64
    }
}

/// How often each text occurs.
fn tally<'a>(texts: impl Iterator<Item = &'a String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for text in texts {
        *counts.entry(text.clone()).or_insert(0) += 1;
    }
    counts
}
