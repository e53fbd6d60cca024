mod scalable;

use bytes::Bytes;

use super::*;
use crate::media::codec::PayloadInfo;
use crate::media::{ExtensionIds, Packet, PictureIds};

const FRAME: i64 = 3000;

struct Fake {
    generation: u32,
    reach: Duration,
    best: Option<u8>,
    layers: Vec<FakeLayer>,
}

struct FakeLayer {
    rid: Rid,
    active: bool,
    era: u32,
    shift: i64,
    first: u64,
    packets: Vec<Arrived>,
    keyframe: Option<u64>,
}

impl Layers for Fake {
    fn generation(&self) -> u32 {
        self.generation
    }

    fn best(&self) -> Option<u8> {
        self.best
    }

    fn is_active(&self, layer: u8) -> bool {
        self.layers.get(usize::from(layer)).is_some_and(|layer| layer.active)
    }

    fn find(&self, rid: &Rid) -> Option<(u8, bool)> {
        let index = self.layers.iter().position(|layer| layer.rid == *rid)?;
        Some((index as u8, self.layers[index].active))
    }

    fn packet(&self, layer: u8, position: u64) -> Option<&Arrived> {
        let layer = self.layers.get(usize::from(layer))?;
        layer.packets.get(position.checked_sub(layer.first)? as usize)
    }

    fn bounds(&self, layer: u8) -> Option<(u64, u64)> {
        let layer = self.layers.get(usize::from(layer))?;
        Some((layer.first, layer.first + layer.packets.len() as u64))
    }

    fn era(&self, layer: u8) -> u32 {
        self.layers[usize::from(layer)].era
    }

    fn keyframe(&self, layer: u8) -> Option<u64> {
        self.layers[usize::from(layer)].keyframe
    }

    fn reach(&self, _layer: u8, _now: Instant) -> Duration {
        self.reach
    }

    fn shift(&self, layer: u8, _now: Instant) -> i64 {
        self.layers[usize::from(layer)].shift
    }
}

impl Fake {
    fn new(layers: &[&str]) -> Self {
        let layer = |rid: &&str| FakeLayer {
            rid: Rid::new(*rid),
            active: true,
            era: 0,
            shift: 0,
            first: 0,
            packets: Vec::new(),
            keyframe: None,
        };
        let layers: Vec<_> = layers.iter().map(layer).collect();
        let best = layers.len().checked_sub(1).map(|it| it as u8);
        Self { generation: 1, reach: Duration::from_secs(1), best, layers }
    }

    fn push(&mut self, at: Instant, layer: usize, seq: i64, frame: i64, last: bool) -> u64 {
        let mut bytes = vec![0x80, if last { 0xe0 } else { 0x60 }];
        bytes.extend_from_slice(&(seq as u16).to_be_bytes());
        bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 7]);
        let packet = Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap();
        let layer = &mut self.layers[layer];
        layer.packets.push(Arrived {
            packet,
            info: PayloadInfo::default(),
            picture: PictureIds::default(),
            era: layer.era,
            seq,
            timestamp: frame * FRAME - layer.shift,
            at,
            received: at,
            capture: None,
        });
        layer.first + layer.packets.len() as u64 - 1
    }

    /// A keyframe of one packet.
    fn push_key(&mut self, at: Instant, layer: usize, seq: i64, frame: i64) {
        let position = self.push(at, layer, seq, frame, true);
        self.layers[layer].keyframe = Some(position);
    }
}

struct Viewer {
    forwarder: Forwarder,
    sent: Vec<(u8, u64, i64)>,
}

impl Viewer {
    fn new(kind: Kind, wish: Wish) -> Self {
        let clock_rate = if kind == Kind::Audio { 48_000 } else { 90_000 };
        let mut forwarder = Forwarder::new(kind, clock_rate, 7);
        forwarder.choose(wish);
        Self { forwarder, sent: Vec::new() }
    }

    /// What is sent now: layer and position of each packet, and what is lacking.
    fn plan(&mut self, now: Instant, track: &Fake) -> (Vec<(u8, u64)>, Need) {
        let mut out = Vec::new();
        let need = self.forwarder.plan(now, track, 64, &mut out);
        self.sent.extend(out.iter().map(|it| (it.layer, it.position, it.rewrite.seq)));
        (out.iter().map(|planned| (planned.layer, planned.position)).collect(), need)
    }

