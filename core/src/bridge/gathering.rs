//! A gathering of the first frames of an epoch, which shows what there is to package.

use std::time::{Duration, Instant};

use crate::media::time::ticks_to_micros;
use crate::media::{Frame, Kind, Ntp};

/// Frames that wait for their epoch to open, on their tracks' timelines.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    frames: Vec<(Instant, Kind, u8, Frame)>,
    bytes: usize,
    first: Option<Instant>,
    first_picture: Option<Instant>,
}

/// Where an epoch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start {
    /// In the server's clock.
    pub(super) wall: Ntp,
    /// On the timeline of the picture's track, where there is one.
    pub(super) video: Option<i64>,
}

// === impl Gathering ===

impl Gathering {
    pub(super) fn push(&mut self, now: Instant, kind: Kind, layer: u8, frame: Frame) {
        self.first.get_or_insert(now);
        if kind == Kind::Video {
            self.first_picture.get_or_insert(now);
        }
        self.bytes += frame.data.len();
        self.frames.push((now, kind, layer, frame));
        while self.bytes > MAX_BYTES && !self.frames.is_empty() {
            let (.., frame) = self.frames.remove(0);
            self.bytes -= frame.data.len();
        }
    }

    pub(super) fn is_ready(&self, now: Instant, has_video: bool) -> bool {
        self.due(has_video).is_some_and(|due| now >= due) && self.start().is_some()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due(self.first_picture.is_some() || self.frames.is_empty())
    }

    fn due(&self, has_video: bool) -> Option<Instant> {
        match (self.first_picture, has_video) {
            (Some(first), _) => Some(first + GATHER),
            // Its picture may never come; until then its sound waits.
            (None, true) => Some(self.first? + WITHOUT_PICTURE),
            (None, false) => Some(self.first? + GATHER_SOUND),
        }
    }

    /// The epoch begins with the first keyframe that the most layers have in common.
    pub(super) fn start(&self) -> Option<Start> {
        let keyframes = || {
            let pictures = self.frames.iter().filter(|(_, kind, ..)| *kind == Kind::Video);
            pictures.filter(|(.., frame)| frame.keyframe)
        };
        let shared = |dts: i64| {
            keyframes().filter(|(.., other)| (other.dts - dts).abs() < JOINT_TICKS).count()
        };
        let first = keyframes()
            .filter(|(.., frame)| frame.capture.is_some())
            .max_by_key(|(.., frame)| (shared(frame.dts), std::cmp::Reverse(frame.dts)));
        if let Some((.., frame)) = first {
            return Some(Start { wall: frame.capture?, video: Some(frame.dts) });
        }
        let sound = self.frames.iter().find(|(_, kind, ..)| *kind == Kind::Audio);
        Some(Start { wall: sound?.3.capture?, video: None })
    }

    /// The times between pictures of the layer that has the fewest.
    pub(super) fn intervals(&self, clock_rate: u32) -> Vec<Duration> {
        let of_layer = |wanted: u8| {
            let pictures = self.frames.iter();
            let pictures =
                pictures.filter(|(_, kind, ix, _)| *kind == Kind::Video && *ix == wanted);
            let times: Vec<i64> = pictures.map(|(.., frame)| frame.dts).collect();
            let between =
                times.windows(2).map(|pair| ticks_to_micros(pair[1] - pair[0], clock_rate));
            between.map(|us| Duration::from_micros(us.max(0) as u64)).collect::<Vec<_>>()
        };
        let layers = (0..MAX_LAYERS).map(of_layer).filter(|intervals| intervals.len() > 2);
        layers.min_by_key(Vec::len).unwrap_or_default()
    }

    /// The pictures of a layer.
    pub(super) fn pictures(&self, layer: u8) -> impl Iterator<Item = &Frame> {
        let own = move |(_, kind, ix, _): &&(Instant, Kind, u8, Frame)| {
            *kind == Kind::Video && *ix == layer
        };
        self.frames.iter().filter(own).map(|(.., frame)| frame)
    }

    /// Bits and frames per second of a source, where it shows them.
    pub(super) fn rate(&self, kind: Kind, layer: u8, clock_rate: u32) -> Option<(u64, f64)> {
        let own = || self.frames.iter().filter(|(_, k, ix, _)| *k == kind && *ix == layer);
        let (first, last) = (own().next()?, own().next_back()?);
        let us = ticks_to_micros(last.3.dts - first.3.dts, clock_rate);
        if us < MIN_RATED_US {
            return None;
        }
        let bytes: usize = own().map(|(.., frame)| frame.data.len()).sum();
        let seconds = us as f64 / 1e6;
        Some(((bytes as f64 * 8.0 / seconds) as u64, (own().count() - 1) as f64 / seconds))
    }

    /// The frames in the order of their coming.
    pub(super) fn into_frames(self) -> Vec<(Instant, Kind, u8, Frame)> {
        self.frames
    }
}

/// Frame rates are learned in two seconds, and a player needs to have nearly as much ahead.
const GATHER: Duration = Duration::from_secs(2);
const GATHER_SOUND: Duration = Duration::from_millis(500);
const WITHOUT_PICTURE: Duration = Duration::from_secs(10);

const MAX_BYTES: usize = 32 << 20;
const MAX_LAYERS: u8 = 4;
/// A rate is not judged by less.
const MIN_RATED_US: i64 = 300_000;

/// Half a frame of 30 a second, in ticks of 90 kHz.
const JOINT_TICKS: i64 = 1_500;
