//! Tests of what a window keeps, refuses and forgets.

use std::time::Duration;

use bytes::Bytes;

use super::super::{Config, Form, Found, Name, Position, Unfit, Window, render};
use super::kit::{config, fill, filled, init, part};
use super::parsed::parse;
use crate::media::{Packaged, Part};

#[test]
fn a_playlist_covers_two_minutes_and_media_stays_a_while_longer() {
    let mut window = filled(config("video"), 0..120);
    fill(&mut window, 120, 1);
    let parsed = parse(&render(&window, Form::Full, &[]));
    assert_eq!(parsed.segments.len(), 40, "H26: two minutes");
    assert_eq!(parsed.media_sequence, 80, "H5");
    assert!(window.segment(79).is_some(), "H27");
    // A segment, the playlist and a target duration after its appearance.
    let oldest = (0..120).find(|msn| window.segment(*msn).is_some());
    assert_eq!(oldest, Some(78), "H27: and not for ever");
    assert_eq!(window.stays(119), Duration::from_secs(126), "H64");
    assert_eq!(window.stays(78), Duration::from_secs(3), "H64");
    assert_eq!(window.stays(5), Duration::ZERO);
}

#[test]
fn a_short_window_keeps_six_segments_and_its_parts_for_a_minute() {
    let short = Config { dvr: Duration::from_secs(1), ..config("video") };
    let window = filled(short, 0..60);
    let parsed = parse(&render(&window, Form::Full, &[]));
    assert_eq!(parsed.segments.len(), 6, "H26");
    assert_eq!(parsed.can_skip_until, None, "H51: it has nothing to skip");
    assert!(matches!(window.part(Position { msn: 39, part: 0 }), Found::Part(_)), "H14");
    assert_eq!(
        window.part(Position { msn: 38, part: 0 }),
        Found::Missing,
        "it is over a minute old"
    );
}

#[test]
fn many_bytes_make_the_window_shorter_as_far_as_it_may_be() {
    let max_bytes = 50_000;
    let mut window = Window::new(Config { max_bytes, ..config("video") });
    window.handle(init(0)).unwrap();
    for segment in 0..40 {
        let bytes = Some(Bytes::from(vec![0; if segment < 30 { 5_000 } else { 20_000 }]));
        let start = segment as i64 * 3_000;
        let part = Part { bytes, ..part(segment, 0, start, 3_000) };
        window.handle(Packaged::Part(part)).unwrap();
        window.handle(Packaged::SegmentEnd { segment, duration: 3_000 }).unwrap();
        let listed = parse(&render(&window, Form::Full, &[])).segments.len();
        let least = listed <= 6;
        assert!(window.bytes() <= max_bytes || least, "{segment}: {} bytes", window.bytes());
        assert!(listed >= 6 || segment < 5, "H26: {listed} segments");
    }
    assert_eq!(window.bytes(), 6 * 20_000);
}

/// A window of ten minutes that keeps one in memory, and its segments of three seconds of 1,000 bytes.
struct Kept {
    window: Window,
    next: u64,
}

impl Kept {
    fn new(max_bytes: usize) -> Self {
        let minutes = |count: u64| Duration::from_secs(count * 60);
        let (dvr, memory) = (minutes(10), minutes(1));
        let mut window = Window::new(Config { dvr, memory, max_bytes, ..config("video") });
        window.handle(init(0)).unwrap();
        Self { window, next: 0 }
    }

    fn push(&mut self, count: u64, is_stored: bool) {
        for segment in self.next..self.next + count {
            let bytes = Some(Bytes::from(vec![0; 1_000]));
            let part = Part { bytes, ..part(segment, 0, segment as i64 * 3_000, 3_000) };
            self.window.handle(Packaged::Part(part)).unwrap();
            self.window.handle(Packaged::SegmentEnd { segment, duration: 3_000 }).unwrap();
            if is_stored {
                self.window.note_stored(segment);
            }
        }
        self.next += count;
    }

