//! Viewers who join a publisher that keeps to its own keyframes.

use std::time::Duration;

use super::network::Conditions;
use super::viewer::Seen;
use super::world::World;

const GOP: Duration = Duration::from_secs(4);

/// Nobody waits longer for the first picture, whenever it joins.
const MOST_MS: u64 = 500;

/// A world whose publisher has sent keyframes for some time, the lowest layer's latest so long ago.
fn late_by(ms: u64, layers: usize, shards: usize) -> World {
    let mut world = World::new(shards, 20 + ms);
    let publisher = world.publish(layers);
    let model = &mut world.publishers[publisher].publisher;
    (model.deaf, model.gop) = (true, Some(GOP));
    world.run(8000 + ms);
    world
}

fn seen(world: &World, viewer: usize) -> &Seen {
    &world.viewers[viewer].viewer.seen
}

fn joins(world: &mut World, shard: usize) -> usize {
    let viewer = world.watch(shard);
    world.viewers[viewer].viewer.settles = Duration::from_millis(2500);
    viewer
}

fn waited(seen: &Seen) -> Duration {
    seen.first.unwrap() - seen.connected.unwrap()
}

#[test]
fn a_joiner_sees_the_picture_at_once_and_is_soon_live() {
    for late_ms in (0..4000).step_by(200).chain([3500, 3550, 3900]) {
        let mut world = late_by(late_ms, 1, 2);
        let viewers = [joins(&mut world, 0), joins(&mut world, 1)];
        world.run(500);
        // By now it is known that requests are ignored, if anybody had to ask.
        let known = late_ms > 1000;
        let viewers = [viewers[0], viewers[1], joins(&mut world, 0)];
        world.run(3500);
        world.assert_sound();
        for (index, viewer) in viewers.into_iter().enumerate() {
            let seen = seen(&world, viewer);
            let late_ms = late_ms + if index == 2 { 500 } else { 0 };
            let most = match (late_ms, index) {
                (..950, _) => 40,
                (..3600, 2) if known => 40,
                // Asked first, in vain.
                (..3600, _) => 400,
                _ => (4100 - late_ms.min(4000)).min(MOST_MS),
            };
            let took = waited(seen);
            assert!(took <= Duration::from_millis(most), "{late_ms} {index}: {took:?} {seen:#?}");
            assert!(seen.skips == 0 && seen.plis == 0, "{late_ms} {index}: {seen:#?}");
            // A second after the first picture at most, it is live, and stays so on time.
            let live = seen.ages_ms.iter().position(|age| *age < 60).unwrap();
            let after = seen.ages_ms[live..].iter();
            assert!(after.clone().all(|age| *age < 60), "{late_ms} {index}: {:?}", seen.ages_ms);
            assert!(after.count() > 55, "{late_ms} {index}: {:?}", seen.ages_ms);
            assert!(seen.worst_skew_ms <= 1, "{late_ms} {index}: {seen:#?}");
        }
    }
}

#[test]
fn the_past_is_sent_at_most_four_times_as_fast() {
    let mut world = late_by(2900, 1, 1);
    joins(&mut world, 0);
    world.run(500);
    let viewer = joins(&mut world, 0);
    world.run(1);
    let mut before = seen(&world, viewer).frames;
    for _ in 0..10 {
        world.run(100);
        let frames = seen(&world, viewer).frames;
        // Four times three, and what the first moments bring together.
        assert!(frames - before <= 14, "{}", frames - before);
        before = frames;
    }
}

#[test]
fn a_longer_gop_is_caught_up_with_before_the_ring_lets_it_go() {
    for late_ms in [2000, 3000, 3400, 3590] {
        let mut world = late_by(100, 1, 1);
        world.publishers[0].publisher.gop = Some(GOP * 4);
        world.run(4000);
        // Whoever asks in vain tells what the publisher makes of it.
        joins(&mut world, 0);
        world.run(3900 + late_ms);
        let viewer = joins(&mut world, 0);
        world.run(2500);
        world.assert_sound();
        let seen = seen(&world, viewer);
        assert!(waited(seen) <= Duration::from_millis(40), "{late_ms}: {seen:#?}");
        assert!(seen.missed == 0 && seen.skips == 0, "{late_ms}: {seen:#?}");
        assert_eq!(seen.keyframes, 1, "{late_ms}: {seen:#?}");
        assert!(seen.ages_ms.last().is_some_and(|age| *age < 60), "{late_ms}: {seen:#?}");
    }
}

#[test]
fn catching_up_needs_no_news() {
    let mut world = late_by(2000, 1, 1);
    joins(&mut world, 0);
    world.run(300);
    let viewer = joins(&mut world, 0);
    world.publishers[0].publisher.sending = false;
    world.run(1000);
    world.assert_sound();
    let seen = seen(&world, viewer);
    assert!(seen.frames >= 68, "{seen:#?}");
    assert!(seen.longest_gap <= Duration::from_millis(20), "{seen:#?}");
}

#[test]
fn a_lossy_network_changes_little() {
    for percent in [1, 5, 10] {
        let mut world = late_by(2500, 1, 1);
        world.down = Conditions::clean().losing(percent as f64 / 100.0);
        let viewers: Vec<_> = (0..10).map(|_| joins(&mut world, 0)).collect();
        world.run(6000);
        world.assert_sound();
        let mut late = 0;
        for viewer in viewers {
            let seen = seen(&world, viewer);
            // Who lost the very first packet cannot know of it, and begins with the next GOP.
            late += u64::from(waited(seen) > Duration::from_millis(600));
            assert!(waited(seen) < Duration::from_millis(2000), "{percent} %: {seen:#?}");
            assert!(seen.frames > 120 && seen.skips == 0, "{percent} %: {seen:#?}");
        }
        assert!(late <= 1 + percent / 4, "{percent} %: {late}");
    }
}

#[test]
fn a_layer_change_waits_for_that_layers_own_keyframe() {
    let mut world = late_by(100, 3, 1);
    let viewer = joins(&mut world, 0);
    world.run(4000);
    for (turn, rid) in ["l", "m", "h", "l", "h"].into_iter().enumerate() {
        let before = seen(&world, viewer).layers.len();
        world.choose(viewer, rid);
        let mut took = 0;
        while seen(&world, viewer).layers.len() == before {
            world.run(10);
            took += 10;
            assert!(took <= 4100, "{turn}: {took} ms");
        }
    }
    world.run(500);
    world.assert_sound();
    let seen = seen(&world, viewer);
    assert_eq!(seen.layers, [2, 0, 1, 2, 0, 2]);
    assert!(seen.longest_gap <= Duration::from_millis(100), "{seen:#?}");
    // A keyframe up to 100 ms old is taken and moved to where the viewer is.
    assert!(seen.worst_skew_ms <= 100 && seen.skips == 0, "{seen:#?}");
}
