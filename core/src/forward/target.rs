//! A target: how much of a track a viewer gets, and what each choice costs.

/// A layer of a track and, where that layer is scalable, how much of it.
///
/// Ordered from the least to the most, within one track whose layers are ordered likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    /// The layer's index in its track.
    pub layer: u8,
    /// The highest spatial layer to send; `ALL` for every one.
    pub spatial: u8,
    /// The highest temporal layer to send; `ALL` for every one.
    pub temporal: u8,
}

/// One rung of a track's ladder: a target and its present bit rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// What is sent.
    pub target: Target,
    /// Bits per second of it, as they arrive now.
    pub bitrate_bps: u64,
}

impl Target {
    /// No limit on spatial or temporal layers.
    pub const ALL: u8 = u8::MAX;

    /// A whole layer.
    pub const fn whole(layer: u8) -> Self {
        Self { layer, spatial: Self::ALL, temporal: Self::ALL }
    }
}
