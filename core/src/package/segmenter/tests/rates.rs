use super::super::super::part_target;
use super::*;

/// Pseudo-random jitter in ticks, within a number of milliseconds either way.
fn jitter(index: i64, range_ms: i64) -> i64 {
    let hash = (index as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
    let wide = 2 * ms(range_ms) + 1;
    (hash.wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 33) as i64 % wide - ms(range_ms)
}

/// Twenty seconds of frames, with a keyframe at every tick.
fn times(fps: f64, jitter_ms: i64) -> Vec<i64> {
    let count = (20.0 * fps) as i64;
    let time = |index: i64| (index as f64 * HZ as f64 / fps).round() as i64;
    (0..count).map(|index| (time(index) + jitter(index, jitter_ms)).max(index)).collect()
}

fn run(bench: &mut Bench, times: &[i64]) {
    let mut tick = 0;
    for time in times {
        // As soon as the encoder is asked: the first frame that is not before the tick.
        let keyframe = *time >= tick * 2 * HZ;
        tick += i64::from(keyframe);
        bench.feed(*time, keyframe).unwrap();
    }
    bench.end();
}

#[test]
fn parts_keep_their_length_at_every_rate() {
    // Rate, jitter, the target that follows, parts of a segment.
    let rows = [
        (30.0, 0, 334, 6..=6),
        (30.0, 5, 334, 6..=7),
        (29.97, 5, 334, 6..=7),
        (60.0, 5, 334, 6..=7),
        (25.0, 5, 334, 6..=7),
        (24.0, 5, 334, 6..=7),
        (20.0, 5, 334, 6..=7),
        (15.0, 5, 445, 5..=6),
        (15.0, 0, 445, 5..=5),
        (10.0, 5, 667, 3..=4),
        (5.0, 5, 1_000, 2..=3),
    ];
    for (fps, jitter_ms, target_ms, parts) in rows {
        let times = times(fps, jitter_ms);
        let intervals: Vec<_> = times
            .windows(2)
            .take_while(|pair| pair[1] < 2 * HZ)
            .map(|pair| Duration::from_micros((pair[1] - pair[0]) as u64 * 100 / 9))
            .collect();
        let target = part_target(&intervals).as_millis() as u64;
        assert!((target_ms..target_ms + 40).contains(&target), "H10: {fps} {jitter_ms}: {target}");
        let mut bench = Bench::video(target);
        run(&mut bench, &times);
        let config = Config::new(Kind::Video, HZ as u32, Duration::from_millis(target));
        check(&bench.out, &config);
        let counters = bench.segmenter.counters();
        assert_eq!(counters.gap_parts + counters.waiting_frames, 0, "{fps}");
        let segments = bench.segments();
        assert_eq!(segments.len(), 10, "{fps}");
        for segment in &segments[..9] {
            assert!(parts.contains(&segment.2), "{fps} {jitter_ms}: {segment:?}");
        }
        if fps >= 15.0 {
            assert_eq!((counters.stretched_parts, counters.moved_frames), (0, 0), "H9: {fps}");
        }
    }
}

#[test]
fn a_rate_that_falls_stretches_frames_and_neither_parts_nor_time() {
    let mut times = times(30.0, 5);
    times.retain(|time| *time < 8 * HZ);
    let count = times.len() as i64;
    times.extend((0..144).map(|index| 8 * HZ + index * 7_500 + jitter(count + index, 5)));
    let mut bench = Bench::video(334);
    run(&mut bench, &times);
    check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_millis(334)));
    let counters = bench.segmenter.counters();
    assert_eq!((counters.gap_parts, counters.waiting_frames, counters.misplaced_frames), (0, 0, 0));
    assert!((1..60).contains(&counters.stretched_parts), "{counters:?}");
    // Where nothing follows nothing moves.
    assert!(counters.stretched_parts - counters.moved_frames <= 1, "{counters:?}");
    assert_eq!(bench.segments().len(), 10);
    // No more than a frame between where a part begins and where the frame belongs.
    let off = bench.parts().map(|part| times.iter().map(|t| (t - part.start).abs()).min().unwrap());
    assert!(off.max().unwrap() < 7_500 + 900);
}

