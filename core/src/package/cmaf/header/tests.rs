use std::sync::Arc;

use mp4_atom::{Any, Decode};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::package::cmaf::dump::dump;

// Parameter sets as x264 and x265 write them, a sequence header as SVT-AV1 does.
const SPS_HIGH: [u8; 28] = [
    0x67, 0x64, 0x00, 0x1E, 0xAC, 0xD9, 0x40, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00, 0x00, 0x03,
    0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xF0, 0x3C, 0x58, 0xB6, 0x58, 0x80,
];
const SPS_BASELINE: [u8; 26] = [
    0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00, 0x00, 0x03, 0x00,
    0x04, 0x00, 0x00, 0x03, 0x00, 0xF0, 0x3C, 0x58, 0xB9, 0x20,
];
const SPS_444: [u8; 26] = [
    0x67, 0xF4, 0x00, 0x1E, 0x91, 0x9B, 0x28, 0x14, 0x85, 0xFC, 0x7C, 0xF8, 0x08, 0x80, 0x00, 0x00,
    0x03, 0x00, 0x80, 0x00, 0x00, 0x1E, 0x07, 0x8B, 0x16, 0xCB,
];
const PPS: [u8; 5] = [0x68, 0xCB, 0x83, 0xCB, 0x20];
const HEVC_VPS: [u8; 4] = [0x40, 0x01, 0x0C, 0x01];
const HEVC_SPS: [u8; 30] = [
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
    0x00, 0x3F, 0xA0, 0x05, 0x12, 0x01, 0x71, 0xC9, 0x26, 0x59, 0x59, 0xA4, 0x93, 0x2B,
];
const HEVC_SPS_422_10: [u8; 30] = [
    0x42, 0x01, 0x02, 0x04, 0x08, 0x00, 0x00, 0x03, 0x00, 0x9D, 0x08, 0x00, 0x00, 0x03, 0x00, 0x00,
    0x3F, 0x00, 0x00, 0xB0, 0x05, 0x12, 0x01, 0x71, 0xC9, 0x3B, 0x65, 0x95, 0x98, 0xAC,
];
const HEVC_PPS: [u8; 4] = [0x44, 0x01, 0xC1, 0x72];
// Main profile, 640x360.
const AV1: [u8; 13] =
    [0x0A, 0x0B, 0x00, 0x00, 0x00, 0x0C, 0xC4, 0xFF, 0x67, 0x00, 0xBE, 0x00, 0x10];

const SIZE: (u16, u16) = (642, 362);

fn h264(sps: &[u8]) -> Setup {
    Setup::H264 { size: SIZE, sps: sps.to_vec().into(), pps: vec![PPS.to_vec().into()] }
}

fn h265(sps: &[u8]) -> Setup {
    Setup::H265 {
        size: SIZE,
        vps: vec![HEVC_VPS.to_vec().into()],
        sps: vec![sps.to_vec().into()],
        pps: vec![HEVC_PPS.to_vec().into()],
    }
}

fn vp9(size: (u16, u16), profile: u8, bit_depth: u8) -> Setup {
    Setup::Vp9 { size, profile, bit_depth, chroma: 1, full_range: false }
}

fn av1(sequence_header: &[u8]) -> Setup {
    Setup::Av1 { size: SIZE, sequence_header: sequence_header.to_vec().into() }
}

fn aac(config: &[u8]) -> Setup {
    Setup::Aac { sample_rate: 48_000, channels: 2, config: config.to_vec().into() }
}

#[test]
fn headers_are_what_they_were() {
    let rows = [
        (h264(&SPS_HIGH), 90_000, include_str!("../../golden/avc1.txt")),
        (h265(&HEVC_SPS), 90_000, include_str!("../../golden/hvc1.txt")),
        (av1(&AV1), 90_000, include_str!("../../golden/av01.txt")),
        (vp9(SIZE, 0, 8), 90_000, include_str!("../../golden/vp09.txt")),
        (Setup::Opus { channels: 2 }, 48_000, include_str!("../../golden/opus.txt")),
        (aac(&[0x11, 0x90]), 48_000, include_str!("../../golden/mp4a.txt")),
    ];
    for (setup, timescale, golden) in rows {
        assert_eq!(dump(&header(&setup, timescale).unwrap().bytes), golden, "{setup:?}");
    }
}

