//! A depacketiser of Opus: a payload is a frame.

use std::sync::Arc;

use bytes::Bytes;

use super::{Made, Unit};
use crate::media::{Format, Setup};

/// The configuration, which never changes.
#[derive(Debug)]
pub struct Depacketizer {
    setup: Arc<Setup>,
}

// === impl Depacketizer ===

impl Depacketizer {
    /// Payloads may hold one channel or two, changing at will: the decoder is told the most.
    pub(super) fn new(format: &Format) -> Self {
        let channels = format.channels.clamp(1, 2);
        Self { setup: Arc::new(Setup::Opus { channels }) }
    }

    pub(super) fn assemble(&mut self, payloads: &[Bytes]) -> Option<Made> {
        let [data] = payloads else { return None };
        let unit = Unit { keyframe: true, data: data.clone(), setup: self.setup.clone() };
        Some(Made::Unit(unit))
    }
}
