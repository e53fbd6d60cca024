//! Streams that stay decodable whatever the network, the publisher and the viewer do.

use std::hash::{DefaultHasher, Hasher};
use std::time::Duration;

use whitewater_core::media::Codec;

use super::network::Conditions;
use super::world::World;

fn seen(world: &World, viewer: usize) -> &super::viewer::Seen {
    &world.viewers[viewer].viewer.seen
}

#[test]
fn a_viewer_sees_every_frame_of_a_clean_network() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut world = World::new(1, 1);
        world.codec = codec;
        world.publish(3);
        world.run(1000);
        let viewer = world.watch(0);
        world.run(5000);
        world.assert_sound();
        let seen = seen(&world, viewer);
        assert!(seen.frames > 140, "{codec}: {seen:#?}");
        assert!(seen.skips == 0 && seen.plis == 0 && seen.repaired == 0, "{codec}: {seen:#?}");
        // Frames of five packets, two sizes a byte apart, go out in one write; sound in its own.
        let gauges = world.gauges(0);
        let (packets, writes) = (gauges.packets_out as f64, gauges.bursts_out as f64);
        let bursts = seen.layers != [2] || packets / writes > 2.3;
        assert!(bursts, "{packets} packets in {writes} writes");
        assert!(seen.worst_skew_ms <= 1 && seen.sound > 200 && seen.reports > 3, "{seen:#?}");
    }
}

#[test]
fn loss_of_up_to_a_fifth_is_repaired() {
    for (percent, codec, rtx) in [
        (1, Codec::Vp8, true),
        (5, Codec::H264, true),
        (10, Codec::Vp8, true),
        (20, Codec::Vp8, true),
        (20, Codec::H264, true),
        (10, Codec::Vp8, false),
    ] {
        let mut world = World::new(1, percent);
        world.codec = codec;
        let bad = Conditions::clean().losing(percent as f64 / 100.0);
        (world.up, world.down) = (bad, bad);
        world.publish(3);
        world.run(1000);
        for _ in 0..10 {
            world.watch_with(0, rtx);
            world.run(100);
        }
        world.run(8000);
        world.assert_sound();
        for viewer in 0..10 {
            let seen = seen(&world, viewer);
            // Of 240.
            assert!(seen.frames > 150, "{percent} % {codec}: {seen:#?}");
            assert!(
                (seen.repaired > 5 || !rtx) && seen.skips <= 3,
                "{percent} % {codec}: {seen:#?}"
            );
        }
    }
}

#[test]
fn the_same_seed_sends_the_same_bytes_at_the_same_times() {
    let digest = |seed| {
        let mut world = World::new(2, seed);
        world.digest = Some(DefaultHasher::new());
        let bad = Conditions::clean().jittering(20).losing(0.1);
        (world.up, world.down, world.link_loss) = (bad, bad, 0.01);
        world.publish(3);
        world.run(500);
        for viewer in 0..6 {
            world.watch(viewer % 2);
            world.run(150);
        }
        for rid in ["l", "h", "m"] {
            (0..3).for_each(|viewer| world.choose(viewer, rid));
            world.run(500);
        }
        world.freeze_publisher(0, 3500);
        world.run(500);
        world.digest.map(|digest| digest.finish())
    };
    let runs: Vec<_> = [11, 11, 11, 12].map(digest).into();
    assert!(runs[0].is_some() && runs[..3].iter().all(|run| *run == runs[0]), "{runs:?}");
    assert_ne!(runs[0], runs[3]);
}

#[test]
fn reordering_and_duplicates_are_put_in_order() {
    for codec in [Codec::Vp8, Codec::H264] {
        let mut world = World::new(1, 3);
        world.codec = codec;
        let bad = Conditions::clean().jittering(40).repeating(0.1);
        (world.up, world.down) = (bad, bad);
        world.publish(3);
        world.run(1000);
        let viewer = world.watch(0);
        for rid in ["l", "h", "m", "h", "l", "h"] {
            world.run(1500);
            world.choose(viewer, rid);
        }
        world.run(1500);
        world.assert_sound();
        let seen = seen(&world, viewer);
        assert!(seen.frames > 270 && seen.skips == 0, "{seen:#?}");
        assert!(seen.layers.len() >= 6, "{seen:#?}");
    }
}

