//! A packet that arrived: its bytes with all that the hub learned about it on the way in.

use std::time::Instant;

use super::codec::PayloadInfo;
use super::{Ntp, Packet};

/// One packet of a layer, as rings keep it and forwarders judge it.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// The packet.
    pub packet: Packet,
    /// What its payload tells.
    pub info: PayloadInfo,
    /// VP8 and VP9 picture ids.
    pub picture: PictureIds,
    /// Counts the sources that its layer had: numbers of different ones do not compare.
    pub era: u32,
    /// Sequence number without wraps.
    pub seq: i64,
    /// RTP timestamp without wraps, on the layer's own clock.
    pub timestamp: i64,
    /// When it was taken in.
    pub at: Instant,
    /// When the machine received it, before it waited to be taken in.
    pub received: Instant,
    /// When its content was captured, in the server's clock, if known.
    pub capture: Option<Ntp>,
}

/// The running numbers that VP8 and VP9 carry inside the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PictureIds {
    /// Picture id, 7 or 15 bits.
    pub picture_id: Option<u16>,
    /// Bits of the picture id; 0 without one.
    pub picture_id_bits: u8,
    /// TL0PICIDX.
    pub tl0_pic_idx: Option<u8>,
}
