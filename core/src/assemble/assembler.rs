//! An assembler that makes frames of one layer's packets, and says where some are missing.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::depacketize::{Depacketizer, Made, Unit};
use super::reorder::{Piece, Reorder, Taken};
use crate::media::{Arrived, Format, Frame, Kind, red};

/// What comes out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// A whole frame. `dts` and `pts` are its RTP timestamp without wraps, on the layer's own clock;
    /// from frame to frame they grow, except across a [`Gap`](Self::Gap).
    Frame(Frame),
    /// Frames are missing before what follows. Of pictures, a keyframe follows, except where only
    /// the clock jumped.
    Gap(Why),
    /// Nothing comes before the next keyframe: ask for one.
    WantKeyframe,
}

/// Why frames are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Packets were lost, or made no sense.
    Lost,
    /// Another source began: its clock has nothing to do with the one before.
    Restarted,
    /// The source's clock went back.
    ClockJumped,
}

/// What an assembler counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Frames put out.
    pub frames: u64,
    /// Of them, keyframes.
    pub keyframes: u64,
    /// Whole frames left out, for want of a keyframe before them or of parameter sets.
    pub skipped: u64,
    /// Frames that were nonsense.
    pub broken: u64,
    /// Holes given up.
    pub holes: u64,
    /// Packets that came after their place was given up, or twice.
    pub late: u64,
    /// Packets replaced by a copy in a later one.
    pub copied: u64,
}

/// A machine that makes frames of packets. It is drained with [`poll`](Self::poll).
#[derive(Debug)]
pub struct Assembler {
    format: Format,
    reorder: Reorder,
    depacketizer: Depacketizer,
    era: Option<u32>,
    needs_keyframe: bool,
    /// Since when something is missing.
    since: Option<Instant>,
    /// When a keyframe was asked for.
    asked: Option<Instant>,
    /// Timestamp of the last frame since the last gap.
    last: Option<i64>,
    out: VecDeque<Assembled>,
    totals: Totals,
}

// === impl Assembler ===

impl Assembler {
    /// One for packets of a format.
    pub fn new(format: &Format) -> Self {
        Self {
            format: format.clone(),
            reorder: Reorder::default(),
            depacketizer: Depacketizer::new(format),
            era: None,
            needs_keyframe: true,
            since: None,
            asked: None,
            last: None,
            out: VecDeque::new(),
            totals: Totals::default(),
        }
    }

    /// Takes in a packet, in the order of arrival. The last missing one of a frame puts it out.
    pub fn handle_packet(&mut self, now: Instant, arrived: &Arrived) {
        match self.era {
            Some(era) if arrived.era < era => {
                self.totals.late += 1;
                return;
            }
            Some(era) if arrived.era > era => self.restart(),
            _ => {}
        }
        self.era = Some(arrived.era);
        let piece = self.piece(now, arrived);
        let (seq, joins, is_empty) = (piece.seq, piece.joins, piece.payload.is_empty());
        let taken = self.reorder.insert(piece);
        if taken != Taken::Kept {
            self.totals.late += 1;
            return;
        }
        self.insert_copies(now, arrived, seq);
        if joins && self.needs_keyframe {
            self.reorder.seek();
        } else if !self.reorder.has_begun() && !is_empty {
            self.want_keyframe(now);
        }
        self.advance(now);
    }