    fn seqs(&self) -> Vec<i64> {
        let first = self.sent[0].2;
        self.sent.iter().map(|(_, _, seq)| seq - first).collect()
    }
}

fn rid(name: &str) -> Wish {
    Wish::Rid(Rid::new(name))
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_joiner_begins_with_the_keyframe_and_gets_what_follows() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push(now, 0, 10, 1, true);
    track.push_key(now, 0, 11, 2);
    track.push(now, 0, 12, 3, true);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    assert_eq!(viewer.plan(now, &track), (vec![(0, 1), (0, 2)], Need::Nothing));
    assert_eq!(viewer.plan(now, &track), (vec![], Need::Nothing));
    track.push(now, 0, 13, 4, true);
    assert_eq!(viewer.plan(now, &track).0, [(0, 3)]);
    assert_eq!(viewer.seqs(), [0, 1, 2]);
}

#[test]
fn a_joiner_without_a_fresh_keyframe_asks_for_one() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    track.push(now, 0, 10, 1, true);
    assert_eq!(viewer.plan(now, &track), (vec![], Need::Keyframe(0)));
    track.push_key(now, 0, 11, 2);
    assert_eq!(viewer.plan(now + ms(1001), &track), (vec![], Need::Keyframe(0)));
    assert_eq!(viewer.plan(now + ms(10), &track).1, Need::Nothing);
}

#[test]
fn the_budget_ends_a_plan_and_the_next_goes_on() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push_key(now, 0, 0, 0);
    (1..10).for_each(|seq| {
        track.push(now, 0, seq, seq, true);
    });
    let mut forwarder = Forwarder::new(Kind::Video, 90_000, 1);
    let mut out = Vec::new();
    forwarder.plan(now, &track, 4, &mut out);
    assert_eq!(out.len(), 4);
    forwarder.plan(now, &track, 20, &mut out);
    assert_eq!(out.iter().map(|it| it.position).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
}

#[test]
fn a_change_waits_for_the_keyframe_and_for_the_end_of_the_frame() {
    let now = Instant::now();
    let mut track = Fake::new(&["l", "h"]);
    track.layers[0].shift = 500;
    track.push_key(now, 1, 100, 1);
    let mut viewer = Viewer::new(Kind::Video, rid("h"));
    viewer.plan(now, &track);
    viewer.forwarder.choose(rid("l"));
    track.push(now, 0, 7, 1, true);
    track.push(now, 1, 101, 2, false);
    assert_eq!(viewer.plan(now, &track), (vec![(1, 1)], Need::Keyframe(0)));
    track.push_key(now, 0, 8, 3);
    assert_eq!(viewer.plan(now, &track), (vec![], Need::Nothing), "a frame is open");
    track.push(now, 1, 102, 2, true);
    assert_eq!(viewer.plan(now, &track), (vec![(1, 2)], Need::Nothing));
    assert_eq!(viewer.plan(now, &track), (vec![(0, 1)], Need::Nothing));
    assert_eq!(viewer.seqs(), [0, 1, 2, 3]);
    assert_eq!(viewer.forwarder.counters().switches, 1);
}

#[test]
fn a_frame_that_never_ends_is_not_waited_for_long() {
    let now = Instant::now();
    let mut track = Fake::new(&["l", "h"]);
    track.push_key(now, 1, 100, 1);
    track.push(now, 1, 101, 2, false);
    let mut viewer = Viewer::new(Kind::Video, rid("h"));
    viewer.plan(now, &track);
    viewer.forwarder.choose(rid("l"));
    track.push_key(now + ms(5), 0, 8, 3);
    assert_eq!(viewer.plan(now + ms(5), &track).0, []);
    assert_eq!(viewer.plan(now + ms(30), &track).0, [(0, 0)]);
}

