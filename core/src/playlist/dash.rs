//! A manifest that tells DASH players of the same files that playlists tell of (ISO/IEC 23009-1, and the
//! low-latency part of DASH-IF's guidelines).
//!
//! Segments are named by `$Number$` on the absolute grid. Where that would lead astray a period begins,
//! at the same tick in all renditions.

use std::collections::BTreeSet;
use std::time::Duration;

use super::text::{push_date, put};
use super::{Described, Run};
use crate::media::{Kind, Ntp};

/// What a manifest tells of.
#[derive(Clone, Debug, PartialEq)]
pub struct Presentation {
    /// When this manifest was made.
    pub published: Ntp,
    /// What times count from while more may come. It must not change as long as somebody plays, whatever epochs
    /// come and go.
    pub since: Ntp,
    /// How far back players can go.
    pub window: Duration,
    /// Its epochs, the oldest first; there is one at least.
    pub epochs: Vec<Epoch>,
    /// The address of the clock.
    pub clock: String,
    /// Whether more will come.
    pub life: Life,
}

/// What becomes of what a manifest tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It goes on, and is played as soon as it comes.
    Live,
    /// It is being recorded: nothing goes away, and nothing is to be had before it is whole.
    Growing,
    /// It was recorded.
    Complete,
}

/// A timeline of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Epoch {
    /// Its name.
    pub id: String,
    /// The wall-clock time of its zero, in the server's clock.
    pub zero: Ntp,
    /// What segments last.
    pub segment: Duration,
    /// What parts last at most.
    pub part: Duration,
    /// The end, counted from zero, if nothing more will come.
    pub ended: Option<Duration>,
    /// Its renditions.
    pub tracks: Vec<Track>,
    /// Ticks of the grid at which nothing of any rendition is there: the first, and the one behind the
    /// last.
    pub pauses: Vec<(i64, i64)>,
    /// Where the renditions lie, with a slash at its end, as the manifest's address sees it.
    pub base: String,
}

/// A rendition of a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Track {
    /// What players are told of it.
    pub described: Described,
    /// Ticks per second.
    pub timescale: u32,
    /// Its runs, the oldest first.
    pub runs: Vec<Run>,
}

/// Renditions that a player may change between.
struct Set<'a> {
    id: usize,
    tracks: Vec<&'a Track>,
}

/// The text of a manifest.
///
/// Times count from `since`, so that they mean the same in whatever epoch; of a recording that is complete from
/// its beginning. What is above its segments' ends is held or streamed by the origin: players may ask for a
/// segment as soon as its first part is due.
pub fn manifest(presentation: &Presentation) -> String {
    let Presentation { published, since, window, epochs, clock, life } = presentation;
    let Some(last) = epochs.last() else { return String::new() };
    let mut out = String::with_capacity(4_096);
    let out = &mut out;
    out.push_str(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\"",
    );
    let profiles = if *life == Life::Live { LIVE_PROFILES } else { PROFILES };
    put(out, format_args!(" profiles=\"{profiles}\" minBufferTime=\"{}\"", Iso(last.part)));
    put(out, format_args!(" maxSegmentDuration=\"{}\"", Iso(last.segment + last.segment / 2)));
    let zero = match life {
        Life::Complete => epochs.first().map(|first| first.begins(*life)).unwrap_or_default(),
        Life::Live | Life::Growing => since_1970(*since),
    };
    if *life == Life::Complete {
        out.push_str(" type=\"static\"");
    } else {
        // A segment of a recording is there once it is written.
        let after = if *life == Life::Growing { WRITTEN_AFTER } else { Duration::ZERO };
        let from = i64::try_from((zero + after).as_micros()).unwrap_or(0);
        out.push_str(" type=\"dynamic\" availabilityStartTime=\"");
        push_date(out, from);
        out.push_str("\" publishTime=\"");
        push_date(out, published.unix_micros());
        out.push('"');
    }
    if *life == Life::Live {
        put(out, format_args!(" timeShiftBufferDepth=\"{}\"", Iso(*window)));
    }
    match last.ended {
        None => put(out, format_args!(" minimumUpdatePeriod=\"{}\">\n", Iso(UPDATE))),
        // What was live stays so, with times that players know, and has an end.
        Some(end) => {
            let end = (since_1970(last.zero) + end).saturating_sub(zero);
            put(out, format_args!(" mediaPresentationDuration=\"{}\">\n", Iso(end)));
        }
    }
    if *life == Life::Live {
        let target = LATENCY.max(last.segment).as_millis();
        let (least, most) = (target / 2, target * 3);
        put(
            out,
            format_args!(
                "<ServiceDescription id=\"0\">\n<Latency referenceId=\"0\" target=\"{target}\" min=\"{least}\" \
                 max=\"{most}\"/>\n<PlaybackRate min=\"0.96\" max=\"1.04\"/>\n</ServiceDescription>\n"
            ),
        );
    }
    let pen = Pen { clock, zero, life: *life };
    epochs.iter().for_each(|epoch| epoch.write(out, &pen));
    if *life != Life::Complete {
        put(out, format_args!("<UTCTiming schemeIdUri=\"{CLOCK}\" value=\"{clock}\"/>\n"));
    }
    out.push_str("</MPD>\n");
    std::mem::take(out)
}

