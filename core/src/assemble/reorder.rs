//! A buffer that brings packets back into the order they were sent in, and cuts them into frames.
//!
//! It knows no codec. A frame ends with a marker, or where the next one begins: with another
//! timestamp, or with a packet that says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use bytes::Bytes;

use crate::media::Ntp;

/// What is kept of a packet until its frame is whole.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Sequence number without wraps.
    pub seq: i64,
    /// RTP timestamp without wraps.
    pub timestamp: i64,
    /// Whether it is its frame's last.
    pub ends: bool,
    /// Whether it is its frame's first, where the payload tells.
    pub starts: bool,
    /// Whether decoding can begin with it for certain: nothing that may be missing before it is
    /// needed.
    pub joins: bool,
    /// Whether it is a copy that another packet brought along; the original takes its place.
    pub copied: bool,
    /// The payload, sharing the packet's bytes. Empty where the packet carries nothing.
    pub payload: Bytes,
    /// Bytes of the packet that the payload keeps from being freed.
    pub keeps: usize,
    /// When it was captured, if known.
    pub capture: Option<Ntp>,
    /// When it arrived.
    pub at: Instant,
}

/// The pieces that have no frame yet, by sequence number, bounded in number and bytes.
#[derive(Debug, Default)]
pub struct Reorder {
    pieces: BTreeMap<i64, Piece>,
    /// Which of them decoding can begin with.
    joins: BTreeSet<i64>,
    bytes: usize,
    /// The number that follows what left; none while nothing did, so that earlier ones may come.
    next: Option<i64>,
    /// Whether the piece at `next` is a frame's first.
    at_start: bool,
    /// Up to where the pieces from `next` on are there and belong to one frame.
    scanned: i64,
    /// That frame's timestamp, once it has a piece that carries something.
    timestamp: Option<i64>,
    /// The number that is missing, and when the first piece behind it came.
    hole: Option<(i64, Instant)>,
}

/// What became of an offered piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept.
    Kept,
    /// It was there already.
    Duplicate,
    /// Its place was given up, or has left.
    Late,
}

// === impl Reorder ===

impl Reorder {
    /// Takes in a piece, in any order.
    pub fn insert(&mut self, piece: Piece) -> Taken {
        if self.next.is_some_and(|next| piece.seq < next) {
            return Taken::Late;
        }
        if let Some(known) = self.pieces.get(&piece.seq) {
            // What was scanned already may stand in a frame whose bounds are known.
            let replaces = known.copied && !piece.copied && self.scanned <= piece.seq;
            if !replaces {
                return Taken::Duplicate;
            }
            self.bytes -= cost(known);
        }
        self.bytes += cost(&piece);
        if piece.joins {
            self.joins.insert(piece.seq);
        }
        self.pieces.insert(piece.seq, piece);
        Taken::Kept
    }

    /// Takes out the next frame's pieces if they are all there.
    pub fn pop(&mut self) -> Option<Vec<Piece>> {
        loop {
            self.drop_empty();
            let end = self.scan()?;
            let frame = self.take_until(end);
            // A frame whose first pieces are unknown only shows where the next one begins.
            if std::mem::replace(&mut self.at_start, true) {
                return Some(frame);
            }
        }
    }

    /// Since when something is missing before pieces that are here.
    pub fn waits_since(&mut self) -> Option<Instant> {
        let missing = self.next.map_or(i64::MIN, |_| self.scanned);
        if let Some((known, since)) = self.hole
            && known == missing
        {
            return Some(since);
        }
        // The nearest may have come later than others, when it was sent again.
        let behind = self.pieces.range(missing..).take(MAX_REORDERED);
        let since = behind.map(|(_, piece)| piece.at).min();
        self.hole = since.map(|since| (missing, since));
        since
    }

    /// Whether there is more than a frame and its reordering need.
    pub fn is_full(&self) -> bool {
        self.pieces.len() > MAX_PIECES || self.bytes > MAX_BYTES
    }

    /// Gives up what is missing, and the frame that misses it.
    pub fn give_up(&mut self) {
        if self.next.is_some() {
            self.take_until(self.scanned);
            self.at_start = false;
        }
        let Some((&first, piece)) = self.pieces.first_key_value() else { return };
        let at_start = piece.joins;
        self.go_to(first, at_start);
    }

    /// Goes to the first piece that decoding can begin with, from which nothing is missing before
    /// it. False, and nothing changes, if there is none or the next frame is one already.
    pub fn seek(&mut self) -> bool {
        let Some(&found) = self.joins.first() else { return false };
        if self.at_start && self.next == Some(found) {
            return false;
        }
        self.take_until(found);
        self.go_to(found, true);
        true
    }

    /// Forgets everything: what follows has other numbers.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether anything has left, so that nothing from before can come any more.
    pub fn has_begun(&self) -> bool {
        self.next.is_some()
    }

    /// Pieces and bytes that wait.
    pub fn held(&self) -> (usize, usize) {
        (self.pieces.len(), self.bytes)
    }

    /// Lets pieces go that carry nothing and stand between frames.
    fn drop_empty(&mut self) {
        while let Some(next) = self.next
            && self.timestamp.is_none()
            && self.pieces.get(&next).is_some_and(|piece| piece.payload.is_empty())
        {
            self.take_until(next + 1);
        }
    }

    /// Goes on from piece to piece as long as none is missing; where the frame ends, if it does.
    fn scan(&mut self) -> Option<i64> {
        self.next?;
        while let Some(piece) = self.pieces.get(&self.scanned) {
            if !piece.payload.is_empty() {
                let begun = self.timestamp.replace(piece.timestamp);
                if begun.is_some_and(|timestamp| timestamp != piece.timestamp || piece.starts) {
                    return Some(self.scanned);
                }
                if piece.ends {
                    return Some(self.scanned + 1);
                }
            }
            self.scanned += 1;
        }
        None
    }

    /// Takes out the pieces before `end`, which is the next number then. Those that carry nothing
    /// are left out.
    fn take_until(&mut self, end: i64) -> Vec<Piece> {
        let mut taken = Vec::new();
        while let Some(entry) = self.pieces.first_entry().filter(|entry| *entry.key() < end) {
            let piece = entry.remove();
            self.bytes -= cost(&piece);
            self.joins.remove(&piece.seq);
            if !piece.payload.is_empty() {
                taken.push(piece);
            }
        }
        self.go_to(end, self.at_start);
        taken
    }

    fn go_to(&mut self, next: i64, at_start: bool) {
        self.next = Some(next);
        (self.scanned, self.timestamp, self.hole) = (next, None, None);
        self.at_start = at_start;
    }
}

/// Bytes that a piece keeps: also one that is empty takes room.
fn cost(piece: &Piece) -> usize {
    piece.keeps + size_of::<Piece>()
}

/// Among so many pieces behind a hole one is taken to have come in order.
const MAX_REORDERED: usize = 64;

/// As many as a layer's ring keeps.
const MAX_PIECES: usize = 4096;

/// A third of a second at 100 Mbit/s.
const MAX_BYTES: usize = 4 << 20;
