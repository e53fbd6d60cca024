use super::*;

const SPS: [u8; 13] =
    [0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00];
/// Another size: 80x64.
const OTHER_SPS: [u8; 7] = [0x67, 0x42, 0x00, 0x1F, 0xDA, 0x14, 0x99];
const PPS: [u8; 4] = [0x68, 0xCE, 0x3C, 0x80];
/// A second one, with id 1.
const PPS_1: [u8; 4] = [0x68, 0x5E, 0x3C, 0x80];
const IDR: [u8; 5] = [0x65, 0x88, 0x84, 0x08, 0x7C];
const SLICE: [u8; 4] = [0x41, 0x9A, 0x38, 0x12];
/// Of picture parameter set 1.
const SLICE_1: [u8; 4] = [0x41, 0x99, 0x38, 0x12];
const SEI: [u8; 3] = [0x06, 0x05, 0x80];
const AUD: [u8; 2] = [0x09, 0xF0];
const FILLER: [u8; 3] = [0x0C, 0xFF, 0x80];

fn h264() -> Depacketizer {
    Depacketizer::new(&Format::video(Codec::H264, "packetization-mode=1"))
}

fn aggregate(head: &[u8], units: &[&[u8]]) -> Vec<u8> {
    let mut payload = head.to_vec();
    for unit in units {
        payload.extend((unit.len() as u16).to_be_bytes());
        payload.extend(*unit);
    }
    payload
}

fn stap(units: &[&[u8]]) -> Vec<u8> {
    aggregate(&[0x78], units)
}

/// What MP4 stores of some units.
fn sample(units: &[&[u8]]) -> Vec<u8> {
    units.iter().flat_map(|unit| [&(unit.len() as u32).to_be_bytes(), *unit].concat()).collect()
}

#[test]
fn pictures_are_made_of_every_kind_of_payload() {
    let sets = stap(&[&SPS, &PPS]);
    let all = stap(&[&AUD, &SPS, &PPS, &SEI, &IDR]);
    let (slice_twice, fragments) = (stap(&[&SLICE, &[], &SLICE]), fragments(&IDR, 2));
    type Row<'a> = (&'a str, Vec<&'a [u8]>, Vec<&'a [u8]>, bool);
    let rows: Vec<Row<'_>> = vec![
        ("single units", vec![&SPS, &PPS, &IDR], vec![&IDR], true),
        ("an aggregate", vec![&all], vec![&SEI, &IDR], true),
        ("sets, then slices", vec![&sets, &IDR, &IDR], vec![&IDR, &IDR], true),
        (
            "fragments",
            [&sets[..]].into_iter().chain(fragments.iter().map(Vec::as_slice)).collect(),
            vec![&IDR],
            true,
        ),
        ("a delta", vec![&sets, &SLICE], vec![&SLICE], false),
        ("several slices", vec![&sets, &SEI, &slice_twice], vec![&SEI, &SLICE, &SLICE], false),
        ("what nobody needs", vec![&AUD, &sets, &FILLER, &SLICE, &FILLER], vec![&SLICE], false),
    ];
    for (name, payloads, units, keyframe) in rows {
        let mut h264 = h264();
        assemble(&mut h264, &[&sets, &IDR]);
        let made = assemble(&mut h264, &payloads);
        assert_eq!(unit(made), Some((sample(&units), keyframe)), "{name}");
    }
}

#[test]
fn what_is_no_picture_is_nothing_and_nonsense_is_broken() {
    let sets = stap(&[&SPS, &PPS]);
    let rows: [(&str, Vec<&[u8]>, Made); 15] = [
        ("sets alone", vec![&sets], Made::Nothing),
        ("a message alone", vec![&SEI], Made::Nothing),
        ("filler alone", vec![&AUD, &FILLER], Made::Nothing),
        ("an aggregate cut short", vec![&[0x78, 0, 9, 0x41, 0x9A]], Made::Broken),
        ("an aggregate with half a length", vec![&[0x78, 0]], Made::Broken),
        ("no start of fragments", vec![&[0x7C, 0x45, 1]], Made::Broken),
        ("no end of fragments", vec![&[0x7C, 0x81, 0x9A, 0x38]], Made::Broken),
        ("a start among fragments", vec![&[0x7C, 0x81, 1], &[0x7C, 0x81, 2]], Made::Broken),
        ("a unit among fragments", vec![&[0x7C, 0x81, 0x9A], &SLICE], Made::Broken),
        ("a fragment without a header", vec![&[0x7C]], Made::Broken),
        ("interleaved aggregates", vec![&[0x79, 0, 1, 0, 1, 0x41]], Made::Broken),
        ("timed aggregates", vec![&[0x7A, 0, 1, 0]], Made::Broken),
        ("interleaved fragments", vec![&[0x7D, 0x85, 0, 1, 0x88]], Made::Broken),
        ("a slice without a body", vec![&[0x41]], Made::Broken),
        ("a broken set", vec![&SPS[..4], &IDR], Made::Broken),
    ];
    for (name, payloads, want) in rows {
        let mut h264 = h264();
        assemble(&mut h264, &[&sets, &IDR]);
        assert_eq!(assemble(&mut h264, &payloads), want, "{name}");
    }
    assert_eq!(assemble(&mut h264(), &[&IDR]), Made::Unknown, "no sets are known");
}

