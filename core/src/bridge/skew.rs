//! A measure of how far the keyframes are apart that layers begin the same segment with.

use std::time::Duration;

use crate::media::time::ticks_to_micros;

/// The keyframes of one tick of the grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skew {
    segment: i64,
    tick: i64,
    first: i64,
    last: i64,
    /// Layers that began it, one bit each.
    layers: u32,
}

// === impl Skew ===

impl Skew {
    /// For segments of this length, in ticks of pictures.
    pub(super) fn new(segment: i64) -> Self {
        Self { segment: segment.max(1), tick: i64::MIN, first: 0, last: 0, layers: 0 }
    }

    /// A layer has a keyframe. Gives the skew of the tick before, if this is the first of another one and
    /// more than one layer had it.
    pub(super) fn keyframe(&mut self, layer: u8, dts: i64) -> Option<Duration> {
        let tick = (dts + self.segment / 4).div_euclid(self.segment);
        let bit = 1 << (layer & 31);
        if tick == self.tick {
            // A second keyframe within a segment begins none.
            if self.layers & bit == 0 {
                (self.first, self.last) = (self.first.min(dts), self.last.max(dts));
                self.layers |= bit;
            }
            return None;
        }
        let apart = (self.layers.count_ones() > 1).then_some(self.last - self.first);
        *self = Self { tick, first: dts, last: dts, layers: bit, ..*self };
        apart.map(|ticks| {
            Duration::from_micros(ticks_to_micros(ticks, super::VIDEO_RATE).unsigned_abs())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keyframes_of_a_tick_are_compared() {
        let mut skew = Skew::new(180_000);
        let rows = [
            (0, 0, None),
            (1, 900, None),
            (2, 1_800, None),
            // A joiner's keyframe.
            (0, 60_000, None),
            (0, 171_000, Some(20)),
            (1, 180_000, None),
            // Layer 1 alone at tick 2.
            (1, 360_000, Some(100)),
            (1, 540_000, None),
        ];
        for (layer, dts, ms) in rows {
            let want = ms.map(Duration::from_millis);
            assert_eq!(skew.keyframe(layer, dts), want, "{layer} {dts}");
        }
    }
}
