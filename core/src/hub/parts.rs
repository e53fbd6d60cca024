//! A meter of the parts of a scalable layer: what each spatial and temporal layer of it costs.

use std::time::{Duration, Instant};

use crate::media::Arrived;

/// A part of a scalable layer: one spatial and temporal layer with all below them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part {
    /// The highest spatial layer in it.
    pub spatial: u8,
    /// The highest temporal layer in it.
    pub temporal: u8,
    /// Bits per second of all of it, over the last second.
    pub bitrate_bps: u64,
    /// Pictures per second of its highest spatial layer.
    pub fps: f64,
    /// Width and height of its highest spatial layer, where packets tell.
    pub size: Option<(u16, u16)>,
}

/// Bytes and frames of the running second, and the parts of the one before.
#[derive(Debug, Default)]
pub(super) struct Parts {
    since: Option<Instant>,
    counts: [[Count; TEMPORAL]; SPATIAL],
    sizes: [Option<(u16, u16)>; SPATIAL],
    known: Vec<Part>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    bytes: u64,
    frames: u32,
}

// === impl Parts ===

impl Parts {
    /// Takes note of a packet.
    pub(super) fn add(&mut self, arrived: &Arrived) {
        let since = *self.since.get_or_insert(arrived.at);
        let elapsed = arrived.at.saturating_duration_since(since);
        if elapsed >= INTERVAL {
            self.settle(elapsed);
            self.since = Some(arrived.at);
        }
        let info = &arrived.info;
        let spatial = usize::from(info.spatial).min(SPATIAL - 1);
        let count = &mut self.counts[spatial][usize::from(info.temporal).min(TEMPORAL - 1)];
        count.bytes += arrived.packet.len() as u64;
        let ends = info.frame.is_some_and(|frame| frame.ends);
        count.frames += u32::from(ends || arrived.packet.marker);
        if let Some(size) = info.frame.and_then(|frame| frame.size) {
            self.sizes[spatial] = Some(size);
        }
    }

    /// The parts there are, lowest spatial layer first.
    pub(super) fn known(&self) -> &[Part] {
        &self.known
    }

    fn settle(&mut self, elapsed: Duration) {
        let counts = std::mem::take(&mut self.counts);
        let seconds = elapsed.as_secs_f64();
        self.known.clear();
        for spatial in 0..SPATIAL {
            for temporal in 0..TEMPORAL {
                if counts[spatial][temporal].frames == 0 {
                    continue;
                }
                let below = counts[..=spatial].iter().flat_map(|row| &row[..=temporal]);
                let bytes: u64 = below.map(|count| count.bytes).sum();
                let frames: u32 =
                    counts[spatial][..=temporal].iter().map(|count| count.frames).sum();
                self.known.push(Part {
                    spatial: spatial as u8,
                    temporal: temporal as u8,
                    bitrate_bps: (bytes as f64 * 8.0 / seconds) as u64,
                    fps: f64::from(frames) / seconds,
                    size: self.sizes[spatial],
                });
            }
        }
    }
}

const INTERVAL: Duration = Duration::from_secs(1);

/// Layers told apart; those above count as the highest.
const SPATIAL: usize = 4;
const TEMPORAL: usize = 4;

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::codec::PayloadInfo;
    use crate::media::frame_info::Needs;
    use crate::media::{ExtensionIds, FrameInfo, Packet, PictureIds};

    fn arrived(at: Instant, spatial: u8, temporal: u8, size: (u16, u16)) -> Arrived {
        let bytes = [&[0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1][..], &[7; 113]].concat();
        let frame = FrameInfo {
            number: 0,
            ends: true,
            counted: false,
            needs: Needs::NOTHING,
            size: Some(size),
        };
        Arrived {
            packet: Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap(),
            info: PayloadInfo { spatial, temporal, frame: Some(frame), ..PayloadInfo::default() },
            picture: PictureIds::default(),
            era: 0,
            seq: 0,
            timestamp: 0,
            at,
            received: at,
            capture: None,
        }
    }

    #[test]
    fn a_part_costs_all_that_lies_below_it() {
        let (start, mut parts) = (Instant::now(), Parts::default());
        for picture in 0..21_u64 {
            let at = start + Duration::from_millis(50 * picture);
            parts.add(&arrived(at, 0, (picture % 2) as u8, (320, 180)));
            parts.add(&arrived(at, 1, (picture % 2) as u8, (640, 360)));
        }
        let part = |spatial, temporal, kbps: u64, fps| Part {
            spatial,
            temporal,
            bitrate_bps: kbps * 1000,
            fps,
            size: Some(if spatial == 0 { (320, 180) } else { (640, 360) }),
        };
        let want = [
            part(0, 0, 10, 10.0),
            part(0, 1, 20, 20.0),
            part(1, 0, 20, 10.0),
            part(1, 1, 40, 20.0),
        ];
        assert_eq!(parts.known(), want);
    }
}
