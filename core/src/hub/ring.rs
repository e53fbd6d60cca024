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
    keyframe: Option<u64>,
}

// === impl Ring ===

impl Ring {
    /// Stores a packet and returns its position. Old packets leave.
    pub fn push(&mut self, arrived: Arrived) -> u64 {
        let position = self.end();
        let now = arrived.at;
        self.bytes += arrived.packet.len();
        if arrived.info.keyframe && !self.continues_keyframe(&arrived) {
            self.keyframe = Some(self.frame_start(position, arrived.timestamp));
        }
        self.packets.push_back(arrived);
        while self.is_over(now) {
            let Some(old) = self.packets.pop_front() else { break };
            self.bytes -= old.packet.len();
            self.first += 1;
        }
        position
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
        self.keyframe.filter(|position| *position >= self.first)
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

    /// Whether the keyframe packet belongs to the access unit that is already marked.
    fn continues_keyframe(&self, arrived: &Arrived) -> bool {
        self.keyframe()
            .and_then(|position| self.get(position))
            .is_some_and(|start| start.timestamp == arrived.timestamp)
    }

    /// The first packet of the access unit that is being stored: parameter sets may have come before.
    fn frame_start(&self, mut position: u64, timestamp: i64) -> u64 {
        while let Some(before) = position.checked_sub(1).and_then(|p| self.get(p)) {
            if before.timestamp != timestamp {
                break;
            }
            position -= 1;
        }
        position
    }
}

/// Retransmissions are asked for within a round trip or two; a GOP start needs at most a second.
const MAX_AGE: Duration = Duration::from_millis(1500);
const MAX_BYTES: usize = 2 << 20;
const MAX_PACKETS: usize = 4096;

// A position is used as an index of packets: the packet type must stay cheap to clone into rings.
const _: () = assert!(size_of::<Packet>() <= 160);