#[test]
fn twenty_switches_keep_time_and_numbers() {
    for (loss, codec) in [(0.0, Codec::Vp8), (0.05, Codec::H264)] {
        let mut world = World::new(1, 4);
        world.codec = codec;
        (world.up, world.down) = (Conditions::clean(), Conditions::clean().losing(loss));
        world.publish(3);
        world.run(1000);
        let viewer = world.watch(0);
        world.run(1000);
        for turn in 0..20 {
            world.choose(viewer, ["l", "m", "h"][turn % 3]);
            world.run(1500);
        }
        world.assert_sound();
        let seen = seen(&world, viewer);
        assert!(seen.layers.len() >= 20, "{seen:#?}");
        assert!(seen.worst_skew_ms <= 2, "{seen:#?}");
        if loss == 0.0 {
            assert!(seen.longest_gap <= Duration::from_millis(100), "{seen:#?}");
        }
    }
}

#[test]
fn numbers_wrap_unseen() {
    let mut world = World::new(1, 5);
    let publisher = world.publish(3);
    for (index, layer) in world.publishers[publisher].publisher.layers.iter_mut().enumerate() {
        layer.seq = 65_300 + index as u16 * 50;
        // Four seconds before the wrap.
        layer.offset = u32::MAX - 90_000 * (3 + index as u32);
        layer.wide = index != 0;
    }
    world.down = Conditions::clean().losing(0.02).jittering(10);
    world.run(1000);
    let viewer = world.watch(0);
    for turn in 0..12 {
        world.run(800);
        world.choose(viewer, ["l", "m", "h"][turn % 3]);
    }
    world.run(1000);
    world.assert_sound();
    let seen = seen(&world, viewer);
    assert!(seen.frames > 300 && seen.worst_skew_ms <= 2, "{seen:#?}");
}

#[test]
fn a_layer_that_stops_gives_way_and_comes_back() {
    let mut world = World::new(1, 6);
    let publisher = world.publish(3);
    world.run(1000);
    let (any, wishes) = (world.watch(0), world.watch(0));
    world.choose(wishes, "h");
    world.run(2000);
    world.publishers[publisher].publisher.layers[2].active = false;
    world.run(3000);
    assert_eq!(seen(&world, any).layers, [2, 1]);
    assert_eq!(seen(&world, wishes).layers, [2, 1]);
    world.publishers[publisher].publisher.layers[2].active = true;
    world.run(2000);
    world.assert_sound();
    for viewer in [any, wishes] {
        let seen = seen(&world, viewer);
        assert_eq!(seen.layers, [2, 1, 2]);
        assert!(seen.longest_gap < Duration::from_millis(1000), "{seen:#?}");
        assert!(seen.worst_skew_ms <= 2, "{seen:#?}");
    }
}

#[test]
fn an_encoder_that_starts_again_is_followed() {
    for layers in [1, 3] {
        let mut world = World::new(2, 7);
        // Last packets of the old source come after the first of the new one.
        world.up = Conditions::clean().jittering(60);
        let publisher = world.publish(layers);
        world.run(1000);
        let viewers = [world.watch(0), world.watch(1)];
        world.run(2000);
        for layer in (0..layers).rev() {
            world.publishers[publisher].publisher.restart(layer);
            world.run(1500);
        }
        world.run(2000);
        world.assert_sound();
        for viewer in viewers {
            let seen = seen(&world, viewer);
            assert!(seen.longest_gap < Duration::from_millis(300), "{layers}: {seen:#?}");
            assert!(seen.worst_skew_ms <= 100, "{layers}: {seen:#?}");
            assert!(seen.layers.last() == Some(&(layers as u8 - 1)), "{layers}: {seen:#?}");
        }
    }
}

