//! A munger that gives a viewer one contiguous packet stream out of many sources.
//!
//! Sequence numbers have no holes of our making, timestamps never go back, and VP8 and VP9 picture ids
//! run on across layer switches. **A source packet maps to one output sequence number at most once**,
//! which is what keeps an SRTP nonce from being used twice.

use std::time::Instant;

use crate::media::Arrived;
use crate::media::arrived::PictureIds;

/// The numbers a packet leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// Sequence number without wraps.
    pub seq: i64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// VP8 and VP9 picture ids, where the source has them.
    pub picture: PictureIds,
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
    seq_offset: i64,
    highest_seq: i64,
    /// Ticks from the track's common timeline to the viewer's.
    origin: i64,
    ts_offset: i64,
    meet: Option<i64>,
    frame: Option<Frame>,
    nudged: [Option<Frame>; NUDGED],
    newest_ts: i64,
    newest_at: Option<Instant>,
    pictures: Offsets,
}

/// A source frame's timestamp and the one it went out with.
#[derive(Clone, Copy, Debug)]
struct Frame {
    source: i64,
    sent: i64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Offsets {
    picture: u16,
    tl0: u8,
    last_picture: u16,
    last_tl0: u8,
    relearn: bool,
}

// === impl Munger ===

impl Munger {
    /// A munger for a clock; `seed` chooses the first sequence number and timestamp.
    pub fn new(clock_rate: u32, seed: u64) -> Self {
        Self {
            clock_rate,
            started: false,
            floor: 0,
            seq_offset: 0,
            highest_seq: (seed & 0x3fff) as i64 + 1,
            origin: ((seed >> 16) & 0x3fff_ffff) as i64,
            ts_offset: 0,
            meet: None,
            frame: None,
            nudged: [None; NUDGED],
            newest_ts: 0,
            newest_at: None,
            pictures: Offsets::default(),
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
        self.meet = start.meet;
        self.floor = start.floor;
        self.seq_offset = self.highest_seq + 1 - start.floor;
        self.frame = None;
        self.nudged = [None; NUDGED];
        self.pictures.relearn = true;
        self.started = true;
    }

    /// Rewrites a packet of the present source; `None` if it is older than the source's start.
    pub fn rewrite(&mut self, arrived: &Arrived) -> Option<Rewrite> {
        if arrived.seq < self.floor {
            return None;
        }
        let seq = arrived.seq + self.seq_offset;
        let timestamp = self.timestamp(arrived);
        self.highest_seq = self.highest_seq.max(seq);
        Some(Rewrite {
            seq,
            timestamp: timestamp as u32,
            picture: self.pictures.rewrite(arrived.picture),
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

    fn timestamp(&mut self, arrived: &Arrived) -> i64 {
        let source = arrived.timestamp;
        if let Some(frame) = self.frame {
            if frame.source == source {
                return frame.sent;
            }
            if source < frame.source {
                let nudged = self.nudged.iter().flatten().find(|frame| frame.source == source);
                return nudged.map_or_else(|| self.squeezed(source), |frame| frame.sent);
            }
        }
        let mut sent = self.squeezed(source);
        if self.newest_at.is_some() && sent <= self.newest_ts {
            // The new layer's frame was captured no later than the old layer's last one.
            sent = self.newest_ts + i64::from(self.clock_rate / 1000);
            self.nudged.rotate_right(1);
            self.nudged[0] = Some(Frame { source, sent });
        }
        self.frame = Some(Frame { source, sent });
        self.newest_ts = sent;
        self.newest_at = Some(arrived.at.max(self.newest_at.unwrap_or(arrived.at)));
        sent
    }

    fn squeezed(&self, source: i64) -> i64 {
        let on_source = match self.meet {
            Some(meet) if source < meet => meet - (meet - source) * SQUEEZE_NUM / SQUEEZE_DEN,
            _ => source,
        };
        on_source + self.ts_offset
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

/// Frames of the last layer change that may still get packets.
const NUDGED: usize = 8;

/// Frames before the meeting point stand at 6 % of their distance: 33 ms become 2 ms.
const SQUEEZE_NUM: i64 = 6;
const SQUEEZE_DEN: i64 = 100;
