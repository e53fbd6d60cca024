//! The codecs that are forwarded, and what a payload tells without decoding it.

pub mod av1;

pub mod h264;

pub mod h265;

pub mod vp8;

pub mod vp9;

pub(super) mod bits;

mod opus;

mod picture_id;

use std::fmt;

use super::FrameInfo;

pub(crate) use bits::Bits;

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

/// What one packet's payload says about its frame, without decoding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PayloadInfo {
    /// The first packet of an access unit, as far as the payload tells; H.264 and H.265 do not
    /// tell, there a change of timestamp does.
    pub starts_frame: bool,
    /// A newcomer can begin at this packet: it carries the start of a keyframe, or the parameter
    /// sets that a publisher sends ahead of it.
    pub keyframe: bool,
    /// Width and height, where the packet carries them. With spatial layers, of the highest.
    pub size: Option<(u16, u16)>,
    /// Spatial layer, 0 where the payload names none.
    pub spatial: u8,
    /// Temporal layer, 0 where the payload names none.
    pub temporal: u8,
    /// The frame's place among others, where packets tell: see [`frame_info`](super::frame_info).
    pub frame: Option<FrameInfo>,
    /// Where the newest frame begins in a redundant payload (RFC 2198); 0 in any other.
    pub primary: u16,
}

/// Reads what a payload says about its frame. Nonsense says nothing.
pub fn inspect(codec: Codec, payload: &[u8]) -> PayloadInfo {
    match codec {
        Codec::Opus => opus::inspect(payload),
        Codec::H264 => h264::inspect(payload),
        Codec::H265 => h265::inspect(payload),
        Codec::Vp8 => vp8::inspect(payload),
        Codec::Vp9 => vp9::inspect(payload),
        Codec::Av1 => av1::inspect(payload),
    }
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const ALL: [Codec; 6] =
        [Codec::Opus, Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];

    #[test]
    fn an_empty_payload_says_nothing() {
        for codec in ALL {
            assert_eq!(inspect(codec, &[]), PayloadInfo::default(), "{codec}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_never_panic(payload in vec(any::<u8>(), 0..120)) {
            for codec in ALL {
                let info = inspect(codec, &payload);
                prop_assert!(info.spatial < 8 && info.temporal < 8);
            }
        }

        #[test]
        fn any_bytes_after_a_known_head_never_panic(
            head in prop::sample::select(&HEADS[..]),
            tail in vec(any::<u8>(), 0..80),
        ) {
            let payload = [head, &tail].concat();
            for codec in ALL {
                let _ = inspect(codec, &payload);
            }
        }
    }

    // What leads into the deeper parsers: SPS alone, aggregated, fragmented; descriptors; AV1.
    const HEADS: [&[u8]; 9] = [
        &[0x67, 0x64, 0, 0x1F],
        &[0x78, 0, 20, 0x67],
        &[0x7C, 0x87],
        &[0x42, 0x01, 0x01],
        &[0x60, 0x01, 0, 30, 0x42, 0x01],
        &[0x62, 0x01, 0xA1],
        &[0x90, 0xF0, 0x80, 1, 2],
        &[0x8A, 0x80, 0x10],
        &[0x18, 0x0A, 0x0B],
    ];
}