#[test]
fn a_publisher_that_returns_goes_on_where_it_was() {
    for word in [true, false] {
        let mut world = World::new(2, 8);
        let first = world.publish(3);
        world.run(1000);
        let viewers = [world.watch(0), world.watch(1)];
        world.run(2000);
        world.unpublish(first, word);
        world.run(4000);
        let second = world.publish(if word { 3 } else { 1 });
        world.run(3000);
        world.assert_sound();
        assert!(world.publishers[second].publisher.asked.len() <= 4);
        for viewer in viewers {
            let seen = seen(&world, viewer);
            assert!(seen.frames > 130, "{seen:#?}");
            assert!(seen.longest_gap < Duration::from_millis(4300), "{seen:#?}");
            assert!(seen.longest_gap > Duration::from_millis(3900), "{seen:#?}");
            assert!(!seen.bye && seen.skips == 0);
        }
    }
}

#[test]
fn viewers_on_three_other_shards_see_the_same() {
    let mut world = World::new(4, 9);
    let bad = Conditions::clean().losing(0.05).jittering(15);
    (world.up, world.down) = (bad, bad);
    world.publish(3);
    world.run(1000);
    let viewers: Vec<_> = (0..8).map(|index| world.watch(index % 4)).collect();
    for turn in 0..6 {
        world.run(1000);
        for viewer in &viewers {
            world.choose(*viewer, ["m", "h", "l"][(turn + viewer) % 3]);
        }
    }
    world.run(2000);
    world.assert_sound();
    for viewer in viewers {
        let seen = seen(&world, viewer);
        assert!(seen.frames > 200 && seen.layers.len() > 4, "{seen:#?}");
        // A keyframe up to 100 ms old is taken and moved to where the viewer is.
        assert!(seen.worst_skew_ms <= 100, "{seen:#?}");
    }
}

#[test]
fn a_link_that_loses_packets_leaves_holes_and_nothing_worse() {
    let mut world = World::new(2, 10);
    world.link_loss = 0.002;
    world.publish(3);
    world.run(1000);
    let viewer = world.watch(1);
    world.run(20_000);
    world.assert_sound();
    let seen = seen(&world, viewer);
    assert!(seen.skips > 0 && seen.frames > 300, "{seen:#?}");
}

#[test]
fn five_hundred_viewers_are_served() {
    let mut world = World::new(2, 11);
    world.down = Conditions::clean().losing(0.01);
    let publisher = world.publish(3);
    world.publishers[publisher].publisher.layers[2].packets = 3;
    world.run(1000);
    for index in 0..500 {
        world.watch(index % 2);
        if index % 10 == 9 {
            world.step();
        }
    }
    world.run(3000);
    world.assert_sound();
    let mut late = 0;
    for viewer in 0..500 {
        let seen = seen(&world, viewer);
        assert!(seen.frames > 45, "{viewer}: {seen:#?}");
        let waited = seen.first.unwrap() - seen.connected.unwrap();
        // Whose keyframe lost its first packet needs another one.
        assert!(waited < Duration::from_millis(2000), "{viewer}: {seen:#?}");
        late += usize::from(waited > Duration::from_millis(500));
    }
    assert!(late <= 15, "{late}");
}

#[test]
fn a_crowd_is_sent_whole_frames_and_a_few_viewers_what_has_come() {
    let packets_per_write = |viewers: usize| {
        let mut world = World::new(1, 11);
        world.codec = Codec::H264;
        world.up = Conditions::clean().jittering(2);
        let publisher = world.publish(1);
        world.publishers[publisher].publisher.layers[0].packets = 6;
        world.run(500);
        for _ in 0..viewers {
            world.watch(0);
        }
        world.run(500);
        let before = world.gauges(0);
        world.run(1000);
        world.assert_sound();
        let last = seen(&world, viewers - 1);
        assert!(last.frames > 40 && last.skips == 0 && last.plis == 0, "{last:#?}");
        let after = world.gauges(0);
        let writes = after.bursts_out - before.bursts_out;
        (after.packets_out - before.packets_out) as f64 / writes as f64
    };
    let (few, crowd) = (packets_per_write(4), packets_per_write(300));
    assert!(crowd > few * 1.1, "{crowd} packets in a write to a crowd, {few} to a few");
}
