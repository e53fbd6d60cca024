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
        self.packets.len() > 1
            && (now.saturating_duration_since(oldest.at) > MAX_AGE
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
const MAX_PACKETS: usize = 4096;

/// Among how many packets those of one frame are looked for.
const MAX_FRAME_SPREAD: usize = 1024;

// A position is used as an index of packets: the packet type must stay cheap to clone into rings.
const _: () = assert!(size_of::<Packet>() <= 160);
