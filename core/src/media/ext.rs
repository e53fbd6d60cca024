//! RTP header extensions by meaning, and the ids that one session gave them (RFC 8285).

mod block;

pub use block::{extension_at, extensions_len, write_extensions};

pub(super) use block::Block;

/// A header extension that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ExtensionKind {
    /// RFC 9143: which media section a packet belongs to.
    Mid,
    /// RFC 8852: which simulcast layer a packet belongs to.
    Rid,
    /// RFC 8852: which simulcast layer a retransmission repairs.
    RepairedRid,
    /// Transport-wide sequence number.
    TransportWide,
    /// Send time as 24-bit fixed point seconds.
    AbsSendTime,
    /// Capture time of the sender as 64-bit NTP.
    AbsCaptureTime,
    /// RFC 6464: audio level.
    AudioLevel,
    /// Video orientation (3GPP TS 26.114).
    VideoOrientation,
    /// Bounds on the receiver's playout delay.
    PlayoutDelay,
    /// Camera or screen.
    VideoContentType,
    /// Colour space and HDR metadata.
    ColorSpace,
    /// Which frames a frame needs: see [`dependency`](super::dependency).
    DependencyDescriptor,
}

/// The ids under which one media section carries its header extensions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionIds([u8; ExtensionKind::ALL.len()]);

// === impl ExtensionKind ===

impl ExtensionKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Mid,
        Self::Rid,
        Self::RepairedRid,
        Self::TransportWide,
        Self::AbsSendTime,
        Self::AbsCaptureTime,
        Self::AudioLevel,
        Self::VideoOrientation,
        Self::PlayoutDelay,
        Self::VideoContentType,
        Self::ColorSpace,
        Self::DependencyDescriptor,
    ];

    /// The URI of `a=extmap`.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Mid => "urn:ietf:params:rtp-hdrext:sdes:mid",
            Self::Rid => "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id",
            Self::RepairedRid => "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
            Self::TransportWide => {
                "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
            }
            Self::AbsSendTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
            Self::AbsCaptureTime => "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time",
            Self::AudioLevel => "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            Self::VideoOrientation => "urn:3gpp:video-orientation",
            Self::PlayoutDelay => "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
            Self::VideoContentType => {
                "http://www.webrtc.org/experiments/rtp-hdrext/video-content-type"
            }
            Self::ColorSpace => "http://www.webrtc.org/experiments/rtp-hdrext/color-space",
            Self::DependencyDescriptor => {
                "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension"
            }
        }
    }

    /// Finds the kind of an `a=extmap` URI.
    pub fn from_uri(uri: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.uri() == uri)
    }
}

// === impl ExtensionIds ===

impl ExtensionIds {
    /// The id of an extension, 1 to 255, if it was negotiated.
    pub fn id(&self, kind: ExtensionKind) -> Option<u8> {
        match self.0[kind as usize] {
            0 => None,
            id => Some(id),
        }
    }

    /// Gives an extension its id; 0 takes it away.
    pub fn insert(&mut self, kind: ExtensionKind, id: u8) {
        self.0[kind as usize] = id;
    }

    /// The extension that an id stands for.
    pub fn kind(&self, id: u8) -> Option<ExtensionKind> {
        (id != 0)
            .then(|| ExtensionKind::ALL.into_iter().find(|kind| self.0[*kind as usize] == id))
            .flatten()
    }

    /// The negotiated extensions with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (ExtensionKind, u8)> + '_ {
        ExtensionKind::ALL.into_iter().filter_map(|kind| Some((kind, self.id(kind)?)))
    }
}
