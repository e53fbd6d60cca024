//! Sound that repeats itself: who can read it gets through loss, and nobody is left out.

use super::network::Conditions;
use super::viewer::Seen;
use super::world::World;

/// The share of frames that were heard of those between the first and the last.
fn heard(seen: &Seen) -> f64 {
    let (first, last) = (seen.heard.first().unwrap(), seen.heard.last().unwrap());
    seen.heard.len() as f64 / f64::from(last - first + 1)
}

#[test]
fn repeated_sound_reaches_whoever_reads_it_and_the_newest_frame_all_others() {
    for (percent, with, without) in [(0, 1.0, 1.0), (5, 0.99, 0.97), (15, 0.96, 0.89)] {
        let mut world = World::new(2, 40 + percent);
        world.red = true;
        world.publish(1);
        world.run(500);
        let viewers = [world.watch_red(0), world.watch(0), world.watch_red(1), world.watch(1)];
        world.down = Conditions::clean().losing(percent as f64 / 100.0);
        world.run(20_000);
        world.assert_sound();
        for (index, viewer) in viewers.into_iter().enumerate() {
            let seen = &world.viewers[viewer].viewer.seen;
            let reads = index % 2 == 0;
            assert_eq!(seen.repeated_sound, if reads { seen.sound } else { 0 });
            assert!(seen.sound > 750, "{percent} % {index}: {}", seen.sound);
            let share = heard(seen);
            if reads {
                assert!(share >= with, "{percent} % {index}: {share}");
            } else {
                assert!(percent == 0 || share < without, "{percent} % {index}: {share}");
            }
        }
    }
}

#[test]
fn plain_sound_goes_plain_to_whoever_could_read_more() {
    let mut world = World::new(1, 50);
    world.publish(1);
    world.run(500);
    let viewer = world.watch_red(0);
    world.run(2000);
    world.assert_sound();
    let seen = &world.viewers[viewer].viewer.seen;
    assert!(seen.sound > 90 && seen.repeated_sound == 0 && heard(seen) == 1.0);
}
