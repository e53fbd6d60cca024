//! Timers of one shard, each with its reason. Arming and firing cost the logarithm of their number;
//! nothing is ever scanned.

use std::collections::BTreeSet;
use std::time::Instant;

use super::command::{SessionKey, StreamId};

/// Why a shard wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A session's connection, feedback or report is due.
    Session(SessionKey),
    /// A stream's layers, keyframe requests or window are due.
    Stream(StreamId),
    /// The rest of a picture has been waited for long enough.
    Hold(StreamId),
}

/// The timers of a shard: at most one per session and stream.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeSet<(Instant, Reason)>,
}

// === impl Timers ===

impl Timers {
    /// Moves a timer from where its owner remembers it to an earlier or later time.
    pub(super) fn arm(
        &mut self,
        armed: &mut Option<Instant>,
        wanted: Option<Instant>,
        reason: Reason,
    ) {
        if *armed == wanted {
            return;
        }
        if let Some(old) = armed.take() {
            self.due.remove(&(old, reason));
        }
        if let Some(at) = wanted {
            self.due.insert((at, reason));
        }
        *armed = wanted;
    }

    /// The next timer to fire.
    pub(super) fn next(&self) -> Option<(Instant, Reason)> {
        self.due.first().copied()
    }

    /// Takes out a timer that is due.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Reason> {
        let first = self.due.first().copied().filter(|(at, _)| *at <= now)?;
        self.due.remove(&first);
        Some(first.1)
    }

    /// How many timers are armed.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_fire_in_order_once_and_not_early() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let reason = |id| Reason::Stream(StreamId(id));
        let mut timers = Timers::default();
        let mut armed = [None; 3];
        for (id, ms) in [(0, 30), (1, 10), (2, 20)] {
            timers.arm(&mut armed[id as usize], Some(at(ms)), reason(id));
        }
        assert_eq!((timers.len(), timers.next()), (3, Some((at(10), reason(1)))));
        // Moved, cancelled, and armed as it was.
        timers.arm(&mut armed[0], Some(at(5)), reason(0));
        timers.arm(&mut armed[2], None, reason(2));
        timers.arm(&mut armed[1], Some(at(10)), reason(1));
        assert_eq!(timers.pop(at(4)), None);
        assert_eq!(timers.pop(at(12)), Some(reason(0)));
        assert_eq!(timers.pop(at(12)), Some(reason(1)));
        assert_eq!((timers.pop(at(99)), timers.len()), (None, 0));
    }

    #[test]
    fn timers_of_one_moment_are_kept_apart() {
        let now = Instant::now();
        let mut timers = Timers::default();
        for id in 0..100 {
            timers.arm(&mut None, Some(now), Reason::Stream(StreamId(id)));
        }
        assert_eq!(timers.len(), 100);
        let fired = std::iter::from_fn(|| timers.pop(now)).count();
        assert_eq!((fired, timers.len()), (100, 0));
    }
}
