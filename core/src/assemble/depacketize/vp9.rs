//! A depacketiser of VP9 (RFC 9628): all spatial layers of a picture are one superframe.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::SmallVec;

use super::{Made, Unit, update};
use crate::media::Setup;
use crate::media::codec::vp9::{Descriptor, is_keyframe, read_keyframe};

/// The configuration of the last keyframe.
#[derive(Debug, Default)]
pub struct Depacketizer {
    setup: Option<Arc<Setup>>,
}

// === impl Depacketizer ===

impl Depacketizer {
    pub(super) fn assemble(&mut self, payloads: &[Bytes]) -> Option<Made> {
        let mut picture = BytesMut::with_capacity(payloads.iter().map(Bytes::len).sum());
        let mut lens = SmallVec::<[usize; MAX_FRAMES]>::new();
        let (mut inter_picture, mut size) = (true, None);
        for payload in payloads {
            let descriptor = Descriptor::parse(payload)?;
            if lens.is_empty() {
                inter_picture = descriptor.inter_picture;
            }
            if descriptor.start {
                lens.push(0);
            }
            size = size.or(descriptor.size);
            let part = &payload[descriptor.header_len..];
            *lens.last_mut()? += part.len();
            picture.extend_from_slice(part);
        }
        if lens.contains(&0) || lens.is_empty() || lens.len() > MAX_FRAMES {
            return None;
        }
        let header = read_keyframe(&picture).filter(|_| !inter_picture);
        let setup = match header {
            Some(header) => {
                let chroma = match header.subsampling {
                    (true, true) => 1,
                    (true, false) => 2,
                    (false, false) => 3,
                    // MP4 has no value for 4:4:0.
                    (false, true) => return None,
                };
                let setup = Setup::Vp9 {
                    size: size.unwrap_or(header.size),
                    profile: header.profile,
                    bit_depth: header.bit_depth,
                    chroma,
                    full_range: header.full_range,
                };
                Some(update(&mut self.setup, setup))
            }
            None if !inter_picture && is_keyframe(&picture) => return None,
            None => self.setup.clone(),
        };
        let Some(setup) = setup else { return Some(Made::Unknown) };
        if lens.len() > 1 {
            write_index(&lens, &mut picture);
        }
        let keyframe = header.is_some();
        Some(Made::Unit(Unit { keyframe, data: picture.freeze(), setup }))
    }
}

/// Writes the index behind the frames of a superframe (VP9 bitstream, annex B).
fn write_index(lens: &[usize], out: &mut BytesMut) {
    let largest = lens.iter().max().copied().unwrap_or(0);
    let bytes = (1..4).find(|bytes| largest < 1 << (8 * bytes)).unwrap_or(4);
    let head = SUPERFRAME_MARKER | (bytes as u8 - 1) << 3 | (lens.len() as u8 - 1);
    out.put_u8(head);
    for len in lens {
        out.put_uint_le(*len as u64, bytes);
    }
    out.put_u8(head);
}

const SUPERFRAME_MARKER: u8 = 0b110 << 5;
const MAX_FRAMES: usize = 8;
