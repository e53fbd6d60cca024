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
    assert_eq!(video.formats[0].rtx, Some(PayloadType(103)), "W34: RTX where offered");
    assert_eq!(
        video.formats[0].format.fmtp,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f",
        "the publisher sends what it offered"
    );
    assert_eq!(video.rids, ["q", "h", "f"].map(Rid::from));
    assert!(video.nack && video.pli && video.transport_wide);
    assert_eq!(video.extensions.id(ExtensionKind::Mid), Some(4), "W34: the offer's ids");
    assert_eq!(video.extensions.id(ExtensionKind::Rid), Some(10), "W34: the offer's ids");
    assert_eq!(video.extensions.id(ExtensionKind::RepairedRid), Some(11), "W34: the offer's ids");
    assert_eq!(video.extensions.id(ExtensionKind::TransportWide), Some(3));
    assert_eq!(video.extensions.id(ExtensionKind::AbsSendTime), None);
    assert_eq!((video.ssrc, video.rtx_ssrc), (None, None));
    assert_eq!(agreed.remote.ice.ufrag, "ex5a");
    assert_eq!(agreed.remote.candidates, ["127.0.0.1:35633".parse::<SocketAddr>().unwrap()]);
    assert_eq!(agreed.remote.fingerprint.value.len(), 32);
    assert_eq!(agreed.remote.setup, Setup::ActPass);
    assert_eq!(publish(WHIP_VP8).unwrap().sections[1].formats[0].format.codec, Codec::Vp8);
}

#[test]
fn the_answer_to_chromium_stands_line_by_line() {
    let answer = publish(WHIP_H264).unwrap().answer;
    assert_eq!(answer, include_str!("../fixtures/answer-whip-h264.sdp").replace('\n', "\r\n"));
}

#[test]
fn every_section_receives_over_one_transport() {
    let answer = parsed(&publish(WHIP_H264).unwrap().answer);
    assert!(answer.has_attribute("ice-lite"), "W29, W31: we are ICE-lite");
    assert_eq!(answer.attribute("ice-options").unwrap(), "trickle", "W29");
    assert_eq!(answer.attribute("group").unwrap(), "BUNDLE 0 1", "W21: one group with all mids");
    let [audio, video] = answer.media_descriptions.as_slice() else { panic!("two sections") };
    for media in [audio, video] {
        assert!(media.has_attribute("recvonly"), "W20");
        assert!(media.has_attribute("rtcp-mux"), "W22");
        assert!(media.has_attribute("rtcp-mux-only"), "W23");
        assert_eq!(media.media_name.port.value, 9, "W21");
        assert_eq!(all(media, "setup"), ["passive"], "W27");
        assert_eq!(all(media, "ice-ufrag"), ["s0ufrag"], "W21: the same everywhere");
    }
    assert_eq!(
        all(audio, "candidate"),
        [
            "1 1 udp 2130706431 192.0.2.7 7000 typ host",
            "2 1 udp 2130706175 2001:db8::7 7000 typ host"
        ],
        "W29: all candidates"
    );
    assert!(audio.has_attribute("end-of-candidates"), "W29");
    assert!(!video.has_attribute("candidate"), "W21: candidates on the tagged section only");
    assert!(!video.has_attribute("end-of-candidates"), "W21");
}

#[test]
fn layers_are_answered_in_the_offered_order_on_one_line() {
    let answer = parsed(&publish(OBS).unwrap().answer);
    let video = &answer.media_descriptions[1];
    assert_eq!(all(video, "rid"), ["0 recv", "1 recv", "2 recv"], "W32");
    assert_eq!(all(video, "simulcast"), ["recv 0;1;2"], "W33");
    assert_eq!(
        all(video, "extmap"),
        [
            "1 urn:ietf:params:rtp-hdrext:sdes:mid",
            "2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
        ],
        "W34"
    );
    let agreed = publish(OBS).unwrap();
    assert!(agreed.remote.candidates.is_empty(), "W30: an offer without candidates is taken");
    assert_eq!(agreed.remote.ice.ufrag, "Ky8Z", "the transport may stand at session level");
    assert!(!agreed.sections[1].transport_wide);
}

#[test]
fn alternatives_and_paused_layers_are_taken_as_rfc_8853_says() {
    let rows: [(&str, &[&str]); 6] = [
        ("send q;h;f", &["q", "h", "f"]),
        ("send ~q;h;~f", &["q", "h", "f"]),
        ("send q,h;f", &["q", "f"]),
        ("send x,h;f", &["h", "f"]),
        ("send q;q;f", &["q", "f"]),
        ("recv q send f;h", &["f", "h"]),
    ];
    for (line, rids) in rows {
        let offer = WHIP_H264.replace("simulcast:send q;h;f", &format!("simulcast:{line}"));
        let agreed = publish(&offer).unwrap();
        let taken: Vec<&str> = agreed.sections[1].rids.iter().map(Rid::as_str).collect();
        assert_eq!(taken, rids, "{line}");
    }
    let none = WHIP_H264.replace("a=simulcast:send q;h;f\n", "");
    assert!(publish(&none).unwrap().sections[1].rids.is_empty());
}

