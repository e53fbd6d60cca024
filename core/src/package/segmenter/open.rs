//! A part that frames are put into until it is closed.

use crate::package::cmaf::Sample;

/// The frames of the open part; none if no part is open.
#[derive(Debug, Default)]
pub(super) struct OpenPart {
    samples: Vec<Sample>,
    bytes: usize,
}

// === impl OpenPart ===

impl OpenPart {
    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// Whether another frame may be put in. One always may, whatever its size.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.is_empty() || (self.samples.len() < MAX_SAMPLES && self.bytes + bytes <= MAX_BYTES)
    }

    /// Decoding time of the first frame.
    pub(super) fn first(&self) -> Option<i64> {
        self.samples.first().map(|sample| sample.dts)
    }

    /// Decoding time of the last frame.
    pub(super) fn last(&self) -> Option<i64> {
        self.samples.last().map(|sample| sample.dts)
    }

    pub(super) fn push(&mut self, sample: Sample) {
        self.bytes += sample.data.len();
        self.samples.push(sample);
    }

    pub(super) fn take_last(&mut self) -> Option<Sample> {
        let sample = self.samples.pop()?;
        self.bytes -= sample.data.len();
        Some(sample)
    }

    pub(super) fn take(&mut self) -> Vec<Sample> {
        self.bytes = 0;
        std::mem::take(&mut self.samples)
    }
}

/// A second of sound in frames of 2.5 ms.
const MAX_SAMPLES: usize = 400;
/// A second of pictures at 128 Mbit/s.
const MAX_BYTES: usize = 16 << 20;
