//! A meter that tells how many bits per second a rendition takes.

/// What `BANDWIDTH` and `AVERAGE-BANDWIDTH` say, in bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bandwidth {
    /// The most over half a target duration or longer.
    pub peak_bps: u64,
    /// The average.
    pub average_bps: u64,
}

/// Counts of complete segments.
#[derive(Debug, Default)]
pub(super) struct Meter {
    bytes: u64,
    ticks: u64,
    segments: u32,
    peak_bps: u64,
    /// Segments in a row that are too short to be told by themselves.
    run_bytes: u64,
    run_ticks: u64,
}

// === impl Meter ===

impl Meter {
    /// Counts a segment.
    pub(super) fn add(&mut self, bytes: u64, ticks: u64, timescale: u32, target_duration_s: u32) {
        self.bytes = self.bytes.saturating_add(bytes);
        self.ticks = self.ticks.saturating_add(ticks);
        self.segments = self.segments.saturating_add(1);
        self.run_bytes += bytes;
        self.run_ticks += ticks;
        if self.run_ticks * 2 >= u64::from(target_duration_s) * u64::from(timescale) {
            self.peak_bps = self.peak_bps.max(rate(self.run_bytes, self.run_ticks, timescale));
            (self.run_bytes, self.run_ticks) = (0, 0);
        }
    }

    /// What was measured, once it is representative.
    pub(super) fn measured(&self, timescale: u32) -> Option<Bandwidth> {
        let average_bps = rate(self.bytes, self.ticks, timescale);
        let enough = self.segments >= ENOUGH_SEGMENTS && self.peak_bps > 0;
        enough.then(|| Bandwidth { peak_bps: self.peak_bps.max(average_bps), average_bps })
    }

    /// What was measured of all there is, however little that was.
    pub(super) fn whole(&self, timescale: u32) -> Bandwidth {
        let average_bps = rate(self.bytes, self.ticks, timescale);
        Bandwidth { peak_bps: self.peak_bps.max(average_bps), average_bps }
    }
}

fn rate(bytes: u64, ticks: u64, timescale: u32) -> u64 {
    let bits = u128::from(bytes) * 8 * u128::from(timescale);
    u64::try_from(bits / u128::from(ticks.max(1))).unwrap_or(u64::MAX)
}

/// A single segment may be a still picture.
const ENOUGH_SEGMENTS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_half_a_target_duration_or_more() {
        let mut meter = Meter::default();
        // (bytes, ms) of segments, and the peak and average after them in kbit/s.
        let rows = [
            (100_000, 1_000, None),
            // Two in a row make 1.5 s.
            (50_000, 500, None),
            (300_000, 3_000, Some((800, 800))),
            (375_000, 1_500, Some((2_000, 1_100))),
            (75_000, 3_000, Some((2_000, 800))),
        ];
        for (bytes, ms, want) in rows {
            meter.add(bytes, ms, 1_000, 3);
            let got = meter.measured(1_000).map(|b| (b.peak_bps / 1_000, b.average_bps / 1_000));
            assert_eq!(got, want, "H80, {bytes} bytes in {ms} ms");
        }
    }
}
