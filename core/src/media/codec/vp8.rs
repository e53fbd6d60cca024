//! VP8 payloads (RFC 7741): the descriptor that leads each one, read and patched.

use super::{PayloadInfo, picture_id};

/// The payload descriptor (RFC 7741 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes before the VP8 data.
    pub header_len: usize,
    /// Picture id, if the stream has one.
    pub picture_id: Option<u16>,
    /// Width of the picture id: 7 or 15, 0 without one.
    pub picture_id_bits: u8,
    /// Running index of base layer frames, modulo 256.
    pub tl0_pic_idx: Option<u8>,
    /// Temporal layer.
    pub tid: Option<u8>,
    /// Whether the frame depends on the base layer alone, so that going up may begin here.
    pub layer_sync: bool,
    /// Temporal key frame index, modulo 32.
    pub key_idx: Option<u8>,
    /// Whether no other frame refers to this one.
    pub non_reference: bool,
    /// Whether the packet begins a partition.
    pub start: bool,
    /// The partition, 0 to 7.
    pub partition: u8,
    picture_id_at: usize,
    tl0_pic_idx_at: usize,
}

/// Writes a picture id and a TL0PICIDX over those of a payload; `None` leaves the old one.
///
/// Fields keep their width, so a 7-bit id is masked; a field that is not there is not added. False,
/// and nothing written, when the descriptor is malformed.
pub fn rewrite(payload: &mut [u8], picture_id: Option<u16>, tl0_pic_idx: Option<u8>) -> bool {
    let Some(descriptor) = Descriptor::parse(payload) else { return false };
    if let (Some(new), Some(_)) = (picture_id, descriptor.picture_id) {
        let field = &mut payload[descriptor.picture_id_at..];
        picture_id::write(field, descriptor.picture_id_bits, new);
    }
    if let (Some(new), Some(_)) = (tl0_pic_idx, descriptor.tl0_pic_idx) {
        payload[descriptor.tl0_pic_idx_at] = new;
    }
    true
}

/// Reads descriptor and, on a keyframe's first packet, the frame header (RFC 6386 section 9.1).
pub(super) fn inspect(payload: &[u8]) -> PayloadInfo {
    let Some(descriptor) = Descriptor::parse(payload) else { return PayloadInfo::default() };
    let frame = &payload[descriptor.header_len..];
    let starts_frame = descriptor.start && descriptor.partition == 0;
    let keyframe = starts_frame && is_keyframe(frame);
    PayloadInfo {
        starts_frame,
        keyframe,
        size: if keyframe { keyframe_size(frame) } else { None },
        spatial: 0,
        temporal: descriptor.tid.unwrap_or(0),
        ..PayloadInfo::default()
    }
}

// === impl Descriptor ===

impl Descriptor {
    /// Reads the descriptor at the start of a payload; `None` if it is cut short.
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let mut rest = payload.iter().copied();
        let first = rest.next()?;
        let mut descriptor = Self {
            header_len: 0,
            picture_id: None,
            picture_id_bits: 0,
            tl0_pic_idx: None,
            tid: None,
            layer_sync: false,
            key_idx: None,
            non_reference: first & 0x20 != 0,
            start: first & 0x10 != 0,
            partition: first & 0x07,
            picture_id_at: 0,
            tl0_pic_idx_at: 0,
        };
        let present = if first & 0x80 != 0 { rest.next()? } else { 0 };
        if present & 0x80 != 0 {
            descriptor.picture_id_at = payload.len() - rest.len();
            let (id, bits) = picture_id::read(|| rest.next())?;
            (descriptor.picture_id, descriptor.picture_id_bits) = (Some(id), bits);
        }
        if present & 0x40 != 0 {
            descriptor.tl0_pic_idx_at = payload.len() - rest.len();
            descriptor.tl0_pic_idx = Some(rest.next()?);
        }
        if present & 0x30 != 0 {
            let byte = rest.next()?;
            if present & 0x20 != 0 {
                descriptor.tid = Some(byte >> 6);
                descriptor.layer_sync = byte & 0x20 != 0;
            }
            if present & 0x10 != 0 {
                descriptor.key_idx = Some(byte & 0x1F);
            }
        }
        descriptor.header_len = payload.len() - rest.len();
        Some(descriptor)
    }
}

/// Whether a frame is a keyframe, from the frame's beginning (RFC 6386 section 9.1).
pub fn is_keyframe(frame: &[u8]) -> bool {
    frame.first().is_some_and(|byte| byte & INTER_FRAME == 0)
}

/// Width and height that a keyframe's beginning gives.
pub fn keyframe_size(frame: &[u8]) -> Option<(u16, u16)> {
    let [_, _, _, 0x9D, 0x01, 0x2A, w0, w1, h0, h1] = *frame.first_chunk::<10>()? else {
        return None;
    };
    // The upper two bits tell how to scale for display.
    let (width, height) =
        (u16::from_le_bytes([w0, w1]) & 0x3FFF, u16::from_le_bytes([h0, h1]) & 0x3FFF);
    (width != 0 && height != 0).then_some((width, height))
}

