//! Publishers and viewers that fall silent, sleep, die, come back, and take each other's place.

use std::time::Duration;

use whitewater_core::media::Codec;
use whitewater_core::rtc::connection::{Connection, Opening};
use whitewater_core::shard::command::EndReason;
use whitewater_core::shard::{Event, Reply, SILENCE, ShardId};

use super::agreed::presets;
use super::network::Conditions;
use super::sessions::Handshakes;
use super::world::{STREAM, World};

/// What happened to the stream, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Lost,
    Back,
    Changed,
    Ended,
}

use Turn::{Back, Changed, Ended, Lost};

fn turns(world: &World) -> Vec<Turn> {
    let turn = |event: &(ShardId, Event)| match event.1 {
        Event::PublisherLost { stream: STREAM } => Some(Lost),
        Event::PublisherBack { stream: STREAM, changed: false } => Some(Back),
        Event::PublisherBack { stream: STREAM, changed: true } => Some(Changed),
        Event::StreamEnded { stream: STREAM } => Some(Ended),
        _ => None,
    };
    world.events.iter().filter_map(turn).collect()
}

fn is_live(world: &mut World) -> bool {
    world.report().is_some_and(|report| report.live)
}

/// One publisher, and a viewer on each of three shards, all at work.
fn on_air(seed: u64) -> (World, usize) {
    let mut world = World::new(3, seed);
    let publisher = world.publish(3);
    world.run(1000);
    for shard in 0..3 {
        world.watch(shard);
    }
    world.run(2000);
    (world, publisher)
}

fn assert_nothing_is_left(world: &World) {
    for shard in 0..world.shards.len() {
        let gauges = world.gauges(shard);
        let left = (gauges.sessions, gauges.streams, gauges.addresses, gauges.timers);
        assert_eq!(left, (0, 0, 0, 0), "shard {shard}");
    }
}

fn another_publisher(world: &mut World, layers: usize) -> Result<usize, Reply> {
    let number = world.next_client();
    let (ours, theirs) = presets(number, &world.crypto);
    let connection = Connection::open(world.now, Opening::Preset(Box::new(theirs))).unwrap();
    world.try_publish(number, layers, ours, connection)
}

#[test]
fn a_publisher_that_stops_goes_on_if_it_is_heard_within_the_window() {
    for (stopped_ms, expected) in [
        (2000, vec![]),
        (2900, vec![]),
        (3100, vec![Lost, Back]),
        (5000, vec![Lost, Back]),
        (9800, vec![Lost, Back]),
    ] {
        let (mut world, publisher) = on_air(40);
        world.publishers[publisher].publisher.frozen = true;
        world.run(stopped_ms - 50);
        assert_eq!(is_live(&mut world), stopped_ms < 3000, "{stopped_ms}");
        world.freeze_publisher(publisher, 50);
        world.run(3000);
        assert_eq!(turns(&world), expected, "{stopped_ms}");
        assert!(is_live(&mut world), "{stopped_ms}");
        world.assert_sound();
        for viewing in &world.viewers {
            let seen = &viewing.viewer.seen;
            let gap = Duration::from_millis(stopped_ms);
            assert!(!seen.bye && seen.skips == 0, "{stopped_ms}: {seen:#?}");
            assert!(seen.longest_gap >= gap, "{stopped_ms}: {seen:#?}");
            assert!(seen.longest_gap < gap + Duration::from_millis(200), "{stopped_ms}: {seen:#?}");
            assert!(seen.frames > 140 && seen.worst_skew_ms <= 2, "{stopped_ms}: {seen:#?}");
        }
        // Nobody's session was opened anew.
        assert_eq!(world.gauges(0).sessions, 2, "{stopped_ms}");
    }
}

