//! What a viewer is answered.

use super::super::*;
use super::kit::*;
use crate::media::{Codec, ExtensionKind, Kind, PayloadType};

fn h264(profile: &str, mode: u8) -> Published {
    let fmtp = format!("packetization-mode={mode};profile-level-id={profile}");
    Published { audio: Some(Format::opus()), video: Some(Format::video(Codec::H264, fmtp)) }
}

fn video(codec: Codec, fmtp: &str) -> Published {
    Published { audio: None, video: Some(Format::video(codec, fmtp)) }
}

/// The preferred payload type of the video section.
fn preferred(agreed: &Agreed) -> PayloadType {
    let video = agreed.sections.iter().find(|section| section.kind == Kind::Video);
    video.unwrap().formats[0].pt
}

#[test]
fn chromium_receives_the_published_codec_first() {
    let agreed = watch(WHEP, &h264("42e01f", 1)).unwrap();
    assert!(!agreed.dtls_client && agreed.notes.is_empty());
    let [audio, video] = agreed.sections.as_slice() else { panic!("two sections") };
    assert_eq!((audio.ssrc, audio.rtx_ssrc), (Some(Ssrc(1001)), None));
    assert_eq!((video.ssrc, video.rtx_ssrc), (Some(Ssrc(2001)), Some(Ssrc(2002))));
    assert_eq!(video.formats[0].pt, PayloadType(108));
    assert_eq!(video.formats[0].rtx, Some(PayloadType(109)));
    assert_eq!(
        video.formats[0].format.fmtp,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "the viewer receives what it offered"
    );
    let types: Vec<u8> = video.formats.iter().map(|format| format.pt.0).collect();
    assert_eq!(types, [108, 96, 98, 100, 35, 37, 102, 104, 114, 116, 39, 41, 43, 45, 47]);
    assert_eq!(audio.formats.len(), 1);
    assert!(video.nack && video.pli && video.transport_wide && audio.transport_wide);
    let ids: Vec<ExtensionKind> = video.extensions.iter().map(|(kind, _)| kind).collect();
    assert_eq!(
        ids,
        [
            ExtensionKind::Mid,
            ExtensionKind::TransportWide,
            ExtensionKind::VideoOrientation,
            ExtensionKind::PlayoutDelay,
            ExtensionKind::VideoContentType,
            ExtensionKind::ColorSpace
        ]
    );
}

#[test]
fn the_dependency_descriptor_is_agreed_where_both_forms_of_extensions_are_understood() {
    let uri = ExtensionKind::DependencyDescriptor.uri();
    let offer = WHEP.replace("a=extmap:13 ", &format!("a=extmap:12 {uri}\r\na=extmap:13 "));
    for (offer, want) in [
        (offer.clone(), Some(12)),
        (offer.replace("a=extmap-allow-mixed", "a=x-other"), None),
        (WHEP.to_owned(), None),
    ] {
        let agreed = watch(&offer, &h264("42e01f", 1)).unwrap();
        let id = |kind| {
            let section = agreed.sections.iter().find(|section| section.kind == kind).unwrap();
            section.extensions.id(ExtensionKind::DependencyDescriptor)
        };
        assert_eq!((id(Kind::Video), id(Kind::Audio)), (want, None));
        assert_eq!(agreed.answer.contains(&format!("a=extmap:12 {uri}")), want.is_some());
    }
}

