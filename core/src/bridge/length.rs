//! A rule that chooses how long the segments of an epoch are.
//!
//! Keyframes come when they are asked for, and segments have the configured length. A publisher that
//! ignores requests has keyframes of its own; where they are too far apart, segments last as long.
//! Two requests are sent at the beginning, so that who answers shows two keyframes soon.

use std::time::Duration;

/// What is known of a publisher's keyframes over all of its epochs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Length {
    configured: Duration,
    /// The segments of the last epoch.
    last: Duration,
    /// Epochs that ended for want of a keyframe.
    exceeded: u32,
}

// === impl Length ===

impl Length {
    pub(super) fn new(configured: Duration) -> Self {
        Self { configured, last: configured, exceeded: 0 }
    }

    /// A segment became too long for want of a keyframe.
    pub(super) fn exceeded(&mut self) {
        self.exceeded += 1;
    }

    /// What segments last where keyframes were so far apart, or were not seen to come again; and how
    /// far apart they are, if they come when the publisher likes.
    pub(super) fn choose(&mut self, seen: Option<Duration>) -> (Duration, Option<Duration>) {
        let seen = seen.unwrap_or(UNKNOWN);
        let is_long = seen > self.configured + self.configured / 4;
        let by_sight = if is_long { whole_ms(seen) } else { self.configured };
        // Once may be an accident of the network; then what was seen was not all.
        let by_experience = if self.exceeded > 1 { self.last * 2 } else { self.configured };
        self.last = by_sight.max(by_experience).min(LONGEST.max(self.configured));
        (self.last, (seen > ANSWERED).then_some(seen))
    }
}

fn whole_ms(time: Duration) -> Duration {
    Duration::from_millis(time.as_micros().div_ceil(1000) as u64)
}

/// Who answers requests is not as slow.
const ANSWERED: Duration = Duration::from_millis(1_500);

/// Longer than what is waited for.
const UNKNOWN: Duration = Duration::from_secs(12);

/// A player has to wait so long to begin.
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_last_as_long_as_keyframes_are_apart() {
        let rows = [
            (Some(0.9), 2.0, false),
            (Some(1.4), 2.0, false),
            (Some(2.0), 2.0, true),
            (Some(2.5), 2.0, true),
            (Some(3.0), 3.0, true),
            (Some(4.000_4), 4.001, true),
            (Some(8.333), 8.333, true),
            (None, 12.0, true),
        ];
        for (gop, want, own) in rows {
            let mut length = Length::new(Duration::from_secs(2));
            let gop = gop.map(Duration::from_secs_f64);
            let (chosen, found) = length.choose(gop);
            assert_eq!(chosen, Duration::from_secs_f64(want), "{gop:?}");
            assert_eq!(found, own.then_some(gop.unwrap_or(UNKNOWN)), "{gop:?}");
        }
    }

    #[test]
    fn what_ended_epochs_twice_is_doubled() {
        let mut length = Length::new(Duration::from_secs(2));
        let second = Some(Duration::from_secs(1));
        let mut chosen = Vec::new();
        for _ in 0..7 {
            chosen.push(length.choose(second).0.as_secs());
            length.exceeded();
        }
        assert_eq!(chosen, [2, 2, 4, 8, 16, 30, 30]);
    }
}
