//! A writer that puts frames into CMAF: the header of a rendition and its chunks (ISO/IEC 23000-19).
//!
//! Chunks hold for `cmf2`: defaults in every `tfhd`, `trun` of version 1, no edit list. The header says
//! so in its brands, next to `cmfc`.

mod av1;

mod chunk;

#[cfg(test)]
mod dump;

mod entry;

mod h264;

mod h265;

mod header;

use thiserror::Error;

pub use header::{Header, header};

pub(super) use chunk::{Chunk, Sample};

/// Why a setup cannot be packaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unpackable {
    /// Players do not take VP8 in MP4.
    #[error("VP8 cannot be packaged: transcode it")]
    Vp8,
    /// Parameter sets that break their format, or that the boxes have no room for.
    #[error("the decoder's configuration is malformed")]
    Malformed,
}

/// The only track of a file.
const TRACK: u32 = 1;
