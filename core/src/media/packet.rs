//! A packet that is immutable bytes and a parsed view of them.

use bytes::Bytes;

use super::{ExtensionIds, ExtensionKind, HeaderView, PacketError, PayloadType, Ssrc};

/// One plain RTP packet (RFC 3550 section 5.1).
///
/// Cloning shares the bytes.
#[derive(Clone, Debug)]
pub struct Packet {
    bytes: Bytes,
    /// Sequence number.
    pub seq: u16,
    /// Timestamp in ticks of the payload type's clock.
    pub timestamp: u32,
    /// Synchronization source.
    pub ssrc: Ssrc,
    /// Payload type.
    pub pt: PayloadType,
    /// The marker bit.
    pub marker: bool,
    payload_start: u16,
    payload_end: u16,
    extensions: [Span; ExtensionKind::ALL.len()],
}

// === impl Packet ===

impl Packet {
    /// Reads a decrypted packet; `ids` are those of the media section it belongs to.
    ///
    /// Of extension elements with the same id the first counts; unknown ids are passed over.
    pub fn parse(bytes: Bytes, ids: &ExtensionIds) -> Result<Self, PacketError> {
        if bytes.len() > usize::from(u16::MAX) {
            return Err(PacketError::TooLong(bytes.len()));
        }
        let view = HeaderView::parse(&bytes)?;
        let payload_len = view.plain_payload()?.len();
        let mut extensions = [Span::default(); ExtensionKind::ALL.len()];
        for (id, start, len) in view.extension_spans() {
            let Some(kind) = ids.kind(id) else { continue };
            let span = &mut extensions[kind as usize];
            if span.start == 0 {
                *span = Span { start: start as u16, len: len as u8 };
            }
        }
        Ok(Self {
            seq: view.seq,
            timestamp: view.timestamp,
            ssrc: view.ssrc,
            pt: view.pt,
            marker: view.marker,
            payload_start: view.header_len as u16,
            payload_end: (view.header_len + payload_len) as u16,
            extensions,
            bytes,
        })
    }

    /// The payload, without padding.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[usize::from(self.payload_start)..usize::from(self.payload_end)]
    }

    /// The whole packet as it arrived.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The data of a header extension, if the packet carries it.
    pub fn extension(&self, kind: ExtensionKind) -> Option<&[u8]> {
        let Span { start, len } = self.extensions[kind as usize];
        let start = usize::from(start);
        (start != 0).then(|| &self.bytes[start..start + usize::from(len)])
    }

    /// Whether it carries one of these header extensions.
    pub fn carries_one_of(&self, kinds: &[ExtensionKind]) -> bool {
        kinds.iter().any(|kind| self.extensions[*kind as usize].start != 0)
    }

    /// Whether there is no payload: a probe, or a sequence number that carries nothing.
    pub fn is_padding_only(&self) -> bool {
        self.payload_start == self.payload_end
    }

    /// Bytes of the whole packet, at least 12.
    #[expect(clippy::len_without_is_empty, reason = "a packet has a header")]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }
}

/// Where an extension's data lies in the packet; a start of 0 stands for absent.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u16,
    len: u8,
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::media::ext::write_extensions;

    fn ids() -> ExtensionIds {
        let mut ids = ExtensionIds::default();
        ids.insert(ExtensionKind::Mid, 1);
        ids.insert(ExtensionKind::TransportWide, 3);
        ids.insert(ExtensionKind::AbsCaptureTime, 18);
        ids
    }

    fn packet(first: u8, elements: &[(u8, &[u8])], body: &[u8]) -> Bytes {
        let mut bytes = vec![first, 0x60, 0, 7, 0, 0, 0, 8, 0, 0, 0, 9];
        let mut block = [0; 256];
        let len = write_extensions(&mut block, elements);
        bytes[0] |= if len == 0 { 0 } else { 0x10 };
        bytes.extend(&block[..len]);
        bytes.extend(body);
        bytes.into()
    }

    #[test]
    fn known_extensions_are_found_by_kind_in_both_forms() {
        let rows: [&[(u8, &[u8])]; 2] = [
            &[(1, b"0"), (3, &[1, 2]), (5, b"?"), (1, b"x")],
            &[(1, b"0"), (3, &[1, 2]), (18, &[7; 8])],
        ];
        for elements in rows {
            let packet = Packet::parse(packet(0x80, elements, &[4, 5]), &ids()).unwrap();
            assert_eq!(packet.extension(ExtensionKind::Mid), Some(&b"0"[..]));
            assert_eq!(packet.extension(ExtensionKind::TransportWide), Some(&[1, 2][..]));
            assert_eq!(packet.extension(ExtensionKind::Rid), None);
            assert_eq!(packet.payload(), [4, 5]);
        }
        let packet = Packet::parse(packet(0x80, rows[1], &[]), &ids()).unwrap();
        assert_eq!(packet.extension(ExtensionKind::AbsCaptureTime), Some(&[7; 8][..]));
    }

    #[test]
    fn padding_is_not_payload() {
        let padded = Packet::parse(packet(0xA0, &[(1, b"0")], &[4, 5, 0, 2]), &ids()).unwrap();
        assert_eq!((padded.payload(), padded.is_padding_only()), (&[4, 5][..], false));
        assert_eq!(padded.len(), padded.bytes().len());
        let probe = Packet::parse(packet(0xA0, &[], &[0, 0, 0, 4]), &ids()).unwrap();
        assert_eq!((probe.payload(), probe.is_padding_only()), (&[][..], true));
    }

    #[test]
    fn nothing_longer_than_a_datagram_is_a_packet() {
        let long = packet(0x80, &[], &vec![0; 65_536 - 12]);
        assert_eq!(Packet::parse(long, &ids()).unwrap_err(), PacketError::TooLong(65_536));
        let longest = packet(0x80, &[], &vec![0; 65_535 - 12]);
        assert_eq!(Packet::parse(longest, &ids()).unwrap().payload().len(), 65_523);
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(first in 0x80..0xC0_u8, mut bytes in vec(any::<u8>(), 0..100)) {
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            if let Ok(packet) = Packet::parse(bytes.into(), &ids()) {
                let _ = packet.payload();
                for kind in ExtensionKind::ALL {
                    let _ = packet.extension(kind);
                }
            }
        }

        #[test]
        fn what_is_built_is_parsed(
            mid in vec(any::<u8>(), 1..20),
            body in vec(any::<u8>(), 0..40),
            padding in 0..20_u8,
        ) {
            let mut tail = body.clone();
            let mut first = 0x80;
            if padding != 0 {
                first |= 0x20;
                tail.extend(vec![0; usize::from(padding) - 1]);
                tail.push(padding);
            }
            let packet = Packet::parse(packet(first, &[(1, &mid)], &tail), &ids()).unwrap();
            prop_assert_eq!(packet.payload(), &body[..]);
            prop_assert_eq!(packet.extension(ExtensionKind::Mid), Some(&mid[..]));
            prop_assert_eq!((packet.seq, packet.timestamp, packet.ssrc), (7, 8, Ssrc(9)));
        }
    }
}
