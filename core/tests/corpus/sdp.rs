//! A check of SDP negotiation: any text is refused, or answered with SDP that fits it.

use std::io::Cursor;
use std::net::SocketAddr;

use rtc_sdp::SessionDescription;
use whitewater_core::media::{Codec, Format, Ssrc};
use whitewater_core::rtc::Credentials;
use whitewater_core::rtc::sdp::{
    Agreed, Fingerprint, Local, PublishPolicy, Published, SdpError, WatchSsrcs, answer_publish,
    answer_watch, parse_candidate, read_answer,
};

/// Reads a text as a publisher's offer, as a viewer's, and as an answer to an offer.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let ice = Credentials { ufrag: "s0ufrag".into(), pwd: "0123456789012345678901".into() };
    let fingerprint = Fingerprint::sha256([0xab; 32]);
    let candidates = [SocketAddr::from(([192, 0, 2, 7], 7000))];
    let local = Local {
        ice: &ice,
        fingerprint: &fingerprint,
        candidates: &candidates,
        tcp: true,
        session_id: 42,
        cname: "live",
    };
    let policy = PublishPolicy { max_bitrate_bps: 0 };
    check(answer_publish(&text, &local, &policy), &text);
    let ssrcs = WatchSsrcs { audio: Ssrc(1001), video: Ssrc(2001), video_rtx: Ssrc(2002) };
    let video = |codec, fmtp: &str| Published {
        audio: Some(Format::opus()),
        video: Some(Format::video(codec, fmtp)),
    };
    for published in [
        video(Codec::H264, "packetization-mode=1;profile-level-id=640028"),
        video(Codec::Vp9, "profile-id=0"),
        Published::default(),
    ] {
        check(answer_watch(&text, &local, &published, &ssrcs), &text);
    }
    if let Ok(agreed) = read_answer(OFFER, &text) {
        assert!(!agreed.sections.is_empty());
    }
    if let Some(line) = text.lines().find_map(|line| line.strip_prefix("a=candidate:")) {
        let _ = parse_candidate(line);
    }
}

fn check(result: Result<Agreed, SdpError>, offer: &str) {
    let Ok(agreed) = result else { return };
    let parsed = |text: &str| {
        let parsed = SessionDescription::unmarshal(&mut Cursor::new(text.as_bytes()));
        parsed.expect("what was answered, and the answer, are SDP").media_descriptions
    };
    let (answer, offered) = (parsed(&agreed.answer), parsed(offer));
    assert_eq!(answer.len(), offered.len(), "as many sections as offered");
    let tagged: Vec<_> = answer.iter().filter(|it| it.has_attribute("candidate")).collect();
    assert_eq!(tagged.len(), 1, "one section is tagged");
    assert_ne!(tagged[0].media_name.port.value, 0, "the tagged section is in use");
    assert!(!agreed.sections.is_empty());
    for section in &agreed.sections {
        assert!(!section.formats.is_empty() && !section.mid.as_str().is_empty());
    }
}

const OFFER: &str =
    include_str!("../../src/rtc/sdp/fixtures/chromium-156-whip-simulcast-h264-offer.sdp");
