//! An allowance that bounds how often strangers may make something happen.

use std::time::{Duration, Instant};

/// So many times per interval, which begins with the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Allowance {
    most: u32,
    interval: Duration,
    since: Option<Instant>,
    used: u32,
}

// === impl Allowance ===

impl Allowance {
    /// An allowance that nothing has been taken of.
    pub(super) const fn new(most: u32, interval: Duration) -> Self {
        Self { most, interval, since: None, used: 0 }
    }

    /// Whether something is left of the running interval.
    pub(super) fn is_left(&mut self, now: Instant) -> bool {
        let over = |since| now.saturating_duration_since(since) >= self.interval;
        if self.used > 0 && self.since.is_none_or(over) {
            (self.since, self.used) = (None, 0);
        }
        self.used < self.most
    }

    /// Takes one, if there is one left.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let left = self.is_left(now);
        if left {
            self.since.get_or_insert(now);
            self.used += 1;
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_is_back_after_the_interval() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut allowance = Allowance::new(2, Duration::from_millis(100));
        // Each time with whether it is granted.
        let rows = [
            (0, true),
            (50, true),
            (60, false),
            (99, false),
            (100, true),
            (199, true),
            (199, false),
        ];
        for (ms, granted) in rows {
            assert_eq!(allowance.is_left(at(ms)), granted, "at {ms} ms");
            assert_eq!(allowance.take(at(ms)), granted, "at {ms} ms");
        }
        assert!(allowance.take(at(200)));
    }
}
