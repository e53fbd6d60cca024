//! A ring that keeps the last packets of one layer for fan-out, retransmission and GOP start alike.
//!
//! Positions count arrivals and never repeat, so a cursor stays valid however far the ring moves on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::media::Arrived;
use crate::media::packet::Packet;

/// The packets of one layer in order of arrival, bounded by age, bytes and number.
#[derive(Debug, Default)]
pub struct Ring {
    packets: VecDeque<Arrived>,
    first: u64,
    bytes: usize,
    keyframe: Option<Keyframe>,
    keeps_gop: bool,
}

/// The latest keyframe's access unit.
#[derive(Clone, Copy, Debug)]
struct Keyframe {
    start: u64,
    timestamp: i64,
}

// === impl Ring ===

impl Ring {
    /// Stores a packet and returns its position. Old packets leave.
    pub fn push(&mut self, arrived: Arrived) -> u64 {
        let position = self.end();
        let now = arrived.at;
        self.bytes += arrived.packet.len();
        let timestamp = arrived.timestamp;
        if arrived.info.keyframe && self.keyframe.is_none_or(|known| timestamp > known.timestamp) {
            self.keyframe = Some(Keyframe { start: self.frame_start(timestamp), timestamp });
        }
        self.packets.push_back(arrived);
        while self.is_over(now) {
            let Some(old) = self.packets.pop_front() else { break };
            self.bytes -= old.packet.len();
            self.first += 1;
        }
        position
    }

    /// Whether what follows the latest keyframe is kept longer, for joiners of a publisher that may
    /// not send another one for them.
    pub fn keep_gop(&mut self, keep: bool) {
        self.keeps_gop = keep;
    }

    /// Lets all packets go: what follows comes from another source. Positions go on.
    pub fn clear(&mut self) {
        self.first = self.end();
        self.packets.clear();
        self.bytes = 0;
        self.keyframe = None;
    }

    /// The position of the oldest packet still here.
    pub fn start(&self) -> u64 {
        self.first
    }

    /// The position that the next packet will get.
    pub fn end(&self) -> u64 {
        self.first + self.packets.len() as u64
    }

    /// The packet at a position, if it has come and not yet left.
    pub fn get(&self, position: u64) -> Option<&Arrived> {
        let index = position.checked_sub(self.first)?;
        self.packets.get(usize::try_from(index).ok()?)
    }

    /// Where the latest keyframe's access unit starts, while its first packet is here.
    pub fn keyframe(&self) -> Option<u64> {
        self.keyframe.map(|known| known.start).filter(|position| *position >= self.first)
    }

    /// The newest packet.
    pub fn last(&self) -> Option<&Arrived> {
        self.packets.back()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn is_over(&self, now: Instant) -> bool {
        let Some(oldest) = self.packets.front() else { return false };
        let begins_gop =
            self.keeps_gop && self.bytes <= MAX_GOP_BYTES && self.keyframe() == Some(self.first);
        let max_age = if begins_gop { MAX_GOP_AGE } else { MAX_AGE };
        self.packets.len() > 1
            && (now.saturating_duration_since(oldest.at) > max_age
                || self.bytes > MAX_BYTES
                || self.packets.len() > MAX_PACKETS)
    }

    /// The first position of an access unit whose next packet is being stored.
    ///
    /// Its packets need not lie side by side: the one that tells a keyframe may be the last to come,
    /// by retransmission, when the next frames have begun to arrive.
    fn frame_start(&self, timestamp: i64) -> u64 {
        let recent = self.packets.len().saturating_sub(MAX_FRAME_SPREAD);
        let within = self.packets.range(recent..).position(|packet| packet.timestamp == timestamp);
        within.map_or(self.end(), |index| self.first + (recent + index) as u64)
    }
}

/// Retransmissions are asked for within a round trip or two; a GOP start needs at most a second.
const MAX_AGE: Duration = Duration::from_millis(1500);
const MAX_BYTES: usize = 2 << 20;

/// A GOP that joiners may need is kept up to this age and size: what they get while they catch up
/// must still be here to be sent again. Who starts from a keyframe 3.85 s old has come to within 1.5 s
/// of the present 0.8 s later.
const MAX_GOP_AGE: Duration = Duration::from_millis(4750);
const MAX_GOP_BYTES: usize = 1 << 20;
const MAX_PACKETS: usize = 4096;

/// Among how many packets those of one frame are looked for.
const MAX_FRAME_SPREAD: usize = 1024;

// A position is used as an index of packets: the packet type must stay cheap to clone into rings.
const _: () = assert!(size_of::<Packet>() <= 160);

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::codec::PayloadInfo;
    use crate::media::{ExtensionIds, PictureIds};

