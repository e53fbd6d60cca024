//! Damaged texts: no panic, and every answer that comes out is SDP.

use proptest::prelude::*;

use super::super::*;
use super::kit::*;
use crate::media::Codec;

/// One way to damage a text; the numbers choose the place.
#[derive(Clone, Debug)]
enum Damage {
    Flip(usize, u8),
    Drop(usize),
    Repeat(usize, usize),
    Swap(usize, usize),
    Cut(usize),
    Insert(usize, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<usize>;
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        place().prop_map(Damage::Drop),
        (place(), place()).prop_map(|(from, to)| Damage::Repeat(from, to)),
        (place(), place()).prop_map(|(one, other)| Damage::Swap(one, other)),
        place().prop_map(Damage::Cut),
        (place(), place()).prop_map(|(line, at)| Damage::Insert(line, at)),
    ]
}

/// Lines that matter in unlikely places.
const LINES: [&str; 14] = [
    "a=mid:0",
    "a=mid:",
    "a=bundle-only",
    "a=inactive",
    "a=rtpmap:102 opus/48000/2",
    "a=fmtp:103 apt=103",
    "a=fmtp:102 x=\u{2028}é",
    "a=simulcast:send q,~h;;f recv q",
    "a=rid:h send pt=,;=;max-fs",
    "a=extmap:4/up urn:ietf:params:rtp-hdrext:sdes:mid",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "m=video 0/2 UDP/TLS/RTP/SAVPF 96",
    "a=group:BUNDLE",
    "b=AS:x",
];

fn apply(text: &str, damages: &[Damage]) -> String {
    let mut lines: Vec<Vec<u8>> = text.lines().map(|line| line.as_bytes().to_vec()).collect();
    for damage in damages {
        let count = lines.len().max(1);
        if lines.is_empty() {
            break;
        }
        match damage {
            Damage::Flip(at, byte) => {
                let line = &mut lines[at % count];
                let length = line.len().max(1);
                if let Some(place) = line.get_mut((at / count) % length) {
                    *place ^= byte;
                }
            }
            Damage::Drop(at) => _ = lines.remove(at % count),
            Damage::Repeat(from, to) => {
                let line = lines[from % count].clone();
                lines.insert(to % count, line);
            }
            Damage::Swap(one, other) => lines.swap(one % count, other % count),
            Damage::Cut(at) => {
                let line = &mut lines[at % count];
                line.truncate((at / count) % (line.len() + 1));
            }
            Damage::Insert(line, at) => {
                lines.insert(at % count, LINES[line % LINES.len()].as_bytes().to_vec());
            }
        }
    }
    String::from_utf8_lossy(&lines.join(&b'\n')).into_owned()
}

fn check(result: Result<Agreed, SdpError>, offer: &str) {
    let Ok(agreed) = result else { return };
    let answer = parsed(&agreed.answer);
    let offered = parsed(offer).media_descriptions;
    assert_eq!(answer.media_descriptions.len(), offered.len(), "as many sections as offered");
    let with_candidates =
        answer.media_descriptions.iter().filter(|media| media.has_attribute("candidate"));
    for media in with_candidates.clone() {
        assert_ne!(media.media_name.port.value, 0, "the tagged section is in use");
    }
    assert_eq!(with_candidates.count(), 1, "one section is tagged");
    assert!(!agreed.sections.is_empty());
    for section in &agreed.sections {
        assert!(!section.formats.is_empty() && !section.mid.as_str().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_offer_never_gives_a_broken_answer(
        index in 0..6usize,
        damages in prop::collection::vec(damage(), 0..6),
    ) {
        let offer = apply([WHIP_VP8, WHIP_H264, WHEP, FFMPEG, OBS, FIREFOX][index], &damages);
        check(publish(&offer), &offer);
        let published = Published {
            audio: Some(Format::opus()),
            video: Some(Format::video(Codec::H264, "packetization-mode=1;profile-level-id=640028")),
        };
        for offer in [offer.clone(), offer.replace("sendonly", "recvonly")] {
            check(watch(&offer, &published), &offer);
            check(watch(&offer, &Published::default()), &offer);
        }
    }

    #[test]
    fn a_damaged_answer_is_read_or_refused(damages in prop::collection::vec(damage(), 0..6)) {
        let answer = publish(WHIP_H264).unwrap().answer;
        if let Ok(agreed) = read_answer(WHIP_H264, &apply(&answer, &damages)) {
            prop_assert!(!agreed.sections.is_empty());
        }
        if let Ok(agreed) = read_answer(&apply(WHIP_H264, &damages), &answer) {
            prop_assert!(!agreed.sections.is_empty());
        }
    }

    #[test]
    fn a_candidate_of_any_text_is_an_address_or_nothing(text in ".{0,80}") {
        let _ = parse_candidate(&text);
    }
}
