//! A rendition's runs: where its segments follow the grid without a break.
//!
//! DASH counts: segment `n` of a period lies `n` segment lengths behind its beginning. That holds within
//! a run. Another one begins with other parameters, after a discontinuity, and where the numbers and the
//! grid have come apart, as keyframes left a tick out.

use std::collections::VecDeque;

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The number of its first segment.
    pub msn: u64,
    /// The tick of the grid that it begins at, in segment lengths.
    pub tick: i64,
    /// The version of its initialization section.
    pub init: u32,
}

/// The runs that segments still belong to.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    /// Ticks of the timescale that a segment lasts.
    segment: i64,
    runs: VecDeque<Run>,
}

// === impl Runs ===

impl Runs {
    pub(super) fn new(segment: u64) -> Self {
        let segment = i64::try_from(segment).unwrap_or(i64::MAX).max(1);
        Self { segment, runs: VecDeque::new() }
    }

    /// A segment begins.
    pub(super) fn note(&mut self, msn: u64, start: i64, init: u32, discontinuity: bool) {
        let goes_on = self.runs.back().is_some_and(|run| {
            let expected = run.tick.saturating_add_unsigned(msn - run.msn.min(msn));
            let late = start.saturating_sub(expected.saturating_mul(self.segment));
            run.init == init && late.saturating_abs() <= self.segment / 2
        });
        if goes_on && !discontinuity {
            return;
        }
        let tick = start.saturating_add(self.segment / 2).div_euclid(self.segment);
        self.runs.push_back(Run { msn, tick, init });
    }

    /// Nothing before that segment is left.
    pub(super) fn forget_before(&mut self, msn: u64) {
        while self.runs.get(1).is_some_and(|next| next.msn <= msn) {
            self.runs.pop_front();
        }
    }

    pub(super) fn list(&self) -> Vec<Run> {
        self.runs.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_ends_where_counting_would_lead_astray() {
        let mut runs = Runs::new(2_000);
        let rows = [
            // Keyframes come a little early and late.
            (0, 0, 0, false),
            (1, 2_030, 0, false),
            (2, 3_980, 0, false),
            // A tick was left out: number 3 is where number 4 would be.
            (3, 8_010, 0, false),
            (4, 10_000, 0, false),
            // Other parameters.
            (5, 12_000, 1, false),
            // A publisher came back.
            (9, 20_900, 1, true),
            (10, 22_000, 1, false),
        ];
        for (msn, start, init, discontinuity) in rows {
            runs.note(msn, start, init, discontinuity);
        }
        let run = |msn, tick, init| Run { msn, tick, init };
        let want = [run(0, 0, 0), run(3, 4, 0), run(5, 6, 1), run(9, 10, 1)];
        assert_eq!(runs.list(), want, "D10: within a run each is less than half a segment beside");
        runs.forget_before(4);
        assert_eq!(runs.list()[0], run(3, 4, 0));
        runs.forget_before(5);
        assert_eq!(runs.list()[0], run(5, 6, 1));
    }
}