#[test]
fn a_recovery_point_is_no_keyframe() {
    let mut h264 = h264();
    assemble(&mut h264, &[&SPS, &PPS, &IDR]);
    let made = assemble(&mut h264, &[&SPS, &PPS, &[0x06, 0x06, 0x01, 0xC4, 0x80], &SLICE]);
    assert!(unit(made).is_some_and(|(_, keyframe)| !keyframe));
}

#[test]
fn repeated_sets_are_no_change_and_others_are() {
    let mut h264 = h264();
    let first = setup(assemble(&mut h264, &[&SPS, &PPS, &IDR]));
    let pps = vec![Bytes::from_static(&PPS)];
    let want = Setup::H264 { size: (642, 362), sps: Bytes::from_static(&SPS), pps };
    assert_eq!(*first, want);
    assert_eq!(assemble(&mut h264, &[&SPS, &PPS]), Made::Nothing);
    assert!(Arc::ptr_eq(&first, &setup(assemble(&mut h264, &[&SLICE]))));
    assert!(Arc::ptr_eq(&first, &setup(assemble(&mut h264, &[&SPS, &PPS, &IDR]))));

    // A second picture parameter set counts where it comes.
    let two = setup(assemble(&mut h264, &[&PPS_1, &SLICE_1]));
    let Setup::H264 { pps, .. } = &*two else { panic!() };
    assert_eq!(pps[..], [&PPS[..], &PPS_1]);
    assert!(Arc::ptr_eq(&two, &setup(assemble(&mut h264, &[&SPS, &PPS, &PPS_1, &IDR]))));

    // Another sequence parameter set counts from the next keyframe on.
    assert_eq!(assemble(&mut h264, &[&OTHER_SPS, &PPS]), Made::Nothing);
    assert!(Arc::ptr_eq(&two, &setup(assemble(&mut h264, &[&SLICE]))));
    let other = setup(assemble(&mut h264, &[&IDR]));
    assert_eq!(other.size(), Some((80, 64)));
    assert!(Arc::ptr_eq(&other, &setup(assemble(&mut h264, &[&SLICE]))));
}

#[test]
fn sets_may_stand_in_the_description() {
    // The sets above, in base64.
    let fmtp = "packetization-mode=1;sprop-parameter-sets=Z0LAHtkApC/iJMBEAA==,aM48gA==";
    let format = Format::video(Codec::H264, fmtp);
    let mut h264 = Depacketizer::new(&format);
    assert!(joins(&h264, Codec::H264, &IDR), "sets never come in packets");
    let described = setup(assemble(&mut h264, &[&IDR]));
    assert_eq!(described.size(), Some((642, 362)));
    assert!(Arc::ptr_eq(&described, &setup(assemble(&mut h264, &[&SPS, &PPS, &IDR]))));
    assert!(!joins(&h264, Codec::H264, &IDR), "others may be missing before it");
    assert!(joins(&h264, Codec::H264, &stap(&[&AUD, &SPS])));
    h264.restart(&format);
    assert!(Arc::ptr_eq(&described, &setup(assemble(&mut h264, &[&IDR]))));
}

// Parameter sets of a 642x362 stream as x265 writes them.
const VPS5: [u8; 8] = [0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x01, 0x60];
const SPS5: [u8; 25] = [
    0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03,
    0x00, 0x3F, 0xA0, 0x05, 0x12, 0x01, 0x71, 0xC9, 0x26,
];
const PPS5: [u8; 7] = [0x44, 0x01, 0xC1, 0x72, 0xB4, 0x62, 0x40];
const IDR5: [u8; 5] = [0x28, 0x01, 0xAF, 0x08, 0x4C];
const CRA5: [u8; 5] = [0x2A, 0x01, 0xAF, 0x08, 0x4C];
const SLICE5: [u8; 5] = [0x02, 0x01, 0xD0, 0x11, 0x57];
const SEI5: [u8; 4] = [0x4E, 0x01, 0x05, 0x80];
const AUD5: [u8; 3] = [0x46, 0x01, 0x50];
const FILLER5: [u8; 3] = [0x4C, 0x01, 0xFF];

fn h265() -> Depacketizer {
    Depacketizer::new(&Format::video(Codec::H265, ""))
}

fn ap(units: &[&[u8]]) -> Vec<u8> {
    aggregate(&[0x60, 0x01], units)
}

