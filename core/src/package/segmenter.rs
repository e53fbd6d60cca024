//! A segmenter that decides where parts and segments of one rendition begin and end.
//!
//! Frames come in decoding order, packaged parts are polled. A part is written when the next frame
//! shows that it is full: **no part exceeds the part target, and none but a segment's last, and one
//! before a gap, falls below 85 % of it.** Where frames come so slowly that both cannot be had, the
//! part is cut at its target in the middle of its last frame, and the next frame's decoding time moves
//! there. Its composition offset says when to show it: presentation times are never touched. So the
//! rules hold at any rate, and decoding times are exact while a frame fits into 15 % of the target,
//! which [`part_target`](super::part_target) sees to.
//!
//! Keyframes cut segments by an absolute grid (`grid.rs`). Any other keyframe begins a part if the open
//! one has reached 85 %, and otherwise lies in the middle of one.

mod open;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use self::open::OpenPart;
use super::cmaf::{self, Chunk, Sample};
use super::grid::{Grid, Segment};
use crate::media::{Frame, Init, Kind, Packaged, Part, Setup};

/// What a segmenter has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sound or picture.
    pub kind: Kind,
    /// Ticks per second: 90,000 for pictures, the sample rate for sound.
    pub timescale: u32,
    /// What no part exceeds; one for all renditions of a stream.
    pub part_target: Duration,
    /// From tick to tick of the grid; default 2 s. The target duration of a playlist is 1 s more.
    pub segment_target: Duration,
    /// How many segment numbers the stream's other renditions of this kind are behind the grid: what
    /// [`Segmenter::lag`] says there. 0 for the first.
    pub lag: i64,
    /// How far apart keyframes are if they come when the publisher likes: a tick takes the nearest one.
    pub gop: Option<Duration>,
}

/// A segment would be half a second or more longer than the target duration: the epoch has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a segment would exceed the target duration: begin another epoch")]
pub struct Exceeded;

/// What happened, since the segmenter began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Parts with bytes.
    pub parts: u64,
    /// Parts for which nothing came.
    pub gap_parts: u64,
    /// Parts cut at the part target, in the middle of their last frame.
    pub stretched_parts: u64,
    /// Frames whose decoding time was moved.
    pub moved_frames: u64,
    /// Frames dropped until a keyframe came.
    pub waiting_frames: u64,
    /// Frames dropped because their times go back, come after their part, or make no sense.
    pub misplaced_frames: u64,
    /// Frames dropped because an open part holds no more.
    pub overflowing_frames: u64,
    /// Frames dropped because their setup cannot be packaged.
    pub unpackable_frames: u64,
}

/// The packager of one rendition.
#[derive(Debug)]
pub struct Segmenter {
    kind: Kind,
    timescale: u32,
    lag: i64,
    grid: Grid,
    part_target: i64,
    part_minimum: i64,
    setup: Option<Arc<Setup>>,
    inits: u32,
    sequence: u32,
    segment: Option<Segment>,
    open: OpenPart,
    /// Where the last part ended.
    end: Option<i64>,
    /// The number of the segment after the one that ended.
    next_number: Option<u64>,
    after_gap: bool,
    last_dts: Option<i64>,
    interval: i64,
    wants_keyframe: bool,
    exceeded: bool,
    counters: Counters,
    output: VecDeque<Packaged>,
}

// === impl Config ===

impl Config {
    /// The default configuration for a kind of media and its clock.
    pub fn new(kind: Kind, timescale: u32, part_target: Duration) -> Self {
        Self { kind, timescale, part_target, segment_target: SEGMENT_TARGET, lag: 0, gop: None }
    }

    fn ticks(&self, duration: Duration) -> i64 {
        let ticks = duration.as_micros().saturating_mul(self.timescale.into()) / 1_000_000;
        i64::try_from(ticks).unwrap_or(MAX_TICKS).clamp(1, MAX_TICKS)
    }
}

/// The target duration that a playlist has for such segments: whole seconds, up to one second more.
pub fn target_duration(segment: Duration) -> Duration {
    Duration::from_secs((segment + TARGET_DURATION_MORE).as_secs())
}

// === impl Segmenter ===

