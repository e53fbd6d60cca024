//! Time on the wire: NTP stamps, media ticks, and the way between clock rates.

use std::ops::{Add, Sub};
use std::time::Duration;

/// An NTP timestamp: seconds since 1900 as 32.32 fixed point (RFC 3550 section 4).
///
/// Arithmetic wraps with the era. Wall clock conversions read a stamp with a clear top bit as of the
/// era that begins in 2036, as RFC 4330 section 3 advises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ntp(pub u64);

/// A place on a media timeline in ticks of the track's clock rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaTime(pub i64);

/// Converts ticks between clock rates, to the nearest tick, halves upwards.
///
/// A rate of 0 counts as 1; what leaves the range stops at its end.
pub fn rescale(ticks: i64, from_hz: u32, to_hz: u32) -> i64 {
    rescale_wide(ticks, from_hz.max(1), to_hz.max(1))
}

/// Microseconds of ticks at a clock rate.
pub fn ticks_to_micros(ticks: i64, hz: u32) -> i64 {
    rescale(ticks, hz, MICROS)
}

/// Ticks of microseconds at a clock rate.
pub fn micros_to_ticks(micros: i64, hz: u32) -> i64 {
    rescale(micros, MICROS, hz)
}

/// A duration in the units of DLSR, 1/65,536 s; what is longer than 18 hours stops there.
pub fn compact_from_duration(duration: Duration) -> u32 {
    let units = (duration.as_nanos() << 16) / NANOS;
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// The duration of compact units of 1/65,536 s.
pub fn duration_from_compact(units: u32) -> Duration {
    Duration::from_nanos((u64::from(units) * 1_000_000_000) >> 16)
}

/// The round trip that a report block shows (RFC 3550 section 6.4.1): `arrival` is when it came in,
/// `lsr` and `dlsr` stand in the block. `None` as long as the reporter has seen no sender report;
/// zero where rounding makes it negative.
pub fn round_trip(arrival: Ntp, lsr: u32, dlsr: u32) -> Option<Duration> {
    if lsr == 0 {
        return None;
    }
    let units = arrival.compact().wrapping_sub(lsr).wrapping_sub(dlsr) as i32;
    Some(duration_from_compact(u32::try_from(units).unwrap_or(0)))
}

// === impl Ntp ===

impl Ntp {
    /// The stamp of microseconds since the Unix epoch.
    pub fn from_unix_micros(micros: i64) -> Self {
        let seconds = micros.div_euclid(1_000_000) + UNIX_EPOCH_SECONDS;
        let rest = micros.rem_euclid(1_000_000) as u64;
        Self(((seconds as u64) << 32) | ((rest << 32) / 1_000_000))
    }

    /// Microseconds since the Unix epoch, to the nearest.
    pub fn unix_micros(self) -> i64 {
        let seconds = (self.0 >> 32) as i64;
        let era = if seconds < 1 << 31 { 1 << 32 } else { 0 };
        let rest = ((self.0 & 0xFFFF_FFFF) * 1_000_000 + (1 << 31)) >> 32;
        (seconds + era - UNIX_EPOCH_SECONDS) * 1_000_000 + rest as i64
    }

    /// The stamp of seconds since the Unix epoch.
    pub fn from_unix_seconds(seconds: f64) -> Self {
        Self::from_unix_micros((seconds * 1e6).round() as i64)
    }

    /// Seconds since the Unix epoch.
    pub fn unix_seconds(self) -> f64 {
        self.unix_micros() as f64 / 1e6
    }

    /// The middle 32 bits, as LSR carries them.
    pub fn compact(self) -> u32 {
        (self.0 >> 16) as u32
    }

    /// This stamp some microseconds later, or earlier where they are negative.
    pub fn plus_micros(self, micros: i64) -> Self {
        let duration = Duration::from_micros(micros.unsigned_abs());
        if micros < 0 { self - duration } else { self + duration }
    }

    /// Microseconds from `earlier` to this stamp, to the nearest; negative if it is later.
    pub fn micros_since(self, earlier: Self) -> i64 {
        let units = i128::from(self.0.wrapping_sub(earlier.0) as i64);
        ((units * 1_000_000 + (1 << 31)) >> 32) as i64
    }
}

impl Add<Duration> for Ntp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.wrapping_add(fixed_point(duration)))
    }
}

impl Sub<Duration> for Ntp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.wrapping_sub(fixed_point(duration)))
    }
}

// === impl MediaTime ===

impl MediaTime {
    /// The same time at another clock rate, to the nearest tick.
    pub fn rescale(self, from_hz: u32, to_hz: u32) -> Self {
        Self(rescale(self.0, from_hz, to_hz))
    }

    /// Microseconds from the start of the timeline.
    pub fn micros(self, hz: u32) -> i64 {
        ticks_to_micros(self.0, hz)
    }
}

impl Add<i64> for MediaTime {
    type Output = Self;

    fn add(self, ticks: i64) -> Self {
        Self(self.0.wrapping_add(ticks))
    }
}

