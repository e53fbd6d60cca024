//! Plans of bad networks, and how a viewer with automatic layers fares on each.

use std::time::Duration;

use whitewater_core::media::Codec;

use super::network::Conditions;
use super::world::World;

/// A network that is as it is for a while, and what is expected of it then.
struct Phase {
    seconds: u64,
    down: Conditions,
    up: Conditions,
    /// The layer that the phase ends with; what the network carries of those there are.
    ends_with: u8,
    /// Over how much of its end the utilisation is measured.
    measured: u64,
}

/// A network by name, and the packets of a frame and bytes of each that the layers have.
struct Plan {
    name: &'static str,
    ladder: [(u16, usize); 3],
    codec: Codec,
    phases: Vec<Phase>,
}

/// What a browser sends: 150, 520 and 2,500 kbit/s.
const BROWSER: [(u16, usize); 3] = [(1, 460), (2, 930), (9, 1000)];

/// One with a middle that fits into 1.5 Mbit/s: 150, 1,060 and 2,500 kbit/s.
const EVEN: [(u16, usize); 3] = [(1, 460), (4, 930), (9, 1000)];

/// The highest layer with its sound, in bits per second.
const HIGHEST_BPS: f64 = 2_500_000.0;

fn phase(seconds: u64, down: Conditions, ends_with: u8) -> Phase {
    let up = Conditions { rate_bps: 0, ..down };
    Phase { seconds, down, up, ends_with, measured: seconds.saturating_sub(5).min(30) }
}

fn plans() -> Vec<Plan> {
    let clean = Conditions::clean().taking(20);
    let plan = |name, ladder, phases| Plan { name, ladder, codec: Codec::Vp8, phases };
    vec![
        plan("1.5 Mbit/s, 100 ms queue", EVEN, vec![phase(60, clean.carrying(1_500_000, 100), 1)]),
        plan("1.5 Mbit/s, 300 ms queue", EVEN, vec![phase(60, clean.carrying(1_500_000, 300), 1)]),
        plan("1.5 Mbit/s, 2 s queue", EVEN, vec![phase(60, clean.carrying(1_500_000, 2000), 1)]),
        plan("300 kbit/s, 150 ms queue", BROWSER, vec![phase(60, clean.carrying(300_000, 150), 0)]),
        plan("300 kbit/s, 500 ms queue", BROWSER, vec![phase(60, clean.carrying(300_000, 500), 0)]),
        plan("300 kbit/s, 2 s queue", BROWSER, vec![phase(60, clean.carrying(300_000, 2000), 0)]),
        plan("5 % loss", BROWSER, vec![phase(60, clean.losing(0.05), 2)]),
        plan("200 ms round trip", BROWSER, vec![phase(40, clean.taking(100), 2)]),
        plan(
            "200 ms round trip, 1.5 Mbit/s",
            EVEN,
            vec![phase(60, clean.taking(100).carrying(1_500_000, 300), 1)],
        ),
        plan("30 ms jitter", BROWSER, vec![phase(40, clean.jittering(30), 2)]),
        plan(
            "300 kbit/s, then 1.5 Mbit/s, then 5 Mbit/s",
            EVEN,
            vec![
                phase(25, clean.carrying(300_000, 500), 0),
                phase(80, clean.carrying(1_500_000, 500), 1),
                phase(110, clean.carrying(5_000_000, 500), 2),
            ],
        ),
        plan(
            "5 Mbit/s, then 1.5 Mbit/s, then 5 Mbit/s",
            EVEN,
            vec![
                phase(20, clean.carrying(5_000_000, 500), 2),
                phase(40, clean.carrying(1_500_000, 500), 1),
                phase(110, clean.carrying(5_000_000, 500), 2),
            ],
        ),
    ]
}

