//! A window that holds what one rendition's playlist tells of, and the media behind it.
//!
//! It takes what a packager puts out, in order. What does not fit is refused and changes nothing:
//! **sequence numbers, discontinuity numbers and the last part never go back.** Its clock is the media
//! itself: what has left the playlist is dropped when so much more media has come that nobody asks for it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use super::measure::{Bandwidth, Meter};
use super::runs::{Run, Runs};
use super::segment::{Finished, Segment};
use super::wall::WallClock;
use super::{Config, Name};
use crate::media::{Init, Packaged, Part};

/// One rendition's segments, from the oldest that may be asked for to the one that is growing.
#[derive(Debug)]
pub struct Window {
    config: Config,
    wall: WallClock,
    inits: Vec<Init>,
    /// Segments with consecutive numbers.
    kept: VecDeque<Segment>,
    /// How many of them have left the playlist.
    gone: usize,
    /// How many of them are so old that their media stays only where nobody else keeps it.
    old: usize,
    /// Discontinuities that have left it, too.
    discontinuities: u64,
    /// Whether the next segment continues nothing.
    discontinuity: bool,
    ended: bool,
    /// Ticks of all complete segments there ever were.
    total: u64,
    /// Ticks of the complete segments in the playlist.
    listed: u64,
    /// Ticks of the longest playlist.
    longest: u64,
    /// Bytes of media that are kept.
    bytes: usize,
    version: u64,
    meter: Meter,
    runs: Runs,
}

/// A place in a rendition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Media sequence number.
    pub msn: u64,
    /// Part of that segment.
    pub part: u32,
}

/// What a decision about a request depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The last part; `None` before the first.
    pub last: Option<Position>,
    /// Whether the last part's segment is complete.
    pub closed: bool,
    /// Whether any segment is. Some players give up where none is.
    pub whole: bool,
    /// Whether nothing more will come.
    pub ended: bool,
    /// The first segment that a delta tells of; `None` where it would leave out nothing.
    pub unskipped: Option<u64>,
    /// How many parts ahead may be asked for.
    pub advance_part_limit: u32,
    /// Counts changes.
    pub version: u64,
}

/// What there is under a part's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The part.
    Part(Bytes),
    /// It is the next one, and may be waited for.
    Hinted,
    /// Nothing, and nothing will be.
    Missing,
}

/// Why an item was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The window was ended.
    #[error("the playlist has ended")]
    Ended,
    /// It is not what comes next.
    #[error("it is not what comes next")]
    OutOfOrder,
    /// A part came before any initialization section.
    #[error("no initialization section came before it")]
    NoInit,
    /// A duration of nothing.
    #[error("it lasts no time at all")]
    Empty,
    /// The segment would break TARGETDURATION: this epoch has to end (H4).
    #[error("the segment is longer than the target duration")]
    TooLong,
}

// === impl Window ===

impl Window {
    /// An empty one.
    pub fn new(config: Config) -> Self {
        Self {
            wall: WallClock::new(config.timescale, config.epoch),
            runs: Runs::new(config.ticks(config.segment)),
            config,
            inits: Vec::new(),
            kept: VecDeque::new(),
            gone: 0,
            old: 0,
            discontinuities: 0,
            discontinuity: false,
            ended: false,
            total: 0,
            listed: 0,
            longest: 0,
            bytes: 0,
            version: 0,
            meter: Meter::default(),
        }
    }

    /// Takes what comes next.
    pub fn handle(&mut self, item: Packaged) -> Result<(), Unfit> {
        if self.ended {
            return Err(Unfit::Ended);
        }
        match item {
            Packaged::Init(init) => self.take_init(init)?,
            Packaged::Part(part) => self.take_part(part)?,
            Packaged::SegmentEnd { segment, duration } => self.take_end(segment, duration)?,
            Packaged::Discontinuity => self.take_discontinuity(),
            Packaged::Wall { from, zero } => {
                // No playlist tells of it yet.
                self.wall.set(from, zero);
                return Ok(());
            }
        }
        self.version += 1;
        Ok(())
    }