    fn listed(&self) -> Vec<bool> {
        let playlist = parse(&render(&self.window, Form::Full, &[]));
        playlist.segments.iter().map(|segment| segment.gap).collect()
    }
}

#[test]
fn what_is_kept_elsewhere_leaves_memory_and_stays_in_the_playlist() {
    let mut kept = Kept::new(1 << 20);
    kept.push(50, true);
    kept.push(3, false);
    kept.push(97, true);
    // The last minute, and what is kept nowhere else.
    assert_eq!(kept.window.bytes(), 23_000);
    assert_eq!(kept.listed(), [false; 150]);
    assert!(kept.window.is_shed(49) && !kept.window.is_shed(50) && kept.window.is_shed(53));
    assert!(kept.window.segment(51).is_some() && kept.window.segment(53).is_none());
    // It may be stored late.
    kept.window.note_stored(51);
    assert_eq!(kept.window.bytes(), 22_000);
    assert!(kept.window.is_shed(51));
}

#[test]
fn where_memory_is_short_what_is_kept_nowhere_else_goes_before_what_costs_none() {
    let mut kept = Kept::new(40_000);
    kept.push(50, true);
    kept.push(60, false);
    assert_eq!(kept.window.bytes(), 40_000);
    let gaps = kept.listed();
    assert_eq!(gaps.len(), 110);
    assert_eq!(gaps.iter().filter(|gap| **gap).count(), 20);
    assert!(gaps[50..70].iter().all(|gap| *gap), "the oldest of it: {gaps:?}");
    assert!(kept.window.segment(50).is_none() && !kept.window.is_shed(50));
}

#[test]
fn only_what_comes_next_is_taken() {
    let mut window = Window::new(config("video"));
    let part = |segment, index, duration| Packaged::Part(part(segment, index, 0, duration));
    let end = |segment, duration| Packaged::SegmentEnd { segment, duration };
    let rows = [
        (part(0, 0, 500), Err(Unfit::NoInit)),
        (init(1), Ok(())),
        (init(1), Err(Unfit::OutOfOrder)),
        (init(0), Err(Unfit::OutOfOrder)),
        (end(0, 500), Err(Unfit::OutOfOrder)),
        (part(5, 1, 500), Err(Unfit::OutOfOrder)),
        (part(5, 0, 0), Err(Unfit::Empty)),
        (part(5, 0, 3_500), Err(Unfit::TooLong)),
        (part(5, 0, 2_900), Ok(())),
        (part(5, 0, 500), Err(Unfit::OutOfOrder)),
        (part(5, 1, 600), Err(Unfit::TooLong)),
        (part(5, 1, 599), Ok(())),
        (part(4, 0, 500), Err(Unfit::OutOfOrder)),
        (end(4, 3_000), Err(Unfit::OutOfOrder)),
        (end(5, 3_500), Err(Unfit::TooLong)),
        (end(5, 3_499), Ok(())),
        (end(5, 3_499), Err(Unfit::OutOfOrder)),
        (part(5, 2, 1), Err(Unfit::OutOfOrder)),
        (part(u64::MAX, 0, 500), Ok(())),
        (end(u64::MAX, 500), Ok(())),
        (part(u64::MAX, 0, 500), Err(Unfit::OutOfOrder)),
    ];
    for (item, want) in rows {
        let said = format!("{item:?}");
        assert_eq!(window.handle(item), want, "{said}");
        parse(&render(&window, Form::Full, &[]));
    }
    assert_eq!(window.hint(), None, "no number is left");
}

#[test]
fn a_hinted_part_is_abandoned_when_its_segment_ends() {
    let mut window = filled(config("video"), 0..1);
    fill(&mut window, 1, 3);
    let at = |msn, part| Position { msn, part };
    assert_eq!(window.hint(), Some(at(1, 3)), "H15");
    assert_eq!(window.part(at(1, 3)), Found::Hinted, "H16");
    assert_eq!(window.part(at(1, 4)), Found::Missing, "H16");
    assert_eq!(window.part(at(2, 0)), Found::Missing, "H16");
    window.handle(Packaged::SegmentEnd { segment: 1, duration: 1_500 }).unwrap();
    assert_eq!(window.part(at(1, 3)), Found::Missing, "H16: abandoned");
    assert_eq!(window.part(at(2, 0)), Found::Hinted, "H16");
    window.end();
    assert_eq!(window.part(at(2, 0)), Found::Missing, "H28");
}