#[test]
fn no_network_freezes_a_viewer_and_each_is_used() {
    let mut wrong = Vec::new();
    for plan in plans() {
        let mut world = World::new(1, 40);
        world.codec = plan.codec;
        let publisher = world.publish(3);
        for (layer, (packets, bytes)) in plan.ladder.iter().enumerate() {
            let encoder = &mut world.publishers[publisher].publisher.layers[layer];
            (encoder.packets, encoder.bytes) = (*packets, *bytes);
        }
        world.run(2000);
        let viewer = world.watch(0);
        let mut settled = false;
        for (number, phase) in plan.phases.iter().enumerate() {
            world.viewers[viewer].down = Some(phase.down);
            world.viewers[viewer].up = Some(phase.up);
            let mut ms = phase.seconds * 1000;
            if !settled {
                world.run(5000);
                (settled, ms) = (true, ms - 5000);
                world.viewers[viewer].viewer.seen.longest_gap = Duration::ZERO;
            }
            world.run(ms - phase.measured * 1000);
            let before = world.viewers[viewer].viewer.seen.bytes;
            world.run(phase.measured * 1000);
            let seen = &world.viewers[viewer].viewer.seen;
            let bps = (seen.bytes - before) as f64 * 8.0 / phase.measured as f64;
            let most = match phase.down.rate_bps {
                0 => HIGHEST_BPS,
                rate => HIGHEST_BPS.min(rate as f64),
            };
            let used = bps / most;
            let freeze = seen.longest_gap.as_millis();
            let line = format!(
                "{}, {number}: longest freeze {freeze} ms, {:.0} % used, layers {:?}",
                plan.name,
                used * 100.0,
                seen.layers
            );
            eprintln!("{line}");
            eprintln!("  {:?} freezes {:?}", seen.layers_at_ms, seen.freezes_ms);
            let ends_well = seen.layers.last() == Some(&phase.ends_with);
            if freeze > 1000 || used < 0.6 || !ends_well {
                wrong.push(line);
            }
        }
        let now = world.now;
        let seen = &world.viewers[viewer].viewer.seen;
        if now - seen.last.unwrap() > Duration::from_millis(500) {
            wrong.push(format!("{}: no picture at the end", plan.name));
        }
        world.assert_sound();
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_twentieth_lost_both_ways_costs_no_frame_in_a_thousand() {
    for (codec, seed) in [(Codec::Vp8, 41), (Codec::H264, 42)] {
        let mut world = World::new(1, seed);
        world.codec = codec;
        let bad = Conditions::clean().taking(25).losing(0.05);
        (world.up, world.down) = (bad, bad);
        world.publish(3);
        world.run(3000);
        let viewers: Vec<_> = (0..4).map(|_| world.watch(0)).collect();
        world.run(3000);
        let before: Vec<_> =
            viewers.iter().map(|viewer| world.viewers[*viewer].viewer.seen.frames).collect();
        world.run(60_000);
        world.assert_sound();
        let frames: u64 =
            viewers.iter().map(|viewer| world.viewers[*viewer].viewer.seen.frames).sum::<u64>()
                - before.iter().sum::<u64>();
        let share = frames as f64 / (60.0 * 30.0 * 4.0);
        eprintln!("{codec}: {:.3} % of frames", share * 100.0);
        for viewer in &viewers {
            eprintln!("{:?}", world.viewers[*viewer].viewer.seen);
        }
        assert!(share >= 0.999, "{codec}: {share}");
    }
}

#[test]
fn a_viewer_without_transport_wide_feedback_goes_by_its_reports() {
    let mut world = World::new(1, 43);
    world.publish(3);
    world.run(2000);
    let viewer = world.watch(0);
    world.viewers[viewer].viewer.feeds_back = false;
    world.viewers[viewer].down = Some(Conditions::clean().losing(0.3));
    world.run(12_000);
    let seen = &world.viewers[viewer].viewer.seen;
    assert_eq!(seen.layers.last(), Some(&0), "{seen:#?}");
    world.viewers[viewer].down = None;
    world.run(30_000);
    let seen = &world.viewers[viewer].viewer.seen;
    assert_eq!(seen.layers.last(), Some(&2), "{seen:#?}");
    world.assert_sound();
}

#[test]
fn a_layer_chosen_by_hand_stays_whatever_the_network_does() {
    let mut world = World::new(1, 44);
    world.publish(3);
    world.run(2000);
    let viewer = world.watch(0);
    world.choose(viewer, "h");
    world.viewers[viewer].down = Some(Conditions::clean().losing(0.3));
    world.run(10_000);
    assert_eq!(world.viewers[viewer].viewer.seen.layers, [2]);
}
