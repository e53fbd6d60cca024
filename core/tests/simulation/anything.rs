//! Anything that may happen, in any order: nonces stay unique and pictures decodable.

use proptest::collection::vec;
use proptest::prelude::*;

use super::agreed::RIDS;
use super::ledger::Ledger;
use super::network::Conditions;
use super::world::World;

#[derive(Clone, Debug)]
enum Happening {
    Wait(u64),
    Choose(usize, usize),
    Join(usize, bool),
    Leave(usize),
    Toggle(usize),
    Restart(usize),
    Return(usize),
    Freeze(u64),
    Network(u8, u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (50..600_u64).prop_map(Happening::Wait),
        4 => (0..6_usize, 0..3_usize).prop_map(|(viewer, rid)| Happening::Choose(viewer, rid)),
        1 => (0..2_usize, any::<bool>()).prop_map(|(shard, rtx)| Happening::Join(shard, rtx)),
        1 => (0..6_usize).prop_map(Happening::Leave),
        2 => (0..3_usize).prop_map(Happening::Toggle),
        1 => (0..3_usize).prop_map(Happening::Restart),
        1 => (1..4_usize).prop_map(Happening::Return),
        1 => (500..6000_u64).prop_map(Happening::Freeze),
        2 => (0..20_u8, 0..30_u64).prop_map(|(loss, ms)| Happening::Network(loss, ms)),
    ]
}

fn live_through(seed: u64, happenings: &[Happening]) -> World {
    let mut world = World::new(2, seed);
    world.ledger = Some(Ledger::default());
    world.publish(3);
    world.run(300);
    for viewer in 0..4 {
        world.watch_with(viewer % 2, viewer < 2);
    }
    for happening in happenings {
        let last = world.publishers.len() - 1;
        let viewers = world.viewers.len();
        let publisher = &mut world.publishers[last].publisher;
        let count = publisher.layers.len();
        match *happening {
            Happening::Wait(ms) => world.run(ms),
            Happening::Choose(viewer, rid) => world.choose(viewer % viewers, RIDS[rid]),
            Happening::Join(shard, rtx) => {
                world.watch_with(shard, rtx);
            }
            Happening::Leave(viewer) => world.leave(viewer % viewers),
            Happening::Toggle(layer) => {
                let layer = &mut publisher.layers[layer % count];
                layer.active = !layer.active;
            }
            Happening::Restart(layer) => publisher.restart(layer % count),
            Happening::Return(layers) => {
                publisher.sending = false;
                world.publish(layers);
            }
            Happening::Freeze(ms) => world.freeze_publisher(last, ms),
            Happening::Network(loss, ms) => {
                let bad = Conditions::clean().losing(f64::from(loss) / 100.0).jittering(ms);
                (world.up, world.down) = (bad, bad);
            }
        }
        world.run(100);
    }
    world
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_two_packets_share_a_nonce_and_none_misleads_a_decoder(
        seed in any::<u64>(),
        happenings in vec(happening(), 10..30),
    ) {
        let world = live_through(seed >> 8, &happenings);
        for viewing in &world.viewers {
            let errors = &viewing.viewer.seen.errors;
            prop_assert!(errors.is_empty(), "{:#?}", &errors[..errors.len().min(3)]);
        }
    }
}

#[test]
fn plain_retransmissions_repeat_a_packet_to_the_byte() {
    let mut world = World::new(1, 31);
    world.ledger = Some(Ledger::default());
    world.down = Conditions::clean().losing(0.1);
    world.publish(3);
    world.run(500);
    let viewer = world.watch_with(0, false);
    for turn in 0..8 {
        world.run(700);
        world.choose(viewer, RIDS[turn % 3]);
    }
    world.assert_sound();
    assert!(world.ledger.as_ref().is_some_and(|ledger| ledger.repeated > 50));
}
