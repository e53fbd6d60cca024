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
