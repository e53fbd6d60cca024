mod properties;

mod rates;

use super::*;
use crate::media::Ntp;

/// 90 kHz.
const HZ: i64 = 90_000;

/// A rendition under test, with what it put out.
struct Bench {
    segmenter: Segmenter,
    setup: Arc<Setup>,
    out: Vec<Packaged>,
}

/// A segment in one line: number, seconds, parts.
type Row = (u64, f64, usize);

fn vp9(width: u16) -> Arc<Setup> {
    let size = (width, 360);
    Arc::new(Setup::Vp9 { size, profile: 0, bit_depth: 8, chroma: 1, full_range: false })
}

fn ms(ms: i64) -> i64 {
    ms * HZ / 1_000
}

impl Bench {
    fn video(part_target_ms: u64) -> Self {
        let target = Duration::from_millis(part_target_ms);
        Self::new(Config::new(Kind::Video, HZ as u32, target), vp9(640))
    }

    fn new(config: Config, setup: Arc<Setup>) -> Self {
        Self { segmenter: Segmenter::new(config), setup, out: Vec::new() }
    }

    fn frame(&self, dts: i64, keyframe: bool) -> Frame {
        Frame {
            dts,
            pts: dts,
            keyframe,
            data: Bytes::from_static(if keyframe { b"K" } else { b"p" }),
            setup: Arc::clone(&self.setup),
            capture: Some(Ntp(0x1234_5678_0000_0000)),
        }
    }

    fn feed(&mut self, dts: i64, keyframe: bool) -> Result<(), Exceeded> {
        let frame = self.frame(dts, keyframe);
        self.feed_frame(&frame)
    }

    fn feed_frame(&mut self, frame: &Frame) -> Result<(), Exceeded> {
        let result = self.segmenter.handle_frame(frame);
        self.drain();
        result
    }

    /// Frames at 30 a second between two times in milliseconds, keyframes at those named.
    fn play(&mut self, from_ms: i64, to_ms: i64, keyframes_ms: &[i64]) -> Result<(), Exceeded> {
        let (first, last) = (from_ms * 3 / 100, to_ms * 3 / 100);
        for index in first..last {
            let key = |at: &i64| (index * 3_000 - ms(*at)).abs() < 1_500;
            self.feed(index * 3_000, keyframes_ms.iter().any(key))?;
        }
        Ok(())
    }

    fn gap(&mut self, until: i64) -> Result<(), Exceeded> {
        let result = self.segmenter.gap(until);
        self.drain();
        result
    }

    fn end(&mut self) {
        self.segmenter.end();
        self.drain();
    }

    fn drain(&mut self) {
        self.out.extend(std::iter::from_fn(|| self.segmenter.poll()));
    }

    fn parts(&self) -> impl Iterator<Item = &Part> {
        self.out.iter().filter_map(|item| match item {
            Packaged::Part(part) => Some(part),
            Packaged::Init(_)
            | Packaged::SegmentEnd { .. }
            | Packaged::Discontinuity
            | Packaged::Wall { .. } => None,
        })
    }

    fn segments(&self) -> Vec<Row> {
        let ends = self.out.iter().filter_map(|item| match item {
            Packaged::SegmentEnd { segment, duration } => Some((*segment, *duration)),
            Packaged::Init(_)
            | Packaged::Part(_)
            | Packaged::Discontinuity
            | Packaged::Wall { .. } => None,
        });
        ends.map(|(number, duration)| {
            let parts = self.parts().filter(|part| part.segment == number).count();
            let ms = (duration as f64 * 1e3 / HZ as f64).round();
            (number, ms / 1e3, parts)
        })
        .collect()
    }

    /// Segment, whether independent, whether a gap, and milliseconds of each part.
    fn part_rows(&self) -> Vec<(u64, bool, bool, u64)> {
        let row = |part: &Part| {
            let ms = part.duration * 1_000 / HZ as u64;
            (part.segment, part.independent, part.bytes.is_none(), ms)
        };
        self.parts().map(row).collect()
    }
}

