//! An index that says what there is of a recording, as it lies in the store (docs/recording.md).
//!
//! `recording.json` comes first and says what renditions there are. Segments are told of by lines of JSON,
//! block by block while it is recorded, and in one piece once it has ended; `end.json` comes last.

use serde::{Deserialize, Serialize};
use whitewater_core::media::{Kind, VideoRange};
use whitewater_core::playlist::recorded::Growth;
use whitewater_core::playlist::{Kept, Name, Recorded};
use whitewater_signaling::control::StreamName;

use crate::origin::EpochId;

/// What is known of a recording when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The revision of this layout.
    pub version: u32,
    /// The stream.
    pub stream: StreamName,
    /// The recording's name, which no other one has.
    pub id: String,
    /// Who records it.
    pub server: String,
    /// When it began, in microseconds since 1970.
    pub began_us: i64,
    /// The wall-clock time of tick 0, in microseconds since 1970.
    pub zero_us: i64,
    /// What segments last, in milliseconds.
    pub segment_ms: u64,
    /// What parts last at most, in milliseconds.
    pub part_ms: u64,
    /// Its renditions; lines count them from 0.
    pub renditions: Vec<Rendition>,
}

/// A rendition as the header has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rendition {
    /// Its name, which is its folder's.
    pub name: String,
    /// Sound or picture.
    pub kind: Sort,
    /// Ticks per second.
    pub timescale: u32,
    /// Pictures per second, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// Channels of sound, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<u8>,
}

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sort {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// A line of the index.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// A segment.
    Segment(SegmentLine),
    /// An initialization section that holds from a segment on.
    Init(InitLine),
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentLine {
    /// Which rendition.
    pub r: usize,
    /// Media sequence number.
    pub n: u64,
    /// Ticks from zero.
    pub t: i64,
    /// Ticks that it lasts.
    pub d: u64,
    /// Bytes.
    pub b: u64,
    /// The wall-clock time of its first frame, in microseconds since 1970.
    pub w: i64,
    /// The version of its initialization section.
    pub i: u32,
    /// Whether it continues nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub x: bool,
}

/// An initialization section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitLine {
    /// Which rendition.
    pub r: usize,
    /// Its version.
    pub init: u32,
    /// The first segment that has it.
    pub from: u64,
    /// The codec as RFC 6381 writes it.
    pub codecs: String,
    /// Width and height of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<(u16, u16)>,
    /// The range of brightness of a picture.
    #[serde(default)]
    pub range: Range,
}

/// How brightness is to be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Range {
    /// Standard dynamic range.
    #[default]
    Sdr,
    /// Hybrid log-gamma.
    Hlg,
    /// Perceptual quantization.
    Pq,
}

/// The end of a recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct End {
    /// When its last segment ended, in microseconds since 1970.
    pub ended_us: i64,
    /// Seconds that it lasts.
    pub duration_s: f64,
    /// Bytes of all its media.
    pub bytes: u64,
    /// Why it could not go on, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What there is to choose from.
    pub renditions: Vec<Choice>,
}

/// A rendition as it is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its name.
    pub name: String,
    /// Sound or picture.
    pub kind: Sort,
    /// The codec as RFC 6381 writes it.
    pub codecs: String,
    /// Width and height of a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<(u16, u16)>,
}

/// All that is known of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// What was known when it began.
    pub header: Header,
    /// Its renditions, as the header counts them.
    pub tracks: Vec<Track>,
    /// Whether its beginning has gone away.
    pub is_cut: bool,
    /// Bytes of all media.
    bytes: u64,
}

/// What there is of a rendition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Track {
    /// Its initialization sections, the oldest first.
    pub inits: Vec<InitLine>,
    /// Its segments. Their numbers rise.
    pub segments: Vec<Kept>,
}

// === impl Header ===

