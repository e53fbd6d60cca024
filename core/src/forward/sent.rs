//! A map from the sequence numbers a viewer got to where their bytes still are.
//!
//! It remembers what was rewritten, not the packets: those are in the ring.

use crate::media::arrived::PictureIds;

/// One packet as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Sequence number on the wire.
    pub seq: u16,
    /// Transport-wide number it carried; a plain retransmission repeats it.
    pub transport_seq: u16,
    /// RTP timestamp it carried.
    pub timestamp: u32,
    /// Low bits of its ring position.
    pub position: u32,
    /// VP8 or VP9 picture id it carried.
    pub picture_id: u16,
    /// TL0PICIDX it carried.
    pub tl0_pic_idx: u8,
    /// The layer whose ring holds it.
    pub layer: u8,
    /// Its spatial layer within that.
    pub spatial: u8,
    /// Bytes of RTP padding it carried.
    pub padding: u8,
    /// The frame number that its dependency descriptor carried.
    pub frame_number: u16,
    /// Its marker bit.
    pub marker: bool,
    /// Whether its payload was left out.
    pub hollow: bool,
    /// Low bits of the track's generation.
    pub generation: u8,
    /// When it was retransmitted last, in milliseconds of a clock that the owner keeps; 0 is never.
    pub resent_ms: u32,
}

/// The last packets sent, by sequence number.
#[derive(Debug, Default)]
pub struct SentMap {
    entries: Vec<Option<Sent>>,
}

// === impl Sent ===

impl Sent {
    /// The picture ids it carried, of those that the source has.
    pub fn picture(&self, source: PictureIds) -> PictureIds {
        PictureIds {
            picture_id: source.picture_id.map(|_| self.picture_id),
            tl0_pic_idx: source.tl0_pic_idx.map(|_| self.tl0_pic_idx),
            ..source
        }
    }

    /// The full ring position, given the ring's end.
    pub fn position(&self, ring_end: u64) -> u64 {
        let back = (ring_end as u32).wrapping_sub(self.position);
        ring_end.wrapping_sub(u64::from(back))
    }
}

// === impl SentMap ===

impl SentMap {
    /// Remembers a packet; the one 1,024 earlier is forgotten.
    pub fn insert(&mut self, sent: Sent) {
        if self.entries.is_empty() {
            self.entries = vec![None; CAPACITY];
        }
        self.entries[usize::from(sent.seq) % CAPACITY] = Some(sent);
    }

    /// The packet that went out under a sequence number.
    pub fn get_mut(&mut self, seq: u16) -> Option<&mut Sent> {
        self.entries.get_mut(usize::from(seq) % CAPACITY)?.as_mut().filter(|sent| sent.seq == seq)
    }
}

/// Packets remembered: two seconds of a 5 Mbit/s layer.
const CAPACITY: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(seq: u16) -> Sent {
        Sent {
            seq,
            transport_seq: 0,
            timestamp: 0,
            position: u32::from(seq),
            picture_id: 0,
            tl0_pic_idx: 0,
            layer: 0,
            spatial: 0,
            padding: 0,
            frame_number: 0,
            marker: false,
            hollow: false,
            generation: 0,
            resent_ms: 0,
        }
    }

    #[test]
    fn the_last_1024_packets_are_found_across_a_wrap() {
        let mut map = SentMap::default();
        for i in 0..3000_u32 {
            map.insert(sent((64_000 + i) as u16));
        }
        let newest = (64_000_u32 + 2999) as u16;
        assert!(map.get_mut(newest).is_some());
        assert!(map.get_mut(newest.wrapping_sub(1023)).is_some());
        assert!(map.get_mut(newest.wrapping_sub(1024)).is_none());
    }

    #[test]
    fn a_position_is_rebuilt_from_its_low_bits() {
        let mut packet = sent(1);
        packet.position = u32::MAX - 3;
        assert_eq!(packet.position((1 << 32) + 5), (1 << 32) - 4);
    }
}
