//! Tests of what pauses, other sizes, damage, failures and overload do to transcoded pictures.

use std::thread;
use std::time::Duration;

use whitewater::transcode::video::Counters;
use whitewater_core::media::Frame;

use crate::pictures;
use crate::video::{Running, assert_regular, size};

/// Moves frames on the timeline.
fn from(dts: i64, frames: &[Frame]) -> Vec<Frame> {
    let moved = |frame: &Frame| Frame {
        dts: frame.dts - frames[0].dts + dts,
        pts: frame.pts - frames[0].dts + dts,
        ..frame.clone()
    };
    frames.iter().map(moved).collect()
}

#[test]
fn a_pause_of_ten_seconds_shows_the_last_picture_and_then_the_next() {
    let frames = pictures::vp8((320, 180), 60);
    let mut running = Running::start(&[180]);
    running.push(&frames[..30]);
    running.until(90_000);
    for tenth in 1..=100 {
        assert!(running.handle.still_until(90_000 + tenth * 9_000));
        thread::sleep(Duration::from_millis(10));
    }
    running.until(990_000);
    running.play(&from(990_000, &frames[30..]));
    let got = running.until(1_080_000);
    assert_regular(&got[0]);
    assert_eq!(pictures::decoded(&got[0]).len(), 360);
    // What stands still takes next to nothing.
    let bytes = |frames: &[Frame]| frames.iter().map(|frame| frame.data.len()).sum::<usize>();
    let (moving, still) = (bytes(&got[0][1..30]), bytes(&got[0][61..90]));
    assert!(still * 4 < moving, "{still} and {moving} bytes");
    let counters = running.counters();
    assert_eq!((counters.repeated, counters.late), (300, 0), "{counters:?}");
}

#[test]
fn slow_pictures_come_out_at_the_steady_rate() {
    // A screen that is sent once a second, as it changes.
    let frames = pictures::vp8((320, 180), 6);
    let mut running = Running::start(&[180]);
    for (second, frame) in frames.iter().enumerate() {
        running.push(&from(second as i64 * 90_000, std::slice::from_ref(frame)));
        let next = (second as i64 + 1) * 90_000;
        // As late as a late picture is waited for, again and again.
        for tenth in 1..=6 {
            running.handle.still_until(next - 90_000 + tenth * 9_000);
            running.until(next - 90_000 + tenth * 9_000);
        }
    }
    assert_regular(&running.got[0]);
    assert!(running.counters().repeated > 150, "{:?}", running.counters());
}

#[test]
fn a_source_of_another_size_makes_another_size_from_the_next_segment_on() {
    for (name, make) in
        [("VP8", pictures::vp8 as fn((u16, u16), usize) -> Vec<Frame>), ("H.264", pictures::h264)]
    {
        let small = make((320, 180), 45);
        let large = from(135_000, &make((640, 360), 90));
        let smaller = from(405_000, &make((160, 90), 45));
        let mut running = Running::start(&[360, 120]);
        running.push(&small);
        running.push(&large[..60]);
        running.until(315_000);
        running.play(&[&large[60..], &smaller[..]].concat());
        let got = running.until(540_000);
        assert_regular(&got[0]);
        let sizes: Vec<_> = [0, 59, 60, 179].map(|at| size(&got[0][at])).to_vec();
        assert_eq!(sizes, [(320, 180), (320, 180), (640, 360), (640, 360)], "{name}");
        // Its decoder is told of two sizes, and makes a picture of each frame.
        for part in [&got[0][..60], &got[0][60..]] {
            assert_eq!(pictures::decoded(part).len(), part.len(), "{name}");
            assert!(part.iter().all(|frame| frame.setup == part[0].setup), "{name}");
        }
        // What is hardly smaller than its source is not made.
        assert_eq!(
            running.got[1].first().map(|frame| (frame.dts, size(frame))),
            Some((0, (214, 120)))
        );
        assert_eq!(running.counters().dropped_behind, 0, "{name}");
    }
}

