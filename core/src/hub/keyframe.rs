//! An arbiter that decides when a layer's publisher is asked for a keyframe.
//!
//! Many viewers may want one at the same time; the publisher hears of it once. Encoders ignore or
//! punish more than about three requests a second.

use std::time::{Duration, Instant};

/// Keyframe requests of one layer.
#[derive(Debug, Default)]
pub struct Arbiter {
    wanted: bool,
    asked: Option<Instant>,
    retries: u32,
    sent: u64,
    /// When all that may go out at once may go out again.
    full: Option<Instant>,
    /// The first request since the last keyframe.
    open: Option<Instant>,
    answered_in_a_row: u8,
    habit: Habit,
}

/// What a publisher makes of keyframe requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    /// Too little is known.
    #[default]
    Unknown,
    /// It sends a keyframe.
    Answers,
    /// It sends its next keyframe when that is due.
    Ignores,
}

// === impl Arbiter ===

impl Arbiter {
    /// Somebody needs a keyframe.
    pub fn want(&mut self) {
        if !self.wanted {
            self.wanted = true;
            self.retries = 0;
        }
    }

    /// A keyframe came: whoever waited has what they need.
    pub fn satisfied(&mut self, now: Instant) {
        self.wanted = false;
        self.retries = 0;
        // Requests are repeated, so that a keyframe soon after the last one proves nothing.
        let Some(first) = self.open.take() else { return };
        if now.saturating_duration_since(first) > ANSWER_TIME {
            (self.habit, self.answered_in_a_row) = (Habit::Ignores, 0);
            return;
        }
        // One keyframe in time may be chance.
        self.answered_in_a_row = self.answered_in_a_row.saturating_add(1);
        if self.answered_in_a_row >= ANSWERS_TO_BELIEVE {
            self.habit = Habit::Answers;
        }
    }

    /// What the publisher makes of requests, as far as is known.
    pub fn habit(&self, now: Instant) -> Habit {
        if self.unanswered(now) > ANSWER_TIME { Habit::Ignores } else { self.habit }
    }

    /// How long a request has waited for a keyframe.
    pub fn unanswered(&self, now: Instant) -> Duration {
        self.open.map_or(Duration::ZERO, |open| now.saturating_duration_since(open))
    }

    /// When the next request may go out; `None` while nobody wants one.
    pub fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        if !self.wanted {
            return None;
        }
        let Some((asked, full)) = self.asked.zip(self.full) else { return Some(now) };
        let wait = if self.retries == 0 { MIN_INTERVAL } else { RETRY_INTERVAL };
        let granted = full.checked_sub(REFILL * (AT_ONCE - 1)).unwrap_or(asked);
        Some(granted.max(asked + wait))
    }

    /// Whether a PLI is to be sent now.
    pub fn poll(&mut self, now: Instant) -> bool {
        if self.poll_timeout(now).is_none_or(|due| due > now) {
            return false;
        }
        self.asked = Some(now);
        self.open.get_or_insert(now);
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + REFILL);
        self.retries += 1;
        self.sent += 1;
        if self.retries > MAX_RETRIES {
            self.wanted = false;
            self.retries = 0;
        }
        true
    }

    /// Requests sent so far.
    pub fn sent(&self) -> u64 {
        self.sent
    }
}

/// At most one request per layer in this time.
pub const MIN_INTERVAL: Duration = Duration::from_millis(300);

/// A request that was not answered is repeated after this time: it may have been lost.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// A few requests may follow each other closely, in the long run fewer: any ten seconds see at most
/// ten, one per second, however many viewers join or lose packets.
const AT_ONCE: u32 = 3;
const REFILL: Duration = Duration::from_millis(1400);

/// A publisher that ignores this many requests in a row never answers them.
const MAX_RETRIES: u32 = 10;

/// A keyframe within this time of its request counts as the answer.
const ANSWER_TIME: Duration = Duration::from_millis(500);

