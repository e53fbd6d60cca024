//! Sessions that join in storms, end, are abandoned, and come to the wrong shard.

use std::time::Duration;

use whitewater_core::rtc::connection::{Config, Connection, Opening};
use whitewater_core::rtc::{Credentials, IceRole, Identity};
use whitewater_core::shard::command::EndReason;
use whitewater_core::shard::{Event, ShardId, ufrag_letter};

use super::agreed::{client, sections, server};
use super::network::Conditions;
use super::world::World;

/// Most requests for one layer within any time of this length.
fn most_within(world: &World, layer: usize, ms: u64) -> usize {
    let asked: Vec<_> = world.publishers.iter().flat_map(|it| &it.publisher.asked).collect();
    let asked: Vec<_> = asked.iter().filter(|(_, of)| *of == layer).map(|(at, _)| *at).collect();
    let within = |from| {
        move |at: &&std::time::Instant| **at >= from && **at < from + Duration::from_millis(ms)
    };
    asked.iter().map(|from| asked.iter().filter(within(*from)).count()).max().unwrap_or(0)
}

#[test]
fn a_storm_of_joins_asks_for_few_keyframes() {
    for (loss, deaf) in [(0.0, false), (0.05, false), (0.0, true)] {
        let mut world = World::new(3, 21);
        let publisher = world.publish(3);
        world.publishers[publisher].publisher.deaf = deaf;
        world.run(3000);
        world.down = Conditions::clean().losing(loss);
        for turn in 0..90 {
            world.watch(turn % 3);
            world.run(150);
        }
        world.assert_sound();
        for layer in 0..3 {
            assert!(most_within(&world, layer, 299) <= 1, "layer {layer}, loss {loss}");
            assert!(most_within(&world, layer, 10_000) <= 10, "layer {layer}, loss {loss}");
        }
        let late = world.viewers.iter().filter(|viewing| {
            let seen = &viewing.viewer.seen;
            let waited = seen.first.map(|first| first - seen.connected.unwrap());
            waited.is_none_or(|waited| waited > Duration::from_millis(1000))
        });
        let late = late.count();
        if !deaf {
            // The last joiners had no time to wait.
            assert!(late <= 10 + (loss * 300.0) as usize, "{late} are late at loss {loss}");
        }
    }
}

#[test]
fn a_stream_that_ends_leaves_nothing_behind() {
    let mut world = World::new(3, 22);
    let publisher = world.publish(3);
    world.run(500);
    for shard in 0..3 {
        for _ in 0..3 {
            world.watch(shard);
        }
    }
    world.run(2000);
    world.unpublish(publisher, true);
    world.run(9000);
    assert!(world.viewers.iter().all(|viewing| !viewing.viewer.seen.bye));
    world.run(2000);
    assert!(world.viewers.iter().all(|viewing| viewing.viewer.seen.bye));
    for shard in 0..3 {
        let gauges = world.gauges(shard);
        assert_eq!(
            (gauges.sessions, gauges.streams, gauges.addresses, gauges.timers),
            (0, 0, 0, 0)
        );
    }
    let closed = |event: &&(ShardId, Event)| {
        matches!(event.1, Event::Closed { reason: EndReason::Here, .. })
    };
    assert_eq!(world.events.iter().filter(closed).count(), 10);
    assert!(world.events.iter().any(|(_, event)| matches!(event, Event::StreamEnded { .. })));
    world.assert_sound();
}

#[test]
fn the_last_viewer_of_a_shard_takes_its_mirror_along() {
    let mut world = World::new(2, 23);
    world.publish(3);
    world.run(500);
    for _ in 0..3 {
        let viewers = [world.watch(1), world.watch(1)];
        world.run(500);
        assert_eq!(world.gauges(1).streams, 1);
        for viewer in viewers {
            world.leave(viewer);
        }
        world.run(20);
        let gauges = world.gauges(1);
        assert_eq!((gauges.sessions, gauges.streams, gauges.timers), (0, 0, 0));
    }
    let viewer = world.watch(1);
    world.run(1000);
    assert!(world.viewers[viewer].viewer.seen.frames > 25);
    world.assert_sound();
}