#[test]
fn a_layer_that_stops_gives_way_to_the_best_until_it_is_back() {
    let now = Instant::now();
    for wish in [rid("h"), Wish::Highest] {
        let mut track = Fake::new(&["l", "h"]);
        track.push_key(now, 1, 100, 1);
        let mut viewer = Viewer::new(Kind::Video, wish);
        viewer.plan(now, &track);
        track.layers[1].active = false;
        track.best = Some(0);
        assert_eq!(viewer.plan(now, &track), (vec![], Need::Keyframe(0)));
        track.push_key(now, 0, 5, 9);
        assert_eq!(viewer.plan(now, &track), (vec![(0, 0)], Need::Nothing));
        track.layers[1].active = true;
        track.best = Some(1);
        let later = now + ms(2000);
        track.push(later, 0, 6, 70, true);
        assert_eq!(viewer.plan(later, &track), (vec![(0, 1)], Need::Keyframe(1)));
        track.push_key(later, 1, 101, 71);
        assert_eq!(viewer.plan(later, &track), (vec![(1, 1)], Need::Nothing));
        // All stop: it stays where it is.
        (track.layers[0].active, track.layers[1].active, track.best) = (false, false, None);
        assert_eq!(viewer.plan(later, &track), (vec![], Need::Nothing));
    }
}

#[test]
fn a_wish_for_a_layer_that_does_not_exist_is_one_for_the_best() {
    let now = Instant::now();
    let mut track = Fake::new(&["l", "h"]);
    track.push_key(now, 1, 100, 1);
    let mut viewer = Viewer::new(Kind::Video, rid("?"));
    assert_eq!(viewer.plan(now, &track).0, [(1, 0)]);
}

#[test]
fn a_keyframe_of_long_before_is_not_shown_again() {
    let now = Instant::now();
    for (frames_behind, taken) in [(0, true), (3, true), (4, false), (20, false)] {
        let mut track = Fake::new(&["l", "h"]);
        track.push_key(now, 1, 100, 50);
        let mut viewer = Viewer::new(Kind::Video, rid("h"));
        viewer.plan(now, &track);
        track.push_key(now, 0, 5, 50 - frames_behind);
        viewer.forwarder.choose(rid("l"));
        let (sent, need) = viewer.plan(now, &track);
        assert_eq!((sent.len() == 1, need == Need::Nothing), (taken, taken), "{frames_behind}");
    }
}

#[test]
fn another_publisher_s_packets_wait_for_a_keyframe() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push_key(now, 0, 100, 1);
    track.push(now, 0, 101, 2, true);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.plan(now, &track);
    let mut track = Fake { generation: 2, ..Fake::new(&["h"]) };
    // More than the viewer's old cursor: its numbers mean nothing here.
    (0..5).for_each(|seq| {
        track.push(now, 0, 9000 + seq, seq, true);
    });
    assert_eq!(viewer.plan(now, &track), (vec![], Need::Keyframe(0)));
    track.push_key(now, 0, 9005, 5);
    assert_eq!(viewer.plan(now, &track), (vec![(0, 5)], Need::Nothing));
    assert_eq!(viewer.seqs(), [0, 1, 2]);
}

#[test]
fn a_layer_s_new_source_waits_for_a_keyframe() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push_key(now, 0, 100, 1);
    track.push(now, 0, 101, 2, false);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.plan(now, &track);
    let layer = &mut track.layers[0];
    (layer.era, layer.first, layer.keyframe) = (1, 2, None);
    layer.packets.clear();
    track.push(now, 0, 40_000, 3, true);
    assert_eq!(viewer.plan(now, &track), (vec![], Need::Keyframe(0)));
    track.push_key(now, 0, 40_001, 4);
    assert_eq!(viewer.plan(now, &track), (vec![(0, 3)], Need::Nothing));
    assert_eq!(viewer.seqs(), [0, 1, 2]);
}

#[test]
fn a_keyframe_may_be_taken_up_before_its_first_packets_are_there() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push(now, 0, 10, 1, true);
    // 11 and 12 are lost; the next frame overtakes what is sent again.
    let position = track.push(now, 0, 13, 2, true);
    track.layers[0].keyframe = Some(position);
    track.push(now, 0, 14, 3, true);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    assert_eq!(viewer.plan(now, &track).0, [(0, 1), (0, 2)]);
    track.push(now, 0, 12, 2, false);
    track.push(now, 0, 11, 2, false);
    track.push(now, 0, 9, 1, false);
    assert_eq!(viewer.plan(now, &track).0, [(0, 3), (0, 4)]);
    assert_eq!(viewer.seqs(), [0, 1, -1, -2]);
}

