//! A view of an RTP header that reads no payload, so that it serves before decryption too.

use thiserror::Error;

use super::ext::Block;
use super::{PayloadType, Ssrc};

/// The header of one RTP packet (RFC 3550 section 5.1), with the extension elements by id.
///
/// SRTP leaves all of this in the clear. Only [`plain_payload`](Self::plain_payload) needs a
/// decrypted packet.
#[derive(Clone, Copy, Debug)]
pub struct HeaderView<'a> {
    /// Payload type.
    pub pt: PayloadType,
    /// Synchronization source.
    pub ssrc: Ssrc,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp in ticks of the payload type's clock.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// Bytes before the payload: fixed header, contributing sources and header extension.
    pub header_len: usize,
    padded: bool,
    packet: &'a [u8],
    block: Block<'a>,
    block_start: usize,
}

/// Why bytes are not an RTP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// The header does not fit into the bytes.
    #[error("packet ends inside its header: {0} bytes")]
    Truncated(usize),
    /// The version field is not 2.
    #[error("unknown RTP version: {0}")]
    Version(u8),
    /// The padding count is zero or longer than the payload.
    #[error("impossible padding length: {0}")]
    Padding(u8),
    /// No datagram is that long.
    #[error("packet longer than a datagram: {0} bytes")]
    TooLong(usize),
}

// === impl HeaderView ===

impl<'a> HeaderView<'a> {
    /// Reads the header of a packet, encrypted or plain.
    pub fn parse(packet: &'a [u8]) -> Result<Self, PacketError> {
        let truncated = PacketError::Truncated(packet.len());
        let fixed = packet.first_chunk::<FIXED_LEN>().ok_or(truncated)?;
        let [first, second, s0, s1, t0, t1, t2, t3, c0, c1, c2, c3] = *fixed;
        if first >> 6 != VERSION {
            return Err(PacketError::Version(first >> 6));
        }
        let mut header_len = FIXED_LEN + usize::from(first & 0x0F) * 4;
        let mut block = Block::default();
        let mut block_start = header_len;
        if first & EXTENSION != 0 {
            block_start = header_len + 4;
            let head = packet.get(header_len..block_start).ok_or(truncated)?;
            let words = u16::from_be_bytes([head[2], head[3]]);
            header_len = block_start + usize::from(words) * 4;
            let bytes = packet.get(block_start..header_len).ok_or(truncated)?;
            block = Block::new(u16::from_be_bytes([head[0], head[1]]), bytes);
        }
        if packet.len() < header_len {
            return Err(truncated);
        }
        Ok(Self {
            pt: PayloadType(second & 0x7F),
            ssrc: Ssrc(u32::from_be_bytes([c0, c1, c2, c3])),
            seq: u16::from_be_bytes([s0, s1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            marker: second & 0x80 != 0,
            header_len,
            padded: first & PADDING != 0,
            packet,
            block,
            block_start,
        })
    }

    /// The data of the first extension element with this id.
    pub fn extension(&self, id: u8) -> Option<&'a [u8]> {
        self.block.elements().find(|element| element.id == id).map(|element| element.data)
    }

    /// The payload of a decrypted packet, without padding.
    pub fn plain_payload(&self) -> Result<&'a [u8], PacketError> {
        let body = &self.packet[self.header_len..];
        if !self.padded {
            return Ok(body);
        }
        let count = body.last().copied().unwrap_or(0);
        match body.len().checked_sub(usize::from(count)) {
            Some(len) if count != 0 => Ok(&body[..len]),
            Some(_) | None => Err(PacketError::Padding(count)),
        }
    }

    /// The extension elements as id, offset in the packet and length.
    pub(super) fn extension_spans(&self) -> impl Iterator<Item = (u8, usize, usize)> {
        let start = self.block_start;
        self.block.elements().map(move |e| (e.id, start + e.at, e.data.len()))
    }
}

const FIXED_LEN: usize = 12;
const VERSION: u8 = 2;
pub(super) const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const FIXED: [u8; 12] = [0x80, 0xE0, 0x12, 0x34, 0, 0, 0, 9, 0xDE, 0xAD, 0xBE, 0xEF];

    #[test]
    fn fields_stand_where_rfc_3550_puts_them() {
        let view = HeaderView::parse(&FIXED).unwrap();
        assert_eq!((view.pt, view.ssrc), (PayloadType(96), Ssrc(0xDEAD_BEEF)));
        assert_eq!((view.seq, view.timestamp, view.marker), (0x1234, 9, true));
        assert_eq!((view.header_len, view.plain_payload()), (12, Ok(&[][..])));
    }

    #[test]
    fn contributing_sources_and_extensions_are_stepped_over() {
        let mut bytes = FIXED.to_vec();
        bytes[0] = 0x92;
        bytes.extend([1, 1, 1, 1, 2, 2, 2, 2]);
        bytes.extend([0xBE, 0xDE, 0, 1, 0x10, b'0', 0x40, b'h', 0x77]);
        let view = HeaderView::parse(&bytes).unwrap();
        assert_eq!(view.header_len, 28);
        assert_eq!(view.extension(1), Some(&b"0"[..]));
        assert_eq!(view.extension(4), Some(&b"h"[..]));
        assert_eq!(view.extension(2), None);
        assert_eq!(view.plain_payload(), Ok(&[0x77][..]));
    }

    #[test]
    fn every_header_that_is_cut_short_is_refused() {
        let mut bytes = FIXED.to_vec();
        bytes[0] = 0x91;
        bytes.extend([1, 1, 1, 1, 0xBE, 0xDE, 0, 2, 0x10, b'0', 0, 0, 0, 0, 0, 0]);
        assert!(HeaderView::parse(&bytes).is_ok());
        for len in 0..bytes.len() {
            let error = HeaderView::parse(&bytes[..len]).unwrap_err();
            assert_eq!(error, PacketError::Truncated(len));
        }
        bytes[0] = 0x40;
        assert_eq!(HeaderView::parse(&bytes).unwrap_err(), PacketError::Version(1));
    }

    #[test]
    fn padding_is_taken_off_and_checked() {
        type Row<'a> = (&'a [u8], Result<&'a [u8], PacketError>);
        let rows: [Row<'_>; 5] = [
            (&[5, 6, 0, 2], Ok(&[5, 6])),
            (&[0, 0, 3], Ok(&[])),
            (&[7, 0], Err(PacketError::Padding(0))),
            (&[7, 3], Err(PacketError::Padding(3))),
            (&[], Err(PacketError::Padding(0))),
        ];
        for (body, want) in rows {
            let mut bytes = FIXED.to_vec();
            bytes[0] |= PADDING;
            bytes.extend(body);
            assert_eq!(HeaderView::parse(&bytes).unwrap().plain_payload(), want, "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(first in 0x80..0xC0_u8, mut bytes in vec(any::<u8>(), 0..100)) {
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Ok(view) = HeaderView::parse(&bytes) {
                prop_assert!(view.header_len <= bytes.len());
                let _ = (view.extension(1), view.plain_payload());
            }
        }
    }
}
