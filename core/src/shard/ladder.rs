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

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;

    use super::*;
    use crate::media::codec::PayloadInfo;
    use crate::media::{Arrived, Codec, ExtensionIds, Format, Mid, Packet, PictureIds};

    fn arrived(at: Instant, seq: i64, spatial: u8, temporal: u8) -> Arrived {
        let bytes = [&[0x80, 0xE0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[7; 113]].concat();
        Arrived {
            packet: Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap(),
            info: PayloadInfo { spatial, temporal, ..PayloadInfo::default() },
            picture: PictureIds::default(),
            era: 0,
            seq,
            timestamp: seq,
            at,
            capture: None,
        }
    }

    fn ladder(layers: &[(u8, u8)]) -> Vec<(u8, u8)> {
        let format = Format::video(Codec::Vp9, "");
        let mut track = Track::new(1, Mid::new("0"), format, &[]);
        let start = Instant::now();
        for step in 0..120 {
            let (spatial, temporal) = layers[step % layers.len()];
            let at = start + Duration::from_millis(20 * step as u64);
            track.layers[0].mirror(arrived(at, step as i64, spatial, temporal));
        }
        let rungs = rungs(&track, 0);
        assert!(rungs.is_sorted_by_key(|rung| (rung.target, rung.bitrate_bps)));
        rungs.iter().map(|rung| (rung.target.spatial, rung.target.temporal)).collect()
    }

    #[test]
    fn a_smaller_picture_comes_before_a_slower_one_and_the_whole_comes_last() {
        const ALL: u8 = Target::ALL;
        assert_eq!(ladder(&[(0, 0)]), [(ALL, ALL)]);
        assert_eq!(ladder(&[(0, 0), (0, 1)]), [(0, 0), (ALL, ALL)]);
        let all = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)];
        assert_eq!(ladder(&all), [(0, 0), (0, 1), (1, 1), (ALL, ALL)]);
        let nobody = Track::new(1, Mid::new("0"), Format::video(Codec::Vp9, ""), &[]);
        assert_eq!(rungs(&nobody, 0), []);
        assert_eq!(rungs(&nobody, 7), []);
    }
}
