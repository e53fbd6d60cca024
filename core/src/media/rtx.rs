//! A retransmission that turns back into the packet it repeats (RFC 4588).

use bytes::{BufMut, Bytes, BytesMut};

use super::header::PADDING;
use super::{HeaderView, PayloadType, Ssrc};

/// Unwraps a decrypted RTX packet into the original, which had this source and payload type.
///
/// The header extension stays as the retransmission carried it, padding is taken off. `None` when
/// nothing is repeated: probing padding, a lone original sequence number, or no RTP at all.
pub fn unwrap_rtx(rtx_plain: &[u8], ssrc: Ssrc, pt: PayloadType) -> Option<Bytes> {
    let view = HeaderView::parse(rtx_plain).ok()?;
    let (original_seq, payload) = view.plain_payload().ok()?.split_at_checked(2)?;
    if payload.is_empty() {
        return None;
    }
    let mut packet = BytesMut::with_capacity(view.header_len + payload.len());
    packet.put_slice(&rtx_plain[..view.header_len]);
    packet.put_slice(payload);
    packet[0] &= !PADDING;
    packet[1] = packet[1] & 0x80 | pt.0 & 0x7F;
    packet[2..4].copy_from_slice(original_seq);
    packet[8..12].copy_from_slice(&ssrc.0.to_be_bytes());
    Some(packet.freeze())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_original_comes_back_with_its_own_identity() {
        let rtx = [
            0xB1, 0xE1, 0, 1, 0, 0, 0, 9, 1, 1, 1, 1, // header: padded, extended, one source
            5, 5, 5, 5, 0xBE, 0xDE, 0, 1, 0x10, b'0', 0, 0, // source and extension
            0xAB, 0xCD, 7, 8, 0, 2, // original sequence number, payload, padding
        ];
        let original = unwrap_rtx(&rtx, Ssrc(0x0203_0405), PayloadType(96)).unwrap();
        assert_eq!(
            original[..],
            [
                0x91, 0xE0, 0xAB, 0xCD, 0, 0, 0, 9, 2, 3, 4, 5, //
                5, 5, 5, 5, 0xBE, 0xDE, 0, 1, 0x10, b'0', 0, 0, //
                7, 8,
            ]
        );
    }

    #[test]
    fn what_repeats_nothing_is_none() {
        let header = [0x80, 97, 0, 1, 0, 0, 0, 9, 1, 1, 1, 1];
        let padded = [0xA0, 97, 0, 1, 0, 0, 0, 9, 1, 1, 1, 1];
        let rows: [(&[u8], &[u8]); 6] = [
            (&header, &[]),
            (&header, &[1]),
            (&header, &[1, 2]),
            (&padded, &[0, 0, 3]),
            (&padded, &[1, 2, 0, 2]),
            (&header[..11], &[]),
        ];
        for (head, body) in rows {
            let rtx = [head, body].concat();
            assert_eq!(unwrap_rtx(&rtx, Ssrc(1), PayloadType(96)), None, "{rtx:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(first in 0x80..0xC0_u8, mut bytes in vec(any::<u8>(), 0..60)) {
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            let _ = unwrap_rtx(&bytes, Ssrc(1), PayloadType(96));
        }
    }
}