#[test]
fn damaged_and_missing_frames_do_not_stop_the_picture() {
    for (name, mut frames) in
        [("VP8", pictures::vp8((320, 180), 110)), ("H.264", pictures::h264((320, 180), 110))]
    {
        for (at, frame) in frames.iter_mut().enumerate().filter(|(at, _)| (10..90).contains(at)) {
            let mut data = frame.data.to_vec();
            match at % 5 {
                0 => data.truncate(data.len() / 2),
                1 => data.iter_mut().skip(12).step_by(7).for_each(|byte| *byte ^= 0x5A),
                2 => data = vec![0xFF; 40],
                _ => {}
            }
            frame.data = data.into();
        }
        frames.retain(|frame| frame.dts / 3_000 % 11 != 7);
        let mut running = Running::start(&[180]);
        running.push(&frames);
        running.handle.still_until(330_000);
        let got = running.until(330_000);
        assert_regular(&got[0]);
        assert_eq!(pictures::decoded(&got[0]).len(), 110, "{name}");
    }
}

#[test]
fn pipelines_that_fail_are_made_anew_and_the_picture_goes_on() {
    let frames = pictures::vp8((320, 180), 60);
    let mut running = Running::start(&[180, 90]);
    running.push(&frames[..20]);
    running.until(54_000);
    running.handle.inject_failure();
    running.wait(|running| running.counters().rebuilt == 3);
    // Without a keyframe nothing can be decoded; one is asked for, and the last picture stands.
    running.push(&frames[20..30]);
    running.wait(|running| running.wanted > 0);
    thread::sleep(Duration::from_millis(600));
    for tenth in 7..=20 {
        running.handle.still_until(tenth * 9_000);
        running.wait(|running| {
            let reaches =
                |rung: &Vec<Frame>| rung.last().is_some_and(|f| f.dts + 3_000 >= tenth * 9_000);
            running.got.iter().all(reaches)
        });
    }
    running.push(&from(180_000, &frames[..60]));
    let got = running.until(357_000);
    for rung in got {
        // What was within the pipelines is lost, and nothing else.
        let missing = 119 - rung.iter().filter(|frame| frame.dts < 357_000).count();
        assert!(missing <= 4, "{missing} frames are missing");
        assert!(rung.iter().any(|frame| frame.dts == 180_000 && frame.keyframe));
        assert!(rung.iter().all(|frame| frame.dts % 3_000 == 0));
        pictures::decoded(rung);
    }
}

#[test]
fn the_first_picture_of_another_publisher_is_a_keyframe() {
    let frames = pictures::vp8((320, 180), 40);
    let mut running = Running::start(&[180]);
    running.push(&frames);
    let back = from(120_000, &frames);
    assert!(running.handle.push(back[0].clone(), true));
    running.push(&back[1..]);
    let keyframes: Vec<_> = running.until(240_000)[0]
        .iter()
        .filter(|frame| frame.keyframe)
        .map(|frame| frame.dts)
        .collect();
    assert_eq!(keyframes, [0, 120_000, 180_000]);
}

#[test]
fn encoders_that_do_not_keep_up_lose_pictures_and_no_more_wait_than_may() {
    // Far more than any machine encodes, all at once and behind the beginning.
    let frames = from(900_000, &pictures::vp8((1280, 720), 120));
    let mut running = Running::start(&[720, 540, 360]);
    let mut refused = 0;
    for round in 0..3 {
        for frame in from(900_000 + round * 360_000, &frames) {
            refused += u64::from(!running.handle.push(frame, false));
            thread::sleep(Duration::from_millis(2));
        }
    }
    thread::sleep(Duration::from_secs(2));
    let Counters { dropped_behind, dropped_full, .. } = running.counters();
    assert_eq!(dropped_full, refused);
    assert!(dropped_behind + dropped_full > 100, "{:?}", running.counters());
    // It goes on, with keyframes where segments begin.
    let next = from(900_000 + 3 * 360_000, &frames[..60]);
    running.play(&next);
    running.wait(|running| running.got.iter().all(|r| r.last().is_some_and(|f| f.dts > 1_990_000)));
    for pair in running.got[0].windows(2).filter(|pair| pair[1].keyframe) {
        // After a hole that nobody filled there is a keyframe too.
        let (at, hole) = (pair[1].dts % 180_000, pair[1].dts - pair[0].dts);
        assert!(at < 60_000 || hole > 135_000, "{at} after {hole}");
    }
    pictures::decoded(&running.got[0]);
}
