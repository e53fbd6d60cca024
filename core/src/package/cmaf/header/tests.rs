use std::sync::Arc;

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
        assert_eq!(header(&setup, 90_000).unwrap().codecs, codecs);
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