const INTER_FRAME: u8 = 0x01;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    // The first bytes of a 642x362 keyframe as libvpx writes it.
    const KEYFRAME: [u8; 10] = [0x30, 0xCE, 0x00, 0x9D, 0x01, 0x2A, 0x82, 0x02, 0x6A, 0x01];

    #[test]
    fn optional_fields_are_read_where_they_are_announced() {
        let full = Descriptor::parse(&[0xB5, 0xF0, 0x92, 0x34, 0x56, 0xA7, 9]).unwrap();
        assert_eq!((full.header_len, full.picture_id, full.picture_id_bits), (6, Some(0x1234), 15));
        assert_eq!((full.tl0_pic_idx, full.tid, full.key_idx), (Some(0x56), Some(2), Some(7)));
        assert_eq!((full.start, full.partition), (true, 5));
        assert!(full.layer_sync && full.non_reference);

        let short = Descriptor::parse(&[0x80, 0x80, 0x7F, 9]).unwrap();
        assert_eq!((short.header_len, short.picture_id, short.picture_id_bits), (3, Some(127), 7));
        let tid = Descriptor::parse(&[0x80, 0x20, 0x5F, 9]).unwrap();
        assert_eq!((tid.header_len, tid.tid, tid.key_idx), (3, Some(1), None));
        let key_idx = Descriptor::parse(&[0x80, 0x10, 0xFF, 9]).unwrap();
        assert_eq!((key_idx.tid, key_idx.layer_sync, key_idx.key_idx), (None, false, Some(31)));
        let bare = Descriptor::parse(&[0x10]).unwrap();
        assert_eq!((bare.header_len, bare.picture_id, bare.start), (1, None, true));
    }

    #[test]
    fn a_descriptor_that_is_cut_short_is_refused_and_left_alone() {
        let full = [0x90, 0xF0, 0x92, 0x34, 0x56, 0xA7];
        for len in 0..full.len() {
            let mut cut = full[..len].to_vec();
            assert_eq!(Descriptor::parse(&cut), None, "{len}");
            assert!(!rewrite(&mut cut, Some(1), Some(2)));
            assert_eq!(cut, full[..len]);
        }
    }

    #[test]
    fn only_the_first_packet_of_a_keyframe_is_one() {
        type Row<'a> = (&'a [u8], &'a [u8], bool, bool, Option<(u16, u16)>);
        let rows: [Row<'_>; 6] = [
            (&[0x10], &KEYFRAME, true, true, Some((642, 362))),
            (&[0x90, 0x80, 0x81, 0x02], &KEYFRAME, true, true, Some((642, 362))),
            (&[0x10], &KEYFRAME[..9], true, true, None),
            (&[0x10], &[0xB1, 0x15, 0x00], true, false, None),
            (&[0x00], &KEYFRAME, false, false, None),
            (&[0x11], &KEYFRAME, false, false, None),
        ];
        for (head, frame, starts_frame, keyframe, size) in rows {
            let want = PayloadInfo { starts_frame, keyframe, size, ..PayloadInfo::default() };
            assert_eq!(inspect(&[head, frame].concat()), want, "{head:?} {frame:?}");
        }
        assert_eq!(inspect(&[0x90, 0x20, 0x80, 0x01]).temporal, 2);
    }

    #[test]
    fn fields_are_patched_in_their_own_width() {
        let mut wide = [0x90, 0xC0, 0x92, 0x34, 0x56, 0x01];
        assert!(rewrite(&mut wide, Some(0x8005), Some(7)));
        assert_eq!(wide, [0x90, 0xC0, 0x80, 0x05, 7, 0x01]);
        let mut narrow = [0x90, 0xC0, 0x12, 0x56, 0x01];
        assert!(rewrite(&mut narrow, Some(0x0185), None));
        assert_eq!(narrow, [0x90, 0xC0, 0x05, 0x56, 0x01]);
        let mut bare = [0x10, 0x01];
        assert!(rewrite(&mut bare, Some(1), Some(2)));
        assert_eq!(bare, [0x10, 0x01]);
    }

    proptest! {
        #[test]
        fn what_is_patched_is_read_and_nothing_else_moves(
            mut payload in vec(any::<u8>(), 0..16),
            id in any::<u16>(),
            tl0 in any::<u8>(),
        ) {
            let before = Descriptor::parse(&payload);
            let copy = payload.clone();
            prop_assert_eq!(rewrite(&mut payload, Some(id), Some(tl0)), before.is_some());
            match before {
                None => prop_assert_eq!(payload, copy),
                Some(before) => {
                    let mask = ((1_u32 << before.picture_id_bits) - 1) as u16;
                    let want = Descriptor {
                        picture_id: before.picture_id.map(|_| id & mask),
                        tl0_pic_idx: before.tl0_pic_idx.map(|_| tl0),
                        ..before
                    };
                    prop_assert_eq!(Descriptor::parse(&payload), Some(want));
                    prop_assert_eq!(&payload[before.header_len..], &copy[before.header_len..]);
                }
            }
        }
    }
}
