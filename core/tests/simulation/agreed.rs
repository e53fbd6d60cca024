//! What publishers, viewers and the server agreed on beforehand: keys, sections, payload types.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use whitewater_core::media::{
    Codec, ExtensionIds, ExtensionKind, Format, Kind, Mid, PayloadType, Rid,
};
use whitewater_core::rtc::connection::{Opening, Preset};
use whitewater_core::rtc::srtp::{MasterKey, SessionKeys};
use whitewater_core::rtc::{AgreedFormat, Profile, Section, Transport};

pub const AUDIO_PT: PayloadType = PayloadType(111);
pub const RED_PT: PayloadType = PayloadType(63);
pub const VIDEO_PT: PayloadType = PayloadType(96);
pub const RTX_PT: PayloadType = PayloadType(97);
pub const RIDS: [&str; 3] = ["l", "m", "h"];

const PROFILE: Profile = Profile::AeadAes128Gcm;

/// The server's one media address.
pub fn server() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 7000))
}

/// The address of a client.
pub fn client(number: u32) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::from(0x0a00_0000 + number / 1000), 20_000 + (number % 1000) as u16))
}

/// Ciphers. With preset keys nothing random is drawn from them.
pub fn crypto() -> Arc<dyn RTCCryptoProvider> {
    Arc::new(AwsLcRsProvider::new())
}

/// Both ends of a session with known keys, the server's first.
pub fn presets(number: u32, crypto: &Arc<dyn RTCCryptoProvider>) -> (Opening, Preset) {
    let key = |salt: u8| {
        let mut key = [salt; 16];
        key[..4].copy_from_slice(&number.to_be_bytes());
        MasterKey::new(&key, &[salt ^ 0x5a; 12])
    };
    let keys = SessionKeys { local: key(1), remote: key(2) };
    let ours = Preset {
        keys: keys.clone(),
        profile: PROFILE,
        path: Transport::udp(Some(server().ip()), client(number)),
        crypto: crypto.clone(),
    };
    let theirs = Preset {
        keys: keys.swapped(),
        profile: PROFILE,
        path: Transport::udp(None, server()),
        crypto: crypto.clone(),
    };
    (Opening::Preset(Box::new(ours)), theirs)
}

/// The ids of header extensions.
pub fn extensions() -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    ids.insert(ExtensionKind::Mid, 1);
    ids.insert(ExtensionKind::Rid, 2);
    ids.insert(ExtensionKind::RepairedRid, 3);
    ids.insert(ExtensionKind::TransportWide, 4);
    ids.insert(ExtensionKind::AbsCaptureTime, 5);
    ids
}

/// The same with sound that may repeat older frames.
pub fn with_red(mut sections: Vec<Section>) -> Vec<Section> {
    sections[0].formats[0].red = Some(RED_PT);
    sections
}

/// Sound and picture; `layers` is 0 for a viewer, who gets one.
pub fn sections(codec: Codec, layers: usize, rtx: bool) -> Vec<Section> {
    let section = |mid: &str, kind, format: Format, pt, rtx| Section {
        mid: Mid::new(mid),
        kind,
        formats: vec![AgreedFormat { format, pt, rtx, red: None }],
        extensions: extensions(),
        nack: kind == Kind::Video,
        pli: kind == Kind::Video,
        transport_wide: true,
        rids: Vec::new(),
        ssrc: None,
        rtx_ssrc: None,
    };
    let fmtp =
        if codec == Codec::H264 { "packetization-mode=1;profile-level-id=42e01f" } else { "" };
    let mut video =
        section("1", Kind::Video, Format::video(codec, fmtp), VIDEO_PT, rtx.then_some(RTX_PT));
    video.rids = RIDS[..layers].iter().map(|rid| Rid::new(*rid)).collect();
    vec![section("0", Kind::Audio, Format::opus(), AUDIO_PT, None), video]
}
