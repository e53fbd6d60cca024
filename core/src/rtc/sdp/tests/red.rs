//! What becomes of redundant sound (RFC 2198) in offers.

use super::super::*;
use super::kit::*;
use crate::media::{Format, PayloadType};

fn lines(answer: &str, pt: u8) -> Vec<&str> {
    let ends = [format!("a=rtpmap:{pt} "), format!("a=fmtp:{pt} ")];
    answer.lines().filter(|line| ends.iter().any(|end| line.starts_with(end.as_str()))).collect()
}

#[test]
fn a_publisher_s_is_taken_where_it_prefers_it() {
    let first = WHIP_VP8.replace("SAVPF 111 63 ", "SAVPF 63 111 ");
    let alone = first.replace("a=fmtp:63 111/111\r\n", "").replace("a=fmtp:63 111/111\n", "");
    let other = first.replace("a=fmtp:63 111/111", "a=fmtp:63 9/9");
    let rows = [
        ("behind Opus", WHIP_VP8.to_owned(), "111", None),
        ("before Opus", first, "63 111", Some(63)),
        ("of nothing", alone, "111", None),
        ("of another codec", other, "111", None),
    ];
    for (name, offer, types, red) in rows {
        let agreed = publish(&offer).unwrap();
        let audio = &agreed.sections[0].formats[0];
        assert_eq!((audio.pt, audio.red), (PayloadType(111), red.map(PayloadType)), "{name}");
        let section = format!("m=audio 9 UDP/TLS/RTP/SAVPF {types}\r\n");
        assert!(agreed.answer.contains(&section), "{name}: {}", agreed.answer);
        let want = ["a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"];
        assert_eq!(lines(&agreed.answer, 63), &want[..if red.is_some() { 2 } else { 0 }], "{name}");
    }
}

#[test]
fn a_viewer_s_stands_behind_the_plain_format() {
    let published = Published { audio: Some(Format::opus()), video: None };
    let agreed = watch(WHEP, &published).unwrap();
    let audio = &agreed.sections[0].formats[0];
    assert_eq!((audio.pt, audio.red), (PayloadType(111), Some(PayloadType(63))));
    assert!(agreed.answer.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111 63\r\n"), "{}", agreed.answer);
    assert_eq!(lines(&agreed.answer, 63), ["a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111"]);
    let without = WHEP.replace(" 111 63 ", " 111 ");
    assert_eq!(watch(&without, &published).unwrap().sections[0].formats[0].red, None);
}

#[test]
fn parameters_of_opus_pass_through_and_video_fec_is_not_taken() {
    let fmtp = "minptime=10;useinbandfec=1;stereo=1;usedtx=1;maxaveragebitrate=96000";
    for offer in [WHIP_VP8, WHEP] {
        let offer = offer.replace("minptime=10;useinbandfec=1", fmtp);
        let answer = match offer.contains("a=sendonly") {
            true => publish(&offer).unwrap().answer,
            false => {
                let published = Published { audio: Some(Format::opus()), video: None };
                watch(&offer, &published).unwrap().answer
            }
        };
        assert!(answer.contains(&format!("a=fmtp:111 {fmtp}\r\n")), "{answer}");
        for name in ["ulpfec", "flexfec", "red/90000"] {
            assert!(offer.contains(name) || name == "flexfec", "{name} is offered");
            assert!(!answer.contains(name), "{name}: {answer}");
        }
    }
}