#[test]
fn what_is_missing_of_the_frame_before_a_keyframe_is_not_waited_for() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push(now, 0, 10, 1, false);
    track.push_key(now, 0, 12, 2);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.plan(now, &track);
    track.push(now, 0, 11, 1, true);
    assert_eq!(viewer.plan(now, &track).0, []);
    assert_eq!(viewer.forwarder.counters().before_start, 1);
}

#[test]
fn a_lost_frame_before_a_keyframe_does_not_take_the_room_that_was_left() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push(now, 0, 10, 1, true);
    track.push_key(now, 0, 12, 3);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.plan(now, &track);
    track.push(now, 0, 11, 2, true);
    track.push(now, 0, 13, 4, true);
    assert_eq!(viewer.plan(now, &track).0, [(0, 3)]);
    assert_eq!(viewer.seqs(), [0, 1]);
}

#[test]
fn what_the_ring_has_let_go_stays_a_hole() {
    let now = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push_key(now, 0, 0, 0);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.plan(now, &track);
    (1..6).for_each(|seq| {
        track.push(now, 0, seq, seq, true);
    });
    track.layers[0].packets.drain(..4);
    track.layers[0].first = 4;
    assert_eq!(viewer.plan(now, &track).0, [(0, 4), (0, 5)]);
    assert_eq!(viewer.seqs(), [0, 4, 5]);
    assert_eq!(viewer.forwarder.counters().overrun, 3);
}

#[test]
fn a_joiner_catches_up_at_four_times_the_speed() {
    let begin = Instant::now();
    let mut track = Fake::new(&["h"]);
    track.push_key(begin, 0, 0, 0);
    (1..30).for_each(|seq| {
        track.push(begin + ms(33 * seq as u64), 0, seq, seq, true);
    });
    let joined = begin + ms(960);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    let mut sent = Vec::new();
    let mut done = None;
    for step in 0..50 {
        let now = joined + ms(10 * step);
        sent.push(viewer.plan(now, &track).0.len());
        if viewer.sent.len() == 30 {
            done.get_or_insert(step * 10);
        }
    }
    assert_eq!(sent[0], 1, "{sent:?}");
    assert!(sent.iter().all(|count| *count <= 3), "{sent:?}");
    assert!(done.is_some_and(|done| (200..=250).contains(&done)), "{done:?}");
    assert_eq!(viewer.seqs(), (0..30).collect::<Vec<_>>());
}

#[test]
fn sound_begins_with_the_newest_packet_and_goes_on_with_another_publisher() {
    let now = Instant::now();
    let mut track = Fake::new(&["a"]);
    let mut viewer = Viewer::new(Kind::Audio, Wish::Highest);
    assert_eq!(viewer.plan(now, &track), (vec![], Need::Nothing));
    (0..5).for_each(|seq| {
        track.push(now, 0, seq, seq, false);
    });
    assert_eq!(viewer.plan(now, &track).0, [(0, 4)]);
    let mut track = Fake { generation: 2, ..Fake::new(&["a"]) };
    assert_eq!(viewer.plan(now, &track), (vec![], Need::Nothing));
    track.push(now, 0, 700, 9, false);
    assert_eq!(viewer.plan(now, &track).0, [(0, 0)]);
    assert_eq!(viewer.seqs(), [0, 1]);
}

/// A GOP of frames 33 ms apart and what a joiner of it got by when.
fn catching_up(begin: Instant, frames: i64) -> Fake {
    let mut track = Fake { reach: ms(3000), ..Fake::new(&["h"]) };
    track.push_key(begin, 0, 0, 0);
    (1..frames).for_each(|seq| {
        track.push(begin + ms(33 * seq as u64), 0, seq, seq, true);
    });
    track
}

#[test]
fn catching_up_says_when_it_goes_on() {
    let begin = Instant::now();
    let track = catching_up(begin, 60);
    let joined = begin + ms(1980);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    let mut now = joined;
    viewer.plan(now, &track);
    while let Some(due) = viewer.forwarder.due() {
        assert!(!viewer.forwarder.takes_due(due - ms(1)));
        assert!(due > now && due - now <= ms(9), "{:?}", due - now);
        now = due;
        assert!(viewer.forwarder.takes_due(now) && !viewer.forwarder.takes_due(now));
        assert_eq!(viewer.plan(now, &track).0.len(), 1);
    }
    assert_eq!(viewer.seqs(), (0..60).collect::<Vec<_>>());
    assert!((ms(460)..ms(500)).contains(&(now - joined)), "{:?}", now - joined);
}