#[test]
fn the_answer_sends_one_media_stream_over_one_transport() {
    let text = watch(WHEP, &h264("42e01f", 1)).unwrap().answer;
    let answer = parsed(&text);
    assert_eq!(answer.attribute("group").unwrap(), "BUNDLE 0 1", "E15");
    assert!(answer.has_attribute("ice-lite"), "W31");
    let [audio, video] = answer.media_descriptions.as_slice() else { panic!("two sections") };
    for media in [audio, video] {
        assert!(media.has_attribute("sendonly"), "E3");
        assert!(media.has_attribute("rtcp-mux"), "E15");
        assert!(media.has_attribute("rtcp-mux-only"), "E15");
        let stream = all(media, "msid")[0].split(' ').next().unwrap();
        assert_eq!(stream, "live", "E15: one media stream");
    }
    assert_eq!(all(audio, "candidate").len(), 2, "E14: all candidates");
    assert!(audio.has_attribute("end-of-candidates"), "E14");
    assert!(!video.has_attribute("candidate"), "E15");
    assert_eq!(all(audio, "ssrc"), ["1001 cname:live", "1001 msid:live audio"]);
    assert_eq!(all(video, "ssrc-group"), ["FID 2001 2002"]);
    assert_eq!(
        all(video, "ssrc"),
        ["2001 cname:live", "2001 msid:live video", "2002 cname:live", "2002 msid:live video"]
    );
    assert_eq!(video.media_name.formats[..4], ["108", "109", "96", "97"]);
    assert!(!text.contains("goog-remb") && !text.contains("red/") && !text.contains("ulpfec"));
}

#[test]
fn the_published_format_finds_its_payload_type() {
    let rows = [
        (Codec::Vp8, "", 96),
        (Codec::Vp9, "", 98),
        (Codec::Vp9, "profile-id=2", 100),
        (Codec::Vp9, "profile-id=3", 37),
        (Codec::Av1, "level-idx=8;profile=0;tier=0", 45),
        (Codec::Av1, "profile=1", 47),
        (Codec::H264, "packetization-mode=1;profile-level-id=42c028", 108),
        (Codec::H264, "packetization-mode=1;profile-level-id=420028", 102),
        (Codec::H264, "packetization-mode=1;profile-level-id=4D0032", 116),
        (Codec::H264, "packetization-mode=0;profile-level-id=4d001f", 39),
        (Codec::H264, "profile-level-id=42e01f", 114),
        (Codec::H264, "", 104),
    ];
    for (codec, fmtp, pt) in rows {
        let agreed = watch(WHEP, &video(codec, fmtp)).unwrap();
        assert_eq!(preferred(&agreed), PayloadType(pt), "{codec} {fmtp}");
        assert_eq!(agreed.notes, [], "{codec} {fmtp}");
    }
}

#[test]
fn a_profile_that_the_viewer_does_not_list_gets_the_nearest_and_a_note() {
    let agreed = watch(WHEP, &h264("640028", 1)).unwrap();
    assert_eq!(preferred(&agreed), PayloadType(41), "the least profile that contains it");
    let note = Note::H264ProfileMismatch { published: "640028".into(), answered: "f4001f".into() };
    assert_eq!(agreed.notes, [note]);
    let poorer = without(WHEP, "a=rtpmap:41 ");
    assert_eq!(preferred(&watch(&poorer, &h264("640028", 1)).unwrap()), PayloadType(116));
    let rows = [("640c1f", 41), ("f40028", 41), ("640028", 43)];
    for (profile, pt) in rows {
        let mode = u8::from(pt == 41);
        let agreed = watch(WHEP, &h264(profile, mode)).unwrap();
        assert_eq!(preferred(&agreed), PayloadType(pt), "{profile}");
    }
}

#[test]
fn a_codec_that_the_viewer_lacks_is_refused_by_name() {
    let text = sentence(watch(WHEP, &video(Codec::H265, "profile-id=1")));
    assert!(text.contains("offered VP8, VP9, H264, AV1; published H265 profile-id=1"), "{text}");
    let no_mode_1 = WHEP.replace("packetization-mode=1", "packetization-mode=0");
    let text = sentence(watch(&no_mode_1, &h264("42e01f", 1)));
    assert!(text.contains("published H264 packetization-mode=1"), "{text}");
    let text = sentence(watch(&without(WHEP, "a=rtpmap:111 "), &h264("42e01f", 1)));
    assert!(text.contains("no audio codec in common"), "{text}");
    let text =
        sentence(watch(&WHEP.replace("profile-id=2", "x=1"), &video(Codec::Vp9, "profile-id=2")));
    assert!(text.contains("published VP9 profile-id=2"), "{text}");
    let h265 = WHEP
        .replace("VP8/90000", "H265/90000")
        .replace("a=rtcp-fb:96 nack\n", "a=fmtp:96 profile-id=2\n");
    assert_eq!(
        preferred(&watch(&h265, &video(Codec::H265, "profile-id=1")).unwrap()),
        PayloadType(96)
    );
}

