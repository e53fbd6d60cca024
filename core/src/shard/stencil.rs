//! A stencil that writes the header extensions of one track's packets: the same elements in each,
//! with other values.
//!
//! Collecting elements costs as much as half of sealing the packet. Packets that carry something of
//! the publisher's besides are written without it.

use super::egress::Scratch;
use crate::media::ext::{extension_at, extensions_len, write_extensions};
use crate::media::{ExtensionIds, ExtensionKind};

/// The header extensions that are not the publisher's, once written, and where their values stand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stencil {
    block: [u8; CAPACITY],
    len: u8,
    /// 0 where there is none: a block begins with its head.
    transport_seq: u8,
    capture: u8,
}

// === impl Stencil ===

impl Stencil {
    /// Writes the block of these elements; `None` if it is longer than a stencil holds.
    pub(super) fn new(elements: &[(u8, &[u8])], ids: &ExtensionIds) -> Option<Self> {
        let len = extensions_len(elements);
        let mut block = [0; CAPACITY];
        write_extensions(block.get_mut(..len)?, elements);
        let place = |kind| {
            let id = ids.id(kind)?;
            Some(extension_at(&block[..len], id)?.start as u8)
        };
        Some(Self {
            block,
            len: len as u8,
            transport_seq: place(ExtensionKind::TransportWide).unwrap_or(0),
            capture: place(ExtensionKind::AbsCaptureTime).unwrap_or(0),
        })
    }

    /// Bytes of the block.
    pub(super) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Writes the block with a packet's values and says how long it is.
    pub(super) fn write(&self, out: &mut [u8], scratch: &Scratch) -> usize {
        let len = self.len();
        out[..len].copy_from_slice(&self.block[..len]);
        if self.transport_seq > 0 {
            let at = usize::from(self.transport_seq);
            out[at..at + scratch.transport_seq.len()].copy_from_slice(&scratch.transport_seq);
        }
        if self.capture > 0 {
            let at = usize::from(self.capture);
            out[at..at + scratch.capture.len()].copy_from_slice(&scratch.capture);
        }
        len
    }
}

/// A head, a mid of 16 bytes, a number, a capture time, and two bytes before each.
const CAPACITY: usize = 40;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Ntp;

    #[test]
    fn a_stencil_writes_what_its_elements_say() {
        let rows: [(u8, u8, u8, &[u8]); 5] = [
            (1, 2, 3, b"0"),
            (1, 2, 0, b"video"),
            (1, 0, 3, b"0"),
            (4, 200, 3, b"1"),
            (1, 0, 0, b"1"),
        ];
        for (mid_id, number_id, capture_id, mid) in rows {
            let mut ids = ExtensionIds::default();
            ids.insert(ExtensionKind::Mid, mid_id);
            ids.insert(ExtensionKind::TransportWide, number_id);
            ids.insert(ExtensionKind::AbsCaptureTime, capture_id);
            let elements = |scratch: &Scratch| {
                let mut elements = vec![(mid_id, mid.to_vec())];
                if number_id > 0 {
                    elements.push((number_id, scratch.transport_seq.to_vec()));
                }
                if capture_id > 0 {
                    elements.push((capture_id, scratch.capture.to_vec()));
                }
                elements
            };
            let write = |elements: &[(u8, Vec<u8>)]| {
                let views: Vec<_> = elements.iter().map(|(id, data)| (*id, &data[..])).collect();
                let mut block = vec![0xaa; 60];
                let len = write_extensions(&mut block, &views);
                block.truncate(len);
                (block, Stencil::new(&views, &ids).unwrap())
            };
            let (_, stencil) = write(&elements(&Scratch::default()));
            let scratch = Scratch::new(0x1234, Some(Ntp(0x0102_0304_0506_0708)));
            let (want, _) = write(&elements(&scratch));
            let mut got = vec![0xaa; 60];
            let len = stencil.write(&mut got, &scratch);
            assert_eq!((&got[..len], len), (&want[..], stencil.len()), "{ids:?}");
        }
    }

    #[test]
    fn what_is_too_long_has_no_stencil_and_nothing_has_an_empty_one() {
        let ids = ExtensionIds::default();
        assert!(Stencil::new(&[(1, &[7; 40])], &ids).is_none());
        assert_eq!(Stencil::new(&[], &ids).map(|stencil| stencil.len()), Some(0));
    }
}
