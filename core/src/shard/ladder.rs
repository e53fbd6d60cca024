//! A ladder of what may be sent of a track, from the least to the most.

use smallvec::SmallVec;

use crate::forward::{Rung, Target};
use crate::hub::{LayerIx, Track};

/// The rungs of a track whose packets arrive now.
pub(super) type Ladder = SmallVec<[Rung; 8]>;

/// Builds the ladder. A layer that costs more than a larger one is no rung, and only the lowest one's
/// parts are: a smaller picture comes before a slower one.
pub(super) fn ladder(track: &Track) -> Ladder {
    let mut layers: SmallVec<[(u32, u64, u8); 8]> = track
        .layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| layer.active)
        .map(|(index, layer)| {
            let pixels = layer.size().map_or(0, |(w, h)| u32::from(w) * u32::from(h));
            (pixels, layer.bitrate_bps(), index as u8)
        })
        .collect();
    layers.sort_unstable();
    let mut rungs = Ladder::new();
    for (_, bitrate_bps, layer) in layers {
        while rungs.last().is_some_and(|rung| bitrate_bps > 0 && rung.bitrate_bps > bitrate_bps) {
            rungs.pop();
        }
        match rungs.is_empty() {
            true => rungs = self::rungs(track, layer),
            false => rungs.push(Rung { target: Target::whole(layer), bitrate_bps }),
        }
    }
    rungs
}

/// The rungs of one layer, lowest first: of a scalable one its parts, else the whole of it.
///
/// A smaller picture comes before a slower one: only the lowest spatial layer gives up pictures. The
/// last rung is always the whole layer. A layer that does not arrive has none.
fn rungs(track: &Track, layer: LayerIx) -> Ladder {
    let Some(this) = track.layers.get(usize::from(layer)).filter(|layer| layer.active) else {
        return Ladder::new();
    };
    let parts = this.parts();
    let fastest = |spatial: u8| {
        let of = parts.iter().filter(|part| part.spatial == spatial);
        of.map(|part| part.temporal).max().unwrap_or(0)
    };
    let mut rungs: Ladder = parts
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
    use crate::hub::Offered;
    use crate::media::codec::PayloadInfo;
    use crate::media::{Arrived, Codec, ExtensionIds, Format, Mid, Ntp, Packet, PictureIds, Rid};

    /// A track whose layers have these heights and bytes of each frame.
    fn track(layers: &[(u16, usize)]) -> Track {
        let rids: Vec<_> = (0..layers.len()).map(|it| Rid::from(it.to_string().as_str())).collect();
        let mut track = Track::new(1, Mid::new("1"), Format::video(Codec::Vp8, ""), &rids);
        let start = Instant::now();
        for frame in 0..40_u16 {
            let now = start + Duration::from_millis(33) * u32::from(frame);
            for (index, (height, bytes)) in layers.iter().enumerate().filter(|(_, it)| it.1 > 0) {
                let mut packet = vec![0x80, 0xe0];
                packet.extend_from_slice(&frame.to_be_bytes());
                packet.extend_from_slice(&(u32::from(frame) * 3000).to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0, 1]);
                packet.resize(*bytes, 7);
                let offered = Offered {
                    received: now,
                    packet: Packet::parse(Bytes::from(packet), &ExtensionIds::default()).unwrap(),
                    info: PayloadInfo { size: Some((16, *height)), ..PayloadInfo::default() },
                    picture: PictureIds::default(),
                    capture: None,
                };
                let layer = &mut track.layers[index];
                layer.accept(now, Ntp(0), 90_000, offered, |_, _| None).unwrap();
            }
        }
        track
    }

    #[test]
    fn rungs_rise_in_size_and_bitrate() {
        type Row = (&'static [(u16, usize)], &'static [u8]);
        let rows: [Row; 5] = [
            (&[(180, 600), (360, 1100), (720, 1400)], &[0, 1, 2]),
            (&[(720, 1400), (360, 1100), (180, 600)], &[2, 1, 0]),
            // The middle one costs more than the largest.
            (&[(180, 600), (360, 1400), (720, 1100)], &[0, 2]),
            // The largest does not arrive.
            (&[(180, 600), (360, 1100), (720, 0)], &[0, 1]),
            (&[(720, 600)], &[0]),
        ];
        for (layers, want) in rows {
            let got: Vec<_> = ladder(&track(layers)).iter().map(|it| it.target.layer).collect();
            assert_eq!(got, want, "{layers:?}");
        }
    }

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
            received: at,
            capture: None,
        }
    }

    fn parts_of(layers: &[(u8, u8)]) -> Vec<(u8, u8)> {
        let format = Format::video(Codec::Vp9, "");
        let mut track = Track::new(1, Mid::new("0"), format, &[]);
        let start = Instant::now();
        for step in 0..120 {
            let (spatial, temporal) = layers[step % layers.len()];
            let at = start + Duration::from_millis(20 * step as u64);
            track.layers[0].mirror(arrived(at, step as i64, spatial, temporal)).unwrap();
        }
        let rungs = rungs(&track, 0);
        assert!(rungs.is_sorted_by_key(|rung| (rung.target, rung.bitrate_bps)));
        rungs.iter().map(|rung| (rung.target.spatial, rung.target.temporal)).collect()
    }

    #[test]
    fn a_smaller_picture_comes_before_a_slower_one_and_the_whole_comes_last() {
        const ALL: u8 = Target::ALL;
        assert_eq!(parts_of(&[(0, 0)]), [(ALL, ALL)]);
        assert_eq!(parts_of(&[(0, 0), (0, 1)]), [(0, 0), (ALL, ALL)]);
        let all = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)];
        assert_eq!(parts_of(&all), [(0, 0), (0, 1), (1, 1), (ALL, ALL)]);
        let nobody = Track::new(1, Mid::new("0"), Format::video(Codec::Vp9, ""), &[]);
        assert!(rungs(&nobody, 0).is_empty());
        assert!(rungs(&nobody, 7).is_empty());
    }
}