#[test]
fn what_comes_while_catching_up_is_not_live() {
    let begin = Instant::now();
    let mut track = catching_up(begin, 60);
    let joined = begin + ms(1980);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    let plan = |viewer: &mut Viewer, now, track: &Fake| {
        let mut out = Vec::new();
        viewer.forwarder.plan(now, track, 64, &mut out);
        out.iter().map(|planned| planned.live).collect::<Vec<_>>()
    };
    plan(&mut viewer, joined, &track);
    // A packet comes at once, and leaves when everything before it has.
    track.push(joined + ms(1), 0, 60, 60, true);
    assert_eq!(plan(&mut viewer, joined + ms(700), &track), [false; 60]);
    track.push(joined + ms(701), 0, 61, 61, true);
    assert_eq!(plan(&mut viewer, joined + ms(701), &track), [true]);
}

#[test]
fn a_fresh_keyframe_cuts_catching_up_short() {
    let begin = Instant::now();
    let mut track = catching_up(begin, 60);
    let joined = begin + ms(1980);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.plan(joined, &track);
    viewer.plan(joined + ms(10), &track);
    assert_eq!(viewer.sent.len(), 3);
    let now = joined + ms(20);
    track.push_key(now, 0, 60, 60);
    assert_eq!(viewer.plan(now, &track).0, [(0, 60)]);
    track.push(now + ms(33), 0, 61, 61, true);
    assert_eq!(viewer.plan(now + ms(33), &track).0, [(0, 61)]);
    assert_eq!(viewer.seqs(), [0, 1, 2, 3, 4]);
    assert_eq!((viewer.forwarder.due(), viewer.forwarder.counters().switches), (None, 0));
}

#[test]
fn a_viewer_that_could_not_decode_is_given_it_once_more() {
    let begin = Instant::now();
    let mut track = catching_up(begin, 15);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    assert!(!viewer.forwarder.start_again(begin, &track), "nothing was begun");
    let mut stamps = Vec::new();
    let mut run = |viewer: &mut Viewer, track: &Fake, from: u64, to: u64| {
        let mut positions = Vec::new();
        for at in (from..to).step_by(5).map(|at| begin + ms(at)) {
            let mut out = Vec::new();
            viewer.forwarder.plan(at, track, 64, &mut out);
            stamps.extend(out.iter().map(|it| (it.rewrite.seq, it.rewrite.timestamp)));
            positions.extend(out.iter().map(|it| it.position));
        }
        positions
    };
    let all: Vec<u64> = (0..15).collect();
    assert_eq!(run(&mut viewer, &track, 500, 700), all);
    assert!(viewer.forwarder.start_again(begin + ms(700), &track));
    assert!(!viewer.forwarder.start_again(begin + ms(800), &track), "not twice within a second");
    assert_eq!(run(&mut viewer, &track, 700, 950), all, "from the keyframe on");
    track.reach = ms(1000);
    assert!(!viewer.forwarder.start_again(begin + ms(1800), &track), "out of reach");
    track.reach = ms(3000);
    assert!(!viewer.forwarder.start_again(begin + ms(1699), &track), "a millisecond early");
    assert!(viewer.forwarder.start_again(begin + ms(1801), &track));
    assert_eq!(run(&mut viewer, &track, 1801, 2200), all);
    assert_eq!(viewer.forwarder.counters().again, 2);
    let first = stamps[0];
    let stamps = stamps.iter().map(|(seq, at)| (seq - first.0, at.wrapping_sub(first.1)));
    let stamps: Vec<_> = stamps.collect();
    let numbers: Vec<_> = stamps.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(numbers, (0..45).collect::<Vec<_>>(), "each number once");
    assert!(stamps.windows(2).all(|pair| pair[0].1 < pair[1].1), "in order: {stamps:?}");
}

#[test]
fn whoever_waits_for_a_keyframe_looks_again_by_itself() {
    let begin = Instant::now();
    let mut track = catching_up(begin, 60);
    track.reach = ms(1000);
    let joined = begin + ms(1980);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    assert_eq!(viewer.plan(joined, &track), (vec![], Need::Keyframe(0)));
    let due = viewer.forwarder.due().unwrap();
    assert!(viewer.forwarder.takes_due(due));
    // By now it has turned out that requests are ignored.
    track.reach = ms(3000);
    assert_eq!(viewer.plan(due, &track), (vec![(0, 0)], Need::Nothing));
}

