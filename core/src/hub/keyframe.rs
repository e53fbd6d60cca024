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
    pub fn satisfied(&mut self) {
        self.wanted = false;
        self.retries = 0;
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
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + REFILL);
        self.retries += 1;
        self.sent += 1;
        if self.retries > MAX_RETRIES {
            self.satisfied();
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
                arbiter.satisfied();
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
                    arbiter.satisfied();
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
        arbiter.satisfied();
        assert_eq!(arbiter.poll_timeout(start + Duration::from_secs(9)), None);
    }
}
