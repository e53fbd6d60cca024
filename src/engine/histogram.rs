//! A histogram of durations that one thread writes and others read without a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Counts by duration in buckets that grow by a twelfth, from 1 us to minutes.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
}

/// What a histogram tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quantiles {
    /// How many durations were counted.
    pub count: u64,
    /// Half were no longer than this.
    pub p50: Duration,
    /// 99 of 100 were no longer than this.
    pub p99: Duration,
    /// None was longer than this.
    pub max: Duration,
    /// The buckets that counted any: their upper ends and counts.
    pub buckets: Vec<(Duration, u64)>,
}

// === impl Histogram ===

impl Histogram {
    /// Counts one duration `times` times.
    pub fn record(&self, duration: Duration, times: u64) {
        self.buckets[bucket(duration)].fetch_add(times, Ordering::Relaxed);
    }

    /// The quantiles of several histograms together. Each is its bucket's upper end.
    pub fn quantiles<'a>(histograms: impl Iterator<Item = &'a Self>) -> Quantiles {
        let mut sums = [0_u64; BUCKETS];
        for histogram in histograms {
            for (sum, bucket) in sums.iter_mut().zip(&histogram.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
        }
        let count: u64 = sums.iter().sum();
        let at = |share: f64| {
            let wanted = ((count as f64 * share).ceil() as u64).max(1);
            let mut seen = 0;
            let reached = sums.iter().position(|sum| {
                seen += sum;
                seen >= wanted
            });
            reached.map_or(Duration::ZERO, upper_end)
        };
        let counted = sums.iter().enumerate().filter(|(_, sum)| **sum > 0);
        let buckets = counted.map(|(bucket, sum)| (upper_end(bucket), *sum)).collect();
        Quantiles { count, p50: at(0.5), p99: at(0.99), max: at(1.0), buckets }
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

/// Eight buckets to each doubling.
fn bucket(duration: Duration) -> usize {
    let us = duration.as_micros().max(1) as f64;
    ((us.log2() * 8.0).ceil() as usize).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> Duration {
    Duration::from_secs_f64((bucket as f64 / 8.0).exp2() / 1e6)
}

const BUCKETS: usize = 224;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_tenth_of_the_truth() {
        let histogram = Histogram::default();
        for us in 1..=1000 {
            histogram.record(Duration::from_micros(us), 1);
        }
        let quantiles = Histogram::quantiles([&histogram].into_iter());
        assert_eq!(quantiles.count, 1000);
        assert_eq!(quantiles.buckets.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        assert!((500.0..550.0).contains(&(quantiles.p50.as_secs_f64() * 1e6)), "{quantiles:?}");
        assert!((990.0..1090.0).contains(&(quantiles.p99.as_secs_f64() * 1e6)), "{quantiles:?}");
    }
}
