//! Stamps: GStreamer's nanoseconds, and the ticks of 90 kHz that they are made of.

use std::time::Duration;

use gstreamer as gst;

/// The stamp of a tick that is neither negative nor nonsense.
pub(super) fn stamp(ticks: i64) -> Option<gst::ClockTime> {
    let ticks = u64::try_from(ticks).ok().filter(|ticks| *ticks < MAX_TICKS)?;
    Some(gst::ClockTime::from_nseconds(ticks * 100_000 / 9))
}

/// The ticks of a time.
pub(super) fn of(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 9) / 100 * 9
}

/// The tick of a stamp that was made of a tick.
pub(super) fn ticks(stamp: gst::ClockTime) -> Option<i64> {
    i64::try_from((stamp.nseconds() * 9 + 50_000) / 100_000).ok()
}

/// Half a year; nanoseconds of it are far from their end.
const MAX_TICKS: u64 = 90_000 * 86_400 * 183;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tick_comes_back_as_it_went() {
        for tick in (0..1_000).chain([180_000, 90_000 * 86_400 * 30 + 1]) {
            assert_eq!(ticks(stamp(tick).unwrap()), Some(tick));
        }
        assert_eq!((stamp(-1), stamp(i64::MAX)), (None, None));
    }
}