/// What every player may rely on, whatever came in.
fn check(out: &[Packaged], config: &Config) {
    let target = config.ticks(config.part_target) as u64;
    let limit = config.ticks(config.segment_target + Duration::from_millis(1_500)) as u64;
    let mut next: Option<(u64, u32)> = None;
    let mut at: Option<i64> = None;
    let mut sum = 0;
    let mut sequence = 0;
    let mut short: Option<u64> = None;
    let mut inits = 0;
    let mut has_bytes = false;
    let mut after_gap = false;
    for item in out {
        match item {
            Packaged::Init(init) => {
                assert_eq!(init.version, inits);
                assert_eq!(sum, 0, "H20, C13: a segment has one header");
                inits += 1;
            }
            Packaged::Part(part) => {
                assert!(inits > 0 || part.bytes.is_none());
                assert!(part.duration > 0 && part.duration <= target, "H9: {part:?}");
                if let Some((segment, index)) = next {
                    assert_eq!((part.segment, part.index), (segment, index));
                }
                if let Some(at) = at {
                    assert_eq!(part.start, at, "H30, C5: no hole");
                }
                assert!(part.bytes.is_none() || short.is_none(), "H9: short part: {short:?}");
                short = None;
                if let Some(bytes) = &part.bytes {
                    let read = read(bytes);
                    assert!(read.sequence > sequence);
                    sequence = read.sequence;
                    assert_eq!(read.start, part.start as u64, "H30, C5: tfdt");
                    assert_eq!(read.duration, part.duration, "H30, C5: durations of samples");
                    assert_eq!(read.independent, part.independent, "H11, C6: {part:?}");
                    assert_eq!(read.opens_segment, !has_bytes, "C8: {part:?}");
                    if !has_bytes || after_gap {
                        assert!(read.begins_independent, "H24, C6, D8: {part:?}");
                    }
                    has_bytes = true;
                    after_gap = false;
                    let long = part.duration * 100 >= target * 85;
                    short = (!long && !part.independent).then_some(part.duration);
                } else {
                    after_gap = true;
                }
                sum += part.duration;
                at = Some(part.start + part.duration as i64);
                next = Some((part.segment, part.index + 1));
            }
            Packaged::SegmentEnd { segment, duration } => {
                assert_eq!(*duration, sum, "H30: a segment is as long as its parts");
                assert!(*duration < limit, "H4: {duration}");
                assert_eq!(next.map(|(open, _)| open), Some(*segment));
                next = Some((segment + 1, 0));
                (sum, short, has_bytes) = (0, None, false);
            }
            Packaged::Wall { .. } => panic!("it has no wall clock"),
            Packaged::Discontinuity => {
                assert_eq!(sum, 0);
                (at, after_gap) = (None, false);
            }
        }
    }
}

struct Read {
    sequence: u32,
    start: u64,
    duration: u64,
    independent: bool,
    begins_independent: bool,
    opens_segment: bool,
}

/// What players read from a chunk, by box types that are not ours.
fn read(bytes: &Bytes) -> Read {
    use mp4_atom::{Atom, Decode, DecodeAtom, Header, Mdat, Moof, Prft, Styp};
    let mut buf = bytes.as_ref();
    let header = Header::decode(&mut buf).unwrap();
    let styp = Styp::decode_atom(&header, &mut buf).unwrap();
    let mut header = Header::decode(&mut buf).unwrap();
    if header.kind == mp4_atom::FourCC::new(b"prft") {
        Prft::decode_atom(&header, &mut buf).unwrap();
        header = Header::decode(&mut buf).unwrap();
    }
    assert_eq!(header.kind, Moof::KIND, "C3: styp, prft, moof, mdat, and no sidx (C9)");
    let moof_start = bytes.len() - buf.len() - 8;
    let moof = Moof::decode_atom(&header, &mut buf).unwrap();
    let [traf] = moof.traf.as_slice() else { panic!("one traf") };
    let [trun] = traf.trun.as_slice() else { panic!("one trun") };
    let data = moof_start + trun.data_offset.unwrap() as usize;
    assert!(traf.tfhd.default_base_is_moof && traf.tfhd.base_data_offset.is_none(), "C4");
    assert_eq!(data, bytes.len() - buf.len() + 8, "C4");
    let header = Header::decode(&mut buf).unwrap();
    assert_eq!((header.kind, header.size), (Mdat::KIND, Some(buf.len())), "C3");
    let default = traf.tfhd.default_sample_duration.unwrap();
    let durations = trun.samples.iter().map(|sample| sample.duration.unwrap_or(default));
    let sizes = trun.samples.iter().map(|sample| sample.size.unwrap() as usize);
    assert_eq!(sizes.sum::<usize>(), buf.len());
    let flags = trun.samples.iter().map(|one| one.flags.or(traf.tfhd.default_sample_flags));
    let independent: Vec<_> = flags.map(|flags| flags.unwrap() & 0x1_0000 == 0).collect();
    Read {
        sequence: moof.mfhd.sequence_number,
        start: traf.tfdt.as_ref().unwrap().base_media_decode_time,
        duration: durations.map(u64::from).sum(),
        independent: independent.contains(&true),
        begins_independent: independent[0],
        opens_segment: styp.major_brand == mp4_atom::FourCC::new(b"cmfs"),
    }
}

