//! A munger that gives a viewer one contiguous packet stream out of many sources.
//!
//! Sequence numbers have no holes of our making, timestamps never go back, and VP8 and VP9 picture ids
//! run on across layer switches. **A source packet maps to one output sequence number at most once**,
//! which is what keeps an SRTP nonce from being used twice.

use std::time::Instant;

use super::gaps::Gaps;
use crate::media::arrived::PictureIds;
use crate::media::{Arrived, ExtensionKind, dependency};

/// The numbers a packet leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Sequence number without wraps.
    pub seq: i64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// VP8 and VP9 picture ids, where the source has them.
    pub picture: PictureIds,
    /// The frame's number in a dependency descriptor, where the source has them.
    pub frame_number: Option<u16>,
    /// The marker bit.
    pub marker: bool,
    /// Whether nothing but the number is sent: it was promised, and what it stands for is left out.
    pub hollow: bool,
}

/// Where a source starts, and how it stands on the viewer's timeline.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// The lowest source sequence number that may be sent.
    pub floor: i64,
    /// Source ticks to add to reach the track's common timeline.
    pub shift: i64,
    /// Whether the track's timeline is another one than before.
    pub new_timeline: bool,
    /// Source timestamp from which frames keep their distance; earlier ones are squeezed together.
    pub meet: Option<i64>,
}

/// The rewriting state of one viewer's track.
#[derive(Debug)]
pub struct Munger {
    clock_rate: u32,
    started: bool,
    floor: i64,
    floor_ts: i64,
    seq_offset: i64,
    highest_seq: i64,
    /// Ticks from the track's common timeline to the viewer's.
    origin: i64,
    ts_offset: i64,
    squeeze: Option<Squeeze>,
    newest_ts: i64,
    newest_at: Option<Instant>,
    pictures: Offsets,
    frames: FrameNumbers,
    gaps: Gaps,
    /// Pictures left out of a source whose pictures are counted.
    picture_gaps: Gaps,
}

/// Frames before the meeting point stand closer together, in what room there is. It is a function of
/// the timestamp alone, so frames keep their order in whatever order their packets come.
#[derive(Clone, Copy, Debug)]
struct Squeeze {
    from: i64,
    meet: i64,
    room: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Offsets {
    picture: u16,
    tl0: u8,
    last_picture: u16,
    last_tl0: u8,
    relearn: bool,
}

/// How the frame numbers of dependency descriptors go on across sources.
#[derive(Clone, Copy, Debug, Default)]
struct FrameNumbers {
    offset: u16,
    last: u16,
    known: bool,
}

// === impl Munger ===

impl Munger {
    /// A munger for a clock; `seed` chooses the first sequence number and timestamp.
    pub fn new(clock_rate: u32, seed: u64) -> Self {
        Self {
            clock_rate,
            started: false,
            floor: 0,
            floor_ts: 0,
            seq_offset: 0,
            highest_seq: (seed & 0x3fff) as i64 + 1,
            origin: ((seed >> 16) & 0x3fff_ffff) as i64,
            ts_offset: 0,
            squeeze: None,
            newest_ts: 0,
            newest_at: None,
            pictures: Offsets::default(),
            frames: FrameNumbers::default(),
            gaps: Gaps::default(),
            picture_gaps: Gaps::default(),
        }
    }