#[test]
fn headers_hold_what_cmaf_asks_of_each_codec() {
    let video = [h264(&SPS_HIGH), h265(&HEVC_SPS), av1(&AV1), vp9(SIZE, 0, 8)];
    let sound = [Setup::Opus { channels: 2 }, aac(&[0x11, 0x90])];
    for setup in video.iter().chain(&sound) {
        let is_video = video.contains(setup);
        let timescale = if is_video { 90_000 } else { 48_000 };
        let bytes = header(setup, timescale).unwrap().bytes;
        let mut buf = bytes.as_ref();
        let Any::Ftyp(ftyp) = Any::decode(&mut buf).unwrap() else { panic!("C1: ftyp first") };
        let Any::Moov(moov) = Any::decode(&mut buf).unwrap() else { panic!("C1: then moov") };
        assert!(buf.is_empty(), "C1, H20: and nothing else");
        assert_eq!((ftyp.major_brand, ftyp.minor_version), (b"iso6".into(), 0), "C1, H20");
        for brand in [b"iso6", b"cmfc", b"cmf2"] {
            assert!(ftyp.compatible_brands.contains(&brand.into()), "C1: {ftyp:?}");
        }
        let [trak] = moov.trak.as_slice() else { panic!("C1, C2: one track") };
        assert_eq!(trak.tkhd.track_id, 1, "C2: the same of every rendition and version");
        assert!(trak.edts.is_none(), "C7: no edit list");
        let mvex = moov.mvex.expect("C1");
        assert_eq!((mvex.trex.len(), mvex.trex[0].track_id), (1, 1), "C1");
        assert_eq!((moov.mvhd.duration, trak.mdia.mdhd.duration), (0, 0), "H20: no durations");
        assert_eq!(trak.mdia.mdhd.timescale, timescale, "C11: one time scale per kind");
        let stbl = &trak.mdia.minf.stbl;
        let none = mp4_atom::StszSamples::Different { sizes: Vec::new() };
        assert_eq!(stbl.stsz.samples, none, "C1, H20: no samples");
        assert!(stbl.stts.entries.is_empty(), "C1, H20: no samples");
        assert!(stbl.stsc.entries.is_empty(), "C1");
        let [entry] = stbl.stsd.codecs.as_slice() else { panic!("C1: one sample entry") };
        let text = format!("{entry:?}");
        let want = match setup {
            Setup::H264 { .. } => "Avc1(",
            Setup::H265 { .. } => "Hvc1(",
            Setup::Av1 { .. } => "Av01(",
            Setup::Vp9 { .. } => "Vp09(",
            Setup::Opus { .. } => "Opus(",
            Setup::Aac { .. } => "Mp4a(",
            Setup::Vp8 { .. } => unreachable!(),
        };
        assert!(text.starts_with(want), "H91, C12, C14, C15, C16: {text}");
    }
}

