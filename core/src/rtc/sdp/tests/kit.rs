//! The sides and the checks that the tests share.

use rtc_sdp::{MediaDescription, SessionDescription};
use std::io::Cursor;
use std::net::SocketAddr;
use std::sync::LazyLock;

use super::super::*;

pub(super) const WHIP_VP8: &str = include_str!("../fixtures/chromium-156-whip-simulcast-offer.sdp");
pub(super) const WHIP_H264: &str =
    include_str!("../fixtures/chromium-156-whip-simulcast-h264-offer.sdp");
pub(super) const WHEP: &str = include_str!("../fixtures/chromium-156-whep-offer.sdp");

static ICE: LazyLock<Credentials> =
    LazyLock::new(|| Credentials { ufrag: "s0ufrag".into(), pwd: "0123456789012345678901".into() });
static FINGERPRINT: LazyLock<Fingerprint> = LazyLock::new(|| Fingerprint::sha256([0xab; 32]));
static CANDIDATES: LazyLock<[SocketAddr; 2]> =
    LazyLock::new(|| ["192.0.2.7:7000".parse().unwrap(), "[2001:db8::7]:7000".parse().unwrap()]);

pub(super) const SSRCS: WatchSsrcs =
    WatchSsrcs { audio: Ssrc(1001), video: Ssrc(2001), video_rtx: Ssrc(2002) };

/// Our side.
pub(super) fn local() -> Local<'static> {
    Local {
        ice: &ICE,
        fingerprint: &FINGERPRINT,
        candidates: &*CANDIDATES,
        tcp: false,
        session_id: 42,
        cname: "live",
    }
}

pub(super) fn publish(offer: &str) -> Result<Agreed, SdpError> {
    answer_publish(offer, &local(), &PublishPolicy::default())
}

pub(super) fn watch(offer: &str, published: &Published) -> Result<Agreed, SdpError> {
    answer_watch(offer, &local(), published, &SSRCS)
}

/// Parses a text of ours with the library.
pub(super) fn parsed(text: &str) -> SessionDescription {
    SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes())).unwrap()
}

/// The values of all attributes with one name.
pub(super) fn all<'a>(media: &'a MediaDescription, key: &str) -> Vec<&'a str> {
    media
        .attributes
        .iter()
        .filter(|line| line.key == key)
        .map(|line| line.value.as_deref().unwrap_or_default())
        .collect()
}

pub(super) fn sentence(result: Result<Agreed, SdpError>) -> String {
    result.expect_err("the offer is refused").to_string()
}

pub(super) const FFMPEG: &str = include_str!("../fixtures/ffmpeg-like-offer.sdp");
pub(super) const OBS: &str = include_str!("../fixtures/obs-like-simulcast-offer.sdp");
pub(super) const FIREFOX: &str = include_str!("../fixtures/firefox-like-simulcast-offer.sdp");

/// A section for data.
pub(super) const DATA: &str = "\
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=setup:actpass
a=mid:2
a=sctp-port:5000
";

/// An offer without the lines that begin like this.
pub(super) fn without(offer: &str, beginning: &str) -> String {
    offer.split_inclusive('\n').filter(|line| !line.starts_with(beginning)).collect()
}

/// An offer with its first section of a kind repeated under mid 7.
pub(super) fn with_second(offer: &str, name: &str) -> String {
    let begin = offer.find(&format!("m={name}")).unwrap();
    let end = offer[begin + 1..].find("m=").map_or(offer.len(), |end| begin + 1 + end);
    let mut again = String::new();
    for line in offer[begin..end].split_inclusive('\n') {
        again.push_str(if line.starts_with("a=mid:") { "a=mid:7\n" } else { line });
    }
    format!("{offer}{again}").replace("BUNDLE 0 1", "BUNDLE 0 1 7")
}
