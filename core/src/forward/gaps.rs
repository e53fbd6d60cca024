//! Gaps: numbers of a source that a viewer does not get, and how those around them close up.
//!
//! **What a number became stays**: only numbers above all seen so far are left out, so the mapping of
//! those below never moves, and no two numbers become the same.

use std::collections::VecDeque;

/// The numbers left out of one source.
#[derive(Debug, Default)]
pub struct Gaps {
    ranges: VecDeque<Range>,
    /// How many were left out before the first range that is remembered.
    before: i64,
    /// Below this it is forgotten what was left out.
    known_from: Option<i64>,
    highest: Option<i64>,
}

/// Numbers side by side that are left out.
#[derive(Clone, Copy, Debug)]
struct Range {
    first: i64,
    end: i64,
    /// How many are left out up to and with these.
    left_out: i64,
}

// === impl Gaps ===

impl Gaps {
    /// How many numbers below this one are left out; `None` for one that is itself left out, or from
    /// a time that is forgotten.
    pub fn below(&self, number: i64) -> Option<i64> {
        let after = self.ranges.partition_point(|range| range.first <= number);
        match after.checked_sub(1).map(|index| self.ranges[index]) {
            Some(range) if number < range.end => None,
            Some(range) => Some(range.left_out),
            None if self.known_from.is_some_and(|from| number < from) => None,
            None => Some(self.before),
        }
    }

    /// Takes note of a number that is sent.
    pub fn keep(&mut self, number: i64) {
        self.highest = Some(self.highest.map_or(number, |highest| highest.max(number)));
    }

    /// Leaves a number out, and with `all_between` those between it and the highest before it.
    ///
    /// False if it is too late for that: a higher number went out already, and this one has a place.
    pub fn leave_out(&mut self, number: i64, all_between: bool) -> bool {
        if self.highest.is_some_and(|highest| number <= highest) {
            return self.below(number).is_none();
        }
        let first = match self.highest {
            Some(highest) if all_between => highest + 1,
            _ => number,
        };
        self.highest = Some(number);
        let end = number + 1;
        let so_far = self.ranges.back().map_or(self.before, |range| range.left_out);
        let left_out = so_far + end - first;
        match self.ranges.back_mut() {
            Some(last) if last.end == first => (last.end, last.left_out) = (end, left_out),
            _ => self.ranges.push_back(Range { first, end, left_out }),
        }
        if self.ranges.len() > CAPACITY
            && let Some(oldest) = self.ranges.pop_front()
        {
            (self.before, self.known_from) = (oldest.left_out, Some(oldest.end));
        }
        true
    }

    /// Whether nothing was ever left out.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }
}

/// Ranges remembered. A picture leaves one at most: seconds, where retransmissions take less.
const CAPACITY: usize = 128;

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_close_up_behind_what_is_left_out() {
        let mut gaps = Gaps::default();
        gaps.keep(10);
        assert!(gaps.leave_out(11, false) && gaps.leave_out(12, false));
        assert_eq!(
            [10, 11, 12, 13].map(|number| gaps.below(number)),
            [Some(0), None, None, Some(2)]
        );
        gaps.keep(13);
        // 14 is missing: it keeps its place, and what comes for it too late stays in it.
        assert!(gaps.leave_out(15, false));
        assert_eq!([14, 16].map(|number| gaps.below(number)), [Some(2), Some(3)]);
        assert!(!gaps.leave_out(14, false));
        assert_eq!(gaps.below(14), Some(2));
        // 16 and 17 are missing and belong to what is left out.
        assert!(gaps.leave_out(18, true));
        assert_eq!([16, 17, 18, 19].map(|number| gaps.below(number)), [None, None, None, Some(6)]);
        assert!(gaps.leave_out(17, false), "it was left out before it came");
    }

    #[test]
    fn what_is_long_past_is_not_placed() {
        let mut gaps = Gaps::default();
        for number in 0..400 {
            if number % 2 == 0 { gaps.keep(number) } else { assert!(gaps.leave_out(number, false)) }
        }
        assert_eq!((gaps.below(10), gaps.below(396)), (None, Some(198)));
    }

    proptest! {
        #[test]
        fn no_two_numbers_become_one_and_none_moves(
            steps in vec((0..12_i64, any::<bool>(), any::<bool>()), 1..400),
        ) {
            let mut gaps = Gaps::default();
            let (mut base, mut became) = (0, HashMap::new());
            for (ahead, keep, between) in steps {
                // Up to eight back, and onwards.
                let number = base + ahead - 8;
                base = base.max(number);
                if keep {
                    if let Some(below) = gaps.below(number) {
                        gaps.keep(number);
                        let previous = became.insert(number, number - below);
                        prop_assert!(previous.is_none_or(|previous| previous == number - below));
                    }
                } else if gaps.leave_out(number, between) {
                    prop_assert!(!became.contains_key(&number) && gaps.below(number).is_none());
                }
            }
            let mut all: Vec<i64> = became.values().copied().collect();
            all.sort_unstable();
            all.dedup();
            prop_assert_eq!(all.len(), became.len());
        }
    }
}