impl Segmenter {
    /// A segmenter that has seen nothing.
    pub fn new(config: Config) -> Self {
        let segment = config.ticks(config.segment_target).max(8);
        let part_target = config.ticks(config.part_target);
        let grid = Grid {
            segment,
            // A keyframe that was asked for comes up to a quarter of a second around its tick, and one
            // more a moment later would be refused: encoders answer a few requests a second. Sound can
            // be cut anywhere.
            early: match config.kind {
                Kind::Video if config.gop.is_some() => segment / 2,
                Kind::Video => (segment / 4).min(i64::from(config.timescale)),
                Kind::Audio => 0,
            },
            gop: config.gop.filter(|_| config.kind == Kind::Video).map(|gop| config.ticks(gop)),
            limit: config.ticks(target_duration(config.segment_target) + TOLERATED),
        };
        Self {
            kind: config.kind,
            timescale: config.timescale,
            lag: config.lag,
            grid,
            part_target,
            part_minimum: (part_target * 85 + 99) / 100,
            setup: None,
            inits: 0,
            sequence: 0,
            segment: None,
            open: OpenPart::default(),
            end: None,
            next_number: None,
            after_gap: false,
            last_dts: None,
            interval: (i64::from(config.timescale) / 50).clamp(1, part_target),
            wants_keyframe: config.kind == Kind::Video,
            exceeded: false,
            counters: Counters::default(),
            output: VecDeque::new(),
        }
    }

    /// What is ready, in order.
    pub fn poll(&mut self) -> Option<Packaged> {
        self.output.pop_front()
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Whether nothing can be packaged before a keyframe comes.
    pub fn wants_keyframe(&self) -> bool {
        self.wants_keyframe
    }

    /// How many numbers the open segment is behind the grid, where keyframes left ticks out.
    pub fn lag(&self) -> i64 {
        self.segment.map_or(self.lag, |segment| self.grid.lag(&segment))
    }

    /// When the open part is due whether or not a frame comes: the time for [`Self::close_due`].
    pub fn poll_timeout(&self) -> Option<i64> {
        self.open.first().map(|first| first + self.part_target)
    }

    /// Where the last part ends. Where no part is open, a gap is due one part target later.
    pub fn packaged_until(&self) -> Option<i64> {
        self.end
    }

    /// Takes in the next frame in decoding order.
    pub fn handle_frame(&mut self, frame: &Frame) -> Result<(), Exceeded> {
        self.check()?;
        if !self.is_sane(frame) {
            self.counters.misplaced_frames += 1;
            self.lose();
            return Ok(());
        }
        if let Some(last) = self.last_dts.replace(frame.dts) {
            self.interval = (frame.dts - last).clamp(1, self.part_target);
        }
        let known = self.setup.as_ref();
        let new_setup =
            known.is_none_or(|own| !Arc::ptr_eq(own, &frame.setup) && *own != frame.setup);
        if !frame.keyframe && (self.wants_keyframe || new_setup) {
            self.counters.waiting_frames += 1;
            self.lose();
            return Ok(());
        }
        let header = match new_setup.then(|| cmaf::header(&frame.setup, self.timescale)) {
            None => None,
            Some(Ok(header)) => Some(header),
            Some(Err(_)) => {
                self.counters.unpackable_frames += 1;
                self.lose();
                return Ok(());
            }
        };
        self.close_overshooting(frame.dts)?;
        let Some(dts) = self.place(frame)? else { return Ok(()) };
        self.cut(frame, dts, header.is_some())?;
        if let Some(header) = header {
            self.push_init(header, &frame.setup);
        }
        self.push(frame, dts);
        Ok(())
    }

    /// Closes the open part if it is due although no frame came. `now` is the decoding time that a
    /// frame would have that arrived just now.
    pub fn close_due(&mut self, now: i64) -> Result<(), Exceeded> {
        self.check()?;
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.close_overshooting(now.min(MAX_TICKS) + 1)?;
        }
        Ok(())
    }

    /// Fills the timeline with gaps up to `until`, as nothing came. Pictures go on with a keyframe.
    ///
    /// To be called at least once per part target, so that there is always a part to announce.
    pub fn gap(&mut self, until: i64) -> Result<(), Exceeded> {
        self.check()?;
        let until = until.clamp(0, MAX_TICKS);
        self.close_overshooting(until)?;
        if let Some(last) = self.open.last() {
            // The part may be short if a gap follows, and only then.
            let end = last + self.interval;
            if end >= until {
                return Ok(());
            }
            self.close(end)?;
        }
        self.fill(until)
    }

