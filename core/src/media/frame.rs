//! A frame: one access unit as decoders and MP4 take it, and what a decoder has to know beforehand.

use std::sync::Arc;

use bytes::Bytes;

use super::{Codec, Kind, Ntp};

/// One access unit (a picture, or one codec frame of sound).
///
/// Times are ticks of the clock that its source counts in: 90 kHz for pictures, the sample rate for
/// sound. `dts` and `pts` differ where a stream has B-frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Decode time in ticks.
    pub dts: i64,
    /// Presentation time in ticks.
    pub pts: i64,
    /// Whether decoding can begin here (SAP type 1 or 2). Every frame of sound is one.
    pub keyframe: bool,
    /// The sample as MP4 stores it. H.264 and H.265: NAL units with four bytes of length each,
    /// without parameter sets and access unit delimiters. AV1: OBUs with sizes (low-overhead format)
    /// without temporal delimiters. VP8, VP9, Opus, AAC: the codec's own frame.
    pub data: Bytes,
    /// What the decoder has to know. Frames of one configuration share it; what is only repeated in
    /// the stream is not a change.
    pub setup: Arc<Setup>,
    /// When it was captured, in the server's clock, where that is known.
    pub capture: Option<Ntp>,
}

/// A decoder's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setup {
    /// H.264 (ISO/IEC 14496-15 section 5.3.3): parameter sets as NAL units without start codes.
    H264 {
        /// Width and height in pixels, cropped.
        size: (u16, u16),
        /// Sequence parameter set.
        sps: Bytes,
        /// Picture parameter sets, by id.
        pps: Vec<Bytes>,
    },
    /// H.265 (ISO/IEC 14496-15 section 8.3.3): parameter sets as NAL units without start codes.
    H265 {
        /// Width and height in pixels, cropped.
        size: (u16, u16),
        /// Video parameter sets, by id.
        vps: Vec<Bytes>,
        /// Sequence parameter sets, by id.
        sps: Vec<Bytes>,
        /// Picture parameter sets, by id.
        pps: Vec<Bytes>,
    },
    /// AV1: the sequence header OBU with its size field, as `av1C` stores it.
    Av1 {
        /// Width and height in pixels.
        size: (u16, u16),
        /// The sequence header OBU.
        sequence_header: Bytes,
    },
    /// VP9, from the uncompressed header of a keyframe.
    Vp9 {
        /// Width and height in pixels.
        size: (u16, u16),
        /// Profile, 0 to 3.
        profile: u8,
        /// Bits per sample: 8, 10 or 12.
        bit_depth: u8,
        /// Chroma subsampling as `vpcC` counts it: 1 is 4:2:0 with collocated samples, 2 4:2:2, 3 4:4:4.
        chroma: u8,
        /// Whether samples use the full range.
        full_range: bool,
    },
    /// VP8, which MP4 players do not take: it is transcoded.
    Vp8 {
        /// Width and height in pixels.
        size: (u16, u16),
    },
    /// Opus at 48 kHz.
    Opus {
        /// Channels, 1 or 2.
        channels: u8,
    },
    /// AAC-LC: the AudioSpecificConfig (ISO/IEC 14496-3).
    Aac {
        /// Samples per second.
        sample_rate: u32,
        /// Channels.
        channels: u8,
        /// The AudioSpecificConfig.
        config: Bytes,
    },
}

// === impl Setup ===

impl Setup {
    /// Sound or picture.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Opus { .. } | Self::Aac { .. } => Kind::Audio,
            Self::H264 { .. }
            | Self::H265 { .. }
            | Self::Av1 { .. }
            | Self::Vp9 { .. }
            | Self::Vp8 { .. } => Kind::Video,
        }
    }

    /// Width and height of a picture.
    pub fn size(&self) -> Option<(u16, u16)> {
        match self {
            Self::H264 { size, .. }
            | Self::H265 { size, .. }
            | Self::Av1 { size, .. }
            | Self::Vp9 { size, .. }
            | Self::Vp8 { size } => Some(*size),
            Self::Opus { .. } | Self::Aac { .. } => None,
        }
    }

    /// The codec on the wire, where WebRTC has it.
    pub fn codec(&self) -> Option<Codec> {
        match self {
            Self::H264 { .. } => Some(Codec::H264),
            Self::H265 { .. } => Some(Codec::H265),
            Self::Av1 { .. } => Some(Codec::Av1),
            Self::Vp9 { .. } => Some(Codec::Vp9),
            Self::Vp8 { .. } => Some(Codec::Vp8),
            Self::Opus { .. } => Some(Codec::Opus),
            Self::Aac { .. } => None,
        }
    }
}