impl Header {
    /// Whether it can be what this server wrote under that name.
    pub fn fits(&self, stream: &StreamName, id: &EpochId) -> bool {
        let names: Vec<_> = self.renditions.iter().map(|one| one.name.parse::<Name>()).collect();
        let sound = self.renditions.iter().all(|one| one.timescale > 0);
        self.version == VERSION
            && self.stream == *stream
            && self.id == id.as_ref()
            && (1..=MAX_RENDITIONS).contains(&names.len())
            && names.iter().all(|name| name.as_ref().is_ok_and(|name| name.as_ref() != "index"))
            && sound
            && (100..=60_000).contains(&self.segment_ms)
    }

    /// Ticks of a rendition that a segment lasts.
    pub fn segment_ticks(&self, rendition: usize) -> u64 {
        let timescale = self.renditions.get(rendition).map_or(1, |one| one.timescale);
        self.segment_ms * u64::from(timescale) / 1_000
    }
}

// === impl Sort ===

impl From<Kind> for Sort {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Audio => Self::Audio,
            Kind::Video => Self::Video,
        }
    }
}

impl From<Sort> for Kind {
    fn from(sort: Sort) -> Self {
        match sort {
            Sort::Audio => Self::Audio,
            Sort::Video => Self::Video,
        }
    }
}

// === impl Range ===

impl From<VideoRange> for Range {
    fn from(range: VideoRange) -> Self {
        match range {
            VideoRange::Sdr => Self::Sdr,
            VideoRange::Hlg => Self::Hlg,
            VideoRange::Pq => Self::Pq,
        }
    }
}

impl From<Range> for VideoRange {
    fn from(range: Range) -> Self {
        match range {
            Range::Sdr => Self::Sdr,
            Range::Hlg => Self::Hlg,
            Range::Pq => Self::Pq,
        }
    }
}

// === impl Index ===

impl Index {
    /// Of a recording that begins.
    pub fn new(header: Header) -> Self {
        let tracks = header.renditions.iter().map(|_| Track::default()).collect();
        Self { header, tracks, is_cut: false, bytes: 0 }
    }

    /// Takes lines in; those that make no sense are left out, and counted.
    pub fn read(&mut self, text: &str) -> usize {
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.filter(|line| !serde_json::from_str(line).is_ok_and(|line| self.take(line))).count()
    }

    /// Takes a line in. False if it makes no sense.
    pub fn take(&mut self, line: Line) -> bool {
        match line {
            Line::Init(init) => {
                let Some(track) = self.tracks.get_mut(init.r) else { return false };
                let fits = track.inits.last().is_none_or(|last| last.init < init.init);
                if fits {
                    track.inits.push(init);
                }
                fits
            }
            Line::Segment(line) => {
                let Some(track) = self.tracks.get_mut(line.r) else { return false };
                let fits = line.d > 0
                    && line.b > 0
                    && track
                        .segments
                        .last()
                        .is_none_or(|last| last.msn < line.n && last.start < line.t);
                if fits {
                    self.bytes = self.bytes.saturating_add(line.b);
                    track.segments.push(line.into());
                }
                fits
            }
        }
    }

    /// Forgets a segment, and gives the name of its rendition.
    pub fn forget(&mut self, r: usize, msn: u64) -> Option<String> {
        let segments = &mut self.tracks.get_mut(r)?.segments;
        let at = segments.binary_search_by_key(&msn, |kept| kept.msn).ok()?;
        self.bytes = self.bytes.saturating_sub(segments.remove(at).bytes);
        self.header.renditions.get(r).map(|rendition| rendition.name.clone())
    }

