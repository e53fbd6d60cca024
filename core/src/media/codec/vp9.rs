//! VP9 payloads (RFC 9628): the descriptor that leads each one, read and patched.

mod frame;

use super::{PayloadInfo, picture_id};

pub use frame::{Keyframe, is_keyframe, read_keyframe};

/// The payload descriptor (RFC 9628 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Bytes before the VP9 data.
    pub header_len: usize,
    /// Picture id, if the stream has one.
    pub picture_id: Option<u16>,
    /// Width of the picture id: 7 or 15, 0 without one.
    pub picture_id_bits: u8,
    /// Running index of base layer pictures, modulo 256; in non-flexible mode only.
    pub tl0_pic_idx: Option<u8>,
    /// P: whether the frame refers to earlier pictures.
    pub inter_picture: bool,
    /// F: whether frames name their references one by one.
    pub flexible: bool,
    /// B: whether the packet begins a layer's frame.
    pub start: bool,
    /// E: whether the packet ends a layer's frame.
    pub end: bool,
    /// Z: whether no higher spatial layer refers to this frame.
    pub not_upper_reference: bool,
    /// Temporal layer, 0 without layer indices.
    pub temporal: u8,
    /// U: whether going up to this temporal layer may begin here.
    pub switching_up: bool,
    /// Spatial layer, 0 without layer indices.
    pub spatial: u8,
    /// D: whether the frame refers to the spatial layer below.
    pub inter_layer: bool,
    /// P_DIFF: how many pictures back the frames are that it refers to, in flexible mode; what is
    /// not used is 0.
    pub references: [u8; MAX_REFERENCES],
    /// V: whether a scalability structure is included.
    pub structure: bool,
    /// Width and height of the highest spatial layer, if the scalability structure tells.
    pub size: Option<(u16, u16)>,
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

/// Reads the descriptor, and the frame header where that promises a keyframe.
///
/// A frame that refers to no earlier picture may still be intra-only, and FFmpeg leaves the P bit
/// unset on every frame: the frame's own type decides.
pub(super) fn inspect(payload: &[u8]) -> PayloadInfo {
    let Some(descriptor) = Descriptor::parse(payload) else { return PayloadInfo::default() };
    let starts_frame = descriptor.start && descriptor.spatial == 0;
    let frame = &payload[descriptor.header_len..];
    let keyframe = starts_frame && !descriptor.inter_picture && is_keyframe(frame);
    let mut size = descriptor.size;
    if keyframe && size.is_none() {
        size = frame::keyframe_size(frame);
    }
    PayloadInfo {
        starts_frame,
        keyframe,
        size,
        spatial: descriptor.spatial,
        temporal: descriptor.temporal,
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
            inter_picture: first & 0x40 != 0,
            flexible: first & 0x10 != 0,
            start: first & 0x08 != 0,
            end: first & 0x04 != 0,
            not_upper_reference: first & 0x01 != 0,
            temporal: 0,
            switching_up: false,
            spatial: 0,
            inter_layer: false,
            references: [0; MAX_REFERENCES],
            structure: first & 0x02 != 0,
            size: None,
            picture_id_at: 0,
            tl0_pic_idx_at: 0,
        };
        if first & 0x80 != 0 {
            descriptor.picture_id_at = payload.len() - rest.len();
            let (id, bits) = picture_id::read(|| rest.next())?;
            (descriptor.picture_id, descriptor.picture_id_bits) = (Some(id), bits);
        }
        if first & 0x20 != 0 {
            let layers = rest.next()?;
            descriptor.temporal = layers >> 5;
            descriptor.switching_up = layers & 0x10 != 0;
            descriptor.spatial = (layers >> 1) & 0x07;
            descriptor.inter_layer = layers & 0x01 != 0;
            if !descriptor.flexible {
                descriptor.tl0_pic_idx_at = payload.len() - rest.len();
                descriptor.tl0_pic_idx = Some(rest.next()?);
            }
        }
        if descriptor.flexible && descriptor.inter_picture {
            descriptor.references = references(|| rest.next())?;
        }
        if descriptor.structure {
            descriptor.size = structure(|| rest.next())?;
        }
        descriptor.header_len = payload.len() - rest.len();
        Some(descriptor)
    }
}

/// Reads up to three P_DIFF bytes, each of which tells whether another follows.
fn references(mut next: impl FnMut() -> Option<u8>) -> Option<[u8; MAX_REFERENCES]> {
    let mut references = [0; MAX_REFERENCES];
    for reference in &mut references {
        let byte = next()?;
        *reference = byte >> 1;
        if byte & 0x01 == 0 {
            return Some(references);
        }
    }
    // A third one that announces a fourth breaks the format.
    None
}

/// Reads the scalability structure; the size of its highest spatial layer, if it gives sizes.
fn structure(mut next: impl FnMut() -> Option<u8>) -> Option<Option<(u16, u16)>> {
    let head = next()?;
    let mut size = None;
    if head & 0x10 != 0 {
        for _ in 0..=head >> 5 {
            let width = u16::from_be_bytes([next()?, next()?]);
            let height = u16::from_be_bytes([next()?, next()?]);
            size = (width != 0 && height != 0).then_some((width, height));
        }
    }
    if head & 0x08 != 0 {
        for _ in 0..next()? {
            for _ in 0..(next()? >> 2) & 0x03 {
                next()?;
            }
        }
    }
    Some(size)
}

const MAX_REFERENCES: usize = 3;

#[cfg(test)]
mod tests;
