//! A segment that collects its parts, keeps their bytes, and holds the lines that tell of them.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};

use super::Config;
use super::text::{Seconds, push_date, put};
use super::wall::WallClock;
use crate::media::Part;

/// A segment of a window. Its lines are written once, when they become known.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) msn: u64,
    /// Ticks since the epoch began.
    pub(super) start: i64,
    /// The version of its initialization section.
    pub(super) init: u32,
    pub(super) discontinuity: bool,
    /// The wall-clock time of its first frame, in microseconds since 1970.
    pub(super) wall_us: i64,
    /// Whether it is kept elsewhere.
    pub(super) stored: bool,
    /// Whether its media is kept elsewhere only.
    pub(super) is_shed: bool,
    pub(super) parts: Vec<Piece>,
    /// Ticks of its parts.
    pub(super) ticks: u64,
    /// Ticks up to the end of the last part that came.
    pub(super) came: u64,
    /// Bytes of its parts.
    pub(super) len: usize,
    pub(super) closed: Option<Closed>,
    /// `EXT-X-PROGRAM-DATE-TIME`.
    pub(super) head: String,
    /// `EXT-X-PART`s.
    pub(super) part_lines: String,
    /// `EXTINF`, the URI, and `EXT-X-GAP` where there is nothing.
    pub(super) tail: String,
}

/// A complete segment, as whoever keeps it needs to know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Media sequence number.
    pub msn: u64,
    /// Ticks since the epoch began.
    pub start: i64,
    /// Ticks to the next segment.
    pub duration: u64,
    /// Ticks up to where its last part that came ends: less, where gaps follow.
    pub came: u64,
    /// The version of its initialization section.
    pub init: u32,
    /// Whether it continues nothing.
    pub discontinuity: bool,
    /// The wall-clock time of its first frame, in microseconds since 1970.
    pub wall_us: i64,
    /// All that came; `None` is a gap.
    pub bytes: Option<Bytes>,
}

/// What is kept of a part; `None` where nothing came.
#[derive(Debug)]
pub(super) struct Piece(pub(super) Option<Bytes>);

/// What is known of a complete segment.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) duration: u64,
    /// All that came, in one piece of memory that its parts share; `None` where nothing came.
    pub(super) bytes: Option<Bytes>,
    /// Ticks of all segments up to and with this one: when it appeared.
    pub(super) at: u64,
}

// === impl Segment ===

impl Segment {
    /// An empty one.
    pub(super) fn open(wall: &mut WallClock, msn: u64, start: i64, init: u32) -> Self {
        let mut head = String::from("#EXT-X-PROGRAM-DATE-TIME:");
        let wall_us = wall.unix_micros(start);
        push_date(&mut head, wall_us);
        head.push('\n');
        Self {
            msn,
            start,
            init,
            discontinuity: false,
            wall_us,
            stored: false,
            is_shed: false,
            parts: Vec::new(),
            ticks: 0,
            came: 0,
            len: 0,
            closed: None,
            head,
            part_lines: String::new(),
            tail: String::new(),
        }
    }

    /// Takes its next part.
    pub(super) fn push(&mut self, config: &Config, part: Part) {
        // A part that is longer by less than the decimals show would break AVPlayer for good (H9).
        let shown =
            Seconds::of_ticks(part.duration, config.timescale).min(Seconds::of(config.part_target));
        let (name, msn, index) = (&config.name, self.msn, self.parts.len());
        let out = &mut self.part_lines;
        put(out, format_args!("#EXT-X-PART:DURATION={shown},URI=\"{name}/{msn}.{index}.m4s\""));
        match (&part.bytes, part.independent) {
            (None, _) => out.push_str(",GAP=YES"),
            (Some(_), true) => out.push_str(",INDEPENDENT=YES"),
            (Some(_), false) => {}
        }
        out.push('\n');
        self.ticks = self.ticks.saturating_add(part.duration);
        if part.bytes.is_some() {
            self.came = self.ticks;
        }
        self.len = self.len.saturating_add(part.bytes.as_ref().map_or(0, Bytes::len));
        self.parts.push(Piece(part.bytes));
    }

    /// Completes it. `before` is how many ticks all earlier segments lasted.
    pub(super) fn close(&mut self, config: &Config, duration: u64, before: u64) {
        let bytes = self.gather();
        if bytes.is_none() {
            self.tail.push_str(GAP);
        }
        let shown = Seconds::of_ticks(duration, config.timescale);
        writeln!(self.tail, "#EXTINF:{shown},\n{}/{}.m4s", config.name, self.msn)
            .expect("a String takes everything");
        self.tail.shrink_to_fit();
        self.part_lines.shrink_to_fit();
        self.parts.shrink_to_fit();
        self.closed = Some(Closed { duration, bytes, at: before.saturating_add(duration) });
    }

    /// Lets go what is told and kept of its parts.
    pub(super) fn forget_parts(&mut self) {
        (self.parts, self.part_lines, self.len) = (Vec::new(), String::new(), 0);
    }

    /// Lets its media go, which nobody has: it is a gap from now on.
    pub(super) fn lose(&mut self) {
        if let Some(closed) = &mut self.closed {
            closed.bytes = None;
        }
        self.forget_parts();
        self.tail.insert_str(0, GAP);
    }

    /// What there is to keep of it, once it is complete.
    pub(super) fn finished(&self) -> Option<Finished> {
        let Closed { duration, bytes, .. } = self.closed.as_ref()?;
        Some(Finished {
            msn: self.msn,
            start: self.start,
            duration: *duration,
            came: self.came.min(*duration),
            init: self.init,
            discontinuity: self.discontinuity,
            wall_us: self.wall_us,
            bytes: bytes.clone(),
        })
    }

    /// Ticks that it lasts, as far as is known.
    pub(super) fn duration(&self) -> u64 {
        self.closed.as_ref().map_or(self.ticks, |closed| closed.duration)
    }

    /// Moves its parts' bytes next to each other, so that a segment is one piece and yet nothing is
    /// kept twice.
    fn gather(&mut self) -> Option<Bytes> {
        let mut came = self.parts.iter().filter_map(|piece| piece.0.as_ref());
        let first = came.next()?;
        if came.next().is_none() {
            return Some(first.clone());
        }
        let mut whole = BytesMut::with_capacity(self.len);
        for bytes in self.parts.iter().filter_map(|piece| piece.0.as_ref()) {
            whole.extend_from_slice(bytes);
        }
        let whole = whole.freeze();
        let mut at = 0;
        for bytes in self.parts.iter_mut().filter_map(|piece| piece.0.as_mut()) {
            let end = at + bytes.len();
            *bytes = whole.slice(at..end);
            at = end;
        }
        Some(whole)
    }
}

const GAP: &str = "#EXT-X-GAP\n";