#[test]
fn an_automatic_viewer_gets_no_more_than_its_limit_and_one_who_chose_gets_that() {
    let now = Instant::now();
    let mut track = Fake::new(&["l", "h"]);
    (0..2).for_each(|layer| track.push_key(now, layer, 10, 1));
    let limit = Some(Target::whole(0));
    for (wish, want) in [(Wish::Highest, 0), (rid("h"), 1)] {
        let mut viewer = Viewer::new(Kind::Video, wish);
        viewer.forwarder.limit(now, limit);
        viewer.plan(now, &track);
        assert_eq!(viewer.forwarder.layer(), Some(want));
    }
    // A limit to what does not arrive is none.
    track.layers[0].active = false;
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.forwarder.limit(now, limit);
    viewer.plan(now, &track);
    assert_eq!(viewer.forwarder.layer(), Some(1));
}

#[test]
fn a_layer_that_overloads_the_network_stops_after_its_frame_until_the_other_s_keyframe_comes() {
    let start = Instant::now();
    let mut track = Fake::new(&["l", "h"]);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    (0..2).for_each(|layer| track.push_key(start, layer, 10, 1));
    track.push(start, 1, 11, 2, false);
    viewer.plan(start, &track);
    viewer.forwarder.limit_at_once(start, Some(Target::whole(0)), ms(160));
    // The rest of the frame in hand, but nothing of the next; no keyframe while the network is busy.
    track.push(start, 1, 12, 2, true);
    track.push(start, 1, 13, 3, true);
    assert_eq!(viewer.plan(start + ms(5), &track), (vec![(1, 2)], Need::Nothing));
    assert!(viewer.forwarder.has_left(start + ms(5), 1, 0));
    // Old enough not to be gone back to.
    track.layers[0].keyframe = None;
    assert_eq!(viewer.plan(start + ms(101), &track), (vec![], Need::Keyframe(0)));
    track.push_key(start + ms(150), 0, 15, 6);
    assert_eq!(viewer.plan(start + ms(150), &track), (vec![(0, 1)], Need::Nothing));
    assert!(viewer.forwarder.has_left(start + ms(150), 1, 0));
    assert!(!viewer.forwarder.has_left(start + ms(150), 0, 0));
}

#[test]
fn a_layer_goes_on_where_it_stopped_when_no_keyframe_comes() {
    let start = Instant::now();
    let mut track = Fake::new(&["l", "h"]);
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    track.push_key(start, 1, 10, 1);
    viewer.plan(start, &track);
    viewer.forwarder.limit_at_once(start, Some(Target::whole(0)), ms(0));
    for frame in 2..20 {
        let now = start + ms(33) * frame as u32;
        track.push(now, 1, 9 + frame, frame, true);
        let (sent, need) = viewer.plan(now, &track);
        assert_eq!(need, Need::Keyframe(0));
        assert!(sent.is_empty() || now >= start + MAX_HOLD);
    }
    assert_eq!(viewer.seqs(), (0..19).collect::<Vec<_>>());
    assert!(!viewer.forwarder.has_left(start + ms(640), 1, 0));
}

#[test]
fn a_viewer_who_asks_for_fewer_frames_still_gets_the_size_that_its_network_carries() {
    let now = Instant::now();
    let mut track = Fake::new(&["l", "h"]);
    (0..2).for_each(|layer| track.push_key(now, layer, 10, 1));
    let mut viewer = Viewer::new(Kind::Video, Wish::Highest);
    viewer.forwarder.restrict(Parts { spatial: Target::ALL, temporal: 0 });
    viewer.forwarder.limit(now, Some(Target::whole(0)));
    viewer.plan(now, &track);
    // What is allowed is a rung of the ladder, whatever the viewer leaves of it.
    assert_eq!(viewer.forwarder.forwarded(), Some(Target::whole(0)));
    assert!(viewer.forwarder.is_automatic());
    viewer.forwarder.restrict(Parts { spatial: 0, temporal: Target::ALL });
    assert!(!viewer.forwarder.is_automatic(), "it chose the size itself");
}
