//! The codecs that are forwarded, and what a payload tells without decoding it.

use std::fmt;

/// Sound or picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Picture.
    Video,
}

/// A codec that Whitewater forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 6184.
    H264,
    /// RFC 7798.
    H265,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// The AV1 RTP payload format of AOMedia.
    Av1,
}

/// A codec with its parameters, as one `a=rtpmap` and `a=fmtp` describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// The codec.
    pub codec: Codec,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Audio channels as in `a=rtpmap`; 0 for video.
    pub channels: u8,
    /// The text after the payload type in `a=fmtp`; empty when there is none.
    pub fmtp: String,
}

// === impl Codec ===

impl Codec {
    /// Whether the codec carries sound or picture.
    pub fn kind(self) -> Kind {
        match self {
            Self::Opus => Kind::Audio,
            Self::H264 | Self::H265 | Self::Vp8 | Self::Vp9 | Self::Av1 => Kind::Video,
        }
    }

    /// The encoding name of `a=rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::H264 => "H264",
            Self::H265 => "H265",
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::Av1 => "AV1",
        }
    }

    /// Finds the codec of an encoding name; names are compared without case (RFC 8866 section 6.6).
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Opus, Self::H264, Self::H265, Self::Vp8, Self::Vp9, Self::Av1]
            .into_iter()
            .find(|codec| codec.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Audio => "audio",
            Self::Video => "video",
        })
    }
}

// === impl Format ===

impl Format {
    /// Opus as WebRTC offers it.
    pub fn opus() -> Self {
        Self {
            codec: Codec::Opus,
            clock_rate: 48_000,
            channels: 2,
            fmtp: "minptime=10;useinbandfec=1".into(),
        }
    }

    /// A video codec at 90 kHz with the given format parameters.
    pub fn video(codec: Codec, fmtp: impl Into<String>) -> Self {
        Self { codec, clock_rate: 90_000, channels: 0, fmtp: fmtp.into() }
    }

    /// The value of one format parameter; names are compared without case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.fmtp.split(';').find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}