    /// Nothing more will come.
    pub fn end(&mut self) {
        if !self.ended {
            self.close_open();
            self.ended = true;
            self.version += 1;
        }
    }

    /// What decisions depend on.
    pub fn state(&self) -> State {
        let last = self.kept.back();
        State {
            last: last.map(|last| Position {
                msn: last.msn,
                part: u32::try_from(last.parts.len()).unwrap_or(u32::MAX).saturating_sub(1),
            }),
            closed: last.is_some_and(|last| last.closed.is_some()),
            whole: self.kept.front().is_some_and(|first| first.closed.is_some()),
            ended: self.ended,
            unskipped: self.unskipped(),
            advance_part_limit: self.config.advance_part_limit(),
            version: self.version,
        }
    }

    /// What it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The rendition.
    pub fn name(&self) -> &Name {
        &self.config.name
    }

    /// The part that comes next, as far as is known; `None` before the first and after the end.
    pub fn hint(&self) -> Option<Position> {
        let last = self.kept.back().filter(|_| !self.ended)?;
        Some(match last.closed {
            Some(_) => Position { msn: last.msn.checked_add(1)?, part: 0 },
            None => Position { msn: last.msn, part: u32::try_from(last.parts.len()).ok()? },
        })
    }

    /// What there is under a part's address.
    pub fn part(&self, at: Position) -> Found {
        if self.hint() == Some(at) {
            return Found::Hinted;
        }
        let index = usize::try_from(at.part).unwrap_or(usize::MAX);
        let piece = self.segment_at(at.msn).and_then(|segment| segment.parts.get(index));
        match piece.and_then(|piece| piece.0.clone()) {
            Some(bytes) => Found::Part(bytes),
            None => Found::Missing,
        }
    }

    /// A complete segment: its parts, one after the other.
    pub fn segment(&self, msn: u64) -> Option<Bytes> {
        self.segment_at(msn)?.closed.as_ref()?.bytes.clone()
    }

    /// How many parts a complete segment has, all of which came.
    pub fn parts_of(&self, msn: u64) -> Option<u32> {
        let segment = self.segment_at(msn).filter(|segment| segment.closed.is_some())?;
        let all = segment.parts.iter().all(|part| part.0.is_some());
        u32::try_from(segment.parts.len()).ok().filter(|_| all)
    }

    /// The initialization section of that version, as long as it is of use.
    pub fn init(&self, version: u32) -> Option<&Init> {
        self.inits.iter().find(|init| init.version == version)
    }

    /// The initialization section of what comes next.
    pub fn latest_init(&self) -> Option<&Init> {
        self.inits.last()
    }

    /// How long the media of a segment stays at least, if as much comes as time passes.
    pub fn stays(&self, msn: u64) -> Duration {
        let kept_for = |segment: &Segment| {
            let appeared = segment.closed.as_ref().map_or(self.total, |closed| closed.at);
            appeared.saturating_add(self.availability(segment)).saturating_sub(self.total)
        };
        let ticks = self.segment_at(msn).map_or(0, kept_for);
        let us = u128::from(ticks) * 1_000_000 / u128::from(self.config.timescale.max(1));
        Duration::from_micros(u64::try_from(us).unwrap_or(u64::MAX))
    }

    /// What the rendition takes, once enough has come to tell.
    pub fn bandwidth(&self) -> Option<Bandwidth> {
        self.meter.measured(self.config.timescale)
    }

    /// Where its segments follow the grid without a break, the oldest first.
    pub fn runs(&self) -> Vec<Run> {
        self.runs.list()
    }

