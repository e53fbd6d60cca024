//! Feedback about single packets and pictures: NACK, PLI and FIR.

use super::{FIR, NACK, PAYLOAD_FEEDBACK, PLI, Rtcp, TRANSPORT_FEEDBACK, TRANSPORT_WIDE};
use super::{TransportWide, ssrc};
use crate::media::Ssrc;

/// A list of missing packets of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nack<'a> {
    /// The source whose packets are missing.
    pub media_ssrc: Ssrc,
    pairs: &'a [[u8; 4]],
}

/// Reads a feedback packet after its four-byte head; other formats are passed over.
pub(super) fn parse(kind: u8, format: u8, body: &[u8], sink: &mut impl FnMut(Rtcp<'_>)) {
    let Some((_sender, rest)) = ssrc(body) else { return };
    let Some((media_ssrc, rest)) = ssrc(rest) else { return };
    match (kind, format) {
        (TRANSPORT_FEEDBACK, NACK) => {
            let (pairs, _) = rest.as_chunks();
            sink(Rtcp::Nack(Nack { media_ssrc, pairs }));
        }
        (TRANSPORT_FEEDBACK, TRANSPORT_WIDE) => {
            if let Some(feedback) = TransportWide::parse(media_ssrc, rest) {
                sink(Rtcp::TransportWide(feedback));
            }
        }
        (PAYLOAD_FEEDBACK, PLI) => sink(Rtcp::Pli { media_ssrc }),
        (PAYLOAD_FEEDBACK, FIR) => {
            for [a, b, c, d, command, ..] in rest.as_chunks::<8>().0 {
                let ssrc = Ssrc(u32::from_be_bytes([*a, *b, *c, *d]));
                sink(Rtcp::Fir { ssrc, command: *command });
            }
        }
        _ => {}
    }
}

// === impl Nack ===

impl<'a> Nack<'a> {
    /// The missing sequence numbers in the order they are listed, at most 17 per four bytes.
    pub fn seqs(&self) -> impl Iterator<Item = u16> + use<'a> {
        self.pairs.iter().flat_map(|[p0, p1, b0, b1]| {
            let first = u16::from_be_bytes([*p0, *p1]);
            let following = u16::from_be_bytes([*b0, *b1]);
            let bits = (0..16).filter(move |bit| following >> bit & 1 != 0);
            std::iter::once(first).chain(bits.map(move |bit| first.wrapping_add(bit + 1)))
        })
    }
}