#[test]
fn a_silent_viewer_is_given_up_and_others_do_not_notice() {
    let mut world = World::new(1, 24);
    world.publish(1);
    world.run(500);
    let (silent, other) = (world.watch(0), world.watch(0));
    world.run(1000);
    world.viewers[silent].viewer.alive = false;
    world.run(31_000);
    assert_eq!(world.gauges(0).sessions, 2);
    let seen = &world.viewers[other].viewer.seen;
    assert!(seen.frames > 900 && seen.skips == 0, "{seen:#?}");
    world.assert_sound();
}

#[test]
fn a_publisher_is_replaced_while_viewers_of_other_shards_watch() {
    let mut world = World::new(3, 25);
    world.publish(3);
    world.run(500);
    let viewers = [world.watch(0), world.watch(1), world.watch(2)];
    world.run(2000);
    for _ in 0..3 {
        world.publish(2);
        world.run(2000);
    }
    world.assert_sound();
    for viewer in viewers {
        let seen = &world.viewers[viewer].viewer.seen;
        assert!(seen.frames > 230, "{seen:#?}");
        assert!(seen.longest_gap < Duration::from_millis(200), "{seen:#?}");
    }
    assert_eq!(world.gauges(0).sessions, 2);
}

pub struct Handshakes {
    server: std::sync::Arc<Identity>,
    client: std::sync::Arc<Identity>,
}

impl Handshakes {
    pub fn new(world: &World) -> Self {
        let identity = || Identity::generate(&world.crypto).unwrap();
        Self { server: identity(), client: identity() }
    }

    fn config(&self, world: &World, number: u32, shard: usize, us: bool) -> Config {
        let ours = Credentials {
            ufrag: format!("{}ours{number:06}", ufrag_letter(ShardId(shard as u8))),
            pwd: "a-password-of-22-chars".into(),
        };
        let theirs =
            Credentials { ufrag: format!("them{number}"), pwd: "their-password-22-chars".into() };
        let (local, remote) = if us { (ours, theirs) } else { (theirs, ours) };
        let other = if us { &self.client } else { &self.server };
        Config {
            ice: if us { IceRole::Lite } else { IceRole::Controlling },
            local,
            remote,
            remote_fingerprint: other.fingerprint().to_vec(),
            dtls_client: !us,
            identity: if us { self.server.clone() } else { self.client.clone() },
            crypto: world.crypto.clone(),
            remote_candidates: if us { Vec::new() } else { vec![server()] },
            seed: u64::from(number) * 2 + u64::from(us),
        }
    }

    pub fn publish(&self, world: &mut World) -> usize {
        let number = world.next_client();
        let ours = Opening::Handshake(self.config(world, number, 0, true));
        let theirs = Connection::new(world.now, self.config(world, number, 0, false)).unwrap();
        world.publish_with(number, 3, ours, theirs)
    }

    pub fn watch(&self, world: &mut World, shard: usize) -> usize {
        let number = world.next_client();
        let ours = Opening::Handshake(self.config(world, number, shard, true));
        let theirs = Connection::new(world.now, self.config(world, number, shard, false)).unwrap();
        let sections = sections(world.codec, 0, true);
        world.join(number, shard, sections, ours, theirs).unwrap()
    }
}

#[test]
fn sessions_shake_hands_through_whatever_shard_the_kernel_chose() {
    let mut world = World::new(3, 26);
    let bad = Conditions::clean().losing(0.05).jittering(5);
    (world.up, world.down) = (bad, bad);
    let handshakes = Handshakes::new(&world);
    handshakes.publish(&mut world);
    world.run(3000);
    let viewers: Vec<_> = (0..6).map(|index| handshakes.watch(&mut world, index % 3)).collect();
    for (index, viewer) in viewers.iter().enumerate() {
        world.viewers[*viewer].arrives_at = (index / 2) % 3;
    }
    world.run(8000);
    world.assert_sound();
    for viewer in &viewers {
        let seen = &world.viewers[*viewer].viewer.seen;
        assert!(seen.frames > 100, "{viewer}: {seen:#?}");
    }
    assert!((0..3).any(|shard| world.gauges(shard).handed_over > 100));
    for viewer in viewers {
        world.leave(viewer);
    }
    world.run(100);
    assert_eq!(world.gauges(1).addresses + world.gauges(2).addresses, 0);
}