#[test]
fn a_layer_s_restrictions_are_repeated_and_choose_the_codec() {
    let offer = WHIP_H264
        .replace("a=rid:q send", "a=rid:q send pt=96,45;max-width=320")
        .replace("a=rid:h send", "a=rid:h send max-width=640");
    let agreed = publish(&offer).unwrap();
    assert_eq!(
        agreed.sections[1].formats[0].pt,
        PayloadType(96),
        "the first that all layers allow"
    );
    let answer = parsed(&agreed.answer);
    let rids = all(&answer.media_descriptions[1], "rid");
    assert_eq!(rids, ["q recv pt=96;max-width=320", "h recv max-width=640", "f recv"]);
}

#[test]
fn more_than_four_layers_are_refused() {
    let five = WHIP_H264
        .replace("a=rid:q send", "a=rid:q send\na=rid:1 send\na=rid:2 send")
        .replace("send q;h;f", "send q;h;f;1;2");
    assert!(sentence(publish(&five)).contains("at most 4"));
    let four = five.replace(";1;2", ";1");
    assert_eq!(publish(&four).unwrap().sections[1].rids.len(), 4);
}

#[test]
fn ffmpeg_s_passive_offer_makes_us_the_dtls_client() {
    let agreed = publish(FFMPEG).unwrap();
    assert!(agreed.dtls_client, "W28");
    let answer = parsed(&agreed.answer);
    assert_eq!(all(&answer.media_descriptions[0], "setup"), ["active"], "W28");
    assert!(agreed.remote.candidates.is_empty(), "W30");
    let [audio, video] = agreed.sections.as_slice() else { panic!("two sections") };
    assert_eq!(audio.ssrc, Some(Ssrc(1111)));
    assert_eq!((video.ssrc, video.rtx_ssrc), (Some(Ssrc(2222)), Some(Ssrc(3333))));
    assert_eq!(video.formats[0].rtx, Some(PayloadType(105)));
    assert!(video.nack && !video.pli && video.extensions.id(ExtensionKind::Mid).is_none());
    let active = publish(&FFMPEG.replace("setup:passive", "setup:active")).unwrap();
    assert!(!active.dtls_client, "W27: active is answered passive");
    assert!(active.answer.contains("a=setup:passive\r\n"), "W27");
}

#[test]
fn firefox_s_layers_are_known_by_rid_alone() {
    let agreed = publish(FIREFOX).unwrap();
    let video = &agreed.sections[1];
    assert_eq!(video.rids, ["hi", "lo"].map(Rid::from));
    assert_eq!((video.ssrc, video.rtx_ssrc), (None, None));
    assert_eq!(video.formats[0].pt, PayloadType(120));
    assert_eq!(video.formats[0].rtx, Some(PayloadType(124)), "parameters may precede their name");
    assert_eq!(video.extensions.id(ExtensionKind::Rid), Some(8));
    assert_eq!(video.extensions.id(ExtensionKind::PlayoutDelay), None, "the other direction only");
    assert_eq!(agreed.remote.candidates, ["203.0.113.20:50000".parse::<SocketAddr>().unwrap()]);
}

#[test]
fn what_a_server_must_not_take_is_refused_whole() {
    let rows = [
        (WHIP_H264.replace("a=sendonly", "a=recvonly"), "recvonly: a publisher must send", "W20"),
        (WHIP_H264.replace("a=sendonly", "a=inactive"), "inactive: a publisher must send", "W20"),
        (WHIP_H264.replace("a=rtcp-mux\n", ""), "lacks a=rtcp-mux", "W22"),
        (with_second(WHIP_H264, "video"), "one video section only", "W24"),
        (with_second(WHIP_H264, "audio"), "one audio section only", "W24"),
        (
            WHIP_H264.replace("opus/48000/2", "speex/48000/2"),
            "offered speex, G722, PCMU, PCMA",
            "W26",
        ),
        (WHIP_H264.replace("opus/48000/2", "x/1"), "supported opus", "W26"),
        (WHIP_H264.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), "not encrypted", "DTLS"),
        (WHIP_H264.replace("a=group:BUNDLE 0 1\n", ""), "share one transport", "W21"),
        (WHIP_H264.replace("BUNDLE 0 1", "BUNDLE 0"), "outside the BUNDLE group", "W21"),
        (WHIP_H264.replace("sha-256", "sha-1"), "must use sha-256", "fingerprint"),
        (
            WHIP_H264.replace("m=audio 35633", "m=audio 0").replace("m=video 34876", "m=video 0"),
            "names no media section that is in use",
            "W26",
        ),
    ];
    for (offer, words, item) in rows {
        let error = publish(&offer).expect_err(item);
        assert!(matches!(error, SdpError::Unacceptable(_)), "{item}: {error}");
        assert!(error.to_string().contains(words), "{item}: {error}");
    }
}

