//! The tap: the frame world listens to a stream as another shard does.

use whitewater_core::media::Kind;
use whitewater_core::shard::{LinkMessage, ShardId};

use super::ledger::Ledger;
use super::world::{STREAM, World};

const LISTEN: LinkMessage = LinkMessage::Listen { stream: STREAM, from: ShardId::TAP };

#[test]
fn a_tap_is_told_of_tracks_and_clocks_and_gets_each_packet_once() {
    let mut world = World::new(1, 1);
    world.publish(3);
    world.run(1000);
    let before = world.gauges(0).packets_in;
    world.shards[0].handle_link(world.now, LISTEN);
    world.run(2000);
    let told = std::mem::take(&mut world.tapped);
    assert!(matches!(told[0], LinkMessage::Tracks { .. }), "{:?}", told[0]);
    let mut placed = [false; 3];
    let mut packets = Vec::new();
    for message in &told {
        match message {
            LinkMessage::Clocks { kind: Kind::Video, layer, shift, .. } => {
                placed[usize::from(*layer)] = shift.is_some();
            }
            LinkMessage::Packet { kind, layer, arrived, .. } => {
                let is_placed = *kind == Kind::Audio || placed[usize::from(*layer)];
                assert!(is_placed, "a packet of layer {layer} before its place in time");
                packets.push((*kind, *layer, arrived.seq));
            }
            _ => {}
        }
    }
    let live = (world.gauges(0).packets_in - before) as usize;
    let all = packets.len();
    packets.sort_unstable_by_key(|(kind, layer, seq)| (*kind == Kind::Audio, *layer, *seq));
    packets.dedup();
    assert_eq!(packets.len(), all, "no packet twice");
    // The latest keyframe of each layer and what followed it come with the introduction.
    assert!(all >= live, "{all} of {live} packets");

    world.shards[0]
        .handle_link(world.now, LinkMessage::Unlisten { stream: STREAM, from: ShardId::TAP });
    world.run(1000);
    assert!(world.tapped.is_empty(), "it goes on: {:?}", world.tapped[0]);
}

#[test]
fn one_wish_for_all_layers_is_one_datagram() {
    let mut world = World::new(1, 1);
    world.publish(3);
    world.run(3000);
    world.shards[0].handle_link(world.now, LISTEN);
    world.run(100);
    let requests = world.gauges(0).keyframe_requests;
    world.shards[0].handle_link(world.now, LinkMessage::WantAll { stream: STREAM });
    let mut buffer = vec![0; 65_000];
    let mut datagrams = 0;
    while world.shards[0].poll_transmit(world.now, &mut buffer).is_some() {
        datagrams += 1;
    }
    assert_eq!((world.gauges(0).keyframe_requests - requests, datagrams), (3, 1));
}

#[test]
fn a_shard_that_is_introduced_again_sends_nothing_twice() {
    let mut world = World::new(2, 1);
    world.ledger = Some(Ledger::default());
    world.publish(3);
    world.run(1000);
    let viewer = world.watch(1);
    world.run(1000);
    for _ in 0..3 {
        let again = LinkMessage::Listen { stream: STREAM, from: ShardId(1) };
        world.shards[0].handle_link(world.now, again);
        world.run(400);
    }
    world.assert_sound();
    let seen = &world.viewers[viewer].viewer.seen;
    assert!(seen.frames > 60 && seen.skips == 0, "{seen:#?}");
    assert!(world.gauges(1).dropped_duplicate > 0, "it was not introduced again");
}
