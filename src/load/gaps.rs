//! A bookkeeper of the sequence numbers of one source: what is missing, what came late, what to ask
//! for again.

use std::time::{Duration, Instant};

use whitewater_core::media::Unwrapper16;

/// The sequence numbers of one source.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    seqs: Unwrapper16,
    first: Option<i64>,
    highest: i64,
    missing: Vec<Missing>,
    /// What was counted.
    pub(super) counts: Counts,
}

/// What was counted of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Packets that came, each once, retransmissions aside.
    pub(super) received: u64,
    /// Packets that something newer overtook.
    pub(super) missed: u64,
    /// Of those, the ones that came late by themselves.
    pub(super) out_of_order: u64,
    /// Of those, the ones that a retransmission brought.
    pub(super) recovered: u64,
    /// Packets that came again.
    pub(super) repeated: u64,
}

/// What a packet is to its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The one that was expected, or one further ahead.
    Ahead(i64),
    /// One that was missing.
    Filling(i64),
    /// One that came before, or too late.
    Behind,
}

#[derive(Debug)]
struct Missing {
    seq: i64,
    ask_at: Instant,
    asked: u32,
}

// === impl Gaps ===

impl Gaps {
    /// Places a packet that came by itself.
    pub(super) fn note(&mut self, now: Instant, seq: u16) -> Place {
        let seq = self.seqs.extend(seq);
        let first = *self.first.get_or_insert_with(|| {
            self.highest = seq - 1;
            seq
        });
        if seq > self.highest {
            let ask_at = now + REORDER;
            let gap = (self.highest + 1)..seq;
            self.counts.missed += (seq - self.highest - 1) as u64;
            let room = MAX_MISSING.saturating_sub(self.missing.len());
            self.missing.extend(gap.take(room).map(|seq| Missing { seq, ask_at, asked: 0 }));
            self.highest = seq;
            self.counts.received += 1;
            return Place::Ahead(seq);
        }
        if seq < first || !self.take(seq) {
            self.counts.repeated += 1;
            return Place::Behind;
        }
        self.counts.received += 1;
        self.counts.out_of_order += 1;
        Place::Filling(seq)
    }

    /// Places a packet that a retransmission brought.
    pub(super) fn note_recovered(&mut self, seq: u16) -> Place {
        let seq = self.seqs.peek(seq);
        if self.take(seq) {
            self.counts.recovered += 1;
            return Place::Filling(seq);
        }
        self.counts.repeated += 1;
        Place::Behind
    }

    /// What to ask for now, oldest first.
    pub(super) fn ask(&mut self, now: Instant) -> Vec<u16> {
        self.missing.retain(|missing| missing.asked < MAX_ASKS || missing.ask_at > now);
        let due = self.missing.iter_mut().filter(|missing| missing.ask_at <= now);
        due.map(|missing| {
            missing.asked += 1;
            missing.ask_at = now + ASK_AGAIN;
            missing.seq as u16
        })
        .collect()
    }

    /// When to ask next.
    pub(super) fn ask_at(&self) -> Option<Instant> {
        self.missing.iter().map(|missing| missing.ask_at).min()
    }

    /// The highest number so far, extended; `None` before the first packet.
    pub(super) fn highest(&self) -> Option<i64> {
        self.first.map(|_| self.highest)
    }

    /// How many packets the numbers so far stand for.
    pub(super) fn expected(&self) -> u64 {
        self.first.map_or(0, |first| (self.highest - first + 1) as u64)
    }

    fn take(&mut self, seq: i64) -> bool {
        let at = self.missing.iter().position(|missing| missing.seq == seq);
        at.map(|at| self.missing.remove(at)).is_some()
    }
}

// === impl Counts ===

impl Counts {
    /// Packets that did not come by themselves.
    pub(super) fn lost(&self) -> u64 {
        self.missed.saturating_sub(self.out_of_order)
    }

    /// Packets that did not come at all.
    pub(super) fn unrecovered(&self) -> u64 {
        self.lost().saturating_sub(self.recovered)
    }

    /// What was counted since an earlier state.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            received: self.received - earlier.received,
            missed: self.missed - earlier.missed,
            out_of_order: self.out_of_order - earlier.out_of_order,
            recovered: self.recovered - earlier.recovered,
            repeated: self.repeated - earlier.repeated,
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.missed += other.missed;
        self.out_of_order += other.out_of_order;
        self.recovered += other.recovered;
        self.repeated += other.repeated;
    }
}

const REORDER: Duration = Duration::from_millis(5);
const ASK_AGAIN: Duration = Duration::from_millis(50);
const MAX_ASKS: u32 = 10;
const MAX_MISSING: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_overtaken_is_asked_for_until_it_comes() {
        let mut gaps = Gaps::default();
        let start = Instant::now();
        assert_eq!(gaps.note(start, 65_534), Place::Ahead(65_534));
        assert_eq!(gaps.note(start, 2), Place::Ahead(65_538));
        assert_eq!(gaps.ask(start), [0; 0]);
        let later = start + REORDER;
        assert_eq!(gaps.ask(later), [65_535, 0, 1]);
        assert_eq!(gaps.ask(later), [0; 0]);
        assert_eq!(gaps.note(later, 0), Place::Filling(65_536));
        assert_eq!(gaps.note_recovered(65_535), Place::Filling(65_535));
        assert_eq!(gaps.note_recovered(65_535), Place::Behind);
        assert_eq!(gaps.ask(later + ASK_AGAIN), [1]);
        let counts = gaps.counts;
        assert_eq!((counts.received, counts.missed, counts.out_of_order), (3, 3, 1));
        assert_eq!((counts.lost(), counts.unrecovered(), counts.repeated), (2, 1, 1));
        assert_eq!(gaps.expected(), 5);
    }

    #[test]
    fn nothing_is_asked_for_without_end() {
        let mut gaps = Gaps::default();
        let mut now = Instant::now();
        gaps.note(now, 1);
        gaps.note(now, 3);
        let mut asked = 0;
        while let Some(at) = gaps.ask_at() {
            now = at;
            asked += gaps.ask(now).len();
        }
        assert_eq!(asked, MAX_ASKS as usize);
    }
}
