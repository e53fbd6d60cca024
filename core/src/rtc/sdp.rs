//! The negotiation that turns one side's SDP into the other's.
//!
//! Pure text in, text out: session ids, credentials, fingerprints and candidates are arguments. The
//! answer roles (WHIP and WHEP server) accept whatever real clients send; the offer role serves the
//! load generator and links between nodes.

mod candidate;
mod client;
mod description;
mod format;
mod fragment;
mod identity;
mod media;
mod offer;
mod publish;
mod simulcast;
mod watch;
mod write;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;

use thiserror::Error;

use super::section::Section;
use crate::media::{Format, Ssrc};

pub use super::ice::Credentials;
pub use candidate::parse_candidate;
pub use client::{PublishOffer, offer_publish, offer_watch, read_answer};
pub use fragment::ice_fragment;
pub use identity::{Fingerprint, Setup};
pub use publish::answer_publish;
pub use watch::answer_watch;

/// What our side brings into an answer or an offer.
#[derive(Clone, Copy, Debug)]
pub struct Local<'a> {
    /// Our ICE credentials.
    pub ice: &'a Credentials,
    /// The fingerprint of our certificate.
    pub fingerprint: &'a Fingerprint,
    /// Our host candidates, best first.
    pub candidates: &'a [SocketAddr],
    /// Whether we take TCP connections at the same addresses and ports.
    pub tcp: bool,
    /// The session id of the `o=` line.
    pub session_id: u64,
    /// The canonical name of what we send, and the identifier of its media stream; an SDP token.
    pub cname: &'a str,
}

/// The remote side as its SDP tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Its ICE credentials.
    pub ice: Credentials,
    /// The SHA-256 fingerprint of its certificate.
    pub fingerprint: Fingerprint,
    /// The DTLS role it offered or took.
    pub setup: Setup,
    /// Whether it answers checks but sends none.
    pub ice_lite: bool,
    /// Its UDP candidates with an IP address; mDNS names and TCP are left out.
    pub candidates: Vec<SocketAddr>,
}

/// What offer and answer agree on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// The text of the answer.
    pub answer: String,
    /// The other side.
    pub remote: Remote,
    /// Whether we are the DTLS client.
    pub dtls_client: bool,
    /// The sections that carry media, in the order of their `m=` lines.
    pub sections: Vec<Section>,
    /// What is worth counting and logging.
    pub notes: Vec<Note>,
}

/// A compromise that an answer made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The viewer lists no payload type of the published H.264 profile and gets the nearest one.
    H264ProfileMismatch {
        /// `profile-level-id` of the publisher.
        published: String,
        /// `profile-level-id` of the payload type that the viewer gets.
        answered: String,
    },
}

/// Why an SDP text leads to no session.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SdpError {
    /// The text breaks the rules of SDP, or lacks what every WebRTC description has.
    #[error("malformed SDP: {0}")]
    Malformed(String),
    /// The text is SDP, but asks for what this server does not do.
    #[error("unacceptable SDP: {0}")]
    Unacceptable(String),
}

/// What a publisher may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishPolicy {
    /// The highest video bit rate in bit/s, all layers together; 0 for no limit.
    pub max_bitrate_bps: u64,
}

/// The formats that the publisher of a stream sends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    /// Its sound, if any yet.
    pub audio: Option<Format>,
    /// Its picture, if any yet.
    pub video: Option<Format>,
}

/// The SSRCs under which one viewer receives, fixed for its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchSsrcs {
    /// Sound.
    pub audio: Ssrc,
    /// Picture.
    pub video: Ssrc,
    /// Retransmissions of the picture.
    pub video_rtx: Ssrc,
}
