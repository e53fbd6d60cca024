//! A grid that tells which keyframes begin segments, and which numbers segments get.
//!
//! The grid is absolute: segment `k` is the one of tick `k`, `k` segment targets after the epoch began,
//! whatever was cut before. So renditions that never spoke to each other cut at the same keyframes and
//! number alike. **Numbers rise by one**, as HLS wants: where a tick had no keyframe, numbers fall
//! behind the grid, and catch up at the next keyframe between ticks.

/// The ticks of one rendition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    /// From tick to tick.
    pub(super) segment: i64,
    /// How long before a tick a keyframe may come to count as its.
    pub(super) early: i64,
    /// How far apart keyframes are, if they do not come when they are asked for.
    pub(super) gop: Option<i64>,
    /// What every segment is shorter than.
    pub(super) limit: i64,
}

/// The segment that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) number: u64,
    pub(super) start: i64,
    /// Parts that it has.
    pub(super) parts: u32,
    /// Whether one of them has bytes.
    pub(super) has_bytes: bool,
}

// === impl Grid ===

impl Grid {
    /// The tick that a time belongs to.
    pub(super) fn tick(&self, time: i64) -> i64 {
        (time + self.early).div_euclid(self.segment)
    }

    /// How many numbers a segment is behind the grid; negative if it is ahead.
    pub(super) fn lag(&self, open: &Segment) -> i64 {
        self.tick(open.start) - i64::try_from(open.number).unwrap_or(i64::MAX)
    }

    /// Whether a keyframe at this time ends the open segment.
    pub(super) fn cuts(&self, open: &Segment, time: i64) -> bool {
        let lag = self.lag(open);
        let late = self.segment / 8;
        // The segment may have to end because the next keyframe would come too late for it.
        let too_long = |next: i64| next + late - open.start >= self.limit;
        let is_last = self.gop.map(|gop| too_long(time + gop));
        if self.tick(time) <= self.tick(open.start) {
            // Between ticks: only to catch up, and not with crumbs.
            return is_last == Some(true) || (lag > 0 && time - open.start >= self.segment / 2);
        }
        // New parameters began a segment of their own: leave a tick out, if the segment stays short
        // enough.
        let next_tick = || too_long((self.tick(time) + 1) * self.segment);
        lag >= 0 || is_last.unwrap_or_else(next_tick)
    }

    /// Where a segment ends in which nothing comes.
    pub(super) fn next_tick(&self, open: &Segment) -> i64 {
        (self.tick(open.start) + 1) * self.segment
    }
}

// === impl Segment ===

impl Segment {
    pub(super) fn new(number: u64, start: i64) -> Self {
        Self { number, start, parts: 0, has_bytes: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two seconds in milliseconds.
    const GRID: Grid = Grid { segment: 2_000, early: 500, gop: None, limit: 3_500 };

    #[test]
    fn a_keyframe_belongs_to_the_nearest_tick_that_it_is_not_too_early_for() {
        let rows = [(0, 0), (1_499, 0), (1_500, 1), (2_000, 1), (3_499, 1), (3_500, 2), (-501, -1)];
        for (time, want) in rows {
            assert_eq!(GRID.tick(time), want, "{time}");
        }
    }

    #[test]
    fn a_keyframe_cuts_once_per_tick_and_between_ticks_to_catch_up() {
        // Number and start of the open segment, the keyframe, whether it cuts.
        let rows = [
            ("before the tick", (0, 0), 1_499, false),
            ("a little early", (0, 0), 1_500, true),
            ("late", (0, 0), 3_400, true),
            ("early was taken", (1, 1_600), 2_000, false),
            ("between ticks", (1, 2_000), 3_200, false),
            ("one behind, after half a segment", (1, 4_000), 5_000, true),
            ("one behind, too soon", (1, 4_000), 4_999, false),
            ("one behind, next tick", (1, 4_000), 5_500, true),
            ("one ahead, can leave a tick out", (2, 3_000), 4_000, false),
            ("one ahead, cannot", (2, 2_600), 4_000, true),
            ("one ahead, left a tick out", (2, 3_000), 6_000, true),
        ];
        for (name, (number, start), time, want) in rows {
            assert_eq!(GRID.cuts(&Segment::new(number, start), time), want, "{name}");
        }
    }

    #[test]
    fn keyframes_of_the_publishers_own_cut_before_it_is_too_late() {
        let grid = Grid { early: 1_000, gop: Some(1_980), ..GRID };
        let rows = [
            ("the next would be too late", (0, -990), 990, true),
            ("one ahead, the next would be too late", (1, 980), 2_960, true),
            ("an early one, the next will do", (0, 0), 900, false),
        ];
        for (name, (number, start), time, want) in rows {
            assert_eq!(grid.cuts(&Segment::new(number, start), time), want, "{name}");
        }
    }
}
