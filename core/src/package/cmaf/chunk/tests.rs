use super::*;
use crate::package::cmaf::dump::dump;

const FRAME: i64 = 3_600;

fn sample(index: i64, keyframe: bool, composition: i64) -> Sample {
    // Thirteen hours in, where times no longer fit into 32 bits.
    let dts = (1 << 32) + index * FRAME;
    let data = Bytes::from(vec![0xA0 | index as u8; 3 + index as usize]);
    let capture = (index == 0).then_some(Ntp(0xE500_0000_8000_0000));
    Sample { dts, pts: dts + composition, keyframe, data, capture }
}

fn chunk(samples: &[Sample], opens_segment: bool) -> String {
    let end = samples[samples.len() - 1].dts + FRAME;
    dump(&Chunk { sequence: 7, opens_segment, samples, end }.write())
}

#[test]
fn a_segment_begins_with_a_keyframe_and_says_so() {
    let samples = [sample(0, true, 0), sample(1, false, 0), sample(2, false, 0)];
    let text = chunk(&samples, true);
    assert_eq!(text, include_str!("../../golden/segment-start.txt"));
    assert!(text.starts_with("styp 636d667300000000636d6673636d66666d736468\n"), "C8: {text}");
    // Version 1, captured, track 1, the wall clock, the 64-bit media time.
    let prft = "prft 0100001800000001e5000000800000000000000100000000\n";
    assert!(text.contains(prft), "C10: {text}");
    let kinds: Vec<_> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let want = ["styp", "prft", "moof", "mfhd", "traf", "tfhd", "tfdt", "trun", "mdat"];
    assert_eq!(kinds, want, "C3, C9");
}

#[test]
fn a_later_chunk_has_defaults_for_all_its_samples() {
    let samples = [sample(1, false, 0), sample(2, false, 0)];
    let text = chunk(&samples, false);
    assert_eq!(text, include_str!("../../golden/later-chunk.txt"));
    assert!(text.starts_with("styp 636d666c00000000636d666c\n"), "C8: {text}");
    // Default base is moof; duration and flags of samples are said here, not in trex alone.
    assert!(text.contains("tfhd 00020028"), "C4, C7: {text}");
}

#[test]
fn b_frames_and_uneven_durations_have_fields_of_their_own() {
    let mut samples =
        [sample(0, false, 7_200), sample(1, true, -3_600), sample(2, false, 0)].to_vec();
    samples[2].dts += 5;
    samples[2].pts += 5;
    let text = chunk(&samples, false);
    assert_eq!(text, include_str!("../../golden/b-frames.txt"));
    assert!(text.contains("trun 01"), "C7: version 1 has signed composition offsets: {text}");
    assert!(text.contains("fffff1f0"), "C7: one of -3,600 ticks: {text}");
}

#[test]
fn sound_has_one_line_for_all_frames() {
    let samples = [sample(1, true, 0), sample(2, true, 0)];
    let text = chunk(&samples, false);
    // Data offset and sizes, nothing else.
    assert!(text.contains("trun 01000201"), "{text}");
}
