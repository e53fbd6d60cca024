//! What a publisher has sent and heard.

use std::time::Duration;

use serde_json::{Value, json};
use whitewater_core::rtc::Profile;

use crate::load::tell::{millis, rounded};

/// The figures of one publisher.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures {
    pub(super) answer_took: Duration,
    /// From the answer to the end of the handshake.
    pub(super) connect_took: Option<Duration>,
    pub(super) profile: Option<Profile>,
    pub(super) sent_for: Duration,
    pub(super) layers: usize,
    pub(super) packets: u64,
    /// With everything above UDP.
    pub(super) bytes: u64,
    pub(super) frames: u64,
    /// Frames that did not fit into the trace's packets.
    pub(super) longer_frames: u64,
    pub(super) keyframes: u64,
    /// Requests for keyframes, by PLI or FIR.
    pub(super) keyframe_requests: u64,
    pub(super) nacked: u64,
    pub(super) retransmissions: u64,
    /// Packets that the socket did not take.
    pub(super) dropped: u64,
    /// By how much a packet left later than the trace says, at worst.
    pub(super) latest: Duration,
    pub(super) round_trip: Option<Duration>,
    /// Of all reports, in 1/256.
    pub(super) worst_fraction_lost: u8,
    pub(super) transport_feedback: u64,
    pub(super) own_cpu: Duration,
    pub(super) ended: Option<String>,
}

// === impl Figures ===

impl Figures {
    /// One object for programs.
    pub(super) fn json(&self) -> Value {
        let seconds = self.sent_for.as_secs_f64().max(1e-3);
        json!({
            "answer_ms": millis(self.answer_took),
            "connected_after_answer_ms": self.connect_took.map(millis),
            "cipher": self.profile.map(Profile::name),
            "seconds": rounded(self.sent_for.as_secs_f64(), 3),
            "layers": self.layers,
            "packets": self.packets,
            "packets_per_second": rounded(self.packets as f64 / seconds, 1),
            "bits_per_second": (self.bytes as f64 * 8.0 / seconds).round(),
            "frames": self.frames,
            "frames_longer_than_trace": self.longer_frames,
            "keyframes": self.keyframes,
            "keyframe_requests": self.keyframe_requests,
            "nacked": self.nacked,
            "retransmissions": self.retransmissions,
            "dropped": self.dropped,
            "latest_ms": millis(self.latest),
            "round_trip_ms": self.round_trip.map(millis),
            "worst_loss_percent": rounded(f64::from(self.worst_fraction_lost) / 2.56, 1),
            "transport_feedback": self.transport_feedback,
            "own_cpu_seconds": rounded(self.own_cpu.as_secs_f64(), 3),
            "ended": self.ended,
        })
    }

    /// Rows for people.
    pub(super) fn table(&self) -> Vec<(String, String)> {
        let seconds = self.sent_for.as_secs_f64().max(1e-3);
        let ms = |it: Option<Duration>| it.map_or("-".into(), |it| format!("{} ms", millis(it)));
        let mut rows = vec![
            ("cipher", self.profile.map_or("-", Profile::name).to_owned()),
            ("time to answer", ms(Some(self.answer_took))),
            ("answer to connected", ms(self.connect_took)),
            (
                "sent",
                format!(
                    "{} layers, {:.0} packets/s, {:.2} Mbit/s, for {seconds:.1} s",
                    self.layers,
                    self.packets as f64 / seconds,
                    self.bytes as f64 * 8.0 / seconds / 1e6
                ),
            ),
            (
                "frames",
                format!(
                    "{}, {} keyframes for {} requests, {} longer than the trace's",
                    self.frames, self.keyframes, self.keyframe_requests, self.longer_frames
                ),
            ),
            ("retransmissions", format!("{} for {} NACKs", self.retransmissions, self.nacked)),
            ("behind the trace", format!("at most {} ms", millis(self.latest))),
            ("round trip", ms(self.round_trip)),
            ("own CPU", format!("{:.2} s", self.own_cpu.as_secs_f64())),
        ];
        if let Some(ended) = &self.ended {
            rows.push(("ended", ended.clone()));
        }
        rows.into_iter().map(|(name, text)| (name.into(), text)).collect()
    }
}
