//! A count of instructions that shows that idle sessions cost a busy shard next to nothing.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unreachable_pub,
    reason = "what is shared with the simulation is not all used here"
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

use std::process::Command as Process;
use std::time::Duration;

use whitewater_core::media::Ssrc;
use whitewater_core::shard::command::{Publish, Subscribe};
use whitewater_core::shard::{Command, Reply, ShardId, StreamId};

use world::World;

#[test]
fn ten_thousand_idle_sessions_cost_a_tenth_at_most() {
    if Process::new("valgrind").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "valgrind is missing, and CI skips nothing");
        eprintln!("skipped: valgrind is missing; `make setup-tests` installs it");
        return;
    }
    let (alone, among) = (instructions(0), instructions(10_000));
    eprintln!("{alone} instructions alone, {among} among 10,000 idle sessions");
    assert!(alone > 1_000_000, "{alone}");
    let ratio = among as f64 / alone as f64;
    assert!(ratio <= 1.1, "{ratio}: {among} instead of {alone} instructions");
}

/// Instructions of the shard itself while it forwards, with so many idle sessions beside it.
fn instructions(idle: u32) -> u64 {
    let output = Process::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(["--toggle-collect=*shard_takes*", "--toggle-collect=*shard_fires*"])
        .arg("--toggle-collect=*shard_sends*")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "forwards_beside_idle_sessions", "--ignored"])
        .env(IDLE, idle.to_string())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find(|line| line.contains("Collected")).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
#[ignore = "what the other test runs under valgrind"]
fn forwards_beside_idle_sessions() {
    let idle = std::env::var(IDLE).map_or(0, |count| count.parse().unwrap());
    let mut world = World::new(1, 1);
    quiet_viewers(&mut world, idle);
    world.publish(3);
    for _ in 0..10 {
        world.watch(0);
    }
    world.run(400);
    assert_eq!(world.gauges(0).sessions, idle as usize + 11 + usize::from(idle > 0));
    assert!(world.gauges(0).packets_out > 500, "{:?}", world.gauges(0));
    world.assert_sound();
}

/// Connected viewers of a stream whose publisher says nothing.
fn quiet_viewers(world: &mut World, count: u32) {
    const QUIET: StreamId = StreamId(1);
    if count == 0 {
        return;
    }
    let request = Publish {
        stream: QUIET,
        resumes: false,
        connection: agreed::presets(500_000, &world.crypto).0,
        sections: agreed::sections(world.codec, 3, true),
        window: Duration::from_secs(10),
        max_bitrate_bps: 0,
    };
    let reply = world.shards[0].handle_command(world.now, Command::Publish(Box::new(request)));
    assert!(matches!(reply, Reply::Opened(_)));
    for number in 0..count {
        let request = Subscribe {
            stream: QUIET,
            home: ShardId(0),
            connection: agreed::presets(600_000 + number, &world.crypto).0,
            sections: agreed::sections(world.codec, 0, true),
            audio: Ssrc(1),
            video: Ssrc(2),
            video_rtx: Ssrc(3),
            cname: String::new(),
        };
        let command = Command::Subscribe(Box::new(request));
        let reply = world.shards[0].handle_command(world.now, command);
        assert!(matches!(reply, Reply::Opened(_)));
    }
    // That they came is not counted.
    let mut buffer = vec![0; 2048];
    while world.shards[0].poll_transmit(world.now, &mut buffer).is_some() {}
}

const IDLE: &str = "IDLE_SESSIONS";