    /// The complete segments behind a number, the oldest first; all that are kept without one. Where
    /// nothing came they are gaps.
    pub fn finished_after(&self, msn: Option<u64>) -> Vec<Finished> {
        let newer = |segment: &&Segment| msn.is_none_or(|msn| segment.msn > msn);
        let mut found: Vec<_> =
            self.kept.iter().rev().take_while(newer).filter_map(Segment::finished).collect();
        found.reverse();
        found
    }

    /// A segment is kept elsewhere: its media goes from memory once it is old enough.
    pub fn note_stored(&mut self, msn: u64) {
        let Some(at) = self.place_of(msn) else { return };
        self.kept[at].stored = true;
        if at < self.old {
            self.shed(at);
        }
    }

    /// Whether a segment's media is kept elsewhere only.
    pub fn is_shed(&self, msn: u64) -> bool {
        self.place_of(msn).is_some_and(|at| self.kept[at].is_shed)
    }

    /// Ticks up to which there is media.
    pub fn end_ticks(&self) -> i64 {
        self.kept.back().map_or(0, |last| last.start.saturating_add_unsigned(last.duration()))
    }

    /// Bytes of media that are kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The segments of the playlist.
    pub(super) fn listed(&self) -> impl DoubleEndedIterator<Item = &Segment> + ExactSizeIterator {
        self.kept.range(self.gone..)
    }

    /// `EXT-X-DISCONTINUITY-SEQUENCE`.
    pub(super) fn discontinuity_sequence(&self) -> u64 {
        self.discontinuities
    }