/// What holds for all of a manifest.
struct Pen<'a> {
    clock: &'a str,
    /// What times count from, since 1970.
    zero: Duration,
    life: Life,
}

// === impl Epoch ===

impl Epoch {
    /// The beginning of its first period.
    fn begins(&self, life: Life) -> Duration {
        since_1970(self.zero) + self.at(self.first_tick(life))
    }

    /// Where its first period begins. A period without sound before those that have it makes some players
    /// play all of them without: what comes before sound and picture are both there is left out, unless that is
    /// more of a recording than its first moments.
    fn first_tick(&self, life: Life) -> i64 {
        let begins = |kind: Kind| {
            let own = self.tracks.iter().filter(|track| track.described.kind == kind);
            own.flat_map(|track| &track.runs).map(|run| run.tick).min()
        };
        let both = [begins(Kind::Video), begins(Kind::Audio)];
        let first = both.iter().flatten().min().copied().unwrap_or(0);
        let complete = both.iter().flatten().max().copied().unwrap_or(0);
        let least = match life {
            Life::Live => i64::MAX,
            Life::Growing | Life::Complete => FIRST_MOMENTS,
        };
        if complete.saturating_sub(first) <= least { complete } else { first }
    }

    /// A tick of the grid, counted from zero.
    fn at(&self, tick: i64) -> Duration {
        self.segment.saturating_mul(u32::try_from(tick).unwrap_or(0))
    }

    /// Writes its periods: one begins wherever a run of any rendition does.
    fn write(&self, out: &mut String, pen: &Pen<'_>) {
        let sets = sets(&self.tracks);
        let runs = self.tracks.iter().flat_map(|track| &track.runs);
        let first = self.first_tick(pen.life);
        let ticks: BTreeSet<i64> = runs.map(|run| run.tick).filter(|tick| *tick >= first).collect();
        let next = ticks.iter().skip(1).map(Some).chain([None]);
        for (tick, next) in ticks.iter().copied().zip(next) {
            let start = Iso((since_1970(self.zero) + self.at(tick)).saturating_sub(pen.zero));
            put(out, format_args!("<Period id=\"{}-{tick}\" start=\"{start}\"", self.id));
            let ends = |from: i64| from > tick && next.is_some_and(|next| from < *next);
            if let Some((from, _)) = self.pauses.iter().find(|(from, _)| ends(*from)) {
                put(out, format_args!(" duration=\"{}\"", Iso(self.at(*from - tick))));
            }
            put(out, format_args!(">\n<BaseURL>{}</BaseURL>\n", self.base));
            for set in &sets {
                set.write(out, self, pen, tick);
            }
            out.push_str("</Period>\n");
        }
    }
}

fn since_1970(time: Ntp) -> Duration {
    Duration::from_micros(u64::try_from(time.unix_micros()).unwrap_or(0))
}

