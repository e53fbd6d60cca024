//! What a publisher is answered.

use super::super::*;
use super::kit::*;
use crate::media::{Codec, ExtensionKind, Kind, Mid, PayloadType, Rid};

#[test]
fn chromium_s_simulcast_is_taken_whole() {
    let agreed = publish(WHIP_H264).unwrap();
    assert!(!agreed.dtls_client);
    let [audio, video] = agreed.sections.as_slice() else { panic!("two sections") };
    assert_eq!((audio.mid.as_str(), audio.kind), ("0", Kind::Audio));
    assert_eq!(audio.formats[0].pt, PayloadType(111));
    assert_eq!(audio.ssrc, Some(Ssrc(2_784_386_589)));
    assert!(audio.transport_wide && !audio.nack);
    assert_eq!((&video.mid, video.kind), (&Mid::from("1"), Kind::Video));
    assert_eq!(video.formats.len(), 1);
    assert_eq!(video.formats[0].format.codec, Codec::H264);
    assert_eq!(video.formats[0].pt, PayloadType(102));
    assert_eq!(video.formats[0].rtx, Some(PayloadType(103)));
    assert_eq!(
        video.formats[0].format.fmtp,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        "the publisher sends what it offered"
    );
    assert_eq!(video.rids, ["q", "h", "f"].map(Rid::from));
    assert!(video.nack && video.pli && video.transport_wide);
    assert_eq!(video.extensions.id(ExtensionKind::Mid), Some(4));
    assert_eq!(video.extensions.id(ExtensionKind::Rid), Some(10));
    assert_eq!(video.extensions.id(ExtensionKind::RepairedRid), Some(11));
    assert_eq!(video.extensions.id(ExtensionKind::TransportWide), Some(3));
    assert_eq!(video.extensions.id(ExtensionKind::AbsSendTime), None);
    assert_eq!((video.ssrc, video.rtx_ssrc), (None, None));
    assert_eq!(agreed.remote.ice.ufrag, "ex5a");
    assert_eq!(agreed.remote.candidates, ["127.0.0.1:35633".parse().unwrap()]);
    assert_eq!(agreed.remote.fingerprint.value.len(), 32);
    assert_eq!(agreed.remote.setup, Setup::ActPass);
    assert_eq!(publish(WHIP_VP8).unwrap().sections[1].formats[0].format.codec, Codec::Vp8);
}
