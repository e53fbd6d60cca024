//! A ladder: what a track's viewers can be sent, from the least to the most.

use crate::forward::{Rung, Target};
use crate::hub::{LayerIx, Track};

/// The rungs of one layer, lowest first: of a scalable one its parts, else the whole of it.
///
/// A smaller picture comes before a slower one: only the lowest spatial layer gives up pictures. The
/// last rung is always the whole layer. A layer that does not arrive has none.
pub fn rungs(track: &Track, layer: LayerIx) -> Vec<Rung> {
    let Some(this) = track.layers.get(usize::from(layer)).filter(|layer| layer.active) else {
        return Vec::new();
    };
    let parts = this.parts();
    let fastest = |spatial: u8| {
        let of = parts.iter().filter(|part| part.spatial == spatial);
        of.map(|part| part.temporal).max().unwrap_or(0)
    };
    let mut rungs: Vec<Rung> = parts
        .iter()
        .filter(|part| part.spatial == 0 || part.temporal == fastest(part.spatial))
        .map(|part| Rung {
            target: Target { layer, spatial: part.spatial, temporal: part.temporal },
            bitrate_bps: part.bitrate_bps,
        })
        .collect();
    // The highest part is all that arrives, also of layers that begin later.
    rungs.pop();
    rungs.push(Rung { target: Target::whole(layer), bitrate_bps: this.bitrate_bps() });
    rungs
}