#[test]
fn segment_and_parts_share_their_bytes() {
    let window = filled(config("video"), 0..1);
    let segment = window.segment(0).unwrap();
    assert_eq!(segment, "<0.0><0.1><0.2><0.3><0.4><0.5>", "H13");
    let Found::Part(part) = window.part(Position { msn: 0, part: 2 }) else { panic!("H13") };
    assert_eq!(part.as_ptr(), segment[10..].as_ptr(), "nothing is kept twice");
}

#[test]
fn left_out_numbers_are_gaps() {
    let mut window = filled(config("video"), 0..2);
    fill(&mut window, 5, 1);
    let parsed = parse(&render(&window, Form::Full, &[]));
    let told: Vec<_> =
        parsed.segments.iter().map(|s| (s.msn, s.gap, s.duration, s.date.as_str())).collect();
    let want = [
        (0, false, 3.0, "2026-11-28T17:17:29.040Z"),
        (1, false, 3.0, "2026-11-28T17:17:32.040Z"),
        (2, true, 3.0, "2026-11-28T17:17:35.040Z"),
        (3, true, 3.0, "2026-11-28T17:17:38.040Z"),
        (4, true, 3.0, "2026-11-28T17:17:41.040Z"),
    ];
    assert_eq!(told, want, "H23, H19");
    assert_eq!(parsed.open.unwrap().date, "2026-11-28T17:17:44.040Z", "H19");
}

#[test]
fn a_rendition_that_begins_late_counts_the_discontinuities_before_it() {
    let mut window = Window::new(config("video"));
    window.handle(Packaged::Discontinuity).unwrap();
    window.handle(init(0)).unwrap();
    fill(&mut window, 9, 1);
    let parsed = parse(&render(&window, Form::Full, &[]));
    assert_eq!(parsed.discontinuity_sequence, 1, "H22: the same numbers in all renditions");
    assert_eq!(parsed.open.unwrap().discontinuity, 1, "H22");
}

#[test]
fn initialization_sections_go_with_their_segments() {
    let short = Config { dvr: Duration::from_secs(1), ..config("video") };
    let mut window = filled(short, 0..2);
    window.handle(init(1)).unwrap();
    window.handle(init(2)).unwrap();
    let there = |window: &Window| (0..3).map(|v| window.init(v).is_some()).collect::<Vec<_>>();
    assert_eq!(there(&window), [true, false, true], "H20: nothing ever had the second");
    for segment in 2..40 {
        fill(&mut window, segment, 6);
        window.handle(Packaged::SegmentEnd { segment, duration: 3_000 }).unwrap();
    }
    assert_eq!(there(&window), [false, false, true]);
}

#[test]
fn a_part_is_never_told_to_be_longer_than_the_target() {
    let mut window = Window::new(Config { timescale: 90_000, ..config("video") });
    window.handle(init(0)).unwrap();
    window.handle(Packaged::Part(part(0, 0, 0, 45_001))).unwrap();
    let text = render(&window, Form::Full, &[]);
    assert!(text.contains("#EXT-X-PART:DURATION=0.50000,"), "H9: {text}");
}

#[test]
fn names_are_checked() {
    for good in ["a", "video-h", "A_0", &"x".repeat(64)] {
        assert_eq!(good.parse::<Name>().unwrap().to_string(), good);
    }
    for bad in ["", "a.b", "a/b", "a\"", "ä", " ", &"x".repeat(65)] {
        assert!(bad.parse::<Name>().is_err(), "{bad:?}");
    }
}
