//! What was left of a track because the viewer's network does not carry it.
//!
//! Its packets are not sent again: on a full path they would push out what replaces them. So a picture
//! of a scalable layer that was under way may never become whole. A viewer that lacks something of it
//! needs a keyframe, and nothing that comes before that.

use std::time::{Duration, Instant};

use super::target::Target;

/// A layer, or what of a scalable one lies above a spatial layer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Left {
    /// The whole layer. Changing to another one brings the keyframe.
    Layer(u8),
    /// What lies above this.
    Above {
        /// What is still sent.
        kept: Target,
        /// From when on what is missing counts.
        from: Instant,
        /// Until when what is missing is put down to it.
        until: Instant,
    },
}

// === impl Left ===

impl Left {
    /// What lies above a target of a layer.
    pub(super) fn above(now: Instant, kept: Target) -> Self {
        Self::Above { kept, from: now, until: now + REPAIR }
    }

    /// Whether a spatial layer of a layer belongs to it.
    pub(super) fn covers(&self, layer: u8, spatial: u8) -> bool {
        match self {
            Self::Layer(left) => *left == layer,
            Self::Above { kept, .. } => kept.layer == layer && spatial > kept.spatial,
        }
    }

    /// Whether a viewer that needs a keyframe lacks what was left.
    pub(super) fn explains(&self, now: Instant) -> bool {
        match self {
            Self::Above { until, .. } => now < *until,
            Self::Layer(_) => false,
        }
    }

    /// Whether it is known by now what came of the last keyframe.
    pub(super) fn is_settled(&self, now: Instant) -> bool {
        match self {
            Self::Above { from, .. } => now >= *from,
            Self::Layer(_) => true,
        }
    }

    /// A keyframe is on its way.
    pub(super) fn note_keyframe(&mut self, now: Instant) {
        if let Self::Above { from, .. } = self {
            *from = now + ARRIVES;
        }
    }
}

/// How long repairing what was lost of it may take.
const REPAIR: Duration = Duration::from_secs(3);

/// A keyframe is not asked for again before the viewer can have it.
const ARRIVES: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_above_is_left_and_what_a_viewer_lacks_is_put_down_to_it_for_a_while() {
        let now = Instant::now();
        let kept = Target { layer: 1, spatial: 1, temporal: Target::ALL };
        let mut left = Left::above(now, kept);
        let rows = [(1, 2, true), (1, 1, false), (1, 0, false), (0, 2, false)];
        for (layer, spatial, want) in rows {
            assert_eq!(left.covers(layer, spatial), want, "{layer} {spatial}");
        }
        assert!(left.explains(now) && left.is_settled(now));
        left.note_keyframe(now);
        assert!(!left.is_settled(now + ARRIVES / 2) && left.is_settled(now + ARRIVES));
        assert!(!left.explains(now + REPAIR));
        let whole = Left::Layer(1);
        assert!(whole.covers(1, 0) && !whole.covers(0, 0) && !whole.explains(now));
    }
}
