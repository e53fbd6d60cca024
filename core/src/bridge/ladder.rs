//! A ladder that says which qualities a picture is transcoded to.

use super::gathering::Gathering;
use crate::media::time::ticks_to_micros;

/// What is transcoded: the short sides of pictures in pixels, as in 720p, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ladder {
    /// Out of a picture that MP4 players do not take. The first is as large as its source, where that
    /// is smaller.
    pub replacing: Vec<u16>,
    /// Below a single layer that they take.
    pub below: Vec<u16>,
}

/// One transcoded quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// The short side of its picture, in pixels.
    pub side: u16,
    /// Whether it is there for a smaller source too, then as large as that.
    pub replaces: bool,
}

/// What is transcoded in one epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) rungs: Vec<Rung>,
    /// Pictures per second.
    pub(super) rate: u32,
    /// The size of the largest layer that has come.
    pub(super) source: Option<(u16, u16)>,
    /// Which one that is.
    pub(super) layer: u8,
}

// === impl Rung ===

impl Rung {
    /// Width and height out of a source of this size; `None` where there would be no use in it.
    /// Never larger than the source, and even.
    pub fn size(self, (width, height): (u16, u16)) -> Option<(u16, u16)> {
        let short = width.min(height);
        let side = if self.replaces { self.side.min(short) } else { self.side };
        if short == 0 || (!self.replaces && u32::from(side) * 5 > u32::from(short) * 4) {
            return None;
        }
        let scaled = |length: u16| {
            let (length, side, short) = (u32::from(length), u32::from(side), u32::from(short));
            let even = (length * side + short) / (short * 2) * 2;
            u16::try_from(even.min(length / 2 * 2).max(2)).unwrap_or(u16::MAX - 1)
        };
        Some((scaled(width), scaled(height)))
    }

    /// What a picture of this size takes at most, in bits per second.
    pub fn bits_per_second((width, height): (u16, u16), rate: u32) -> u64 {
        let pixels = f64::from(width) * f64::from(height) / (1280.0 * 720.0);
        // Small pictures have more detail in each pixel; pictures close in time resemble each other.
        let bits = 2_500_000.0 * pixels.powf(0.82) * (f64::from(rate) / 30.0).sqrt();
        (bits as u64).max(100_000)
    }
}

// === impl Plan ===

impl Plan {
    /// What to transcode of these pictures. `playable`: whether MP4 players take them as they are.
    pub(super) fn new(ladder: &Ladder, gathered: &Gathering, playable: bool) -> Self {
        let layers = (0..MAX_LAYERS).filter_map(|layer| {
            let size = gathered.pictures(layer).last()?.setup.size()?;
            Some((u32::from(size.0) * u32::from(size.1), layer, size))
        });
        let layers: Vec<_> = layers.collect();
        let largest = layers.iter().max().copied();
        let times = |layer| gathered.pictures(layer).map(|frame| frame.dts).collect::<Vec<_>>();
        let rate = largest.map_or(USUAL_RATE, |(_, layer, _)| rate(&times(layer)));
        let sides = match playable {
            false => &ladder.replacing[..],
            // Layers are a ladder already.
            true if layers.len() > 1 => &[],
            true => &ladder.below[..],
        };
        let rung = |(at, side): (usize, &u16)| Rung { side: *side, replaces: !playable && at == 0 };
        let rungs = sides.iter().take(MAX_RUNGS).enumerate().map(rung).collect();
        let (layer, source) = largest.map(|(_, layer, size)| (layer, size)).unzip();
        Self { rungs, rate, source, layer: layer.unwrap_or(0) }
    }

    /// Bits and pictures per second of a rung that there is at once.
    pub(super) fn takes(&self, index: u8) -> Option<(u64, f64)> {
        let size = self.rungs.get(usize::from(index))?.size(self.source?)?;
        Some((Rung::bits_per_second(size, self.rate), f64::from(self.rate)))
    }
}

/// A usual rate for pictures at these ticks of 90 kHz: the nearest that is not below theirs. Slow ones
/// may become faster: a screen, or a camera that has only begun.
fn rate(times: &[i64]) -> u32 {
    let mut intervals: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    intervals.sort_unstable();
    let Some(median) = intervals.get(intervals.len() / 2).copied() else { return USUAL_RATE };
    let regular: Vec<i64> =
        intervals.into_iter().filter(|one| (1..=median * 2).contains(one)).collect();
    let sum = ticks_to_micros(regular.iter().sum::<i64>(), 90_000);
    if sum <= 0 {
        return USUAL_RATE;
    }
    let measured = regular.len() as f64 * 1e6 / sum as f64;
    if measured < SLOW {
        return USUAL_RATE;
    }
    let fits = |rate: &&u32| f64::from(**rate) >= measured * 0.98;
    RATES.iter().find(fits).copied().unwrap_or(MAX_RATE)
}

/// All divide the ticks of a second.
const RATES: &[u32] = &[24, 25, 30, 50, MAX_RATE];
const MAX_RATE: u32 = 60;
const USUAL_RATE: u32 = 30;
/// What comes slower than this is not taken for film or television.
const SLOW: f64 = 23.0;

const MAX_LAYERS: u8 = 16;
const MAX_RUNGS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_are_never_larger_than_their_source_and_even() {
        let rows = [
            ("the source itself", (720, true), (1280, 720), Some((1280, 720))),
            ("a smaller source", (720, true), (640, 360), Some((640, 360))),
            ("a larger source", (720, true), (1920, 1080), Some((1280, 720))),
            ("upright", (720, true), (1080, 1920), Some((720, 1280))),
            ("odd", (720, true), (427, 241), Some((426, 240))),
            ("below", (360, false), (1280, 720), Some((640, 360))),
            ("as large", (720, false), (1280, 720), None),
            ("hardly smaller", (360, false), (720, 404), None),
            ("odd below", (180, false), (641, 361), Some((320, 180))),
            ("nothing", (180, true), (0, 0), None),
        ];
        for (name, (side, replaces), source, want) in rows {
            assert_eq!(Rung { side, replaces }.size(source), want, "{name}");
        }
    }

    #[test]
    fn what_rungs_take_grows_with_size_and_rate() {
        let kbps = |size, rate| Rung::bits_per_second(size, rate) / 1000;
        assert_eq!(kbps((1280, 720), 30), 2_500);
        assert_eq!(kbps((640, 360), 30), 802);
        assert_eq!(kbps((1920, 1080), 30), 4_861);
        assert_eq!(kbps((1280, 720), 60), 3_535);
    }

    #[test]
    fn the_rate_is_a_usual_one() {
        let at = |ms: f64, jitter: &[i64]| {
            let tick = |n: usize| (n as f64 * ms * 90.0) as i64 + jitter[n % jitter.len()] * 90;
            rate(&(0..60).map(tick).collect::<Vec<_>>())
        };
        let rows = [(33.333, 30), (33.367, 30), (40.0, 25), (41.667, 24), (20.0, 50), (16.683, 60)];
        for (ms, want) in rows {
            assert_eq!(at(ms, &[0]), want, "{ms}");
            assert_eq!(at(ms, &[0, 5, -4, 2]), want, "{ms} with jitter");
        }
        assert_eq!(at(50.0, &[0]), 30, "20 a second");
        assert_eq!(at(1_000.0, &[0]), 30, "one a second");
        assert_eq!(at(8.333, &[0]), 60, "120 a second");
        assert_eq!(rate(&[5]), 30);
    }
}
