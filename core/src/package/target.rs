//! A rule that chooses how long the parts of a stream are to be.

use std::time::Duration;

/// The part target of all renditions of a stream, from the intervals between frames of its first two
/// seconds.
///
/// A part has to fill 85 % of the target and may not exceed it, so whatever the phase a frame has to
/// fit into the remaining 15 %. 334 ms serve 20 frames a second and more. Whole milliseconds, since
/// playlists print it; 1 s at most.
pub fn part_target(intervals: &[Duration]) -> Duration {
    let mut sorted = intervals.to_vec();
    sorted.sort_unstable();
    let Some(median) = sorted.get(sorted.len() / 2) else { return DEFAULT };
    let needed_ms = median.as_micros().saturating_mul(100).div_ceil(15 * 1_000);
    let needed = Duration::from_millis(u64::try_from(needed_ms).unwrap_or(u64::MAX));
    needed.clamp(DEFAULT, LONGEST)
}

const DEFAULT: Duration = Duration::from_millis(334);
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_follows_the_median_interval() {
        let rows: [(&[u64], u64); 8] = [
            (&[], 334),
            (&[33_333; 60], 334),
            (&[50_000; 40], 334),
            (&[50_100; 40], 334),
            (&[50_200; 40], 335),
            (&[66_667; 30], 445),
            (&[1_000_000, 1_000_000], 1_000),
            // One hole does not make a stream slow.
            (&[33_333, 900_000, 33_334], 334),
        ];
        for (micros, want) in rows {
            let intervals: Vec<_> = micros.iter().map(|us| Duration::from_micros(*us)).collect();
            assert_eq!(part_target(&intervals), Duration::from_millis(want), "{micros:?}");
        }
        assert_eq!(part_target(&[Duration::MAX]), LONGEST);
    }
}