/// A publisher with keyframes of its own every two seconds has three in time once in sixty-four.
const ANSWERS_TO_BELIEVE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_wishes_at_once_are_one_request() {
        let now = Instant::now();
        let mut arbiter = Arbiter::default();
        for _ in 0..100 {
            arbiter.want();
        }
        assert!(arbiter.poll(now));
        assert!(!arbiter.poll(now));
    }

    #[test]
    fn requests_are_at_least_300_ms_apart() {
        let start = Instant::now();
        let mut arbiter = Arbiter::default();
        let mut sent = Vec::new();
        for ms in 0..3000 {
            let now = start + Duration::from_millis(ms);
            arbiter.want();
            if arbiter.poll(now) {
                sent.push(ms);
            }
            if ms % 50 == 0 {
                arbiter.satisfied(now);
            }
        }
        assert!(sent.windows(2).all(|pair| pair[1] - pair[0] >= 300), "{sent:?}");
        assert_eq!(sent[..3], [0, 300, 600]);
    }

    #[test]
    fn any_ten_seconds_see_at_most_ten_requests() {
        // Keyframes that come at once, late, and never.
        for answer_ms in [20, 450, 900, u64::MAX] {
            let start = Instant::now();
            let mut arbiter = Arbiter::default();
            let mut sent: Vec<u64> = Vec::new();
            for ms in 0..60_000 {
                let now = start + Duration::from_millis(ms);
                arbiter.want();
                if arbiter.poll(now) {
                    sent.push(ms);
                }
                if sent.last().is_some_and(|at| ms.checked_sub(*at) == Some(answer_ms)) {
                    arbiter.satisfied(now);
                }
            }
            let most = sent
                .iter()
                .map(|from| sent.iter().filter(|at| (*from..*from + 10_000).contains(at)).count());
            assert!(most.max().unwrap() <= 10, "{sent:?}");
            assert!(sent.windows(2).all(|pair| pair[1] - pair[0] <= 1500), "{sent:?}");
        }
    }

    #[test]
    fn a_lost_request_is_repeated_until_the_keyframe_comes() {
        let start = Instant::now();
        let mut arbiter = Arbiter::default();
        arbiter.want();
        assert!(arbiter.poll(start));
        assert!(!arbiter.poll(start + Duration::from_millis(400)));
        assert!(arbiter.poll(start + Duration::from_millis(500)));
        arbiter.satisfied(start + Duration::from_millis(510));
        assert_eq!(arbiter.poll_timeout(start + Duration::from_secs(9)), None);
    }

    #[test]
    fn who_answers_and_who_does_not_is_learned() {
        use Habit::{Answers, Ignores, Unknown};
        // How long each keyframe took from its request, and what is believed then.
        let rows: [&[(u64, Habit)]; 5] = [
            &[(60, Unknown), (40, Unknown), (90, Answers), (30, Answers)],
            &[(1900, Ignores), (300, Ignores), (10, Ignores), (700, Ignores)],
            &[(400, Unknown), (1300, Ignores), (20, Ignores), (20, Ignores), (20, Answers)],
            &[(20, Unknown), (20, Unknown), (20, Answers), (800, Ignores)],
            &[(500, Unknown), (501, Ignores)],
        ];
        for row in rows {
            let mut now = Instant::now();
            let mut arbiter = Arbiter::default();
            for (took_ms, want) in row {
                arbiter.want();
                while !arbiter.poll(now) {
                    now += Duration::from_millis(1);
                }
                let asked = now;
                for ms in 0..*took_ms {
                    now = asked + Duration::from_millis(ms);
                    arbiter.poll(now);
                }
                now = asked + Duration::from_millis(*took_ms);
                assert_eq!(arbiter.unanswered(now).as_millis(), u128::from(*took_ms));
                arbiter.satisfied(now);
                assert_eq!((arbiter.habit(now), arbiter.unanswered(now)), (*want, Duration::ZERO));
            }
        }
    }

    #[test]
    fn a_request_without_an_answer_is_enough_to_doubt() {
        let start = Instant::now();
        let mut arbiter = Arbiter::default();
        arbiter.want();
        assert!(arbiter.poll(start));
        assert_eq!(arbiter.habit(start + Duration::from_millis(500)), Habit::Unknown);
        assert_eq!(arbiter.habit(start + Duration::from_millis(501)), Habit::Ignores);
    }
}
