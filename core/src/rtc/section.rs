//! What two sides agreed on for one `m=` section.

use crate::media::{ExtensionIds, Format, Kind, Mid, PayloadType, Rid, Ssrc};

/// A format and the payload types it travels under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgreedFormat {
    /// The codec and its parameters.
    pub format: Format,
    /// Payload type of the media packets.
    pub pt: PayloadType,
    /// Payload type of retransmissions (RFC 4588), if agreed.
    pub rtx: Option<PayloadType>,
    /// Payload type of packets with older frames repeated in them (RFC 2198), if agreed.
    pub red: Option<PayloadType>,
}

/// One `m=` section that carries media, as offer and answer left it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its identification tag.
    pub mid: Mid,
    /// Sound or picture.
    pub kind: Kind,
    /// The agreed formats, preferred first. A publisher's section has exactly one.
    pub formats: Vec<AgreedFormat>,
    /// Header extension ids.
    pub extensions: ExtensionIds,
    /// Whether generic NACK (RFC 4585) was agreed.
    pub nack: bool,
    /// Whether PLI was agreed.
    pub pli: bool,
    /// Whether transport-wide feedback was agreed.
    pub transport_wide: bool,
    /// The layers a publisher announced by rid, in its order; empty without simulcast.
    pub rids: Vec<Rid>,
    /// Media SSRC that the sender announced, if any.
    pub ssrc: Option<Ssrc>,
    /// Retransmission SSRC that the sender announced, if any.
    pub rtx_ssrc: Option<Ssrc>,
}
