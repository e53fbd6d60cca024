//! A checker of frames: which ones came whole, and could be decoded because what they build on did.

use std::time::{Duration, Instant};

/// The frames of one source.
#[derive(Debug)]
pub(super) struct Frames {
    // What came before its turn, by its number modulo the length.
    waiting: Box<[Waiting]>,
    waiting_count: usize,
    next: Option<i64>,
    stuck_since: Option<Instant>,
    current: Current,
    decodable: bool,
    last_whole: Option<Instant>,
    /// What was found.
    pub(super) found: Found,
}

/// What was found in the frames of one source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    /// Frames that could be decoded.
    pub(super) frames: u64,
    /// Frames of which packets are missing, or what they build on.
    pub(super) broken: u64,
    /// Of those, the ones before the first keyframe.
    pub(super) broken_before: u64,
    /// When the first keyframe was whole.
    pub(super) first_keyframe: Option<Instant>,
    /// The longest time from one decodable frame to the next.
    pub(super) longest_freeze: Duration,
}

/// What a packet says about its frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Its sequence number, extended.
    pub(super) seq: i64,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
    /// Whether a decoder can begin here.
    pub(super) keyframe: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting(Option<Piece>);

#[derive(Debug, Default)]
struct Current {
    timestamp: Option<u32>,
    keyframe: bool,
    // Its beginning is missing.
    headless: bool,
}

// === impl Frames ===

impl Frames {
    pub(super) fn new() -> Self {
        Self {
            waiting: vec![Waiting(None); WAITING].into_boxed_slice(),
            waiting_count: 0,
            next: None,
            stuck_since: None,
            current: Current::default(),
            decodable: false,
            last_whole: None,
            found: Found::default(),
        }
    }

    /// Whether only a keyframe helps.
    pub(super) fn needs_keyframe(&self) -> bool {
        !self.decodable
    }

    /// Takes a packet, in whatever order they come.
    pub(super) fn take(&mut self, now: Instant, piece: Piece) {
        let next = *self.next.get_or_insert_with(|| {
            self.current.headless = true;
            piece.seq
        });
        if piece.seq < next {
            return;
        }
        if piece.seq == next {
            self.proceed(now, piece);
            self.follow(now);
            return;
        }
        if piece.seq - next >= WAITING as i64 {
            self.give_up(now);
            return self.take(now, piece);
        }
        let slot = &mut self.waiting[piece.seq as usize % WAITING].0;
        self.waiting_count += usize::from(slot.is_none());
        *slot = Some(piece);
        self.stuck_since.get_or_insert(now);
    }

    /// When waiting for a missing packet ends.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.stuck_since.map(|since| since + PATIENCE)
    }

    /// Goes on without what is missing, if it was waited for long enough.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.give_up(now);
        }
    }

    /// Counts the time since the last frame as a freeze, if it is one: nothing follows.
    pub(super) fn finish(&mut self, now: Instant) {
        if let Some(last) = self.last_whole {
            self.found.longest_freeze = self.found.longest_freeze.max(now - last);
        }
    }

    /// Forgets the freezes so far.
    pub(super) fn forget_freezes(&mut self) {
        self.found.longest_freeze = Duration::ZERO;
    }

    fn note_broken(&mut self) {
        self.found.broken += 1;
        self.found.broken_before += u64::from(self.found.first_keyframe.is_none());
    }

    // Skips to the oldest packet that waits, or past everything when none does.
    fn give_up(&mut self, now: Instant) {
        self.stuck_since = None;
        self.decodable = false;
        self.current = Current { headless: true, ..Current::default() };
        self.note_broken();
        let Some(next) = self.next else { return };
        let oldest = (next..next + WAITING as i64)
            .find(|seq| self.waiting[*seq as usize % WAITING].0.is_some_and(|it| it.seq == *seq));
        self.next = oldest;
        self.follow(now);
    }

    // Takes from the waiting ones what has its turn.
    fn follow(&mut self, now: Instant) {
        while self.waiting_count > 0
            && let Some(next) = self.next
        {
            let slot = &mut self.waiting[next as usize % WAITING].0;
            let Some(piece) = slot.take_if(|piece| piece.seq == next) else { break };
            self.waiting_count -= 1;
            self.proceed(now, piece);
        }
        self.stuck_since = (self.waiting_count > 0).then(|| self.stuck_since.unwrap_or(now));
    }

    fn proceed(&mut self, now: Instant, piece: Piece) {
        self.next = Some(piece.seq + 1);
        let current = &mut self.current;
        if current.timestamp != Some(piece.timestamp) {
            // A frame begins where the one before it has ended, and at a keyframe's first packet.
            let headless = current.headless && current.timestamp.is_none() && !piece.keyframe;
            *current =
                Current { timestamp: Some(piece.timestamp), keyframe: piece.keyframe, headless };
        }
        current.keyframe |= piece.keyframe;
        if !piece.marker {
            return;
        }
        let Current { keyframe, headless, .. } = std::mem::take(current);
        if headless || !(keyframe || self.decodable) {
            self.note_broken();
            return;
        }
        self.decodable = true;
        if keyframe {
            self.found.first_keyframe.get_or_insert(now);
        }
        self.found.frames += 1;
        if let Some(last) = self.last_whole.replace(now) {
            self.found.longest_freeze = self.found.longest_freeze.max(now - last);
        }
    }
}

// More than a second of what one source sends in practice.
const WAITING: usize = 1024;
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(seq: i64, timestamp: u32, marker: bool, keyframe: bool) -> Piece {
        Piece { seq, timestamp, marker, keyframe }
    }

    #[test]
    fn a_viewer_begins_at_a_whole_keyframe() {
        let mut frames = Frames::new();
        let now = Instant::now();
        frames.take(now, piece(1, 10, true, false));
        frames.take(now, piece(2, 20, true, false));
        assert!(frames.needs_keyframe());
        frames.take(now, piece(3, 30, false, true));
        frames.take(now, piece(5, 30, true, false));
        assert_eq!(frames.found.first_keyframe, None);
        let later = now + Duration::from_millis(7);
        frames.take(later, piece(4, 30, false, false));
        assert_eq!(frames.found.first_keyframe, Some(later));
        assert_eq!((frames.found.frames, frames.found.broken), (1, 2));
        assert_eq!(frames.found.broken_before, 2);
        frames.take(later, piece(6, 40, true, false));
        assert_eq!(frames.found.frames, 2);
    }

    #[test]
    fn a_hole_breaks_everything_up_to_the_next_keyframe() {
        let mut frames = Frames::new();
        let mut now = Instant::now();
        frames.take(now, piece(1, 10, true, true));
        for seq in 3..10 {
            frames.take(now, piece(seq, seq as u32 * 10, true, false));
        }
        assert_eq!(frames.found.frames, 1);
        now += PATIENCE;
        frames.handle_timeout(now);
        assert!(frames.needs_keyframe());
        assert_eq!(frames.poll_timeout(), None);
        frames.take(now, piece(10, 100, true, true));
        assert_eq!(frames.found.frames, 2);
        assert_eq!(frames.found.longest_freeze, PATIENCE);
    }

    #[test]
    fn a_jump_beyond_everything_starts_over() {
        let mut frames = Frames::new();
        let now = Instant::now();
        frames.take(now, piece(1, 10, true, true));
        frames.take(now, piece(50_000, 20, true, true));
        assert_eq!(frames.found.frames, 2);
    }
}