/// Pictures and sound, each codec by itself.
fn sets(tracks: &[Track]) -> Vec<Set<'_>> {
    let mut sets: Vec<Set<'_>> = Vec::new();
    let family = |track: &Track| {
        let codec = track.described.codecs.split('.').next().unwrap_or_default().to_owned();
        (track.described.kind, codec)
    };
    for track in tracks {
        let found = sets.iter_mut().find(|set| family(set.tracks[0]) == family(track));
        match found {
            Some(set) => set.tracks.push(track),
            None => sets.push(Set { id: sets.len(), tracks: vec![track] }),
        }
    }
    for set in &mut sets {
        set.tracks.sort_by_key(|track| std::cmp::Reverse(track.described.bandwidth.peak_bps));
    }
    sets
}

// === impl Track ===

impl Track {
    /// The run that a tick lies in.
    fn run(&self, tick: i64) -> Option<Run> {
        self.runs.iter().rev().find(|run| run.tick <= tick).copied()
    }

    fn ticks(&self, duration: Duration) -> u128 {
        duration.as_micros() * u128::from(self.timescale) / 1_000_000
    }
}

// === impl Set ===

impl Set<'_> {
    fn write(&self, out: &mut String, epoch: &Epoch, pen: &Pen<'_>, tick: i64) {
        let present = || self.tracks.iter().filter_map(|track| Some((track, track.run(tick)?)));
        let Some((first, _)) = present().next() else { return };
        let kind = match first.described.kind {
            Kind::Audio => "audio",
            Kind::Video => "video",
        };
        put(
            out,
            format_args!(
                "<AdaptationSet id=\"{}\" contentType=\"{kind}\" mimeType=\"{kind}/mp4\" \
                 segmentAlignment=\"true\" startWithSAP=\"1\"",
                self.id
            ),
        );
        let sizes = || present().filter_map(|(track, _)| track.described.size);
        if let (Some(width), Some(height)) =
            (sizes().map(|it| it.0).max(), sizes().map(|it| it.1).max())
        {
            put(out, format_args!(" maxWidth=\"{width}\" maxHeight=\"{height}\""));
        }
        out.push_str(">\n");
        if pen.life == Life::Live {
            // Chunks carry the time too.
            put(
                out,
                format_args!(
                    "<ProducerReferenceTime id=\"{}\" type=\"encoder\" inband=\"true\"",
                    self.id
                ),
            );
            out.push_str(" wallClockTime=\"");
            push_date(out, epoch.zero.unix_micros());
            put(
                out,
                format_args!(
                    "\" presentationTime=\"0\"><UTCTiming schemeIdUri=\"{CLOCK}\" value=\"{}\"/></ProducerReferenceTime>\n",
                    pen.clock
                ),
            );
        }
        for (rank, (track, run)) in present().enumerate() {
            track.write(out, epoch, pen.life, (run, tick), rank + 1);
        }
        out.push_str("</AdaptationSet>\n");
    }
}

impl Track {
    fn write(
        &self,
        out: &mut String,
        epoch: &Epoch,
        life: Life,
        (run, tick): (Run, i64),
        rank: usize,
    ) {
        let Described { name, codecs, size, frame_rate, channels, bandwidth, .. } = &self.described;
        put(
            out,
            format_args!(
                "<Representation id=\"{name}\" codecs=\"{codecs}\" bandwidth=\"{}\" qualityRanking=\"{rank}\"",
                bandwidth.peak_bps
            ),
        );
        if let Some((width, height)) = size {
            put(out, format_args!(" width=\"{width}\" height=\"{height}\""));
        }
        if let Some(rate) = frame_rate.filter(|rate| rate.is_finite() && *rate > 0.0) {
            put(out, format_args!(" frameRate=\"{}/1000\"", (rate * 1_000.0).round()));
        }
        if self.described.kind == Kind::Audio {
            put(out, format_args!(" audioSamplingRate=\"{}\"", self.timescale));
        }
        out.push_str(">\n");
        if let Some(channels) = channels {
            put(
                out,
                format_args!(
                    "<AudioChannelConfiguration schemeIdUri=\"{CHANNELS}\" value=\"{channels}\"/>\n"
                ),
            );
        }
        let duration = self.ticks(epoch.segment);
        put(
            out,
            format_args!(
                "<Resync type=\"1\" dT=\"{duration}\" marker=\"true\"/>\n<SegmentTemplate"
            ),
        );
        let number = run.msn.saturating_add_signed(tick - run.tick);
        let offset = duration * u128::try_from(tick).unwrap_or(0);
        put(
            out,
            format_args!(
                " timescale=\"{}\" duration=\"{duration}\" startNumber=\"{number}\" \
                 presentationTimeOffset=\"{offset}\"",
                self.timescale
            ),
        );
        if life == Life::Live {
            let early = epoch.segment.saturating_sub(epoch.part).as_secs_f64();
            put(
                out,
                format_args!(
                    " availabilityTimeOffset=\"{early:.3}\" availabilityTimeComplete=\"false\""
                ),
            );
        }
        put(
            out,
            format_args!(
                " initialization=\"$RepresentationID$/init-{}.mp4\" media=\"$RepresentationID$/$Number$.m4s\"/>\n",
                run.init
            ),
        );
        out.push_str("</Representation>\n");
    }
}

