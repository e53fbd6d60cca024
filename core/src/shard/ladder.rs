//! A ladder of what may be sent of a track, from the least to the most.

use smallvec::SmallVec;

use crate::forward::{Rung, Target};
use crate::hub::Track;

/// The rungs of a track whose packets arrive now.
pub(super) type Ladder = SmallVec<[Rung; 8]>;

/// Builds the ladder. A layer that costs more than a larger one is no rung.
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
        rungs.push(Rung { target: Target::whole(layer), bitrate_bps });
    }
    rungs
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use bytes::Bytes;

    use super::*;
    use crate::hub::Offered;
    use crate::media::codec::PayloadInfo;
    use crate::media::{Codec, ExtensionIds, Format, Mid, Ntp, Packet, PictureIds, Rid};

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
}