#[test]
fn keyframes_at_the_ticks_cut_segments_of_two_seconds() {
    let mut bench = Bench::video(334);
    bench.play(0, 6_100, &[0, 2_000, 4_000, 6_000]).unwrap();
    bench.end();
    assert_eq!(bench.segments(), [(0, 2.0, 6), (1, 2.0, 6), (2, 2.0, 6), (3, 0.1, 1)]);
    assert!(bench.parts().all(|part| part.independent == (part.index == 0)));
    check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_millis(334)));
}

#[test]
fn keyframes_that_come_early_or_late_cut_where_they_are() {
    let mut bench = Bench::video(334);
    bench.play(0, 8_000, &[0, 1_600, 4_300, 6_000, 6_500]).unwrap();
    bench.end();
    let segments: Vec<_> = bench.segments().iter().map(|(n, s, _)| (*n, *s)).collect();
    assert_eq!(segments, [(0, 1.6), (1, 2.7), (2, 1.7), (3, 2.0)]);
}

#[test]
fn layers_with_joint_keyframes_cut_alike_whenever_they_start() {
    let keyframes = [0, 2_033, 3_000, 4_066, 5_900, 8_000, 10_100];
    let mut first = Bench::video(334);
    first.play(0, 12_000, &keyframes).unwrap();
    for (start, slow) in [(0, true), (3_000, false), (4_000, true)] {
        let mut other = Bench::video(334);
        for index in start * 3 / 100..360 {
            let key = keyframes.iter().any(|at| (index * 3_000 - ms(*at)).abs() < 1_500);
            if key || !slow || index % 2 == 0 {
                other.feed(index * 3_000, key).unwrap();
            }
        }
        let starts = |bench: &Bench| -> Vec<_> {
            let firsts = bench.parts().filter(|part| part.index == 0);
            firsts.map(|part| (part.segment, part.start)).collect()
        };
        let (want, got) = (starts(&first), starts(&other));
        // One that starts between ticks joins the others at the next one.
        let joint: Vec<_> = got.iter().skip(1).copied().collect();
        assert!(joint.len() >= 3 && want.ends_with(&joint), "{want:?} {got:?}");
        assert_eq!(got[0].0, want[want.len() - got.len()].0, "{start}");
    }
}

#[test]
fn a_layer_that_missed_a_keyframe_catches_up_between_ticks() {
    // The keyframe of 4 s came late, and there was none at 6 s.
    let mut bench = Bench::video(334);
    bench.play(0, 12_000, &[0, 2_000, 5_200, 8_000, 9_200, 10_000]).unwrap();
    bench.end();
    let segments: Vec<_> = bench.segments().iter().map(|(n, s, _)| (*n, *s)).collect();
    assert_eq!(segments, [(0, 2.0), (1, 3.2), (2, 2.8), (3, 1.2), (4, 0.8), (5, 2.0)]);
    assert_eq!(bench.segmenter.lag(), 0);
}

