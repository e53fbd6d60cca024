//! A depacketiser of VP8 (RFC 7741): the payloads behind their descriptors, side by side.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{Made, Unit, update};
use crate::media::Setup;
use crate::media::codec::vp8::{Descriptor, is_keyframe, keyframe_size};

/// The configuration of the last keyframe.
#[derive(Debug, Default)]
pub struct Depacketizer {
    setup: Option<Arc<Setup>>,
}

// === impl Depacketizer ===

impl Depacketizer {
    pub(super) fn assemble(&mut self, payloads: &[Bytes]) -> Option<Made> {
        let mut frame = BytesMut::with_capacity(payloads.iter().map(Bytes::len).sum());
        for (index, payload) in payloads.iter().enumerate() {
            let descriptor = Descriptor::parse(payload)?;
            let starts = descriptor.start && descriptor.partition == 0;
            if starts != (index == 0) {
                return None;
            }
            frame.extend_from_slice(&payload[descriptor.header_len..]);
        }
        if frame.is_empty() {
            return None;
        }
        let keyframe = is_keyframe(&frame);
        let setup = match keyframe {
            true => Some(update(&mut self.setup, Setup::Vp8 { size: keyframe_size(&frame)? })),
            false => self.setup.clone(),
        };
        let Some(setup) = setup else { return Some(Made::Unknown) };
        Some(Made::Unit(Unit { keyframe, data: frame.freeze(), setup }))
    }
}