impl Sub<i64> for MediaTime {
    type Output = Self;

    fn sub(self, ticks: i64) -> Self {
        Self(self.0.wrapping_sub(ticks))
    }
}

impl Sub for MediaTime {
    type Output = i64;

    fn sub(self, earlier: Self) -> i64 {
        self.0.wrapping_sub(earlier.0)
    }
}

fn rescale_wide(ticks: i64, from_hz: u32, to_hz: u32) -> i64 {
    let (from, to) = (i128::from(from_hz), i128::from(to_hz));
    let scaled = (i128::from(ticks) * to + from / 2).div_euclid(from);
    scaled.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

fn fixed_point(duration: Duration) -> u64 {
    (duration.as_secs() << 32) | ((u64::from(duration.subsec_nanos()) << 32) / 1_000_000_000)
}

const UNIX_EPOCH_SECONDS: i64 = 2_208_988_800;
const MICROS: u32 = 1_000_000;
const NANOS: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_unix_epoch_and_the_next_era_stand_where_they_should() {
        assert_eq!(Ntp::from_unix_micros(0), Ntp(0x83AA_7E80_0000_0000));
        assert_eq!(Ntp::from_unix_micros(500_000), Ntp(0x83AA_7E80_8000_0000));
        assert_eq!(Ntp::from_unix_seconds(1.25), Ntp(0x83AA_7E81_4000_0000));
        assert_eq!(Ntp(0x83AA_7E81_4000_0000).unix_seconds(), 1.25);
        // 7 February 2036, 06:28:16 UTC.
        assert_eq!(Ntp(0).unix_micros(), 2_085_978_496_000_000);
        assert_eq!(Ntp::from_unix_micros(2_085_978_496_000_000), Ntp(0));
        assert_eq!(Ntp(u64::MAX).unix_micros(), 2_085_978_496_000_000);
    }

    #[test]
    fn stamps_add_and_subtract_across_the_era() {
        let late = Ntp(0xFFFF_FFFF_8000_0000);
        assert_eq!(late + Duration::from_millis(750), Ntp(0x4000_0000));
        assert_eq!(Ntp(0x4000_0000) - Duration::from_millis(750), late);
        assert_eq!(Ntp(0x4000_0000).micros_since(late), 750_000);
        assert_eq!(late.micros_since(Ntp(0x4000_0000)), -750_000);
    }

    #[test]
    fn the_round_trip_follows_the_example_of_rfc_3550() {
        assert_eq!(Ntp(0x0123_4567_89AB_CDEF).compact(), 0x4567_89AB);
        let arrival = Ntp(0xB710_8000_u64 << 16);
        let trip = round_trip(arrival, 0xB705_2000, 0x0005_4000).unwrap();
        assert_eq!(trip, Duration::from_millis(6_125));
        assert_eq!(round_trip(arrival, 0, 0), None);
        assert_eq!(round_trip(arrival, 0xB710_8001, 0), Some(Duration::ZERO));
        assert_eq!(compact_from_duration(Duration::from_millis(5_250)), 0x0005_4000);
        assert_eq!(compact_from_duration(Duration::MAX), u32::MAX);
    }

    #[test]
    fn ticks_are_rescaled_to_the_nearest() {
        let rows = [
            (3_000, 90_000, 48_000, 1_600),
            (1, 90_000, 48_000, 1),
            (-1, 90_000, 48_000, -1),
            (1, 2, 1, 1),
            (-1, 2, 1, 0),
            (1, 90_000, 1_000, 0),
            (i64::MAX, 1, 90_000, i64::MAX),
            (i64::MIN, 1, 90_000, i64::MIN),
            (7, 0, 0, 7),
        ];
        for (ticks, from, to, want) in rows {
            assert_eq!(rescale(ticks, from, to), want, "{ticks} {from} {to}");
        }
        assert_eq!(MediaTime(90).rescale(90_000, 1_000), MediaTime(1));
        assert_eq!(MediaTime(90_000).micros(90_000), 1_000_000);
        assert_eq!(micros_to_ticks(20_000, 48_000), 960);
    }

    proptest! {
        #[test]
        fn micros_survive_the_way_through_ntp(micros in 0..4_000_000_000_000_000_i64) {
            // From 1970 to 2096, within the two eras that are told apart.
            prop_assert_eq!(Ntp::from_unix_micros(micros).unix_micros(), micros);
        }

        #[test]
        fn any_values_never_panic(a in any::<i64>(), b in any::<u64>(), from: u32, to: u32) {
            let _ = (Ntp::from_unix_micros(a), Ntp(b).unix_micros(), rescale(a, from, to));
            let _ = (Ntp(b).micros_since(Ntp(a as u64)), round_trip(Ntp(b), from, to));
            let _ = (Ntp(b) + Duration::new(b, 0), Ntp(b) - Duration::from_nanos(b));
            let _ = Ntp::from_unix_seconds(f64::from_bits(b));
            let _ = compact_from_duration(Duration::from_nanos(b));
        }
    }
}