#[test]
fn a_layer_that_starts_late_is_told_how_far_the_others_are_behind() {
    let keyframes: Vec<_> = (0..9).map(|index| index * 3_000).collect();
    let mut first = Bench::video(334);
    first.play(0, 10_000, &keyframes).unwrap();
    assert_eq!(first.segmenter.lag(), 1);
    let config = Config::new(Kind::Video, HZ as u32, Duration::from_millis(334));
    let mut other = Bench::new(Config { lag: first.segmenter.lag(), ..config }, vp9(320));
    other.play(9_000, 22_000, &keyframes).unwrap();
    first.play(10_000, 22_000, &keyframes).unwrap();
    let starts = |bench: &Bench| -> Vec<_> {
        let firsts = bench.parts().filter(|part| part.index == 0);
        firsts.map(|part| (part.segment, part.start)).collect()
    };
    assert!(starts(&first).ends_with(&starts(&other)));
    assert_eq!(starts(&other)[0], (3, ms(9_000)));
}

#[test]
fn a_group_of_four_seconds_needs_a_grid_of_four_seconds() {
    let mut bench = Bench::video(334);
    assert_eq!(bench.play(0, 8_000, &[0, 4_000]), Err(Exceeded));
    assert_eq!(bench.feed(ms(4_000), true), Err(Exceeded));
    // What was packaged stays below the limit, by whatever little.
    bench.end();
    check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_millis(334)));
    assert_eq!(bench.segments(), [(0, 3.5, 11)]);

    let config = Config::new(Kind::Video, HZ as u32, Duration::from_millis(334));
    let config = Config { segment_target: Duration::from_secs(4), ..config };
    let mut bench = Bench::new(config, vp9(640));
    bench.play(0, 12_100, &[0, 4_000, 8_000, 12_000]).unwrap();
    assert_eq!(bench.segments(), [(0, 4.0, 12), (1, 4.0, 12), (2, 4.0, 12)]);
}

#[test]
fn a_keyframe_between_ticks_begins_a_part_only_where_none_gets_short() {
    // When it comes, whether a part begins with it, parts of the segment. Parts last 333 ms.
    let rows = [
        ("in the middle of a part", 2_500, false, 6),
        ("after 80 % of one", 2_600, false, 6),
        ("after 90 %", 2_633, true, 7),
        ("after 90 % of the first", 2_300, true, 7),
        ("where one begins anyway", 2_333, true, 6),
    ];
    for (name, at, begins, parts) in rows {
        let mut bench = Bench::video(334);
        bench.play(0, 4_100, &[0, 2_000, at, 4_000]).unwrap();
        bench.end();
        check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_millis(334)));
        assert_eq!(bench.segments()[1], (1, 2.0, parts), "{name}");
        let between: Vec<_> =
            bench.parts().filter(|part| part.independent && part.index != 0).collect();
        assert_eq!(between.len(), 1, "H11: {name}");
        assert_eq!((between[0].start - ms(at)).abs() < 100, begins, "{name}");
    }
}

#[test]
fn new_parameters_begin_a_segment_with_a_header_of_their_own() {
    let mut bench = Bench::video(334);
    bench.play(0, 3_000, &[0, 2_000]).unwrap();
    bench.setup = vp9(320);
    // Without a keyframe they are not believed.
    bench.play(3_000, 3_100, &[]).unwrap();
    assert_eq!(bench.segmenter.counters().waiting_frames, 3);
    bench.play(3_100, 9_000, &[3_100, 4_000, 6_000, 8_000]).unwrap();
    bench.end();
    let inits: Vec<_> = bench
        .out
        .iter()
        .filter_map(|item| match item {
            Packaged::Init(init) => Some((init.version, init.size)),
            Packaged::Part(_)
            | Packaged::SegmentEnd { .. }
            | Packaged::Discontinuity
            | Packaged::Wall { .. } => None,
        })
        .collect();
    assert_eq!(inits, [(0, Some((640, 360))), (1, Some((320, 360)))], "C13");
    assert!(!bench.out.contains(&Packaged::Discontinuity), "H21: no discontinuity");
    // It leaves out a tick afterwards, and is on the grid again.
    let segments: Vec<_> = bench.segments().iter().map(|(n, s, _)| (*n, *s)).collect();
    assert_eq!(segments, [(0, 2.0), (1, 1.1), (2, 2.9), (3, 2.0), (4, 1.0)]);
    assert_eq!(bench.segmenter.lag(), 0);
}