/// A duration as XML Schema writes it.
struct Iso(Duration);

impl std::fmt::Display for Iso {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PT{:.3}S", self.0.as_secs_f64())
    }
}

const PROFILES: &str = "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019";
const LIVE_PROFILES: &str = "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019,\
                             http://www.dashif.org/guidelines/low-latency-live-v5";
const CLOCK: &str = "urn:mpeg:dash:utc:http-iso:2014";
const CHANNELS: &str = "urn:mpeg:dash:23003:3:audio_channel_configuration:2011";

/// Segments of a recording that are left out where sound begins later than the picture.
const FIRST_MOMENTS: i64 = 2;

/// How far behind players should be, where segments are not longer.
const LATENCY: Duration = Duration::from_secs(2);

/// How often players look for another period.
const UPDATE: Duration = Duration::from_secs(2);

/// How long after its end a segment of a recording is there.
const WRITTEN_AFTER: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::playlist::Bandwidth;

    /// Numbers of the first periods' ticks, and whether each has sound, of sound that begins at a tick.
    fn periods(life: Life, sound_from: i64) -> Vec<(i64, bool)> {
        let track = |name: &str, kind, timescale, tick| Track {
            described: Described {
                name: name.parse().unwrap(),
                kind,
                codecs: if kind == Kind::Video { "avc1.42c01f" } else { "mp4a.40.2" }.into(),
                size: None,
                frame_rate: None,
                channels: None,
                range: Default::default(),
                bandwidth: Bandwidth { peak_bps: 1_000, average_bps: 1_000 },
            },
            timescale,
            runs: vec![Run { tick, msn: tick as u64, init: 0 }],
        };
        let epoch = Epoch {
            id: "e".into(),
            zero: Ntp::from_unix_micros(1_700_000_000_000_000),
            segment: Duration::from_secs(2),
            part: Duration::from_millis(334),
            ended: (life == Life::Complete).then_some(Duration::from_secs(20)),
            tracks: vec![
                track("v0", Kind::Video, 90_000, 0),
                track("aac", Kind::Audio, 48_000, sound_from),
            ],
            pauses: Vec::new(),
            base: "./".into(),
        };
        let text = manifest(&Presentation {
            published: Ntp::from_unix_micros(1_700_000_000_000_000),
            since: Ntp::from_unix_micros(1_700_000_000_000_000),
            window: Duration::from_secs(120),
            epochs: vec![epoch],
            clock: "/time?iso".into(),
            life,
        });
        let tick = |period: &str| period.split('"').next().unwrap().parse().unwrap();
        let all = text.split("<Period id=\"e-").skip(1);
        all.map(|period| (tick(period), period.contains("contentType=\"audio\""))).collect()
    }

    #[test]
    fn no_period_without_sound_comes_before_those_that_have_it() {
        for life in [Life::Live, Life::Growing, Life::Complete] {
            assert_eq!(periods(life, 0), [(0, true)]);
            assert_eq!(periods(life, 2), [(2, true)]);
        }
        assert_eq!(periods(Life::Live, 60), [(60, true)]);
        assert_eq!(periods(Life::Complete, 60), [(0, false), (60, true)]);
    }
}
