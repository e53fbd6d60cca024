//! A property test: whatever a packager does, playlists parse and never go back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;

use super::super::{Answer, decide, render};
use super::super::{Config, Directives, Form, Found, Position, Report, Unfit, Window};
use super::kit::{HZ, config, init};
use super::parsed::{Parsed, Segment, parse};
use crate::media::{Packaged, Part};

#[derive(Clone, Debug)]
enum Step {
    Part {
        duration: u64,
        independent: bool,
        gap: bool,
    },
    SegmentEnd,
    Discontinuity,
    Init,
    /// Segments in a row, which is what mostly happens.
    Segments(u8),
    /// Numbers are left out.
    Leap(u16),
    /// Something that a packager never does.
    Nonsense(Packaged),
}

/// A packager that keeps to the contract.
#[derive(Default)]
struct Packager {
    segment: u64,
    index: u32,
    ticks: u64,
    at: i64,
    version: u32,
}

/// What clients may have seen.
#[derive(Default)]
struct Seen {
    before: Option<Parsed>,
    /// The latest playlists.
    fulls: VecDeque<Parsed>,
    /// Discontinuity number, EXTINF and map of each segment.
    segments: BTreeMap<u64, (u64, f64, String)>,
    /// When each segment appeared, in ticks of complete segments, and what it lasts.
    appeared: BTreeMap<u64, (u64, u64)>,
    /// Segments that are no gaps.
    with_media: BTreeSet<u64>,
    total: u64,
    longest: u64,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn playlists_parse_and_never_go_back(
        dvr_s in prop_oneof![Just(5_u64), Just(30), Just(120)],
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let config = Config {
            dvr: std::time::Duration::from_secs(dvr_s),
            ..config("video")
        };
        let mut window = Window::new(config);
        let mut packager = Packager { segment: 7, at: 21_000, ..Packager::default() };
        let mut seen = Seen::default();
        window.handle(init(0)).unwrap();
        for step in steps {
            for item in packager.items(&window, step) {
                take(&mut window, item, &mut seen);
            }
        }
        window.end();
        check(&window, &mut seen);
        prop_assert_eq!(window.handle(Packaged::Discontinuity), Err(Unfit::Ended));
    }
}

fn take(window: &mut Window, item: Packaged, seen: &mut Seen) {
    let before = window.state();
    let text = render(window, Form::Full, &[]);
    if let Err(why) = window.handle(item.clone()) {
        assert_eq!(before, window.state(), "what is refused changes nothing: {item:?} {why}");
        assert_eq!(text, render(window, Form::Full, &[]), "{item:?} {why}");
        return;
    }
    assert!(window.state().version > before.version);
    check(window, seen);
}

fn check(window: &Window, seen: &mut Seen) {
    let report = Report { name: "audio".parse().unwrap(), last: Position { msn: 9, part: 2 } };
    let full = parse(&render(window, Form::Full, std::slice::from_ref(&report)));
    let delta = parse(&render(window, Form::Delta, &[report]));
    check_header(window, &full);
    check_segments(window, &full, seen);
    if let Some(before) = &seen.before {
        check_progress(before, &full);
    }
    check_delta(window, &full, &delta, seen);
    check_availability(window, &full, seen);
    seen.before = Some(full.clone());
    seen.fulls.push_back(full);
    if seen.fulls.len() > 150 {
        seen.fulls.pop_front();
    }
}

fn check_header(window: &Window, full: &Parsed) {
    let config = window.config();
    assert_eq!((full.version, full.target_duration), (6, 3), "H3, H4");
    assert_eq!((full.part_target, full.part_hold_back), (0.5, 1.5), "H6, H8");
    assert_eq!(full.can_skip_until, (config.dvr.as_secs() > 18).then_some(18.0), "H6, H51, H53");
    assert_eq!(full.skipped, None);
    let live = !full.ended && full.last().is_some();
    assert_eq!(full.hinted_part.is_some(), live, "H15, H28");
    assert_eq!(full.reports.len(), usize::from(!full.ended), "H18");
    if let (Some(hint), Some(uri)) = (window.hint(), &full.hinted_part) {
        assert_eq!(uri, &format!("video/{}.{}.m4s", hint.msn, hint.part), "H15");
        assert_eq!(window.part(hint), Found::Hinted, "H16");
    }
}

