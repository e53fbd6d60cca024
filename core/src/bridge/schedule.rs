//! A schedule that says when to ask for the keyframes that segments begin with.
//!
//! Segments begin on an absolute grid. A publisher takes a while from a request to the keyframe, so
//! requests go out early by the time that it took of late, and once more if nothing came.

use std::time::{Duration, Instant};

/// When keyframes are asked for.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    segment: Duration,
    /// The tick that is asked for next or was asked for last.
    tick: u32,
    asked: Option<Instant>,
    repeated: bool,
    answered: bool,
    response: Duration,
    /// Ticks in a row without an answer.
    ignored: u32,
}

// === impl Schedule ===

impl Schedule {
    /// A schedule for segments of this length, from the tick after the first one on.
    pub(super) fn new(segment: Duration) -> Self {
        Self {
            segment,
            tick: 1,
            asked: None,
            repeated: false,
            answered: false,
            response: FIRST_RESPONSE,
            ignored: 0,
        }
    }

    /// When the next request is due, where tick 0 is at `zero`.
    pub(super) fn poll_timeout(&self, zero: Instant) -> Instant {
        match self.asked {
            None => self.due(zero, self.tick),
            Some(asked) if !self.repeated && !self.answered && self.ignored < PATIENCE => {
                asked + REPEAT
            }
            Some(_) => self.due(zero, self.tick + 1),
        }
    }

    /// Whether keyframes are to be asked for now.
    pub(super) fn poll(&mut self, zero: Instant, now: Instant) -> bool {
        if self.poll_timeout(zero) > now {
            return false;
        }
        let Some(_) = self.asked else {
            self.asked = Some(now);
            return self.is_worth_it();
        };
        if now < self.due(zero, self.tick + 1) {
            self.repeated = true;
            return true;
        }
        self.ignored = if self.answered { 0 } else { self.ignored.saturating_add(1) };
        // After a pause of the machine the ticks that were missed are not made up for.
        while self.due(zero, self.tick + 1) <= now {
            self.tick += 1;
        }
        (self.asked, self.repeated, self.answered) = (Some(now), false, false);
        self.is_worth_it()
    }

    /// A keyframe came, of a picture taken so long after tick 0.
    pub(super) fn keyframe(&mut self, now: Instant, taken: Duration) {
        let Some(asked) = self.asked.filter(|_| !self.answered) else { return };
        if taken + self.segment / 4 < self.segment * self.tick {
            return;
        }
        self.answered = true;
        if !self.repeated {
            let took = now.saturating_duration_since(asked).min(MAX_RESPONSE);
            self.response = (self.response * 3 + took) / 4;
        }
    }

    /// Whether the publisher has never answered of late: it keeps keyframes of its own.
    pub(super) fn is_ignored(&self) -> bool {
        self.ignored >= PATIENCE
    }

    fn due(&self, zero: Instant, tick: u32) -> Instant {
        let at = zero + self.segment * tick;
        at.checked_sub(self.response).unwrap_or(at)
    }

    /// Of a publisher that ignores requests only every fifth keyframe is asked for.
    fn is_worth_it(&self) -> bool {
        !self.is_ignored() || self.tick.is_multiple_of(5)
    }
}

/// What is believed before the first answer.
const FIRST_RESPONSE: Duration = Duration::from_millis(80);
const MAX_RESPONSE: Duration = Duration::from_millis(500);
const REPEAT: Duration = Duration::from_millis(300);
/// Ticks without an answer after which a publisher counts as one that ignores requests.
const PATIENCE: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Duration = Duration::from_secs(2);

    /// Runs a publisher that answers after some time; gives the times of requests in ms.
    fn run(seconds: u64, answer_ms: Option<u64>, lost: &[usize]) -> Vec<u64> {
        let zero = Instant::now();
        let mut schedule = Schedule::new(SEGMENT);
        let (mut asked, mut due) = (Vec::new(), None);
        for ms in 0..seconds * 1000 {
            let now = zero + Duration::from_millis(ms);
            if schedule.poll(zero, now) {
                asked.push(ms);
                let is_lost = lost.contains(&(asked.len() - 1));
                due = answer_ms.filter(|_| !is_lost).map(|answer| ms + answer);
            }
            if due == Some(ms) {
                schedule.keyframe(now, Duration::from_millis(ms));
            }
        }
        asked
    }

    #[test]
    fn requests_go_out_early_by_what_an_answer_takes() {
        let asked = run(60, Some(200), &[]);
        assert_eq!(asked[0], 2000 - 80);
        assert_eq!(asked.len(), 30, "{asked:?}");
        let early = 60_000 - asked.last().unwrap();
        assert!((190..=200).contains(&early), "{early}");
    }

    #[test]
    fn what_was_not_answered_is_asked_once_more() {
        let asked = run(5, Some(100), &[0]);
        assert_eq!(asked[..3], [1920, 2220, 3920], "{asked:?}");
    }

    #[test]
    fn who_never_answers_is_asked_seldom() {
        let asked = run(60, None, &[]);
        assert!(asked.len() < 16, "{asked:?}");
        assert!(asked.windows(2).skip(8).all(|pair| pair[1] - pair[0] >= 9_000), "{asked:?}");
    }
}
