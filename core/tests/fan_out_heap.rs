//! A count of what fan-out allocates per packet, and of what abandoned sessions leave behind.

// The ledger of nonces allocates.
#![cfg(not(feature = "nonce-ledger"))]
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unreachable_pub,
    reason = "a counting allocator; what is shared with the simulation is not all used here"
)]

#[path = "simulation/agreed.rs"]
mod agreed;
#[path = "simulation/ledger.rs"]
mod ledger;
#[path = "simulation/network.rs"]
mod network;
#[path = "simulation/picture.rs"]
mod picture;
#[path = "simulation/publisher.rs"]
mod publisher;
#[path = "simulation/random.rs"]
mod random;
#[path = "simulation/scalable.rs"]
mod scalable;
#[path = "simulation/viewer.rs"]
mod viewer;
#[path = "simulation/world.rs"]
mod world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use whitewater_core::rtc::connection::Config;
use whitewater_core::rtc::{Credentials, IceRole, Identity};
use whitewater_core::shard::command::Publish;
use whitewater_core::shard::{Command, Reply, StreamId, ufrag_letter};

use world::World;

struct Counting;

// Of each thread for itself: tests run side by side.
thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator with its own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.set(LIVE.get() + layout.size() as isize);
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as isize);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn heap() -> (usize, isize) {
    (ALLOCATIONS.get(), LIVE.get())
}

#[test]
fn sending_to_viewers_allocates_nothing() {
    let mut world = World::new(2, 1);
    world.publish(3);
    world.run(1000);
    for viewer in 0..40 {
        world.watch(viewer % 2);
    }
    world.run(3000);
    let sent = |world: &World| world.gauges(0).packets_out + world.gauges(1).packets_out;
    let before = sent(&world);
    world.heap = Some(heap);
    world.run(2000);
    let packets = sent(&world) - before;
    assert!(packets > 10_000, "{packets}");
    assert_eq!(world.allocated, 0, "of {packets} packets");
}

#[test]
fn a_viewer_takes_less_than_64_kib() {
    let mut world = World::new(1, 2);
    world.publish(3);
    // Until the rings are as full as they get.
    world.run(4000);
    world.heap = Some(heap);
    for _ in 0..100 {
        world.watch(0);
    }
    world.run(3000);
    let each = world.kept / 100;
    assert!((8 * 1024..64 * 1024).contains(&each), "{each} bytes per viewer");
    println!("{each} bytes per viewer");
}

#[test]
fn sessions_opened_and_abandoned_leave_nothing_behind() {
    let mut world = World::new(1, 3);
    let identity = Identity::generate(&world.crypto).unwrap();
    let mut after = Vec::new();
    let config = |world: &World, number: u32| Config {
        ice: IceRole::Lite,
        local: Credentials {
            ufrag: format!("{}{number:07}", ufrag_letter(whitewater_core::shard::ShardId(0))),
            pwd: "a-password-of-22-chars".into(),
        },
        remote: Credentials { ufrag: "them".into(), pwd: "their-password-22-chars".into() },
        remote_fingerprint: vec![7; 32],
        dtls_client: false,
        identity: identity.clone(),
        crypto: world.crypto.clone(),
        remote_candidates: Vec::new(),
        seed: u64::from(number),
    };
    for round in 0..3 {
        for number in 0..500 {
            let connection = config(&world, number);
            let sections = agreed::sections(world.codec, 3, true);
            let request = Publish {
                stream: StreamId(1000 + round * 1000 + u64::from(number)),
                resumes: false,
                connection: connection.into(),
                sections,
                window: std::time::Duration::from_secs(10),
                max_bitrate_bps: 0,
            };
            let command = Command::Publish(Box::new(request));
            let reply = world.shards[0].handle_command(world.now, command);
            assert!(matches!(reply, Reply::Opened(_)));
        }
        // The other half is viewers of a live stream who never come, and some who came once.
        let publisher = world.publish(3);
        for number in 500..1000 {
            if number % 10 == 0 {
                let viewer = world.watch(0);
                world.viewers[viewer].viewer.alive = false;
                continue;
            }
            let (_, theirs) = agreed::presets(number, &world.crypto);
            let opening = whitewater_core::rtc::connection::Opening::Preset(Box::new(theirs));
            let theirs = whitewater_core::rtc::Connection::open(world.now, opening).unwrap();
            let ours = config(&world, number).into();
            let sections = agreed::sections(world.codec, 0, true);
            world.join(50_000 + number, 0, sections, ours, theirs).unwrap();
        }
        assert_eq!(world.gauges(0).sessions, 1001);
        world.run(3000);
        world.unpublish(publisher, false);
        for _ in 0..50 {
            world.run(1000);
        }
        let gauges = world.gauges(0);
        let left = (gauges.sessions, gauges.streams, gauges.addresses, gauges.timers);
        assert_eq!(left, (0, 0, 0, 0), "round {round}");
        world.forget_clients();
        after.push(LIVE.get());
    }
    assert!(after[2] * 10 <= after[0] * 11, "{after:?}");
}
