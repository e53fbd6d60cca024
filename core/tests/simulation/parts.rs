//! How viewers fare with the parts of a scalable layer that their network carries.

use std::ops::RangeInclusive;
use std::time::Duration;

use whitewater_core::media::Codec;

use super::network::Conditions;
use super::world::World;

/// A network for some seconds, and what a viewer has over the last fifteen of them.
struct Phase {
    seconds: u64,
    rate_bps: u64,
    /// The spatial layer that most of the pictures have, and how many pictures come per second.
    spatial: u8,
    fps: RangeInclusive<u64>,
}

fn phase(seconds: u64, rate_bps: u64, spatial: u8, fps: RangeInclusive<u64>) -> Phase {
    Phase { seconds, rate_bps, spatial, fps }
}

fn fares(name: &str, seed: u64, phases: &[Phase]) {
    let mut world = World::new(1, seed);
    world.codec = Codec::Vp9;
    world.publish(0);
    world.run(3000);
    let viewer = world.watch(0);
    for phase in phases {
        let down = Conditions::clean().taking(20).carrying(phase.rate_bps, 300);
        world.viewers[viewer].down = Some(down);
        world.run((phase.seconds - MEASURED_S) * 1000);
        let before = world.viewers[viewer].viewer.seen.by_layer;
        world.run(MEASURED_S * 1000);
        world.assert_sound();
        let now = world.now;
        let seen = &world.viewers[viewer].viewer.seen;
        let shown: Vec<u64> = (0..3).map(|layer| seen.by_layer[layer] - before[layer]).collect();
        let all = shown.iter().sum::<u64>();
        let (fps, share) = (all / MEASURED_S, shown[usize::from(phase.spatial)] * 100 / all.max(1));
        let line = format!("{name}, {} bit/s: {fps} fps, {shown:?}", phase.rate_bps);
        eprintln!("{line}, {:?}", seen.layers_at_ms);
        // Whether the network carries more has to be tried now and then.
        assert!(share >= 80, "{line}: {share} %");
        assert!(phase.fps.contains(&fps), "{line}");
        let since = now - seen.last.unwrap();
        assert!(since < Duration::from_millis(500), "{name}: {since:?} without a picture");
        assert!(seen.longest_gap < Duration::from_secs(2), "{name}: {seen:#?}");
    }
}

#[test]
fn all_of_it_is_sent_where_the_network_carries_it() {
    fares("wide", 61, &[phase(20, 5_000_000, 2, 29..=30)]);
}

#[test]
fn a_narrow_network_gets_the_smaller_picture_and_a_better_one_the_larger() {
    let phases = [phase(30, 1_400_000, 1, 29..=30), phase(60, 5_000_000, 2, 29..=30)];
    fares("1.4 Mbit/s, then 5", 62, &phases);
}

#[test]
fn a_network_that_gets_narrow_gets_less_and_later_all_again() {
    let phases = [
        phase(20, 5_000_000, 2, 29..=30),
        phase(30, 1_400_000, 1, 29..=30),
        phase(30, 400_000, 0, 29..=30),
        phase(120, 5_000_000, 2, 29..=30),
    ];
    fares("5 Mbit/s, 1.4, 0.4, 5", 63, &phases);
}

#[test]
fn the_narrowest_network_gets_the_smallest_picture_slower() {
    let phases = [phase(40, 170_000, 0, 7..=22), phase(60, 1_400_000, 1, 29..=30)];
    fares("170 kbit/s, then 1.4 Mbit/s", 64, &phases);
}

#[test]
fn a_try_that_fails_goes_back_to_where_it_began() {
    for (rate_bps, queue_ms) in
        [(700_000, 300), (800_000, 100), (800_000, 1000), (1_000_000, 100), (1_000_000, 300)]
    {
        let mut world = World::new(1, 65);
        world.codec = Codec::Vp9;
        world.publish(0);
        world.run(3000);
        let viewer = world.watch(0);
        let down = Conditions::clean().taking(20).carrying(rate_bps, queue_ms);
        world.viewers[viewer].down = Some(down);
        world.run(60_000);
        world.assert_sound();
        let seen = &world.viewers[viewer].viewer.seen;
        let name = format!("{rate_bps} bit/s with {queue_ms} ms of queue");
        eprintln!("{name}: {:?}", seen.layers_at_ms);
        // The middle fits, and is what there is but for two or three tries of the whole.
        assert_eq!(seen.by_layer[0], 0, "{name}: {:?}", seen.layers_at_ms);
        assert!(seen.by_layer[1] >= 1_650, "{name}: {:?}", seen.by_layer);
        assert!(seen.longest_gap < Duration::from_millis(1_300), "{name}: {seen:#?}");
        let tries: Vec<u64> =
            seen.layers_at_ms.iter().filter(|(_, layer)| *layer == 2).map(|(ms, _)| *ms).collect();
        let waits = tries.windows(2).skip(1).map(|pair| pair[1] - pair[0]);
        assert!(waits.min().is_none_or(|wait| wait >= 20_000), "{name}: {tries:?}");
    }
}

/// Over how much of its end a phase is measured.
const MEASURED_S: u64 = 15;