fn check_segments(window: &Window, full: &Parsed, seen: &mut Seen) {
    let state = window.state();
    let mut parts_began = false;
    for segment in full.segments.iter().chain(&full.open) {
        let msn = segment.msn;
        assert!(!segment.date.is_empty(), "H19: {msn}");
        let version = segment.map.strip_prefix("video/init-").and_then(|v| v.strip_suffix(".mp4"));
        let version = version.expect("H20").parse().unwrap();
        assert!(window.init(version).is_some(), "H20: {} is there", segment.map);
        for (index, part) in segment.parts.iter().enumerate() {
            assert_eq!(part.uri, format!("video/{msn}.{index}.m4s"));
            assert!(part.duration <= full.part_target, "H9: {part:?}");
            let at = Position { msn, part: index as u32 };
            assert_eq!(matches!(window.part(at), Found::Part(_)), !part.gap, "H23: {part:?}");
        }
        // Segments that are all gap may have no parts, wherever they stand.
        parts_began |= !segment.parts.is_empty();
        assert!(!parts_began || segment.gap || !segment.parts.is_empty(), "H14: {segment:?}");
        let known = (segment.discontinuity, segment.duration, segment.map.clone());
        if segment.uri.is_empty() {
            continue;
        }
        assert_eq!(segment.uri, format!("video/{msn}.m4s"));
        assert!(segment.duration.round() <= 3.0, "H4: {segment:?}");
        assert_eq!(window.segment(msn).is_none(), segment.gap, "H23: {segment:?}");
        let is_new = !seen.segments.contains_key(&msn);
        let first = seen.segments.entry(msn).or_insert_with(|| known.clone());
        assert_eq!(*first, known, "H22, H29: segment {msn} is what it was");
        if is_new {
            seen.with_media.extend((!segment.gap).then_some(msn));
            check_bytes(window, msn);
        }
    }
    let last = full.segments.last().map(|segment| segment.msn);
    assert_eq!(state.closed, full.open.is_none() && last.is_some());
    assert_eq!(state.last.map(|last| last.msn), full.last().map(|(msn, _)| msn));
    let nothing = Directives::default();
    let expected = if full.last().is_some() || state.ended { Answer::Now } else { Answer::Wait };
    assert_eq!(decide(&nothing, &state), expected, "H40");
}

fn check_bytes(window: &Window, msn: u64) {
    let Some(segment) = window.segment(msn) else { return };
    let parts = (0..200).filter_map(|part| match window.part(Position { msn, part }) {
        Found::Part(bytes) => Some(bytes),
        Found::Hinted | Found::Missing => None,
    });
    let joined: Vec<u8> = parts.flat_map(|bytes| bytes.to_vec()).collect();
    assert_eq!(segment, joined, "H13: segment {msn}");
}

fn check_progress(before: &Parsed, full: &Parsed) {
    assert!(full.media_sequence >= before.media_sequence, "H5");
    assert!(full.discontinuity_sequence >= before.discontinuity_sequence, "H22");
    assert!(full.last() >= before.last(), "H29: the last part goes back");
    assert!(full.ended || !before.ended, "H28");
    // What has not left at the front is still there.
    let kept = before.segments.iter().filter(|s| s.msn >= full.media_sequence);
    let there = |msn| full.segments.iter().any(|s| s.msn == msn);
    assert!(kept.map(|s| s.msn).all(there), "H29");
    if full.media_sequence > before.media_sequence && !full.segments.is_empty() {
        assert!(full.segments.len() >= 6, "H26: segments");
        let listed: f64 = full.segments.iter().map(|segment| segment.duration).sum();
        assert!(listed >= 9.0 - 0.01 || full.segments[0].gap, "H26: {listed} s");
    }
}

fn check_delta(window: &Window, full: &Parsed, delta: &Parsed, seen: &Seen) {
    let Some(skipped) = delta.skipped else {
        assert_eq!(delta, full, "H50: where nothing is left out, a delta is the whole");
        return;
    };
    assert!(skipped > 0 && !delta.segments.is_empty());
    assert_eq!(delta.version, 9, "H3");
    assert_eq!(window.state().unskipped, Some(full.media_sequence + skipped));
    assert_eq!(delta.media_sequence, full.media_sequence, "H50");
    assert_eq!(delta.discontinuity_sequence, full.discontinuity_sequence, "H50");
    assert!(!delta.segments[0].map.is_empty(), "H51");
    let told: f64 = delta.segments.iter().map(|segment| segment.duration).sum();
    assert!(told >= 18.0 - 0.01, "H50: the skip boundary is {told} s away");
    let first = full.media_sequence;
    // The latest, and some that are older.
    for older in seen.fulls.iter().rev().step_by(13) {
        let has = |msn| older.segments.iter().any(|segment| segment.msn == msn);
        if !(first..first + skipped).all(has) {
            break;
        }
        assert_eq!(&delta.applied_to(older), full, "H50: the delta makes the whole");
    }
}

