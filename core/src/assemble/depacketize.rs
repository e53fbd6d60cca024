//! A depacketiser that makes one frame of the payloads of its packets, codec by codec.
//!
//! It gets only what is whole: all payloads of one frame, none missing between them. What it keeps
//! from frame to frame is the decoder's configuration.

mod av1;

mod h264;

mod h265;

mod nal;

mod opus;

mod sets;

mod vp8;

mod vp9;

use std::sync::Arc;

use bytes::Bytes;

use crate::media::codec::PayloadInfo;
use crate::media::{Codec, Format, Setup};

/// What the payloads of one frame make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// A frame.
    Unit(Unit),
    /// No frame: only what is for later frames, or for nobody.
    Nothing,
    /// A frame that nothing is known to decode with: no keyframe came, or no parameter sets.
    Unknown,
    /// Nonsense.
    Broken,
}

/// A frame without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Whether decoding can begin here.
    pub keyframe: bool,
    /// The sample as MP4 stores it.
    pub data: Bytes,
    /// What the decoder has to know.
    pub setup: Arc<Setup>,
}

/// A depacketiser of one codec.
#[derive(Debug)]
pub enum Depacketizer {
    /// RFC 7587.
    Opus(opus::Depacketizer),
    /// RFC 6184.
    H264(h264::Depacketizer),
    /// RFC 7798.
    H265(h265::Depacketizer),
    /// RFC 7741.
    Vp8(vp8::Depacketizer),
    /// RFC 9628.
    Vp9(vp9::Depacketizer),
    /// The AV1 RTP payload format of AOMedia.
    Av1(av1::Depacketizer),
}

// === impl Depacketizer ===

impl Depacketizer {
    /// One that knows what the format's parameters tell.
    pub fn new(format: &Format) -> Self {
        match format.codec {
            Codec::Opus => Self::Opus(opus::Depacketizer::new(format)),
            Codec::H264 => Self::H264(h264::Depacketizer::new(format)),
            Codec::H265 => Self::H265(h265::Depacketizer::new(format)),
            Codec::Vp8 => Self::Vp8(vp8::Depacketizer::default()),
            Codec::Vp9 => Self::Vp9(vp9::Depacketizer::default()),
            Codec::Av1 => Self::Av1(av1::Depacketizer::default()),
        }
    }

    /// Begins anew, for another source: sets that came in packets are forgotten, but the configuration
    /// is kept, in case that it is the same again.
    pub fn restart(&mut self, format: &Format) {
        match self {
            Self::H264(depacketizer) => depacketizer.restart(format),
            Self::H265(depacketizer) => depacketizer.restart(format),
            Self::Opus(_) | Self::Vp8(_) | Self::Vp9(_) | Self::Av1(_) => {}
        }
    }

    /// Whether decoding can begin with a payload for certain, whatever may be missing before it.
    ///
    /// H.264 and H.265 do not tell a picture's first packet from others: there it begins with
    /// parameter sets or a delimiter, or with the slice itself where sets never come in packets.
    pub fn joins(&self, info: &PayloadInfo, payload: &[u8]) -> bool {
        match self {
            Self::H264(depacketizer) => depacketizer.joins(info, payload),
            Self::H265(depacketizer) => depacketizer.joins(info, payload),
            Self::Opus(_) => !payload.is_empty(),
            Self::Vp8(_) | Self::Vp9(_) | Self::Av1(_) => info.keyframe && !payload.is_empty(),
        }
    }

    /// Whether a payload is its frame's first, where the codec tells.
    pub fn starts(&self, info: &PayloadInfo) -> bool {
        match self {
            Self::Vp8(_) | Self::Vp9(_) => info.starts_frame,
            Self::Opus(_) | Self::H264(_) | Self::H265(_) | Self::Av1(_) => false,
        }
    }

    /// Makes a frame of all its payloads in their order.
    pub fn assemble(&mut self, payloads: &[Bytes]) -> Made {
        let made = match self {
            Self::Opus(depacketizer) => depacketizer.assemble(payloads),
            Self::H264(depacketizer) => depacketizer.assemble(payloads),
            Self::H265(depacketizer) => depacketizer.assemble(payloads),
            Self::Vp8(depacketizer) => depacketizer.assemble(payloads),
            Self::Vp9(depacketizer) => depacketizer.assemble(payloads),
            Self::Av1(depacketizer) => depacketizer.assemble(payloads),
        };
        made.unwrap_or(Made::Broken)
    }
}

/// Keeps a configuration as it is where it is only repeated.
fn update(known: &mut Option<Arc<Setup>>, setup: Setup) -> Arc<Setup> {
    match known {
        Some(known) if **known == setup => known.clone(),
        _ => known.insert(Arc::new(setup)).clone(),
    }
}

#[cfg(test)]
mod tests;