#[test]
fn sample_entries_hold_the_decoders_parameters() {
    let of = |setup: Setup| dump(&header(&setup, 90_000).unwrap().bytes);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let joined = |text: &str| text.split_whitespace().collect::<String>();
    let avc1 = joined(&of(h264(&SPS_HIGH)));
    assert!(avc1.contains(&hex(&SPS_HIGH)) && avc1.contains(&hex(&PPS)), "C12, C13, H91: {avc1}");
    assert!(avc1.contains("pasp0000000100000001"), "C12: {avc1}");
    let hvc1 = joined(&of(h265(&HEVC_SPS)));
    for set in [&HEVC_VPS[..], &HEVC_SPS, &HEVC_PPS] {
        assert!(hvc1.contains(&hex(set)), "C12, C13, H91: {hvc1}");
    }
    // Each array is complete: no parameter sets stand among the samples.
    for kind in ["a0", "a1", "a2"] {
        assert!(hvc1.contains(&format!("{kind}0001")), "C12: {hvc1}");
    }
    // Version 0, two channels, no pre-skip, 48 kHz, no gain, mapping family 0, and no "OpusHead".
    let opus = of(Setup::Opus { channels: 2 });
    assert!(opus.contains("dOps 000200000000bb80000000\n"), "C14: {opus}");
    // AAC-LC, 48 kHz, stereo.
    let mp4a = of(aac(&[0x11, 0x90]));
    assert!(mp4a.contains("05021190"), "C15: {mp4a}");
    assert!(of(av1(&AV1)).contains(&hex(&AV1[..4])), "C16");
    assert!(of(vp9(SIZE, 0, 8)).contains("vpcC 01"), "C16");
    assert_eq!(header(&Setup::Vp8 { size: SIZE }, 90_000), Err(Unpackable::Vp8), "C16");
}

#[test]
fn codecs_are_named_as_manifests_want() {
    let rows = [
        (h264(&SPS_BASELINE), "avc1.42c01e"),
        (h264(&SPS_HIGH), "avc1.64001e"),
        (h264(&SPS_444), "avc1.f4001e"),
        (h265(&HEVC_SPS), "hvc1.1.6.L63.90"),
        (h265(&HEVC_SPS_422_10), "hvc1.4.10.L63.9D.8"),
        (av1(&AV1), "av01.0.01M.08"),
        (vp9((640, 360), 0, 8), "vp09.00.21.08"),
        (vp9((1920, 1080), 2, 10), "vp09.02.40.10"),
        (vp9((u16::MAX, u16::MAX), 0, 8), "vp09.00.60.08"),
        (Setup::Opus { channels: 1 }, "Opus"),
        (aac(&[0x11, 0x90]), "mp4a.40.2"),
    ];
    for (setup, codecs) in rows {
        assert_eq!(header(&setup, 90_000).unwrap().codecs, codecs, "H81");
    }
}

#[test]
fn what_no_box_can_hold_is_refused() {
    let long = Bytes::from(vec![0x68; 70_000]);
    let rows = [
        (Setup::Vp8 { size: SIZE }, Unpackable::Vp8),
        (h264(&SPS_HIGH[..6]), Unpackable::Malformed),
        (h265(&[]), Unpackable::Malformed),
        (av1(&AV1[..9]), Unpackable::Malformed),
        (aac(&[0x11]), Unpackable::Malformed),
        (
            Setup::H264 { size: SIZE, sps: SPS_HIGH.to_vec().into(), pps: vec![long] },
            Unpackable::Malformed,
        ),
        (
            Setup::H264 { size: SIZE, sps: SPS_HIGH.to_vec().into(), pps: Vec::new() },
            Unpackable::Malformed,
        ),
    ];
    for (setup, want) in rows {
        assert_eq!(header(&setup, 90_000), Err(want), "{setup:?}");
    }
}

proptest! {
    #[test]
    fn any_parameters_never_panic(bytes in vec(any::<u8>(), 0..80), head in 0..4_usize, cut: u8) {
        let heads: [&[u8]; 4] = [&[], &SPS_444, &HEVC_SPS_422_10, &AV1];
        let keep = usize::from(cut) % (heads[head].len() + 1);
        let bytes = [&heads[head][..keep], &bytes].concat();
        for setup in [h264(&bytes), h265(&bytes), av1(&bytes), aac(&bytes)] {
            let _ = header(&Arc::new(setup), 90_000);
        }
        let depth = bytes.first().copied().unwrap_or_default();
        let _ = header(&vp9(SIZE, depth, cut), 90_000);
    }
}
