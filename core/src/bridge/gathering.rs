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
    keyframes: [Keyframes; MAX_LAYERS as usize],
    /// Requests for keyframes that were due.
    asked: u32,
}

/// The keyframes of one layer.
#[derive(Clone, Copy, Debug, Default)]
struct Keyframes {
    /// When the last one is decoded, and whether it came before anybody listened.
    last: Option<(i64, bool)>,
    /// The longest time from one to the next, in ticks.
    apart: Option<i64>,
    /// The same from one that came before anybody listened, and so asked for the next.
    apart_unheard: Option<i64>,
}

/// What an epoch waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Sound, as there is nothing else.
    Sound,
    /// A picture, whose keyframes are made here.
    Picture,
    /// A picture and how often its keyframes come.
    Keyframes,
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
    /// Takes in a frame; one may have come `before` anybody listened.
    pub(super) fn push(&mut self, now: Instant, kind: Kind, layer: u8, frame: Frame, before: bool) {
        self.first.get_or_insert(now);
        if kind == Kind::Video {
            let first = *self.first_picture.get_or_insert(now);
            let answers = now.saturating_duration_since(first) < ANSWER_TIME;
            let keyframes = self.keyframes.get_mut(usize::from(layer)).filter(|_| frame.keyframe);
            keyframes.into_iter().for_each(|own| own.add(frame.dts, before, answers));
        }
        self.bytes += frame.data.len();
        self.frames.push((now, kind, layer, frame));
        while self.bytes > MAX_BYTES && !self.frames.is_empty() {
            let (.., frame) = self.frames.remove(0);
            self.bytes -= frame.data.len();
        }
    }

    pub(super) fn is_ready(&self, now: Instant, needs: Needs) -> bool {
        self.due(needs).is_some_and(|due| now >= due) && self.start().is_some()
    }

    /// When it is ready, or keyframes are to be asked for.
    pub(super) fn poll_timeout(&self, needs: Needs) -> Option<Instant> {
        // Without a beginning only another frame makes it ready.
        let due = self.due(needs).filter(|_| self.has_start());
        due.into_iter().chain(self.ask_due(needs)).min()
    }

    /// Whether keyframes are to be asked for, so that two of one layer come.
    pub(super) fn asks(&mut self, now: Instant, needs: Needs) -> bool {
        let asks = self.ask_due(needs).is_some_and(|due| now >= due);
        self.asked += u32::from(asks);
        asks
    }

    /// Whether it goes on for want of a second keyframe.
    pub(super) fn is_learning(&self, now: Instant) -> bool {
        self.gop().is_none() && self.first_picture.is_some_and(|first| now >= first + GATHER)
    }

    /// The longest time from one keyframe to the next, where two of one layer came.
    pub(super) fn gop(&self) -> Option<Duration> {
        let unheard = || self.keyframes.iter().filter_map(|own| own.apart_unheard).max();
        let apart = self.keyframes.iter().filter_map(|own| own.apart).max().or_else(unheard)?;
        Some(Duration::from_micros(ticks_to_micros(apart, VIDEO_RATE).unsigned_abs()))
    }

    fn due(&self, needs: Needs) -> Option<Instant> {
        match (self.first_picture, needs) {
            (Some(first), Needs::Keyframes) if self.gop().is_none() => Some(first + GATHER_GOP),
            (Some(first), _) => Some(first + GATHER),
            (None, Needs::Sound) => Some(self.first? + GATHER_SOUND),
            // Its picture may never come; until then its sound waits.
            (None, _) => Some(self.first? + WITHOUT_PICTURE),
        }
    }

    fn ask_due(&self, needs: Needs) -> Option<Instant> {
        let first = self.first_picture.filter(|_| needs == Needs::Keyframes)?;
        self.gop().is_none().then(|| first + ASK_INTERVAL * (self.asked + 1))
    }

    /// Whether there is anything that an epoch can begin with.
    fn has_start(&self) -> bool {
        let of = |wanted: Kind| {
            let own = self.frames.iter().filter(move |(_, kind, ..)| *kind == wanted);
            own.map(|(.., frame)| frame)
        };
        of(Kind::Video).any(|frame| frame.keyframe && frame.capture.is_some())
            || of(Kind::Audio).next().is_some_and(|frame| frame.capture.is_some())
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

// === impl Keyframes ===

impl Keyframes {
    /// Takes in a keyframe that may be the answer to the first request.
    fn add(&mut self, dts: i64, before: bool, answers: bool) {
        let apart = self.last.map(|(last, _)| dts - last);
        if apart.is_some_and(|ticks| ticks < TWIN_TICKS) {
            return;
        }
        match self.last.replace((dts, before)) {
            Some((_, false)) => self.apart = self.apart.max(apart),
            // An answer tells how long nobody asked, not what the publisher does by itself.
            Some((_, true)) if !answers => self.apart_unheard = apart,
            Some((_, true)) | None => {}
        }
    }
}

/// Frame rates are learned in two seconds, and a player needs to have nearly as much ahead.
const GATHER: Duration = Duration::from_secs(2);
/// Who ignores requests for keyframes shows within this how far its own are apart.
const GATHER_GOP: Duration = Duration::from_secs(10);
/// A keyframe so soon after the first request is its answer.
const ANSWER_TIME: Duration = Duration::from_millis(700);
/// Keyframes are asked for this often until there are two.
const ASK_INTERVAL: Duration = Duration::from_millis(900);
const GATHER_SOUND: Duration = Duration::from_millis(500);
const WITHOUT_PICTURE: Duration = Duration::from_secs(10);

const MAX_BYTES: usize = 32 << 20;
const MAX_LAYERS: u8 = 4;
/// A rate is not judged by less.
const MIN_RATED_US: i64 = 300_000;

/// Half a frame of 30 a second, in ticks of 90 kHz.
const JOINT_TICKS: i64 = 1_500;
/// Two keyframes within a quarter of a second answer two requests for the same.
const TWIN_TICKS: i64 = 22_500;
const VIDEO_RATE: u32 = 90_000;