#[test]
fn pictures_of_h265_are_made_of_every_kind_of_payload() {
    let sets = ap(&[&VPS5, &SPS5, &PPS5]);
    let all = ap(&[&AUD5, &VPS5, &SPS5, &PPS5, &SEI5, &IDR5]);
    let start: [&[u8]; 3] =
        [&[0x62, 0x01, 0x94, 0xAF], &[0x62, 0x01, 0x14, 0x08], &[0x62, 0x01, 0x54, 0x4C]];
    type Row<'a> = (&'a str, Vec<&'a [u8]>, Vec<&'a [u8]>, bool);
    let rows: [Row<'_>; 7] = [
        ("single units", vec![&VPS5, &SPS5, &PPS5, &IDR5], vec![&IDR5], true),
        ("an aggregate", vec![&all], vec![&SEI5, &IDR5], true),
        ("clean random access", vec![&sets, &CRA5], vec![&CRA5], true),
        ("fragments", start.to_vec(), vec![&IDR5], true),
        ("a delta", vec![&sets, &SLICE5], vec![&SLICE5], false),
        ("several slices", vec![&SLICE5, &SLICE5], vec![&SLICE5, &SLICE5], false),
        ("what nobody needs", vec![&AUD5, &SLICE5, &FILLER5], vec![&SLICE5], false),
    ];
    for (name, payloads, units, keyframe) in rows {
        let mut h265 = h265();
        assemble(&mut h265, &[&sets, &IDR5]);
        let made = assemble(&mut h265, &payloads);
        assert_eq!(unit(made), Some((sample(&units), keyframe)), "{name}");
    }
}

#[test]
fn nonsense_of_h265_is_broken() {
    let sets = ap(&[&VPS5, &SPS5, &PPS5]);
    let rows: [(&str, Vec<&[u8]>, Made); 7] = [
        ("sets alone", vec![&sets], Made::Nothing),
        ("half a header", vec![&[0x02]], Made::Broken),
        ("an aggregate cut short", vec![&[0x60, 0x01, 0, 9, 0x02, 0x01]], Made::Broken),
        ("no start of fragments", vec![&[0x62, 0x01, 0x54, 0x4C]], Made::Broken),
        ("no end of fragments", vec![&[0x62, 0x01, 0x94, 0xAF]], Made::Broken),
        ("a fragment without a header", vec![&[0x62, 0x01]], Made::Broken),
        ("payload content information", vec![&[0x64, 0x01, 0, 0]], Made::Broken),
    ];
    for (name, payloads, want) in rows {
        let mut h265 = h265();
        assemble(&mut h265, &[&sets, &IDR5]);
        assert_eq!(assemble(&mut h265, &payloads), want, "{name}");
    }
    assert_eq!(assemble(&mut h265(), &[&IDR5]), Made::Unknown, "no sets are known");
}

#[test]
fn sets_of_h265_are_kept_and_may_stand_in_the_description() {
    let fmtp = "sprop-vps=QAEMAf//AWA=;sprop-sps=QgEBAWAAAAMAkAAAAwAAAwA/oAUSAXHJJg==;\
                sprop-pps=RAHBcrRiQA==";
    let mut h265 = Depacketizer::new(&Format::video(Codec::H265, fmtp));
    assert!(joins(&h265, Codec::H265, &IDR5));
    let first = setup(assemble(&mut h265, &[&IDR5]));
    let whole = |unit: &'static [u8]| vec![Bytes::from_static(unit)];
    let (vps, sps, pps) = (whole(&VPS5), whole(&SPS5), whole(&PPS5));
    assert_eq!(*first, Setup::H265 { size: (642, 362), vps, sps, pps });
    assert!(Arc::ptr_eq(&first, &setup(assemble(&mut h265, &[&VPS5, &SPS5, &PPS5, &CRA5]))));
    assert!(!joins(&h265, Codec::H265, &IDR5));
    assert!(joins(&h265, Codec::H265, &ap(&[&AUD5, &VPS5])));
    assert!(joins(&h265, Codec::H265, &VPS5));
    assert!(!joins(&h265, Codec::H265, &SPS5), "the video parameter set may be missing");
}

/// Fragments of an H.264 unit with so many bytes each.
fn fragments(nal: &[u8], len: usize) -> Vec<Vec<u8>> {
    let chunks: Vec<&[u8]> = nal[1..].chunks(len).collect();
    let last = chunks.len() - 1;
    let flags = |at: usize| u8::from(at == 0) << 7 | u8::from(at == last) << 6;
    let of = |(at, chunk): (usize, &&[u8])| {
        [&[nal[0] & 0xE0 | 28, flags(at) | nal[0] & 0x1F], *chunk].concat()
    };
    chunks.iter().enumerate().map(of).collect()
}