#[test]
fn a_publisher_that_stops_for_longer_ends_with_its_stream() {
    for stopped_ms in [12_000, 300_000] {
        let (mut world, publisher) = on_air(41);
        world.publishers[publisher].publisher.frozen = true;
        world.run(9900);
        assert_eq!(turns(&world), [Lost], "{stopped_ms}");
        assert!(world.viewers.iter().all(|viewing| !viewing.viewer.seen.bye));
        world.run(200);
        assert_eq!(turns(&world), [Lost, Ended], "{stopped_ms}");
        assert!(world.viewers.iter().all(|viewing| viewing.viewer.seen.bye));
        assert_nothing_is_left(&world);
        // Its own end comes first: who keeps a book finds the stream without a publisher.
        let own = world.publishers[publisher].key;
        let is_own = |event: &(ShardId, Event)| {
            matches!(event.1, Event::Closed { key, reason: EndReason::Here } if key == own)
                && event.0 == ShardId(0)
        };
        let ends = |event: &(ShardId, Event)| matches!(event.1, Event::StreamEnded { .. });
        assert!(world.events.iter().position(is_own) < world.events.iter().position(ends));

        world.freeze_publisher(publisher, stopped_ms - 10_100);
        world.run(1000);
        assert_nothing_is_left(&world);
        // It comes back with a session of its own, as its first one never can.
        world.publish(3);
        world.run(500);
        let viewer = world.watch(1);
        world.run(2000);
        assert!(world.viewers[viewer].viewer.seen.frames > 50);
        world.assert_sound();
    }
}

#[test]
fn the_window_runs_from_the_last_packet_whatever_ends_first() {
    // The session of one that is not heard ends after 30 s.
    for (window_s, expected_ms) in [(0, 3000), (1, 3000), (10, 10_000), (29, 29_000), (60, 60_000)]
    {
        let mut world = World::new(2, 42);
        world.window = Duration::from_secs(window_s);
        let publisher = world.publish(1);
        world.run(500);
        // Between 30 s and 60 s its checks are all that keeps it.
        let viewer = Handshakes::new(&world).watch(&mut world, 1);
        world.run(1000);
        world.publishers[publisher].publisher.frozen = true;
        // What is on its way arrives.
        world.run(5);
        let mut waited = 5;
        while !world.viewers[viewer].viewer.seen.bye {
            world.run(1);
            waited += 1;
            assert!(waited < 70_000);
        }
        // A packet every 20 ms, 5 ms on its way, and as much for the goodbye.
        assert!((expected_ms - 25..expected_ms + 15).contains(&waited), "{window_s}: {waited}");
        assert_eq!(turns(&world), [Lost, Ended], "{window_s}");
        assert_nothing_is_left(&world);
    }
}

#[test]
fn who_is_muted_or_paused_and_still_reports_is_not_lost() {
    let (mut world, publisher) = on_air(43);
    world.publishers[publisher].publisher.muted = true;
    world.run(25_000);
    assert_eq!(turns(&world), []);
    assert!(is_live(&mut world));
    let now = world.now;
    world.publishers[publisher].publisher.thaw(now);
    world.run(2000);
    for viewing in &world.viewers {
        assert!(viewing.viewer.seen.frames > 100 && !viewing.viewer.seen.bye);
    }
    world.assert_sound();
}

#[test]
fn a_check_alone_brings_a_publisher_back() {
    let mut world = World::new(2, 44);
    let handshakes = Handshakes::new(&world);
    let publisher = handshakes.publish(&mut world);
    world.run(1500);
    let viewer = handshakes.watch(&mut world, 1);
    world.run(1500);
    // It sends a check every 4 to 6 s and nothing else.
    world.publishers[publisher].publisher.sending = false;
    world.run(60_000);
    let turns_of_checks = turns(&world);
    assert!(turns_of_checks.len() > 18, "{turns_of_checks:?}");
    for (index, turn) in turns_of_checks.iter().enumerate() {
        assert_eq!(*turn, [Lost, Back][index % 2], "{turns_of_checks:?}");
    }
    assert!(!world.viewers[viewer].viewer.seen.bye);
    // Without checks that is the end.
    world.publishers[publisher].publisher.frozen = true;
    world.run(10_100);
    assert_eq!(turns(&world).last(), Some(&Ended));
    assert!(world.viewers[viewer].viewer.seen.bye);
    assert_nothing_is_left(&world);
}