    /// The lines of all of it.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (r, track) in self.tracks.iter().enumerate() {
            track.inits.iter().for_each(|init| push_line(&mut out, &Line::Init(init.clone())));
            for kept in &track.segments {
                push_line(&mut out, &Line::Segment(SegmentLine::of(r, kept)));
            }
        }
        out
    }

    /// Renditions of which there is something.
    pub fn choices(&self) -> Vec<Choice> {
        let all = self.header.renditions.iter().zip(&self.tracks);
        all.filter(|(_, track)| !track.segments.is_empty())
            .filter_map(|(rendition, track)| {
                let init = track.inits.last()?;
                Some(Choice {
                    name: rendition.name.clone(),
                    kind: rendition.kind,
                    codecs: init.codecs.clone(),
                    size: init.size,
                })
            })
            .collect()
    }

    /// Renditions of which there is something, for playlists: their places in the header and themselves.
    /// Those that players change between have the same segment numbers. Sound that begins later than the
    /// picture, or ends earlier, is shorter: a player would wait for what is told to be missing.
    pub fn recorded(&self, growth: Growth) -> Vec<(usize, Recorded)> {
        let all = self.raw();
        let filled = all.iter().map(|(r, one)| {
            let kin = || all.iter().filter(|(_, other)| other.kind == one.kind);
            let first = kin().filter_map(|(_, other)| other.segments.first()).map(|kept| kept.msn);
            let last = kin().filter_map(|(_, other)| other.segments.last()).map(|kept| kept.msn);
            let last = last.max().unwrap_or(0);
            let settled = match growth {
                Growth::Complete => last,
                // What is on its way must not be told to be missing: players believe it.
                Growth::Growing | Growth::Moving => last.saturating_sub(UNDER_WAY),
            };
            let ticks = self.header.segment_ticks(*r);
            (*r, one.filled(first.min().unwrap_or(0), settled, ticks))
        });
        filled.collect()
    }

    /// Renditions of which there is something, just as they are.
    pub fn raw(&self) -> Vec<(usize, Recorded)> {
        let all = self.header.renditions.iter().zip(&self.tracks).enumerate();
        all.filter(|(_, (_, track))| !track.segments.is_empty() && !track.inits.is_empty())
            .filter_map(|(r, (rendition, track))| {
                Some((
                    r,
                    Recorded {
                        name: rendition.name.parse().ok()?,
                        kind: rendition.kind.into(),
                        timescale: rendition.timescale,
                        segments: track.segments.clone(),
                    },
                ))
            })
            .collect()
    }

    /// From the first frame to the end of the last, in microseconds since 1970; `None` of nothing.
    pub fn span_us(&self) -> Option<(i64, i64)> {
        let all = self.header.renditions.iter().zip(&self.tracks);
        let ends = all.filter_map(|(rendition, track)| {
            let (first, last) = (track.segments.first()?, track.segments.last()?);
            let us = u128::from(last.duration) * 1_000_000 / u128::from(rendition.timescale.max(1));
            Some((first.wall_us, last.wall_us.saturating_add(i64::try_from(us).unwrap_or(0))))
        });
        ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// Whether it has a segment.
    pub fn has(&self, rendition: &Name, msn: u64) -> bool {
        let all = self.header.renditions.iter().zip(&self.tracks);
        let mut track =
            all.filter(|(one, _)| one.name == rendition.as_ref()).map(|(_, track)| track);
        track
            .next()
            .is_some_and(|track| track.segments.binary_search_by_key(&msn, |kept| kept.msn).is_ok())
    }

    /// Bytes of all media.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is told of it once it has ended.
    pub fn end(&self, error: Option<String>) -> End {
        let (from, to) = self.span_us().unwrap_or((self.header.began_us, self.header.began_us));
        End {
            ended_us: to,
            duration_s: (to - from).max(0) as f64 / 1e6,
            bytes: self.bytes(),
            error,
            renditions: self.choices(),
        }
    }
}

// === impl SegmentLine ===

impl SegmentLine {
    /// A segment of a rendition.
    pub fn of(r: usize, kept: &Kept) -> Self {
        let Kept { msn, start, duration, init, discontinuity, wall_us, bytes } = *kept;
        Self { r, n: msn, t: start, d: duration, b: bytes, w: wall_us, i: init, x: discontinuity }
    }
}