fn check_availability(window: &Window, full: &Parsed, seen: &mut Seen) {
    let is_known = |segment: &Segment| seen.appeared.contains_key(&segment.msn);
    if full.segments.len() > 1 && !full.segments.iter().any(is_known) {
        // Too many numbers were left out to tell of them all: the time between counts, too.
        seen.appeared.clear();
    }
    for segment in &full.segments {
        if seen.appeared.contains_key(&segment.msn) {
            continue;
        }
        let ticks = (segment.duration * f64::from(HZ)).round() as u64;
        seen.total += ticks;
        seen.appeared.insert(segment.msn, (seen.total, ticks));
    }
    let listed: f64 = full.segments.iter().map(|segment| segment.duration).sum();
    seen.longest = seen.longest.max((listed * f64::from(HZ)).round() as u64);
    // Those that are long gone were checked before.
    for (msn, (appeared, ticks)) in seen.appeared.iter().rev().take(200) {
        let due = appeared + ticks + seen.longest;
        if seen.total < due && seen.with_media.contains(msn) {
            assert!(window.segment(*msn).is_some(), "H27: segment {msn} is gone too early");
        }
        if seen.total > due + 60_000 + 3_000 {
            assert!(window.segment(*msn).is_none(), "segment {msn} is never dropped");
        }
    }
}

// === impl Packager ===

impl Packager {
    fn items(&mut self, window: &Window, step: Step) -> Vec<Packaged> {
        match step {
            Step::Part { duration, independent, gap } => {
                vec![self.part(duration, independent, gap)]
            }
            Step::SegmentEnd => self.end().into_iter().collect(),
            Step::Discontinuity => {
                let mut items: Vec<_> = self.end().into_iter().collect();
                items.push(Packaged::Discontinuity);
                items
            }
            Step::Init => {
                self.version += 1;
                vec![init(self.version)]
            }
            Step::Segments(count) => {
                let mut items: Vec<_> = self.end().into_iter().collect();
                for _ in 0..count {
                    items.extend((0..6).map(|index| self.part(500, index == 0, false)));
                    items.extend(self.end());
                }
                items
            }
            Step::Leap(segments) => {
                let mut items: Vec<_> = self.end().into_iter().collect();
                self.segment += u64::from(segments);
                self.at += i64::from(segments) * 3_000;
                items.push(self.part(400, true, false));
                items
            }
            // What happens to fit would put the packager out of step.
            Step::Nonsense(Packaged::Part(part))
                if window.hint().is_none_or(|hint| part.segment >= hint.msn) =>
            {
                Vec::new()
            }
            Step::Nonsense(Packaged::SegmentEnd { segment, .. }) if segment == self.segment => {
                Vec::new()
            }
            Step::Nonsense(item) => vec![item],
        }
    }

    fn part(&mut self, duration: u64, independent: bool, gap: bool) -> Packaged {
        if self.ticks + duration > 3_000 {
            // It forgets to say so: the window closes what nobody ends.
            self.end();
        }
        let (segment, index) = (self.segment, self.index);
        let bytes = (!gap).then(|| Bytes::from(format!("<{segment}.{index}>")));
        let part = Part { segment, index, start: self.at, duration, independent, bytes };
        self.index += 1;
        self.ticks += duration;
        self.at += duration as i64;
        Packaged::Part(part)
    }

    fn end(&mut self) -> Option<Packaged> {
        let (segment, duration) = (self.segment, self.ticks);
        if self.index == 0 {
            return None;
        }
        (self.segment, self.index, self.ticks) = (segment + 1, 0, 0);
        Some(Packaged::SegmentEnd { segment, duration })
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_u64..=500, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(duration, independent, gap)| Step::Part { duration, independent, gap }),
        3 => Just(Step::SegmentEnd),
        1 => Just(Step::Discontinuity),
        1 => Just(Step::Init),
        3 => (1_u8..12).prop_map(Step::Segments),
        1 => prop_oneof![16 => 1_u16..5, 2 => 60_u16..255, 1 => 1_000_u16..1_100].prop_map(Step::Leap),
        1 => nonsense().prop_map(Step::Nonsense),
    ]
}

fn nonsense() -> impl Strategy<Value = Packaged> {
    let part = (0_u64..30, any::<u32>(), any::<i64>(), any::<u64>()).prop_map(
        |(segment, index, start, duration)| {
            let independent = true;
            Packaged::Part(Part { segment, index, start, duration, independent, bytes: None })
        },
    );
    prop_oneof![
        part,
        (any::<u64>(), any::<u64>())
            .prop_map(|(segment, duration)| Packaged::SegmentEnd { segment, duration }),
        Just(init(0)),
    ]
}