#[test]
fn a_publisher_that_never_connects_is_not_judged_by_its_silence() {
    let mut world = World::new(1, 45);
    let handshakes = Handshakes::new(&world);
    let publisher = handshakes.publish(&mut world);
    world.publishers[publisher].publisher.frozen = true;
    world.run(19_900);
    assert_eq!(turns(&world), []);
    // Its handshake's time is over, and its window with it.
    world.run(200);
    assert_eq!(turns(&world), [Lost, Ended]);
    assert_nothing_is_left(&world);
}

#[test]
fn a_publisher_that_comes_and_goes_loses_no_viewer() {
    for (stopped_ms, times) in [(2900, 0), (3100, 12)] {
        let (mut world, publisher) = on_air(46);
        for _ in 0..12 {
            world.freeze_publisher(publisher, stopped_ms);
            world.run(400);
        }
        world.run(1000);
        let expected: Vec<_> = (0..times).flat_map(|_| [Lost, Back]).collect();
        assert_eq!(turns(&world), expected, "{stopped_ms}");
        world.assert_sound();
        for viewing in &world.viewers {
            let seen = &viewing.viewer.seen;
            assert!(seen.frames > 200 && !seen.bye && seen.skips == 0, "{seen:#?}");
        }
    }
}

#[test]
fn what_a_network_swallowed_is_made_up_for_by_a_keyframe() {
    let (mut world, publisher) = on_air(47);
    let clean = world.up;
    world.up = clean.losing(1.0);
    world.run(5000);
    world.up = clean;
    let asked = world.publishers[publisher].publisher.asked.len();
    world.run(2000);
    assert_eq!(turns(&world), [Lost, Back]);
    assert!(world.publishers[publisher].publisher.asked.len() > asked);
    world.assert_sound();
    for viewing in &world.viewers {
        let seen = &viewing.viewer.seen;
        assert!(seen.longest_gap < Duration::from_millis(5400), "{seen:#?}");
        assert!(seen.frames > 100, "{seen:#?}");
    }
}

#[test]
fn the_last_moment_of_the_window_is_soon_enough_and_the_next_is_too_late() {
    for late in [false, true] {
        let (mut world, publisher) = on_air(48);
        world.resumes = true;
        world.publishers[publisher].publisher.frozen = true;
        world.run(9000);
        let left = world.report().and_then(|report| report.window).unwrap();
        world.run(left.as_millis() as u64 - u64::from(!late));
        let another = another_publisher(&mut world, 3);
        if late {
            assert!(matches!(another, Err(Reply::Unknown)), "{another:?}");
            assert_eq!(turns(&world), [Lost, Ended]);
            assert_nothing_is_left(&world);
            continue;
        }
        world.run(3000);
        assert_eq!(turns(&world), [Lost, Back]);
        world.assert_sound();
        for viewing in &world.viewers {
            assert!(!viewing.viewer.seen.bye && viewing.viewer.seen.frames > 120);
        }
        assert!(another.is_ok());
        assert_eq!(world.gauges(0).sessions, 2);
    }
}

#[test]
fn another_publisher_takes_over_from_a_silent_and_from_a_present_one() {
    for silent in [true, false] {
        let (mut world, publisher) = on_air(49);
        if silent {
            world.publishers[publisher].publisher.frozen = true;
            world.run(5000);
        }
        let second = world.publish(3);
        world.run(3000);
        let expected = if silent { vec![Lost, Back] } else { vec![Back] };
        assert_eq!(turns(&world), expected);
        // Whoever wakes up after that is a stranger.
        let now = world.now;
        world.publishers[publisher].publisher.thaw(now);
        let strangers = world.gauges(0).dropped_stranger;
        world.run(3000);
        assert!(world.gauges(0).dropped_stranger > strangers);
        assert_eq!(turns(&world), expected);
        assert!(world.publishers[second].publisher.asked.len() <= 4);
        world.assert_sound();
        for viewing in &world.viewers {
            let seen = &viewing.viewer.seen;
            assert!(!seen.bye && seen.skips == 0 && seen.frames > 200, "{seen:#?}");
        }
    }
}