    /// Gives up what has been waited for long enough.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// When something missing will be given up.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.since.map(|since| since + self.patience())
    }

    /// What came of it, until there is no more.
    pub fn poll(&mut self) -> Option<Assembled> {
        self.out.pop_front()
    }

    /// What was counted so far.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Packets that wait for others, and their bytes.
    pub fn held(&self) -> (usize, usize) {
        self.reorder.held()
    }

    fn advance(&mut self, now: Instant) {
        loop {
            while let Some(pieces) = self.reorder.pop() {
                self.finish(now, &pieces);
            }
            self.since = self.reorder.waits_since();
            let gave_up = self
                .since
                .is_some_and(|since| now.saturating_duration_since(since) >= self.patience());
            if !gave_up && !self.reorder.is_full() {
                return;
            }
            self.reorder.give_up();
            self.totals.holes += 1;
            self.lose(now);
            if self.needs_keyframe {
                self.reorder.seek();
            }
        }
    }

    /// Makes a frame of its pieces.
    fn finish(&mut self, now: Instant, pieces: &[Piece]) {
        let payloads: Vec<Bytes> = pieces.iter().map(|piece| piece.payload.clone()).collect();
        let unit = match self.depacketizer.assemble(&payloads) {
            Made::Unit(unit) => unit,
            Made::Nothing => return,
            Made::Unknown => {
                self.totals.skipped += 1;
                return self.lose(now);
            }
            Made::Broken => {
                self.totals.broken += 1;
                return self.lose(now);
            }
        };
        if self.needs_keyframe && !unit.keyframe {
            self.totals.skipped += 1;
            return self.want_keyframe(now);
        }
        if unit.keyframe {
            (self.needs_keyframe, self.asked) = (false, None);
        }
        self.totals.copied += pieces.iter().filter(|piece| piece.copied).count() as u64;
        self.put(unit, &pieces[0]);
    }

    fn put(&mut self, unit: Unit, first: &Piece) {
        let mut timestamp = first.timestamp;
        if let Some(last) = self.last
            && timestamp <= last
        {
            if last - timestamp > i64::from(self.format.clock_rate / 2) {
                self.gap(Why::ClockJumped);
            } else {
                // Two frames of one instant, or a clock that trembles: their order holds.
                timestamp = last + 1;
            }
        }
        self.last = Some(timestamp);
        self.totals.frames += 1;
        self.totals.keyframes += u64::from(unit.keyframe);
        let Unit { keyframe, data, setup } = unit;
        self.out.push_back(Assembled::Frame(Frame {
            dts: timestamp,
            pts: timestamp,
            keyframe,
            data,
            setup,
            capture: first.capture,
        }));
    }

    /// What belongs before the next frame is lost.
    fn lose(&mut self, now: Instant) {
        if self.last.is_some() {
            self.gap(Why::Lost);
        }
        if self.format.codec.kind() == Kind::Video {
            self.needs_keyframe = true;
            self.want_keyframe(now);
        }
    }

    fn gap(&mut self, why: Why) {
        self.last = None;
        self.out.push_back(Assembled::Gap(why));
    }

    fn want_keyframe(&mut self, now: Instant) {
        let patient =
            self.asked.is_some_and(|asked| now.saturating_duration_since(asked) < ASK_AGAIN);
        if patient || self.format.codec.kind() == Kind::Audio {
            return;
        }
        self.asked = Some(now);
        self.out.push_back(Assembled::WantKeyframe);
    }

    fn restart(&mut self) {
        self.reorder.clear();
        self.depacketizer.restart(&self.format);
        (self.needs_keyframe, self.since, self.asked) = (true, None, None);
        self.gap(Why::Restarted);
    }

    fn piece(&self, now: Instant, arrived: &Arrived) -> Piece {
        let (packet, info) = (&arrived.packet, &arrived.info);
        let payload = packet.payload();
        let payload = payload.get(usize::from(info.primary)..).unwrap_or_default();
        Piece {
            seq: arrived.seq,
            timestamp: arrived.timestamp,
            // In sound, the marker begins a talk spurt.
            ends: packet.marker || self.format.codec.kind() == Kind::Audio,
            starts: self.depacketizer.starts(info),
            joins: self.depacketizer.joins(info, payload),
            copied: false,
            payload: packet.bytes().slice_ref(payload),
            keeps: packet.len(),
            capture: arrived.capture,
            at: now,
        }
    }

    /// Puts the older frames of a redundant payload where their own packets are missing.
    fn insert_copies(&mut self, now: Instant, arrived: &Arrived, seq: i64) {
        if arrived.info.primary == 0 || !self.reorder.has_begun() {
            return;
        }
        let packet = &arrived.packet;
        let older: Vec<_> = red::older(packet.payload()).collect();
        for (back, (ago, payload)) in (1..).zip(older.into_iter().rev()) {
            let timestamp = arrived.timestamp - i64::from(ago);
            if payload.is_empty() || self.last.is_some_and(|last| timestamp <= last) {
                continue;
            }
            let payload = packet.bytes().slice_ref(payload);
            // Taken or not: what came, or left, needs no copy.
            self.reorder.insert(Piece {
                seq: seq - back,
                timestamp,
                ends: true,
                starts: false,
                joins: true,
                copied: true,
                payload,
                keeps: packet.len(),
                capture: None,
                at: now,
            });
        }
    }

    fn patience(&self) -> Duration {
        match self.format.codec.kind() {
            Kind::Video => PATIENCE,
            Kind::Audio => PATIENCE_SOUND,
        }
    }
}

/// A retransmission that was not there by now, after several requests, will hardly come.
const PATIENCE: Duration = Duration::from_millis(300);

/// Sound is hardly ever sent again: mostly, only its order may have changed on the way.
const PATIENCE_SOUND: Duration = Duration::from_millis(150);

/// A keyframe that was asked for is asked for again after this time.
const ASK_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