#[test]
fn what_is_no_offer_is_malformed() {
    let rows = [
        (String::new(), "empty"),
        ("hello".into(), "v=0"),
        (WHIP_H264.replace("v=0", "v=1"), "v=0"),
        (WHIP_H264.split("m=audio").next().unwrap().into(), "no m= line"),
        (WHIP_H264.replace("a=ice-ufrag:ex5a\n", ""), "no a=ice-ufrag"),
        (WHIP_H264.replace("ice-ufrag:ex5a", "ice-ufrag:e:x5a"), "ice-ufrag must"),
        (without(WHIP_H264, "a=ice-pwd"), "no a=ice-pwd"),
        (WHIP_H264.replace("DLvcY5hOZZq9v/G", ""), "22 to 256"),
        (without(WHIP_H264, "a=fingerprint"), "no a=fingerprint"),
        (WHIP_H264.replace("94:DB", "94:DX"), "hexadecimal"),
        (WHIP_H264.replace("94:DB:", ""), "32 bytes"),
        (without(WHIP_H264, "a=mid"), "no a=mid"),
        (WHIP_H264.replace("a=mid:1", "a=mid:0"), "stands twice"),
        (WHIP_H264.replace("a=mid:1", "a=mid:a b"), "is no tag"),
        (WHIP_H264.replace("a=setup:actpass", "a=setup:maybe"), "a=setup"),
        (WHIP_H264.replace("a=rtcp-rsize", "rtcp-rsize"), "not of the form"),
        (WHIP_H264.replace("a=rtcp-rsize", "a=rtcp\u{0}rsize"), "control character"),
        (WHIP_H264.replace("SAVPF 111", "SAVPF 1111"), "no payload type"),
        (WHIP_H264.replace("a=rid:q send", "a=rid:q! send"), "no valid name"),
        (WHIP_H264.replace("t=0 0", "t=now"), "cannot be parsed"),
        (format!("{WHIP_H264}{}", "m=text 0 RTP/AVP 9\n".repeat(31)), "more than 32"),
    ];
    for (offer, words) in rows {
        let error = publish(&offer).expect_err(words);
        assert!(matches!(error, SdpError::Malformed(_)), "W3: {words}: {error}");
        assert!(error.to_string().contains(words), "W3: {words}: {error}");
    }
}

#[test]
fn harmless_variations_are_taken() {
    let rows = [
        (WHIP_H264.replace('\n', "\r\n"), "CRLF"),
        (WHIP_H264.replace("a=sendonly", "a=sendrecv"), "W20: sendrecv"),
        (WHIP_H264.replace("a=msid:e047c427-2837-4448-96da-62a5d3ade137", "a=msid:-"), "W25"),
        (without(WHIP_H264, "a=msid:"), "W25"),
        (without(&without(WHIP_H264, "a=rtpmap:0 "), "a=rtpmap:9 "), "static payload types"),
        (without(WHIP_H264, "a=setup"), "no role is actpass"),
        (WHIP_H264.replace("BUNDLE 0 1", "BUNDLE 0 1 7"), "a tag without section"),
    ];
    for (offer, row) in rows {
        let agreed = publish(&offer).expect(row);
        assert_eq!(agreed.sections.len(), 2, "{row}");
        assert!(!agreed.dtls_client, "{row}");
    }
}

#[test]
fn a_bundle_only_section_with_port_0_is_taken() {
    let offer = WHIP_H264.replace("m=video 34876", "m=video 0");
    let offer = offer.replace("a=mid:1\n", "a=mid:1\na=bundle-only\n");
    let agreed = publish(&offer).unwrap();
    assert_eq!(agreed.sections.len(), 2, "W21");
    assert_eq!(parsed(&agreed.answer).media_descriptions[1].media_name.port.value, 9, "W21");
}