#[test]
fn another_codec_or_track_is_told_and_leaves_viewers_as_they_are() {
    let (mut world, publisher) = on_air(50);
    world.unpublish(publisher, false);
    world.run(4000);
    world.codec = Codec::H264;
    let second = world.publish(1);
    world.run(2000);
    assert_eq!(turns(&world), [Lost, Changed]);
    let frames: Vec<_> = world.viewers.iter().map(|it| it.viewer.seen.frames).collect();
    let sound: Vec<_> = world.viewers.iter().map(|it| it.viewer.seen.sound).collect();
    world.run(2000);
    for (index, viewing) in world.viewers.iter().enumerate() {
        let seen = &viewing.viewer.seen;
        // It takes the sound; of the picture, under its old name, it gets nothing.
        assert!(seen.frames == frames[index] && seen.sound > sound[index] + 50, "{seen:#?}");
        assert!(!seen.bye);
    }
    let viewer = world.watch(2);
    world.run(1500);
    assert!(world.viewers[viewer].viewer.seen.frames > 20);
    // And back again, from a present publisher.
    world.codec = Codec::Vp8;
    world.unpublish(second, false);
    world.publish(3);
    world.run(2000);
    assert_eq!(turns(&world), [Lost, Changed, Changed]);
    for (viewing, frames) in world.viewers.iter().zip(frames) {
        assert!(viewing.viewer.seen.frames > frames + 40);
    }
    world.assert_sound();
}

#[test]
fn a_stream_changes_hands_many_times_under_load() {
    let mut world = World::new(3, 51);
    let bad = Conditions::clean().losing(0.02).jittering(10);
    (world.up, world.down) = (bad, bad);
    let mut publisher = world.publish(2);
    world.run(1000);
    for index in 0..60 {
        world.watch(index % 3);
    }
    world.run(1000);
    for turn in 0..5 {
        if turn % 2 == 0 {
            world.publishers[publisher].publisher.frozen = true;
            world.run(3500);
        }
        publisher = world.publish(2);
        world.run(1500);
    }
    assert_eq!(turns(&world), [Lost, Back, Back, Lost, Back, Back, Lost, Back]);
    world.assert_sound();
    for viewing in &world.viewers {
        let seen = &viewing.viewer.seen;
        assert!(!seen.bye && seen.frames > 180, "{seen:#?}");
        assert!(seen.longest_gap < Duration::from_millis(4500), "{seen:#?}");
    }
    assert_eq!((0..3).map(|shard| world.gauges(shard).sessions).sum::<usize>(), 61);
}

#[test]
fn a_viewer_that_stops_goes_on_or_is_given_up() {
    for stopped_ms in [2000, 5000, 12_000, 300_000] {
        let (mut world, _) = on_air(52);
        let other = world.watch(1);
        world.freeze_viewer(0, stopped_ms);
        let sessions = world.gauges(0).sessions;
        let before = world.viewers[0].viewer.seen.frames;
        world.run(3000);
        let seen = &world.viewers[0].viewer.seen;
        if stopped_ms > 30_000 {
            assert_eq!(sessions, 1, "{stopped_ms}");
            assert_eq!(seen.frames, before, "{stopped_ms}");
        } else {
            assert_eq!(sessions, 2, "{stopped_ms}");
            assert!(seen.frames > before + 60, "{stopped_ms}: {before}, {seen:#?}");
        }
        let seen = &world.viewers[other].viewer.seen;
        assert!(seen.longest_gap < Duration::from_millis(100), "{stopped_ms}: {seen:#?}");
        assert_eq!(turns(&world), [], "{stopped_ms}");
    }
}

#[test]
fn a_server_that_did_not_run_blames_nobody() {
    let (mut world, publisher) = on_air(53);
    // Everything stands still; what was sent meanwhile is read a little after the timers.
    world.now += Duration::from_secs(8);
    let now = world.now;
    world.publishers[publisher].publisher.thaw(now);
    world.run(2000);
    assert_eq!(turns(&world), []);
    assert!(is_live(&mut world));
    world.publishers[publisher].publisher.frozen = true;
    world.run(SILENCE.as_millis() as u64 + 100);
    assert_eq!(turns(&world), [Lost]);
}
