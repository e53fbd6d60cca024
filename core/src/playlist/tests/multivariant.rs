//! Tests of the list of renditions.

use m3u8_rs::{
    AlternativeMediaType, ClosedCaptionGroupId, MasterPlaylist, parse_master_playlist_res,
};
use proptest::prelude::*;

use super::super::{Bandwidth, Described, multivariant};
use crate::media::{Kind, VideoRange};

fn picture(name: &str, height: u16, kbps: u64) -> Described {
    Described {
        name: name.parse().unwrap(),
        kind: Kind::Video,
        codecs: "avc1.42c01f".into(),
        size: Some((height * 16 / 9, height)),
        frame_rate: Some(30.0),
        channels: None,
        range: VideoRange::Sdr,
        bandwidth: Bandwidth { peak_bps: kbps * 1_100, average_bps: kbps * 1_000 },
    }
}

fn sound(name: &str, codecs: &str, kbps: u64) -> Described {
    Described {
        name: name.parse().unwrap(),
        kind: Kind::Audio,
        codecs: codecs.into(),
        size: None,
        frame_rate: None,
        channels: Some(2),
        range: VideoRange::Sdr,
        bandwidth: Bandwidth { peak_bps: kbps * 1_100, average_bps: kbps * 1_000 },
    }
}

fn parse(text: &str) -> MasterPlaylist {
    parse_master_playlist_res(text.as_bytes()).unwrap_or_else(|error| panic!("{error:?}\n{text}"))
}

#[test]
fn a_stream_of_sound_and_pictures_is_written_like_this() {
    let mut high = picture("high", 720, 2_500);
    high.frame_rate = Some(30_000.0 / 1_001.0);
    let renditions = [high, picture("low", 360, 700), sound("audio", "mp4a.40.2", 128)];
    super::golden::compare("multivariant", &multivariant(&renditions, "e1/"));
}

#[test]
fn the_range_is_told_of_every_picture_as_soon_as_one_is_not_sdr() {
    let high = Described { range: VideoRange::Pq, ..picture("high", 720, 2_500) };
    let middle = Described { range: VideoRange::Hlg, ..picture("middle", 540, 1_500) };
    let renditions = [high, middle, picture("low", 360, 700), sound("audio", "mp4a.40.2", 128)];
    let text = multivariant(&renditions, "e1/");
    let variants = text.lines().filter(|line| line.starts_with("#EXT-X-STREAM-INF"));
    let ranges: Vec<_> = variants
        .filter_map(|line| line.split(',').find_map(|it| it.strip_prefix("VIDEO-RANGE=")))
        .collect();
    assert_eq!(ranges, ["PQ", "HLG", "SDR"], "H82: {text}");
}

#[test]
fn bandwidth_and_codecs_count_the_sound_in() {
    let renditions =
        [picture("high", 720, 2_500), picture("low", 360, 700), sound("audio", "mp4a.40.2", 128)];
    let parsed = parse(&multivariant(&renditions, "e1/"));
    assert!(parsed.independent_segments, "H24");
    let rows: Vec<_> = parsed
        .variants
        .iter()
        .map(|variant| (variant.uri.as_str(), variant.bandwidth, variant.average_bandwidth))
        .collect();
    let want = [
        ("e1/high.m3u8", 2_750_000 + 140_800, Some(2_628_000)),
        ("e1/low.m3u8", 770_000 + 140_800, Some(828_000)),
    ];
    assert_eq!(rows, want, "H80");
    let text = multivariant(&renditions, "e1/");
    for absent in ["SCORE", "VIDEO-RANGE", "STABLE-", "STEERING", "I-FRAME"] {
        assert!(!text.contains(absent), "H82, H83: none has {absent}: {text}");
    }
    for variant in &parsed.variants {
        assert_eq!(variant.codecs.as_deref(), Some("avc1.42c01f,mp4a.40.2"), "H81");
        assert_eq!(variant.closed_captions, Some(ClosedCaptionGroupId::None), "H86");
        assert!(variant.resolution.is_some() && variant.frame_rate == Some(30.0), "H81");
        let group = variant.audio.as_deref();
        let members: Vec<_> =
            parsed.alternatives.iter().filter(|a| Some(a.group_id.as_str()) == group).collect();
        assert_eq!(members.len(), 1, "H85");
        assert_eq!(members[0].media_type, AlternativeMediaType::Audio, "H85");
        assert_eq!(members[0].channels.as_deref(), Some("2"), "H85");
        assert!(members[0].default && members[0].autoselect, "H85");
    }
}

#[test]
fn two_codecs_of_sound_are_two_groups() {
    let renditions =
        [picture("v", 720, 2_500), sound("opus", "Opus", 96), sound("aac", "mp4a.40.2", 128)];
    let parsed = parse(&multivariant(&renditions, ""));
    let rows: Vec<_> = parsed
        .variants
        .iter()
        .map(|v| (v.uri.as_str(), v.audio.as_deref(), v.codecs.as_deref()))
        .collect();
    let want = [
        ("v.m3u8", Some("audio-0"), Some("avc1.42c01f,Opus")),
        ("v.m3u8", Some("audio-1"), Some("avc1.42c01f,mp4a.40.2")),
    ];
    assert_eq!(rows, want, "H81, H85");
}

#[test]
fn sound_alone_and_pictures_alone_have_no_groups() {
    let parsed = parse(&multivariant(&[sound("audio", "Opus", 96)], "e/"));
    assert!(parsed.alternatives.is_empty(), "H85");
    assert_eq!(parsed.variants.len(), 1);
    assert_eq!(parsed.variants[0].uri, "e/audio.m3u8");
    assert_eq!((&parsed.variants[0].audio, &parsed.variants[0].resolution), (&None, &None));

    let parsed = parse(&multivariant(&[picture("video", 720, 2_500)], "e/"));
    assert!(parsed.alternatives.is_empty(), "H85");
    assert_eq!(parsed.variants[0].codecs.as_deref(), Some("avc1.42c01f"), "H81");
    assert_eq!(parsed.variants[0].audio, None);
}

proptest! {
    #[test]
    fn any_renditions_are_listed_and_parse(
        pictures in prop::collection::vec((1_u16..2_160, 0_u64..1 << 40, any::<f64>()), 0..5),
        sounds in prop::collection::vec((0_u64..1 << 40, any::<bool>()), 0..4),
    ) {
        let mut renditions = Vec::new();
        for (at, (height, kbps, rate)) in pictures.iter().enumerate() {
            let one = picture(&format!("v{at}"), *height, *kbps);
            renditions.push(Described { frame_rate: Some(*rate), ..one });
        }
        for (at, (kbps, opus)) in sounds.iter().enumerate() {
            let codecs = if *opus { "Opus" } else { "mp4a.40.2" };
            renditions.push(sound(&format!("a{at}"), codecs, *kbps));
        }
        prop_assume!(!renditions.is_empty());
        let text = multivariant(&renditions, "e/");
        let parsed = parse(&text);
        for rendition in &renditions {
            let uri = format!("e/{}.m3u8", rendition.name);
            let listed = parsed.variants.iter().any(|variant| variant.uri == uri)
                || parsed.alternatives.iter().any(|media| media.uri.as_deref() == Some(&uri));
            prop_assert!(listed, "{} in\n{}", uri, text);
        }
        for variant in &parsed.variants {
            prop_assert!(variant.bandwidth >= variant.average_bandwidth.unwrap(), "H80");
        }
    }
}