impl From<SegmentLine> for Kept {
    fn from(line: SegmentLine) -> Self {
        let SegmentLine { n, t, d, b, w, i, x, .. } = line;
        Self { msn: n, start: t, duration: d, init: i, discontinuity: x, wall_us: w, bytes: b }
    }
}

/// Writes a line.
pub fn push_line(out: &mut String, line: &Line) {
    out.push_str(&serde_json::to_string(line).expect("it has nothing but texts and numbers"));
    out.push('\n');
}

/// Renditions of a recording that grows may be apart by so many segments.
const UNDER_WAY: u64 = 3;

/// The revision of the layout.
pub const VERSION: u32 = 1;

/// More than any publisher has layers.
const MAX_RENDITIONS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// An index of renditions, of each the numbers of its segments of two seconds.
    fn index(renditions: &[(&str, std::ops::Range<u64>)]) -> Index {
        let rendition = |(name, _): &(&str, std::ops::Range<u64>)| Rendition {
            name: (*name).to_owned(),
            kind: if name.starts_with('v') { Sort::Video } else { Sort::Audio },
            timescale: 1_000,
            frame_rate: None,
            channels: None,
        };
        let mut index = Index::new(Header {
            version: VERSION,
            stream: "cam".parse().unwrap(),
            id: "id".into(),
            server: "here".into(),
            began_us: 0,
            zero_us: 0,
            segment_ms: 2_000,
            part_ms: 334,
            renditions: renditions.iter().map(rendition).collect(),
        });
        for (r, (_, numbers)) in renditions.iter().enumerate() {
            let codecs = "avc1.42c01f".into();
            let init =
                InitLine { r, init: 0, from: numbers.start, codecs, size: None, range: Range::Sdr };
            assert!(index.take(Line::Init(init)));
            for n in numbers.clone() {
                let (t, w) = (n as i64 * 2_000, n as i64 * 2_000_000);
                let line = SegmentLine { r, n, t, d: 2_000, b: 10, w, i: 0, x: false };
                assert!(index.take(Line::Segment(line)));
            }
        }
        index
    }

    /// Numbers of segments that are told of, and of those the gaps.
    fn told(index: &Index, growth: Growth) -> Vec<(u64, u64, Vec<u64>)> {
        let ends = |one: &Recorded| (one.segments[0].msn, one.segments.last().unwrap().msn);
        let gaps = |one: &Recorded| {
            one.segments.iter().filter(|kept| kept.bytes == 0).map(|kept| kept.msn).collect()
        };
        let all = index.recorded(growth);
        all.iter().map(|(_, one)| (ends(one).0, ends(one).1, gaps(one))).collect()
    }

    #[test]
    fn layers_have_the_same_numbers_and_sound_is_as_long_as_it_is() {
        let index = index(&[("v0", 3..10), ("v1", 4..9), ("aac", 5..9)]);
        let want = [(3, 9, vec![]), (3, 9, vec![3, 9]), (5, 8, vec![])];
        assert_eq!(told(&index, Growth::Complete), want);
    }

    #[test]
    fn what_is_on_its_way_is_not_told_to_be_missing() {
        // The second layer is one segment behind, or has stopped long ago.
        let behind = index(&[("v0", 0..10), ("v1", 0..9)]);
        assert_eq!(told(&behind, Growth::Growing), [(0, 9, vec![]), (0, 8, vec![])]);
        let stopped = index(&[("v0", 0..10), ("v1", 0..4)]);
        assert_eq!(told(&stopped, Growth::Growing), [(0, 9, vec![]), (0, 6, vec![4, 5, 6])]);
    }

    #[test]
    fn bytes_are_counted_as_segments_come_and_go() {
        let mut index = index(&[("v0", 3..10), ("aac", 5..9)]);
        assert_eq!(index.bytes(), 110);
        assert_eq!(index.forget(0, 3).as_deref(), Some("v0"));
        assert_eq!(index.forget(0, 3), None);
        assert_eq!((index.bytes(), index.end(None).bytes), (100, 100));
    }
}