    /// Ends the open segment, since a publisher returned whose frames do not continue. Their times
    /// may be any.
    pub fn discontinuity(&mut self) {
        self.end();
        if self.end.take().is_some() {
            self.output.push_back(Packaged::Discontinuity);
        }
        self.last_dts = None;
        self.after_gap = false;
    }

    /// Ends what is open. The last frame lasts as long as the one before it; pictures that follow
    /// begin with a keyframe.
    pub fn end(&mut self) {
        if let Some(last) = self.open.last() {
            let longest = self.segment.map_or(i64::MAX, |open| open.start + self.grid.limit - 1);
            let end = (last + self.interval).min(longest);
            // The segment stays below its limit, so nothing is refused.
            let _ = self.close_overshooting(end);
            let _ = self.close(end);
        }
        self.end_segment();
        self.lose();
    }

    fn check(&self) -> Result<(), Exceeded> {
        if self.exceeded { Err(Exceeded) } else { Ok(()) }
    }

    fn is_sane(&self, frame: &Frame) -> bool {
        let composition = frame.pts.saturating_sub(frame.dts);
        frame.setup.kind() == self.kind
            && !frame.data.is_empty()
            && (0..MAX_TICKS).contains(&frame.dts)
            && (-MAX_COMPOSITION..MAX_COMPOSITION).contains(&composition)
            && self.last_dts.is_none_or(|last| frame.dts > last)
    }

    /// A frame is missing: without it, pictures that follow mean nothing.
    fn lose(&mut self) {
        self.wants_keyframe = self.kind == Kind::Video;
    }

    /// Closes parts that would exceed the target if they lasted until `time`.
    fn close_overshooting(&mut self, time: i64) -> Result<(), Exceeded> {
        while let Some((first, last)) = self.open.first().zip(self.open.last()) {
            if time - first <= self.part_target {
                break;
            }
            if last - first < self.part_minimum {
                self.close(first + self.part_target)?;
                self.counters.stretched_parts += 1;
                continue;
            }
            let held = self.open.take_last();
            let closed = self.close(last);
            held.into_iter().for_each(|sample| self.open.push(sample));
            closed?;
        }
        Ok(())
    }

    /// The decoding time of a frame; `None` if it has to be dropped.
    fn place(&mut self, frame: &Frame) -> Result<Option<i64>, Exceeded> {
        let (dts, last) = (frame.dts, self.open.last());
        let Some(earliest) = last.map(|last| last + 1).or(self.end) else { return Ok(Some(dts)) };
        if dts < earliest - self.part_target {
            self.counters.misplaced_frames += 1;
            self.lose();
            return Ok(None);
        }
        if last.is_some() || dts <= earliest {
            return Ok(Some(self.moved(dts, dts.max(earliest))));
        }
        // The last part was closed before this frame came.
        if !self.after_gap && dts - earliest <= self.part_target {
            return Ok(Some(self.moved(dts, earliest)));
        }
        if !frame.keyframe {
            self.counters.waiting_frames += 1;
            self.lose();
            return Ok(None);
        }
        self.fill(dts)?;
        Ok(Some(dts))
    }

    fn moved(&mut self, from: i64, to: i64) -> i64 {
        self.counters.moved_frames += u64::from(from != to);
        to
    }

    /// Ends the part and the segment that end before a frame.
    fn cut(&mut self, frame: &Frame, dts: i64, new_setup: bool) -> Result<(), Exceeded> {
        let Some(segment) = self.segment else {
            self.begin_segment(dts);
            return Ok(());
        };
        // A playlist names one header per segment.
        if new_setup || (frame.keyframe && self.grid.cuts(&segment, dts)) {
            self.close(dts)?;
            self.end_segment();
            self.begin_segment(dts);
            return Ok(());
        }
        // One tick below the limit, so that the frame has a length if nothing follows.
        if dts - segment.start >= self.grid.limit - 1 {
            return self.exceed();
        }
        let Some(first) = self.open.first() else { return Ok(()) };
        let joinable = frame.keyframe && self.kind == Kind::Video;
        // The frame will last about as long as the one before it.
        let overshoots = dts + self.interval - first > self.part_target;
        if dts - first >= self.part_minimum && (joinable || overshoots) {
            self.close(dts)?;
        }
        Ok(())
    }