    /// Changes to another source whose first packet is `first`.
    pub fn switch(&mut self, now: Instant, first: &Arrived, start: Start) {
        if !self.started {
            self.origin -= first.timestamp + start.shift;
        } else if start.new_timeline {
            let gap = self.newest_at.map_or(0, |at| {
                let us = now.saturating_duration_since(at).as_micros();
                (us * u128::from(self.clock_rate) / 1_000_000) as i64
            });
            // Where frames are squeezed, the first is not live: live is where they meet, less the
            // time until then.
            let age = start.meet.map_or(0, |meet| (meet - first.timestamp) * 3 / 4);
            self.origin = self.newest_ts + gap.max(1) - (first.timestamp + age + start.shift);
        }
        self.ts_offset = start.shift + self.origin;
        let step = i64::from(self.clock_rate / 1000);
        let behind = self.newest_ts + step - (first.timestamp + self.ts_offset);
        let behind = if self.newest_at.is_some() { behind.max(0) } else { 0 };
        self.squeeze = Squeeze::of(first.timestamp, behind, start.meet);
        self.floor = start.floor;
        self.floor_ts = first.timestamp;
        self.seq_offset = self.highest_seq + 1 - start.floor;
        self.pictures.relearn = true;
        self.frames.known = false;
        (self.gaps, self.picture_gaps) = (Gaps::default(), Gaps::default());
        self.gaps.keep(start.floor - 1);
        self.started = true;
    }

    /// Rewrites a packet of the present source; `None` if it is older than the source's start, or its
    /// number was left out.
    pub fn rewrite(&mut self, arrived: &Arrived) -> Option<Rewrite> {
        let seq = self.place(arrived)?;
        self.gaps.keep(arrived.seq);
        let timestamp = self.timestamp(arrived);
        self.highest_seq = self.highest_seq.max(seq);
        Some(Rewrite {
            seq,
            timestamp: timestamp as u32,
            picture: self.picture(arrived),
            frame_number: self.frame_number(arrived),
            marker: arrived.packet.marker,
            hollow: false,
        })
    }

    /// Leaves a packet of the present source out, so that the numbers after it close up; with
    /// `all_between` also those that are missing before it.
    ///
    /// Where the numbers have gone on without it, its own has a place: then that is to be sent hollow.
    pub fn leave_out(&mut self, arrived: &Arrived, all_between: bool) -> Option<Rewrite> {
        let seq = self.place(arrived)?;
        if let Some(frame) = arrived.info.frame.filter(|frame| frame.counted) {
            self.picture_gaps.leave_out(i64::from(frame.number), false);
        }
        if self.gaps.leave_out(arrived.seq, all_between) {
            return None;
        }
        Some(Rewrite {
            seq,
            timestamp: self.on_timeline(arrived.timestamp) as u32,
            picture: PictureIds::default(),
            frame_number: self.frame_number(arrived),
            marker: false,
            hollow: true,
        })
    }

    /// Where a source timestamp with this shift would stand, relative to the newest frame sent, in
    /// ticks; positive is newer. `None` before anything was sent.
    pub fn distance(&self, timestamp: i64, shift: i64) -> Option<i64> {
        self.newest_at?;
        Some(timestamp + shift + self.origin - self.newest_ts)
    }

    /// The viewer's timestamp of a source timestamp, for sender reports.
    pub fn map(&self, timestamp: i64) -> i64 {
        timestamp + self.ts_offset
    }

    /// Whether a source was ever started.
    pub fn is_started(&self) -> bool {
        self.started
    }

    /// The newest timestamp sent.
    pub fn newest_timestamp(&self) -> i64 {
        self.newest_ts
    }

    /// The number that a packet leaves with.
    fn place(&self, arrived: &Arrived) -> Option<i64> {
        // A frame from before the start that fills a hole in front of it misleads decoders.
        if arrived.seq < self.floor || arrived.timestamp < self.floor_ts {
            return None;
        }
        Some(arrived.seq + self.seq_offset - self.gaps.below(arrived.seq)?)
    }

    fn picture(&mut self, arrived: &Arrived) -> PictureIds {
        let mut ids = arrived.picture;
        if let Some(frame) = arrived.info.frame.filter(|frame| frame.counted)
            && let Some(id) = &mut ids.picture_id
        {
            let number = i64::from(frame.number);
            self.picture_gaps.keep(number);
            *id = id.wrapping_sub(self.picture_gaps.below(number).unwrap_or(0) as u16);
        }
        self.pictures.rewrite(ids)
    }

