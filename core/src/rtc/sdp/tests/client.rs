//! Our offers against our answers, and what an ICE restart is told.

use super::super::*;
use super::kit::*;
use crate::media::{Codec, Kind, Mid, PayloadType, Rid};

fn published() -> Published {
    let fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
    Published { audio: Some(Format::opus()), video: Some(Format::video(Codec::H264, fmtp)) }
}

fn offer(video: &Format, rids: &[Rid]) -> String {
    let offer = PublishOffer {
        audio: true,
        video: Some(video),
        rids,
        audio_ssrc: Ssrc(1),
        video_ssrc: Ssrc(2),
        video_rtx_ssrc: Ssrc(3),
    };
    offer_publish(&local(), &offer)
}

#[test]
fn our_publisher_and_our_server_agree() {
    let video = published().video.unwrap();
    for rids in [&[][..], &["q", "h", "f"].map(Rid::from)] {
        let offer = offer(&video, rids);
        parsed(&offer);
        let server = publish(&offer).unwrap();
        let client = read_answer(&offer, &server.answer).unwrap();
        assert_eq!(server.sections, client.sections);
        assert!(client.dtls_client && !server.dtls_client);
        assert!(client.remote.ice_lite && !server.remote.ice_lite);
        assert_eq!(client.remote.candidates, local().candidates);
        assert_eq!(&client.remote.fingerprint, local().fingerprint);
        assert_eq!(client.sections[1].rids, rids);
        assert_eq!(client.sections[1].formats[0].format, video);
        let ssrcs = (client.sections[1].ssrc, client.sections[1].rtx_ssrc);
        let announced = rids.is_empty();
        assert_eq!(ssrcs, (announced.then_some(Ssrc(2)), announced.then_some(Ssrc(3))));
        assert_eq!(offer.contains("a=ssrc:2 "), announced, "as Chromium does");
    }
}

#[test]
fn our_viewer_and_our_server_agree() {
    let formats: Vec<Format> = [published().audio, published().video]
        .into_iter()
        .flatten()
        .chain(["", "profile-id=2"].map(|fmtp| Format::video(Codec::Vp9, fmtp)))
        .chain(
            (0..9)
                .map(|index| Format::video(Codec::H264, format!("profile-level-id=4200{index}f"))),
        )
        .collect();
    let offer = offer_watch(&local(), &formats);
    let server = watch(&offer, &published()).unwrap();
    let client = read_answer(&offer, &server.answer).unwrap();
    assert_eq!(server.sections, client.sections);
    assert_eq!(client.sections[1].ssrc, Some(SSRCS.video));
    assert_eq!(client.sections[1].rtx_ssrc, Some(SSRCS.video_rtx));
    assert_eq!(client.sections[0].formats[0].pt, PayloadType(111));
    assert_eq!(client.sections[1].formats.len(), 12);
    let mut types: Vec<u8> = client
        .sections
        .iter()
        .flat_map(|section| &section.formats)
        .flat_map(|format| [Some(format.pt), format.rtx])
        .flatten()
        .map(|pt| pt.0)
        .collect();
    types.sort_unstable();
    types.dedup();
    assert_eq!(types.len(), 25, "each payload type stands once");
    assert!(types.iter().all(|pt| !(64..96).contains(pt)));
}

#[test]
fn an_answer_that_does_not_fit_its_offer_is_refused() {
    let offer = offer(&published().video.unwrap(), &[]);
    let answer = publish(&offer).unwrap().answer;
    let (head, _) = answer.split_once("m=video").unwrap();
    let rows = [
        (head.to_string(), "does not have the media sections"),
        (answer.replace("setup:passive", "setup:actpass"), "actpass in an answer"),
        (
            answer.replace("a=mid:1", "a=mid:9").replace("BUNDLE 0 1", "BUNDLE 0 9"),
            "answers a=mid:1",
        ),
        (answer.replace("H264/90000", "VP8/90000"), "no offered codec"),
        (answer.replace("recvonly", "inactive"), "takes none"),
    ];
    for (answer, words) in rows {
        let text = sentence(read_answer(&offer, &answer));
        assert!(text.contains(words), "{words}: {text}");
    }
    let active = read_answer(&offer, &answer.replace("setup:passive", "setup:active")).unwrap();
    assert!(!active.dtls_client);
    let partial = answer.replace("m=audio 9", "m=audio 0").replace("BUNDLE 0 1", "BUNDLE 1");
    let partial = read_answer(&offer, &partial).unwrap();
    assert_eq!(partial.sections.len(), 1);
    assert_eq!(partial.sections[0].kind, Kind::Video);
}

#[test]
fn a_restart_is_told_the_new_credentials_and_all_candidates() {
    let local = local();
    let tagged = (Mid::from("0"), Kind::Audio);
    let text = ice_fragment(local.ice, local.candidates, true, &tagged);
    let lines: Vec<&str> = text.split("\r\n").collect();
    assert_eq!(
        lines,
        [
            "a=ice-lite",
            "a=ice-options:trickle",
            "m=audio 9 UDP/TLS/RTP/SAVPF 0",
            "a=mid:0",
            "a=ice-ufrag:s0ufrag",
            "a=ice-pwd:0123456789012345678901",
            "a=candidate:1 1 udp 2130706431 192.0.2.7 7000 typ host",
            "a=candidate:2 1 udp 2130706175 2001:db8::7 7000 typ host",
            "a=candidate:3 1 tcp 1520434687 192.0.2.7 7000 typ host tcptype passive",
            "a=candidate:4 1 tcp 1520434431 2001:db8::7 7000 typ host tcptype passive",
            "a=end-of-candidates",
            ""
        ],
        "W44"
    );
}

#[test]
fn fingerprints_are_read_and_written() {
    let fingerprint = Fingerprint::parse("SHA-256 ab:CD:09").unwrap();
    assert_eq!(fingerprint.to_string(), "sha-256 AB:CD:09");
    for text in ["", "sha-256", "sha-256 ABC", "sha-256 AB:", "sha-256 +1:AB", "sha-256 é"] {
        assert_eq!(Fingerprint::parse(text), None, "{text}");
    }
    assert!(!format!("{:?}", local().ice).contains("0123456789"), "passwords stay out of logs");
}