    fn push(&mut self, frame: &Frame, dts: i64) {
        if !self.open.has_room(frame.data.len()) {
            self.counters.overflowing_frames += 1;
            return self.lose();
        }
        self.wants_keyframe = false;
        self.open.push(Sample {
            dts,
            // A frame that is decoded late is shown late.
            pts: if dts > frame.dts { frame.pts.max(dts) } else { frame.pts },
            keyframe: frame.keyframe,
            data: frame.data.clone(),
            capture: frame.capture,
        });
    }

    fn push_init(&mut self, header: cmaf::Header, setup: &Arc<Setup>) {
        self.output.push_back(Packaged::Init(Init {
            version: self.inits,
            bytes: header.bytes,
            codecs: header.codecs,
            size: setup.size(),
            range: header.range,
        }));
        self.inits += 1;
        self.setup = Some(Arc::clone(setup));
    }

    /// Closes the open part, if there is one, at `end`.
    fn close(&mut self, end: i64) -> Result<(), Exceeded> {
        let Some((first, segment)) = self.open.first().zip(self.segment) else { return Ok(()) };
        if end - segment.start >= self.grid.limit {
            return self.exceed();
        }
        let samples = self.open.take();
        self.sequence += 1;
        let chunk = Chunk {
            sequence: self.sequence,
            opens_segment: !segment.has_bytes,
            samples: &samples,
            end,
        };
        let independent = samples.iter().any(|sample| sample.keyframe);
        self.counters.parts += 1;
        self.after_gap = false;
        self.push_part(segment, (first, end), independent, Some(chunk.write()));
        Ok(())
    }

    /// Puts out gaps from the end of the last part.
    fn fill(&mut self, until: i64) -> Result<(), Exceeded> {
        let Some(mut end) = self.end.filter(|end| *end < until) else { return Ok(()) };
        if until - end > MAX_GAP_SEGMENTS * self.grid.segment {
            return self.exceed();
        }
        while end < until {
            if self.segment.is_some_and(|open| end >= self.grid.next_tick(&open)) {
                self.end_segment();
            }
            let segment = self.segment.unwrap_or_else(|| self.begin_segment(end));
            let stop = until.min(end + self.part_target).min(self.grid.next_tick(&segment));
            self.counters.gap_parts += 1;
            self.push_part(segment, (end, stop), false, None);
            end = stop;
        }
        self.after_gap = true;
        self.lose();
        Ok(())
    }

    fn push_part(
        &mut self,
        mut segment: Segment,
        (start, end): (i64, i64),
        independent: bool,
        bytes: Option<Bytes>,
    ) {
        let (number, index) = (segment.number, segment.parts);
        segment.parts += 1;
        segment.has_bytes |= bytes.is_some();
        self.segment = Some(segment);
        self.end = Some(end);
        let duration = (end - start).unsigned_abs();
        let part = Part { segment: number, index, start, duration, independent, bytes };
        self.output.push_back(Packaged::Part(part));
    }

    fn begin_segment(&mut self, start: i64) -> Segment {
        let on_grid = u64::try_from(self.grid.tick(start) - self.lag).unwrap_or(0);
        let segment = Segment::new(self.next_number.take().unwrap_or(on_grid), start);
        self.segment = Some(segment);
        segment
    }

    /// Ends the open segment where its last part ended.
    fn end_segment(&mut self) {
        let Some((segment, end)) = self.segment.take().zip(self.end) else { return };
        let duration = (end - segment.start).unsigned_abs();
        self.output.push_back(Packaged::SegmentEnd { segment: segment.number, duration });
        self.next_number = Some(segment.number + 1);
    }

    fn exceed(&mut self) -> Result<(), Exceeded> {
        self.exceeded = true;
        Err(Exceeded)
    }
}

const SEGMENT_TARGET: Duration = Duration::from_secs(2);
/// A playlist's target duration is this much longer than the segment target.
const TARGET_DURATION_MORE: Duration = Duration::from_secs(1);
/// What rounding forgives: segments have to be shorter than the target duration and this.
const TOLERATED: Duration = Duration::from_millis(500);
/// Silence that a gap bridges.
const MAX_GAP_SEGMENTS: i64 = 64;
/// No timeline is longer: a hundred years of 90 kHz.
const MAX_TICKS: i64 = 1 << 48;
/// Ticks between decoding and presentation that are believed: at 90 kHz, more than five minutes.
const MAX_COMPOSITION: i64 = 1 << 25;

#[cfg(test)]
mod tests;