#[test]
fn a_silence_is_filled_with_gaps_until_a_keyframe() {
    let mut bench = Bench::video(334);
    bench.play(0, 500, &[0]).unwrap();
    bench.gap(ms(700)).unwrap();
    assert!(bench.segmenter.wants_keyframe());
    bench.gap(ms(2_500)).unwrap();
    bench.play(2_600, 2_700, &[]).unwrap();
    bench.play(2_700, 4_000, &[2_700]).unwrap();
    bench.play(4_000, 4_200, &[4_000]).unwrap();
    bench.end();
    check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_millis(334)));
    let gaps = bench.part_rows().iter().filter(|row| row.2).count();
    assert_eq!(gaps as u64, bench.segmenter.counters().gap_parts);
    let segments: Vec<_> = bench.segments().iter().map(|(n, s, _)| (*n, *s)).collect();
    assert_eq!(segments, [(0, 2.0), (1, 2.0), (2, 0.2)]);
    // Three parts of frames, the gap up to the tick and beyond, and frames again.
    assert_eq!(
        bench.part_rows()[..3],
        [(0, true, false, 333), (0, false, false, 334), (0, false, true, 32),]
    );
}

#[test]
fn a_publisher_that_returns_begins_at_the_next_number() {
    let mut bench = Bench::video(334);
    bench.play(0, 2_500, &[0, 2_000]).unwrap();
    bench.segmenter.discontinuity();
    bench.segmenter.discontinuity();
    bench.play(7_000, 7_200, &[]).unwrap();
    bench.play(7_200, 8_100, &[7_200, 8_000]).unwrap();
    bench.end();
    let segments: Vec<_> = bench.segments().iter().map(|(n, s, _)| (*n, *s)).collect();
    assert_eq!(segments, [(0, 2.0), (1, 0.5), (2, 0.8), (3, 0.1)]);
    let marks = bench.out.iter().filter(|item| **item == Packaged::Discontinuity).count();
    assert_eq!(marks, 1);
    check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_millis(334)));
    assert!(bench.parts().any(|part| part.start == ms(7_200) && part.independent));
}

#[test]
fn frames_that_make_no_sense_are_counted_and_dropped() {
    let mut bench = Bench::video(334);
    bench.feed(0, true).unwrap();
    let good = bench.frame(ms(100), true);
    let sound = Arc::new(Setup::Opus { channels: 2 });
    let rows = [
        Frame { dts: 0, ..good.clone() },
        Frame { dts: -1, ..good.clone() },
        Frame { dts: i64::MAX, pts: i64::MAX, ..good.clone() },
        Frame { pts: i64::MIN, ..good.clone() },
        Frame { data: Bytes::new(), ..good.clone() },
        Frame { setup: sound, ..good.clone() },
    ];
    for frame in &rows {
        bench.feed_frame(frame).unwrap();
        assert!(bench.segmenter.wants_keyframe());
    }
    assert_eq!(bench.segmenter.counters().misplaced_frames, rows.len() as u64);
    let vp8 = Arc::new(Setup::Vp8 { size: (640, 360) });
    bench.feed_frame(&Frame { setup: vp8, ..good.clone() }).unwrap();
    assert_eq!(bench.segmenter.counters().unpackable_frames, 1);
    bench.feed_frame(&Frame { dts: ms(133), pts: ms(133), ..good }).unwrap();
    assert!(!bench.segmenter.wants_keyframe());
}

#[test]
fn an_open_part_is_bounded() {
    let mut bench = Bench::video(1_000);
    bench.feed(0, true).unwrap();
    for dts in 1..1_000 {
        bench.feed(dts, false).unwrap();
    }
    let counters = bench.segmenter.counters();
    assert_eq!(counters.overflowing_frames + counters.waiting_frames, 600);
    // A jump of hours is another epoch, not hours of gaps.
    let far = bench.frame(ms(3_600_000), true);
    assert_eq!(bench.feed_frame(&far), Err(Exceeded));
    assert!(bench.out.len() < 20);
}