#[test]
fn strangers_cannot_send_a_session_s_datagrams_elsewhere() {
    let mut world = World::new(2, 27);
    let handshakes = Handshakes::new(&world);
    handshakes.publish(&mut world);
    world.run(1500);
    let viewer = handshakes.watch(&mut world, 0);
    world.run(1500);
    let frames = world.viewers[viewer].viewer.seen.frames;
    assert!(frames > 20);
    // A check for a session of the other shard, as if it came from the publisher.
    let check = check("1ours:them");
    let publisher = client(1);
    for _ in 0..10 {
        world.inject(0, publisher, &check);
        world.inject(1, publisher, &self::check("0nobody:them"));
        world.run(100);
    }
    let seen = &world.viewers[viewer].viewer.seen;
    assert!(seen.frames > frames + 25, "{seen:#?}");
    world.assert_sound();
}

#[test]
fn a_datagram_is_handed_over_once() {
    let mut world = World::new(2, 28);
    let stranger = client(99);
    // Each shard is told that the address is the other's.
    world.inject(0, stranger, &check("1nobody:them"));
    world.inject(1, stranger, &check("0nobody:them"));
    world.run(5);
    let before = world.gauges(0).handed_over + world.gauges(1).handed_over;
    world.inject(0, stranger, &[22; 60]);
    world.run(5);
    assert_eq!(world.gauges(0).handed_over + world.gauges(1).handed_over, before + 1);
    assert_eq!(world.gauges(0).addresses, 0);
}

#[test]
fn a_session_keeps_an_address_that_it_took_over() {
    let mut world = World::new(1, 29);
    let handshakes = Handshakes::new(&world);
    handshakes.publish(&mut world);
    world.run(1500);
    let number = world.next_client();
    let join = |world: &mut World, seed: u32| {
        let (mut ours, mut theirs) =
            (handshakes.config(world, number, 0, true), handshakes.config(world, number, 0, false));
        ours.local.ufrag.push_str(&seed.to_string());
        theirs.remote.ufrag = ours.local.ufrag.clone();
        (ours.seed, theirs.seed) = (u64::from(seed) + 500, u64::from(seed) + 600);
        let theirs = Connection::new(world.now, theirs).unwrap();
        let sections = sections(world.codec, 0, true);
        world.join(number, 0, sections, Opening::Handshake(ours), theirs).unwrap()
    };
    let old = join(&mut world, 1);
    world.run(1500);
    let new = join(&mut world, 2);
    world.run(1500);
    world.leave(old);
    assert_eq!(world.gauges(0).addresses, 2);
    world.run(5000);
    let seen = &world.viewers[new].viewer.seen;
    assert!(seen.frames > 150, "{seen:#?}");
    world.leave(new);
    world.run(50);
    assert_eq!(world.gauges(0).addresses, 1);
}

#[test]
fn a_refused_publisher_leaves_no_stream_behind() {
    let mut world = World::new(1, 30);
    let handshakes = Handshakes::new(&world);
    let mut config = handshakes.config(&world, 1, 0, true);
    config.remote_fingerprint.clear();
    let request = whitewater_core::shard::command::Publish {
        stream: super::world::STREAM,
        resumes: false,
        connection: config.into(),
        sections: sections(world.codec, 3, true),
        window: Duration::from_secs(10),
        max_bitrate_bps: 0,
    };
    let command = whitewater_core::shard::Command::Publish(Box::new(request));
    let reply = world.shards[0].handle_command(world.now, command);
    assert!(matches!(reply, whitewater_core::shard::Reply::Failed(_)));
    assert_eq!((world.gauges(0).streams, world.gauges(0).timers), (0, 0));
}

/// A binding request without integrity.
fn check(username: &str) -> Vec<u8> {
    let padded = username.len().next_multiple_of(4);
    let mut bytes = vec![0, 1, 0, (padded + 4) as u8, 0x21, 0x12, 0xa4, 0x42];
    bytes.extend_from_slice(&[7; 12]);
    bytes.extend_from_slice(&[0, 6, 0, username.len() as u8]);
    bytes.extend_from_slice(username.as_bytes());
    bytes.resize(20 + 4 + padded, 0);
    bytes
}
