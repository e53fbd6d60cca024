//! A clock that tells the wall-clock time of a rendition's ticks, as far as the publisher's clock drifts.

use std::collections::VecDeque;

use crate::media::Ntp;
use crate::media::time::ticks_to_micros;

/// Tick 0 in the server's clock, as it was seen at different times.
#[derive(Clone, Debug)]
pub(super) struct WallClock {
    timescale: u32,
    zero: Ntp,
    /// From which tick on tick 0 is another time.
    later: VecDeque<(i64, Ntp)>,
}

// === impl WallClock ===

impl WallClock {
    pub(super) fn new(timescale: u32, zero: Ntp) -> Self {
        Self { timescale, zero, later: VecDeque::new() }
    }

    /// From a tick on, tick 0 is another time.
    pub(super) fn set(&mut self, from: i64, zero: Ntp) {
        if self.later.len() == MAX_LATER {
            self.later.pop_front();
        }
        self.later.retain(|(at, _)| *at < from);
        self.later.push_back((from, zero));
    }

    /// The wall-clock time of a tick in microseconds since 1970. Ticks that are asked for rise.
    pub(super) fn unix_micros(&mut self, ticks: i64) -> i64 {
        while let Some((_, zero)) = self.later.pop_front_if(|(from, _)| *from <= ticks) {
            self.zero = zero;
        }
        self.zero.unix_micros().saturating_add(ticks_to_micros(ticks, self.timescale))
    }
}

/// Changes that are told of ahead of time.
const MAX_LATER: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_holds_from_its_tick_on() {
        let at = |ms: i64| Ntp::from_unix_micros(ms * 1000);
        let mut clock = WallClock::new(1000, at(5_000));
        clock.set(2_000, at(5_007));
        clock.set(4_000, at(4_999));
        let rows = [(0, 5_000), (1_999, 6_999), (2_000, 7_007), (3_999, 9_006), (9_000, 13_999)];
        for (tick, ms) in rows {
            assert_eq!(clock.unix_micros(tick), ms * 1000, "{tick}");
        }
    }
}