#[test]
fn a_viewer_may_take_sound_alone_or_come_before_the_publisher() {
    let sound = WHEP.replace("BUNDLE 0 1", "BUNDLE 0");
    let sound = sound.split("m=video").next().unwrap();
    let agreed = watch(sound, &h264("42e01f", 1)).unwrap();
    assert_eq!(agreed.sections.len(), 1);

    let agreed = watch(WHEP, &Published::default()).unwrap();
    assert_eq!(agreed.sections.len(), 2);
    assert_eq!(preferred(&agreed), PayloadType(96), "the viewer's own preference");

    // Nothing in common, and nothing published of that kind either.
    let speex = WHEP.replace("opus/48000/2", "speex/48000/2");
    let agreed = watch(&speex, &video(Codec::Vp8, "")).unwrap();
    assert_eq!(agreed.sections.len(), 1);
    let answer = parsed(&agreed.answer);
    let audio = &answer.media_descriptions[0];
    assert_eq!(audio.media_name.port.value, 9, "the tagged section stays in use");
    assert!(audio.has_attribute("inactive") && audio.has_attribute("candidate"));
    let neither = speex.split("m=video").next().unwrap().replace("BUNDLE 0 1", "BUNDLE 0");
    assert!(sentence(watch(&neither, &Published::default())).contains("supported opus"));
}

#[test]
fn offers_that_do_not_receive_are_refused() {
    for direction in ["sendonly", "inactive"] {
        let offer = WHEP.replace("a=recvonly", &format!("a={direction}"));
        let text = sentence(watch(&offer, &h264("42e01f", 1)));
        assert!(text.contains("a viewer must receive"), "E3: {text}");
    }
    assert!(watch(&WHEP.replace("a=recvonly", "a=sendrecv"), &h264("42e01f", 1)).is_ok(), "E3");
}

#[test]
fn further_sections_are_silent_and_data_is_refused() {
    let offer = with_second(&format!("{WHEP}{DATA}"), "video");
    let offer = offer.replace("BUNDLE 0 1 7", "BUNDLE 0 1 2 7");
    let agreed = watch(&offer, &h264("42e01f", 1)).unwrap();
    assert_eq!(agreed.sections.len(), 2);
    let answer = parsed(&agreed.answer);
    assert_eq!(answer.attribute("group").unwrap(), "BUNDLE 0 1 7");
    assert_eq!(answer.media_descriptions.len(), 4);
    assert_eq!(answer.media_descriptions[2].media_name.port.value, 0, "data");
    let further = &answer.media_descriptions[3];
    assert!(further.has_attribute("inactive"));
    assert_eq!(further.media_name.port.value, 9);
    assert_eq!(further.media_name.formats, ["96", "97"]);
    assert!(!further.has_attribute("ssrc"));

    // The tagged section may be one that nothing is sent in.
    let tagged = offer.replace("BUNDLE 0 1 2 7", "BUNDLE 7 0 1 2");
    let answer = parsed(&watch(&tagged, &h264("42e01f", 1)).unwrap().answer);
    assert!(answer.media_descriptions[3].has_attribute("candidate"));
    assert!(!answer.media_descriptions[0].has_attribute("candidate"));
    assert_eq!(answer.attribute("group").unwrap(), "BUNDLE 7 0 1");
}

#[test]
fn without_retransmissions_there_is_one_ssrc() {
    let offer = WHEP.replace("rtx/90000", "other/90000");
    let agreed = watch(&offer, &h264("42e01f", 1)).unwrap();
    assert_eq!(agreed.sections[1].rtx_ssrc, None);
    assert_eq!(agreed.sections[1].formats[0].rtx, None);
    assert!(!agreed.answer.contains("FID"));
}

#[test]
fn capture_time_is_answered_where_offered() {
    let line =
        "a=extmap:12 http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time\na=recvonly";
    let agreed = watch(&WHEP.replace("a=recvonly", line), &h264("42e01f", 1)).unwrap();
    for section in &agreed.sections {
        assert_eq!(section.extensions.id(ExtensionKind::AbsCaptureTime), Some(12));
    }
}