#[test]
fn a_still_screen_share_goes_on_until_it_pauses() {
    let mut bench = Bench::video(1_000);
    // A keyframe every second frame; frames late or early by a few milliseconds.
    for index in 0..10 {
        let time = index * HZ + if index == 0 { 0 } else { jitter(index, 8) };
        while let Some(due) = bench.segmenter.poll_timeout()
            && due <= time
        {
            bench.segmenter.close_due(due).unwrap();
        }
        bench.feed(time, index % 2 == 0).unwrap();
    }
    let counters = bench.segmenter.counters();
    assert_eq!((counters.parts, counters.gap_parts, counters.misplaced_frames), (9, 0, 0));
    assert!(counters.stretched_parts > 0);
    // The part is due, then gaps are, one after the other.
    let due = bench.segmenter.poll_timeout().unwrap();
    bench.segmenter.close_due(due - 1).unwrap();
    assert_eq!(bench.segmenter.poll_timeout(), Some(due));
    bench.segmenter.close_due(due).unwrap();
    assert_eq!(
        (bench.segmenter.poll_timeout(), bench.segmenter.packaged_until()),
        (None, Some(due))
    );
    for second in 11..15 {
        bench.gap(second * HZ).unwrap();
    }
    bench.feed(15 * HZ, false).unwrap();
    bench.feed(16 * HZ, true).unwrap();
    bench.end();
    check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_secs(1)));
    let numbers: Vec<_> = bench.segments().iter().map(|segment| segment.0).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bench.segmenter.counters().waiting_frames, 1);
}

#[test]
fn sound_is_cut_at_the_first_frame_of_each_tick() {
    let aac = Setup::Aac { sample_rate: 48_000, channels: 2, config: vec![0x11, 0x90].into() };
    let rows = [
        (Setup::Opus { channels: 2 }, 960, vec![96_000; 9], 7),
        // 93.75 frames from tick to tick.
        (
            aac,
            1_024,
            vec![96_256, 96_256, 96_256, 95_232, 96_256, 96_256, 96_256, 95_232, 96_256],
            7,
        ),
    ];
    for (setup, samples, durations, parts) in rows {
        let config = Config::new(Kind::Audio, 48_000, Duration::from_millis(334));
        let mut bench = Bench::new(config, Arc::new(setup));
        for index in 0..20 * 48_000 / samples {
            bench.feed(index * samples, true).unwrap();
        }
        check(&bench.out, &config);
        assert!(bench.parts().all(|part| part.independent));
        let ends: Vec<_> = bench
            .out
            .iter()
            .filter_map(|item| match item {
                Packaged::SegmentEnd { duration, .. } => Some(*duration),
                Packaged::Init(_)
                | Packaged::Part(_)
                | Packaged::Discontinuity
                | Packaged::Wall { .. } => None,
            })
            .collect();
        assert_eq!(ends, durations);
        let counters = bench.segmenter.counters();
        assert_eq!((counters.stretched_parts, counters.moved_frames), (0, 0));
        assert!(bench.segments().iter().all(|segment| segment.2 == parts));
    }
}

#[test]
fn frames_that_come_out_of_order_keep_their_presentation() {
    let mut bench = Bench::video(334);
    // Decoded I P B B, two frames behind what is shown; 25 a second.
    for index in 0..100 {
        let dts = index * 3_600;
        let offset = [2, 4, 1, 1][(index % 4) as usize] * 3_600;
        let frame = Frame { pts: dts + offset, ..bench.frame(dts, index % 50 == 0) };
        bench.feed_frame(&frame).unwrap();
    }
    bench.end();
    check(&bench.out, &Config::new(Kind::Video, HZ as u32, Duration::from_millis(334)));
    assert_eq!(bench.segments(), [(0, 2.0, 7), (1, 2.0, 7)]);
    assert_eq!(bench.segmenter.counters().moved_frames, 0);
}
