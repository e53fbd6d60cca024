//! A pen that writes numbers as playlists have them: decimal seconds and dates.

use std::fmt::Write;

/// A duration in units of 10 us, which is what five decimals show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(pub(super) u64);

/// Writes a wall clock time in UTC with milliseconds, as ISO 8601 has it.
pub(super) fn push_date(out: &mut String, unix_us: i64) {
    let unix_us = unix_us.saturating_add(500).clamp(0, LAST_US);
    let (days, us) = (unix_us / DAY_US, unix_us % DAY_US);
    let (year, month, day) = civil(days);
    let ms = us / 1_000;
    let (s, ms) = (ms / 1_000, ms % 1_000);
    let (h, m, s) = (s / 3_600, s / 60 % 60, s % 60);
    put(out, format_args!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z"));
}

/// Writes to a text, which never fails.
pub(super) fn put(out: &mut String, what: std::fmt::Arguments<'_>) {
    out.write_fmt(what).expect("a String takes everything");
}

// === impl Seconds ===

impl Seconds {
    /// Of ticks, to the nearest.
    pub(super) fn of_ticks(ticks: u64, timescale: u32) -> Self {
        let timescale = u128::from(timescale.max(1));
        let units = (u128::from(ticks) * 100_000 + timescale / 2) / timescale;
        Self(u64::try_from(units).unwrap_or(u64::MAX))
    }

    /// Of a duration, rounded down.
    pub(super) fn of(duration: std::time::Duration) -> Self {
        Self(u64::try_from(duration.as_micros() / 10).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:05}", self.0 / 100_000, self.0 % 100_000)
    }
}

/// Year, month and day of days since 1970, which are not negative.
///
/// Counted in eras of 400 years that begin on 1 March, so that the leap day is a year's last.
fn civil(days: i64) -> (i64, i64, i64) {
    let since_march_0000 = days + 719_468;
    let (era, day) = (since_march_0000 / ERA_DAYS, since_march_0000 % ERA_DAYS);
    let leap_days = day / 1_460 - day / 36_524 + day / (ERA_DAYS - 1);
    let year = (day - leap_days) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let march_month = (5 * in_year + 2) / 153;
    let month_day = in_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, month_day)
}

const DAY_US: i64 = 86_400_000_000;

const ERA_DAYS: i64 = 146_097;

/// The end of the year 9999: there is no agreed way to write what comes after it.
const LAST_US: i64 = 253_402_300_799_999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let rows = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000Z"),
            (951_868_799_999_400, "2000-02-29T23:59:59.999Z"),
            (951_868_799_999_500, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_999_000, "2024-12-31T23:59:59.999Z"),
            (1_795_886_249_040_000, "2026-11-28T17:17:29.040Z"),
            (4_107_542_400_000_000, "2100-03-01T00:00:00.000Z"),
            (-5, "1970-01-01T00:00:00.000Z"),
            (i64::MAX, "9999-12-31T23:59:59.999Z"),
        ];
        for (us, want) in rows {
            let mut out = String::new();
            push_date(&mut out, us);
            assert_eq!(out, want, "{us}");
        }
    }

    #[test]
    fn seconds_have_five_decimals_and_are_rounded_to_the_nearest() {
        let rows = [
            (45_000, 90_000, "0.50000"),
            (1, 90_000, "0.00001"),
            (270_000, 90_000, "3.00000"),
            (1_024, 44_100, "0.02322"),
            (u64::MAX, 1, "184467440737095.51615"),
        ];
        for (ticks, hz, want) in rows {
            assert_eq!(Seconds::of_ticks(ticks, hz).to_string(), want, "{ticks}/{hz}");
        }
    }
}
