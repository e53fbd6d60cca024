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

static ICE: LazyLock<IceCredentials> = LazyLock::new(|| IceCredentials {
    ufrag: "s0ufrag".into(),
    pwd: "0123456789012345678901".into(),
});
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