    /// Whether nothing more will come.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    fn take_init(&mut self, init: Init) -> Result<(), Unfit> {
        match self.latest_init() {
            Some(latest) if latest.version >= init.version => return Err(Unfit::OutOfOrder),
            Some(_) | None => self.inits.push(init),
        }
        self.drop_inits();
        Ok(())
    }

    fn take_part(&mut self, part: Part) -> Result<(), Unfit> {
        let init = self.latest_init().ok_or(Unfit::NoInit)?.version;
        if part.duration == 0 {
            return Err(Unfit::Empty);
        }
        let (index, ticks) = match (self.open(), self.kept.back()) {
            (Some(open), _) if open.msn == part.segment => (open.parts.len(), open.ticks),
            (_, Some(last)) if part.segment <= last.msn => return Err(Unfit::OutOfOrder),
            (_, _) => (0, 0),
        };
        if usize::try_from(part.index).ok() != Some(index) || index >= MAX_PARTS {
            return Err(Unfit::OutOfOrder);
        }
        if !self.fits(ticks.saturating_add(part.duration)) {
            return Err(Unfit::TooLong);
        }
        if index == 0 {
            self.close_open();
            self.fill_up_to(part.segment, part.start, init);
            let mut segment = Segment::open(&mut self.wall, part.segment, part.start, init);
            segment.discontinuity = std::mem::take(&mut self.discontinuity);
            self.runs.note(part.segment, part.start, init, segment.discontinuity);
            self.kept.push_back(segment);
        }
        self.bytes = self.bytes.saturating_add(part.bytes.as_ref().map_or(0, Bytes::len));
        if let Some(open) = self.kept.back_mut() {
            open.push(&self.config, part);
        }
        Ok(())
    }

    fn take_end(&mut self, msn: u64, duration: u64) -> Result<(), Unfit> {
        let open = self.open().filter(|open| open.msn == msn).ok_or(Unfit::OutOfOrder)?;
        let duration = if duration == 0 { open.ticks } else { duration };
        if !self.fits(duration) {
            return Err(Unfit::TooLong);
        }
        self.close(duration);
        Ok(())
    }

    fn take_discontinuity(&mut self) {
        self.close_open();
        match self.kept.is_empty() {
            // What other renditions have from before counts here, too: the numbers have to agree.
            true => self.discontinuities += 1,
            false => self.discontinuity = true,
        }
    }

    /// The segment that is growing.
    fn open(&self) -> Option<&Segment> {
        self.kept.back().filter(|last| last.closed.is_none())
    }

    fn segment_at(&self, msn: u64) -> Option<&Segment> {
        self.kept.get(self.place_of(msn)?)
    }

    fn place_of(&self, msn: u64) -> Option<usize> {
        let offset = usize::try_from(msn.checked_sub(self.kept.front()?.msn)?).ok()?;
        (offset < self.kept.len()).then_some(offset)
    }

    /// Lets media go that has become old and is kept elsewhere. What is told of it stays.
    fn shed_old(&mut self) {
        let memory = self.config.ticks(self.config.memory);
        while let Some(closed) = self.kept.get(self.old).and_then(|next| next.closed.as_ref()) {
            if self.total.saturating_sub(closed.at) < memory {
                return;
            }
            self.shed(self.old);
            self.old += 1;
        }
    }

    fn shed(&mut self, at: usize) {
        let segment = &mut self.kept[at];
        let Some(closed) = &mut segment.closed else { return };
        if !segment.stored && closed.bytes.is_some() {
            return;
        }
        if closed.bytes.take().is_some() {
            segment.is_shed = true;
            self.bytes = self.bytes.saturating_sub(segment.len);
        }
        segment.forget_parts();
    }

    /// Makes a gap of the oldest media that is here only, where what is before it is kept elsewhere: that
    /// stays, though memory is short. Gives whether there was any.
    fn lose_oldest(&mut self) -> bool {
        let mut old = self.kept.range_mut(self.gone..self.old.max(self.gone));
        if !old.next().is_some_and(|first| first.is_shed) {
            return false;
        }
        let Some(segment) = old.find(|segment| segment.len > 0) else { return false };
        self.bytes = self.bytes.saturating_sub(segment.len);
        segment.lose();
        true
    }

    /// Whether a segment of so many ticks, rounded to seconds, is within the target duration.
    fn fits(&self, ticks: u64) -> bool {
        u128::from(ticks) * 2
            < (2 * u128::from(self.config.target_duration_s) + 1)
                * u128::from(self.config.timescale)
    }

    /// Completes what nobody completed, with what there is of it.
    fn close_open(&mut self) {
        if let Some(ticks) = self.open().map(|open| open.ticks) {
            self.close(ticks);
        }
    }

    fn close(&mut self, duration: u64) {
        let Some(last) = self.kept.back_mut() else { return };
        last.close(&self.config, duration, self.total);
        if last.len > 0 {
            let Config { timescale, target_duration_s, .. } = self.config;
            self.meter.add(last.len as u64, duration, timescale, target_duration_s);
        }
        self.total = self.total.saturating_add(duration);
        self.listed = self.listed.saturating_add(duration);
        self.shift();
        self.longest = self.longest.max(self.listed);
        self.shed_old();
        self.drop_media();
    }

    /// Puts gaps where numbers were left out (H23).
    fn fill_up_to(&mut self, msn: u64, start: i64, init: u32) {
        let Some(last) = self.kept.back().filter(|last| msn > last.msn + 1) else { return };
        let next = last.msn + 1;
        let missing = msn - next;
        let from = last.start.saturating_add_unsigned(last.duration());
        let hole = u64::try_from(i128::from(start) - i128::from(from)).unwrap_or(0);
        let target = u64::from(self.config.target_duration_s) * u64::from(self.config.timescale);
        let duration = (hole / missing).clamp(1, target.max(1));
        if missing > MAX_FILL {
            self.forget_all();
        }
        for number in missing.saturating_sub(MAX_FILL)..missing {
            let at = from.saturating_add_unsigned(number.saturating_mul(duration));
            let gap = Segment::open(&mut self.wall, next + number, at, init);
            self.kept.push_back(gap);
            self.close(duration);
        }
    }

    /// Lets everything go, where the next segment is further away than any playlist is long.
    fn forget_all(&mut self) {
        let segments = self.kept.range(self.gone..);
        self.discontinuities += segments.filter(|segment| segment.discontinuity).count() as u64;
        self.kept.clear();
        (self.gone, self.old, self.listed, self.bytes) = (0, 0, 0, 0);
    }

    /// Removes the oldest segments from the playlist.
    fn shift(&mut self) {
        let least = self.config.target_duration() * MIN_TARGETS;
        let (dvr, least) =
            (self.config.ticks(self.config.dvr.max(least)), self.config.ticks(least));
        loop {
            let too_many_bytes = self.bytes > self.config.max_bytes;
            if too_many_bytes && self.lose_oldest() {
                continue;
            }
            let least = if too_many_bytes { least } else { dvr };
            let Some(first) = self.kept.get(self.gone) else { return };
            let left = self.listed.saturating_sub(first.duration());
            if self.kept.len() - self.gone <= MIN_SEGMENTS || left < least {
                return;
            }
            self.listed = left;
            self.discontinuities += u64::from(first.discontinuity);
            self.gone += 1;
            if too_many_bytes {
                self.drop_oldest();
            }
        }
    }

    /// Drops media that nobody asks for any more.
    fn drop_media(&mut self) {
        let due = |window: &Self| {
            let oldest = window.kept.front().filter(|_| window.gone > 0);
            oldest.is_some_and(|oldest| {
                let appeared = oldest.closed.as_ref().map_or(0, |closed| closed.at);
                let until = appeared.saturating_add(window.availability(oldest));
                window.total >= until || window.bytes > window.config.max_bytes
            })
        };
        while due(self) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.kept.pop_front() {
            self.bytes = self.bytes.saturating_sub(oldest.len);
            self.gone = self.gone.saturating_sub(1);
            self.old = self.old.saturating_sub(1);
            self.drop_inits();
            if let Some(oldest) = self.kept.front() {
                self.runs.forget_before(oldest.msn);
            }
        }
    }

    /// How many ticks after its appearance a segment may be asked for (H27), and its parts (H14).
    fn availability(&self, segment: &Segment) -> u64 {
        let playlist = self.longest.saturating_add(segment.duration());
        let slack = self.config.ticks(self.config.target_duration());
        playlist.max(self.config.ticks(MIN_PART_AVAILABILITY)).saturating_add(slack)
    }

    /// Drops initialization sections that no segment has and the next one will not have.
    fn drop_inits(&mut self) {
        let Some(latest) = self.latest_init().map(|init| init.version) else { return };
        let kept = &self.kept;
        // Versions grow from segment to segment.
        let oldest = kept.front().map_or(latest, |segment| segment.init);
        let in_use = |version: u32| {
            version == latest || kept.binary_search_by_key(&version, |segment| segment.init).is_ok()
        };
        self.inits.retain(|init| init.version >= oldest && in_use(init.version));
    }

    /// The first segment of a delta: whatever ends before the skip boundary is left out.
    fn unskipped(&self) -> Option<u64> {
        let boundary = self.config.ticks(self.config.skip_until()?);
        let mut after = 0_u64;
        for segment in self.listed().rev() {
            if after >= boundary {
                return segment.msn.checked_add(1);
            }
            // The boundary is counted from the end of the last complete segment.
            after += segment.closed.as_ref().map_or(0, |closed| closed.duration);
        }
        None
    }
}

/// Segments that may be left out and are told of as gaps: more than anybody waits for a publisher.
const MAX_FILL: u64 = 1_024;

/// A8.11 of Apple's authoring rules.
const MIN_SEGMENTS: usize = 6;

/// Section 6.2.2, in target durations.
const MIN_TARGETS: u32 = 3;

/// Apple's validator asks for parts that left the playlist half a minute ago.
const MIN_PART_AVAILABILITY: Duration = Duration::from_secs(60);

/// A segment's parts: more than any cadence makes of it, and a bound all the same.
const MAX_PARTS: usize = 1_024;