    fn arrived(at: Instant, timestamp: i64, keyframe: bool, len: usize) -> Arrived {
        let mut bytes = vec![0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
        bytes.resize(12 + len, 7);
        Arrived {
            packet: Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap(),
            info: PayloadInfo { keyframe, ..PayloadInfo::default() },
            picture: PictureIds::default(),
            era: 0,
            seq: 0,
            timestamp,
            at,
            received: at,
            capture: None,
        }
    }

    #[test]
    fn the_latest_keyframe_begins_with_its_first_packet_to_come() {
        // Timestamp and whether the packet tells a keyframe; where the keyframe is then.
        type Row = (&'static str, &'static [(i64, bool)], Option<u64>);
        let rows: [Row; 9] = [
            ("none", &[(1, false), (2, false)], None),
            ("at once", &[(1, false), (2, true), (2, false), (3, false)], Some(1)),
            ("told by a later packet", &[(1, false), (2, false), (2, true)], Some(1)),
            ("told twice", &[(2, true), (2, false), (2, true), (3, false)], Some(0)),
            ("two", &[(2, true), (3, false), (4, true)], Some(2)),
            (
                "told last, behind the next frame",
                &[(1, false), (2, false), (3, false), (2, true)],
                Some(1),
            ),
            ("mixed with the frame before", &[(2, false), (1, false), (2, true)], Some(0)),
            ("an older one told late", &[(4, false), (5, true), (4, true), (6, false)], Some(1)),
            ("the first packet alone, late", &[(1, false), (3, false), (2, true)], Some(2)),
        ];
        let now = Instant::now();
        for (name, packets, want) in rows {
            let mut ring = Ring::default();
            for (timestamp, keyframe) in packets {
                ring.push(arrived(now, *timestamp, *keyframe, 10));
            }
            assert_eq!(ring.keyframe(), want, "{name}");
        }
    }

    #[test]
    fn a_keyframe_whose_beginning_has_left_is_none_and_stays_none() {
        let now = Instant::now();
        let mut ring = Ring::default();
        ring.push(arrived(now, 1, true, 10));
        ring.push(arrived(now + Duration::from_millis(1600), 1, false, 10));
        assert_eq!((ring.start(), ring.keyframe()), (1, None));
        ring.push(arrived(now + Duration::from_millis(1601), 1, true, 10));
        assert_eq!(ring.keyframe(), None);
        ring.push(arrived(now + Duration::from_millis(1602), 2, true, 10));
        assert_eq!(ring.keyframe(), Some(3));
    }

    #[test]
    fn age_bytes_and_number_bound_it() {
        let now = Instant::now();
        let mut ring = Ring::default();
        for step in 0..10_000 {
            ring.push(arrived(now, step, false, 1));
        }
        assert_eq!(ring.end() - ring.start(), MAX_PACKETS as u64);
        for step in 0..3000 {
            ring.push(arrived(now, step, false, 1200));
        }
        assert!(ring.bytes() <= MAX_BYTES && ring.bytes() > MAX_BYTES - 1300);
        ring.push(arrived(now + Duration::from_secs(9), 0, false, 5));
        assert_eq!((ring.end() - ring.start(), ring.bytes()), (1, 17));
        assert!(ring.get(ring.start()).is_some() && ring.get(ring.start() - 1).is_none());
        assert!(ring.get(ring.end()).is_none());
    }

    #[test]
    fn a_gop_is_kept_from_its_keyframe_on_up_to_its_bounds() {
        // Bytes a packet, packets per 100 ms, and how many tenths of a second are held after 0.5, 2,
        // 4.5 and 5.5 s of a GOP that began after 2 s of another.
        let rows = [
            (true, 1000, 1, [15, 20, 45, 15]),
            (false, 1000, 1, [15, 15, 15, 15]),
            (true, 1000, 60, [15, 15, 15, 15]),
        ];
        for (keep, len, packets, want) in rows {
            let start = Instant::now();
            let mut ring = Ring::default();
            ring.keep_gop(keep);
            let mut held = Vec::new();
            for tenth in 0..=75_u64 {
                let at = start + Duration::from_millis(tenth * 100);
                for index in 0..packets {
                    let key = tenth == 20 && index == 0;
                    ring.push(arrived(at, tenth as i64, key || tenth == 0, len));
                }
                if [25, 40, 65, 75].contains(&tenth) {
                    held.push((ring.end() - ring.start()) / packets);
                }
            }
            let near = held.iter().zip(want).all(|(held, want)| held.abs_diff(want) <= 1);
            assert!(near, "{keep} {packets}: {held:?}");
        }
    }

    #[test]
    fn positions_go_on_when_all_is_let_go() {
        let now = Instant::now();
        let mut ring = Ring::default();
        (0..5).for_each(|step| {
            ring.push(arrived(now, step, true, 10));
        });
        ring.clear();
        assert_eq!((ring.start(), ring.end(), ring.bytes(), ring.keyframe()), (5, 5, 0, None));
        assert_eq!(ring.push(arrived(now, 0, true, 10)), 5);
        assert_eq!(ring.keyframe(), Some(5));
    }
}