    fn frame_number(&mut self, arrived: &Arrived) -> Option<u16> {
        let data = arrived.packet.extension(ExtensionKind::DependencyDescriptor)?;
        Some(self.frames.rewrite(dependency::frame_number(data)?))
    }

    fn timestamp(&mut self, arrived: &Arrived) -> i64 {
        let sent = self.on_timeline(arrived.timestamp);
        if self.newest_at.is_none() || sent > self.newest_ts {
            self.newest_ts = sent;
            self.newest_at = Some(arrived.at.max(self.newest_at.unwrap_or(arrived.at)));
        }
        sent
    }

    fn on_timeline(&self, source: i64) -> i64 {
        let on_source = match self.squeeze {
            Some(Squeeze { from, meet, room }) if source < meet => {
                meet - (meet - source) * room / (meet - from)
            }
            _ => source,
        };
        on_source + self.ts_offset
    }
}

// === impl Squeeze ===

impl Squeeze {
    /// Moves a source's first frame by at least `behind`, and those after it less and less, until
    /// they stand where they belong; where the past is sent, that is when it meets the present.
    fn of(from: i64, behind: i64, meet: Option<i64>) -> Option<Self> {
        let Some(meet) = meet.filter(|meet| *meet > from) else {
            return (behind > 0).then_some(Self { from, meet: from + 2 * behind, room: behind });
        };
        let moved = behind.max((meet - from) * (100 - JOIN_PERCENT) / 100);
        let meet = meet.max(from + moved * 8 / 7);
        Some(Self { from, meet, room: meet - from - moved })
    }
}

// === impl FrameNumbers ===

impl FrameNumbers {
    fn rewrite(&mut self, number: u16) -> u16 {
        if !self.known {
            self.offset = self.last.wrapping_add(FRAMES_APART).wrapping_sub(number);
            self.known = true;
        }
        let number = number.wrapping_add(self.offset);
        if number.wrapping_sub(self.last) < 0x8000 {
            self.last = number;
        }
        number
    }
}

// === impl Offsets ===

impl Offsets {
    fn rewrite(&mut self, ids: PictureIds) -> PictureIds {
        if self.relearn && ids.picture_id.is_some() {
            self.picture =
                self.last_picture.wrapping_add(1).wrapping_sub(ids.picture_id.unwrap_or(0));
            self.tl0 = self.last_tl0.wrapping_add(1).wrapping_sub(ids.tl0_pic_idx.unwrap_or(0));
            self.relearn = false;
        }
        // A 7-bit id goes on in 15 bits, so that a wider one can follow it.
        let range = if ids.picture_id_bits == 7 { 0x80_u16 } else { 0x8000 };
        let picture_id = ids.picture_id.map(|id| {
            let ahead = id.wrapping_add(self.picture).wrapping_sub(self.last_picture);
            let ahead = ahead & (range - 1);
            if ahead < range / 2 {
                self.last_picture = self.last_picture.wrapping_add(ahead) & 0x7fff;
                self.last_picture
            } else {
                self.last_picture.wrapping_sub(range - ahead) & 0x7fff
            }
        });
        let tl0_pic_idx = ids.tl0_pic_idx.map(|id| id.wrapping_add(self.tl0));
        if let Some(id) = tl0_pic_idx
            && id.wrapping_sub(self.last_tl0) < 0x80
        {
            self.last_tl0 = id;
        }
        PictureIds { picture_id, tl0_pic_idx, ..ids }
    }
}

/// A joiner's first frames stand at a quarter of their distance, and come four times as fast: to a
/// jitter buffer each of them is in time.
const JOIN_PERCENT: i64 = 25;

/// Room between the frame numbers of two sources: the first packet to come of a new one may not be
/// its first frame's.
const FRAMES_APART: u16 = 16;

#[cfg(test)]
mod tests;