#[test]
fn sections_switched_off_and_data_get_port_0() {
    let off = WHIP_H264.replace("m=audio 35633", "m=audio 0");
    let agreed = publish(&off).unwrap();
    assert_eq!(agreed.sections.len(), 1);
    let answer = parsed(&agreed.answer);
    assert_eq!(answer.media_descriptions[0].media_name.port.value, 0);
    assert_eq!(answer.attribute("group").unwrap(), "BUNDLE 1");
    assert!(answer.media_descriptions[1].has_attribute("candidate"), "the tag moves on");

    let data = format!("{WHIP_H264}{DATA}").replace("BUNDLE 0 1", "BUNDLE 0 1 2");
    let answer = parsed(&publish(&data).unwrap().answer);
    assert_eq!(answer.media_descriptions[2].media_name.port.value, 0);
    assert_eq!(answer.attribute("group").unwrap(), "BUNDLE 0 1");

    let tagged = data.replace("BUNDLE 0 1 2", "BUNDLE 2 0 1");
    let answer = parsed(&publish(&tagged).unwrap().answer);
    assert_eq!(answer.media_descriptions[2].media_name.port.value, 9, "never port 0 when tagged");
    assert!(answer.media_descriptions[2].has_attribute("candidate"));
    assert!(!answer.media_descriptions[0].has_attribute("candidate"));
    assert_eq!(answer.attribute("group").unwrap(), "BUNDLE 2 0 1");
}

#[test]
fn sound_alone_and_picture_alone_are_enough() {
    let sound = WHIP_H264.replace("BUNDLE 0 1", "BUNDLE 0");
    let sound = sound.split("m=video").next().unwrap();
    let agreed = publish(sound).unwrap();
    assert_eq!(agreed.sections.len(), 1);
    assert_eq!(agreed.sections[0].kind, Kind::Audio);
    let alone = publish(&sound.replace("a=group:BUNDLE 0\n", "")).unwrap();
    assert!(!alone.answer.contains("a=group"), "an answer has no group that was not offered");

    let (head, picture) = WHIP_H264.split_once("m=video").unwrap();
    let head = head.split("m=audio").next().unwrap().replace("BUNDLE 0 1", "BUNDLE 1");
    let agreed = publish(&format!("{head}m=video{picture}")).unwrap();
    assert_eq!(agreed.sections.len(), 1);
    assert_eq!(agreed.sections[0].kind, Kind::Video);
}

#[test]
fn only_the_first_codec_is_answered_with_feedback_and_a_start() {
    let answer = parsed(&publish(WHIP_VP8).unwrap().answer);
    let video = &answer.media_descriptions[1];
    assert_eq!(video.media_name.formats, ["96", "97"]);
    assert_eq!(all(video, "rtpmap"), ["96 VP8/90000", "97 rtx/90000"]);
    assert_eq!(all(video, "fmtp"), ["96 x-google-start-bitrate=2500", "97 apt=96"]);
    assert_eq!(all(video, "rtcp-fb"), ["96 transport-cc", "96 ccm fir", "96 nack", "96 nack pli"]);
    assert_eq!(all(&answer.media_descriptions[0], "rtcp-fb"), ["111 transport-cc"]);
    assert!(answer.has_attribute("extmap-allow-mixed"));
}

#[test]
fn a_limit_is_told_and_bounds_the_start() {
    let policy = PublishPolicy { max_bitrate_bps: 1_200_000 };
    let answer = answer_publish(WHIP_H264, &local(), &policy).unwrap().answer;
    let (audio, video) = answer.split_once("m=video").unwrap();
    assert!(video.contains("b=AS:1200\r\nb=TIAS:1200000\r\n"));
    assert!(video.contains(";x-google-start-bitrate=1200\r\n"));
    assert!(!audio.contains("b=AS"));
    parsed(&answer);
}

#[test]
fn extensions_fit_the_feedback_that_was_agreed() {
    let without_feedback = without(WHIP_H264, "a=rtcp-fb");
    let video = &publish(&without_feedback).unwrap().sections[1];
    assert!(!video.transport_wide && !video.nack && !video.pli);
    assert_eq!(video.extensions.id(ExtensionKind::TransportWide), None);
    assert_eq!(video.extensions.id(ExtensionKind::AbsSendTime), Some(2));
    let wildcard = without_feedback.replace("a=rid:q", "a=rtcp-fb:* nack\na=rid:q");
    assert!(publish(&wildcard).unwrap().sections[1].nack);
    let mixed = without(WHIP_H264, "a=extmap-allow-mixed")
        .replace("a=mid:1\n", "a=mid:1\na=extmap-allow-mixed\n");
    let answer = parsed(&publish(&mixed).unwrap().answer);
    assert!(!answer.has_attribute("extmap-allow-mixed"));
    assert!(answer.media_descriptions[1].has_attribute("extmap-allow-mixed"));
}

#[test]
fn one_payload_type_stands_for_one_format() {
    let offer = WHIP_H264.replace("SAVPF 102 103", "SAVPF 111 103");
    let offer = offer.replace("rtpmap:102 H264", "rtpmap:111 H264");
    assert!(sentence(publish(&offer)).contains("payload type 111 stands for two formats"));
}
