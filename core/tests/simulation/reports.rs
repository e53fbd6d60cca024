//! Reports of sessions: what they say, and that a thousand of them do not stop packets.

use std::time::{Duration, Instant};

use whitewater_core::media::{Codec, Kind, Rid};
use whitewater_core::rtc::Protocol;
use whitewater_core::shard::command::MAX_DESCRIBED;
use whitewater_core::shard::{Command, Reply, StreamId};

use super::network::Conditions;
use super::world::World;

#[test]
fn a_viewer_s_report_tells_its_layer_rate_loss_and_round_trip() {
    let mut world = World::new(2, 31);
    world.publish(3);
    world.down = Conditions::clean().taking(40);
    world.up = Conditions::clean().taking(20);
    for shard in [0, 1] {
        world.watch(shard);
    }
    world.run(4000);
    world.choose(1, "l");
    world.run(4000);
    let chosen = [(0, "h", true), (1, "l", false)];
    for (viewer, rid, automatic) in chosen {
        let report = world.session(viewer).unwrap();
        assert!(report.connected);
        assert_eq!(report.path.unwrap().protocol, Protocol::Udp);
        assert!(report.heard < Duration::from_millis(1100), "{report:?}");
        let trip = report.round_trip.unwrap().as_millis();
        assert!((58..70).contains(&trip), "{trip} ms");
        let video = report.tracks.iter().find(|track| track.kind == Kind::Video).unwrap();
        assert_eq!(video.codec, Some(Codec::Vp8));
        let layer = video.layer.as_ref().unwrap();
        assert_eq!((layer.rid.as_ref().map(Rid::as_str), layer.automatic), (Some(rid), automatic));
        assert_eq!(video.loss, Some(0.0));
        let seen = world.report().unwrap().tracks;
        let seen = seen.iter().find(|track| track.format.codec.kind() == Kind::Video).unwrap();
        let sent = seen.layers.iter().find(|it| it.rid.as_ref().map(Rid::as_str) == Some(rid));
        let (sent, got) = (sent.unwrap().bitrate_bps as f64, video.bitrate_bps as f64);
        assert!((0.8..1.25).contains(&(got / sent)), "{rid}: {got} of {sent}");
    }
    world.down = Conditions::clean().losing(0.1);
    world.run(4000);
    let loss = |world: &mut World| {
        let report = world.session(1).unwrap();
        report.tracks.iter().find(|track| track.kind == Kind::Video).and_then(|track| track.loss)
    };
    let lost = loss(&mut world).unwrap();
    assert!((0.02..0.25).contains(&lost), "{lost}");
    world.leave(1);
    assert_eq!(world.session(1), None);
}

#[test]
fn a_publisher_s_report_tells_its_layers_and_their_loss() {
    let mut world = World::new(1, 32);
    let publisher = world.publish(3);
    world.up = Conditions::clean().losing(0.1);
    world.run(4000);
    let key = world.publishers[publisher].key;
    let report = |world: &mut World| match world.shards[0]
        .handle_command(world.now, Command::DescribeSessions(vec![key]))
    {
        Reply::Sessions(mut reports) => reports.pop().flatten(),
        _ => None,
    };
    let told = report(&mut world).unwrap();
    let video = told.tracks.iter().find(|track| track.kind == Kind::Video).unwrap();
    assert_eq!(video.rids.len(), 3);
    assert!(video.bitrate_bps > 100_000, "{video:?}");
    let loss = video.loss.unwrap();
    assert!((0.02..0.25).contains(&loss), "{loss}");
    assert_eq!((told.round_trip, video.layer.clone()), (None, None));
    world.unpublish(publisher, true);
    assert_eq!(report(&mut world), None);
}

#[test]
fn one_command_describes_no_more_than_a_few_of_a_thousand_sessions() {
    let mut world = World::new(1, 33);
    world.publish(1);
    for _ in 0..MAX_DESCRIBED {
        world.watch(0);
    }
    world.run(1000);
    let keys: Vec<_> = world.viewers.iter().map(|viewing| viewing.key).collect();
    let thousand: Vec<_> = keys.iter().cycle().take(1000).copied().collect();
    let begun = Instant::now();
    let reply = world.shards[0].handle_command(world.now, Command::DescribeSessions(thousand));
    let took = begun.elapsed();
    let Reply::Sessions(reports) = reply else { panic!("{reply:?}") };
    assert_eq!(reports.iter().flatten().count(), MAX_DESCRIBED);
    eprintln!("{MAX_DESCRIBED} sessions described in {took:?}");
    assert!(took < Duration::from_millis(20), "{took:?}");
}

#[test]
fn a_keyframe_that_is_wanted_is_asked_for_once_in_a_while() {
    let mut world = World::new(1, 34);
    world.publish(3);
    world.run(3000);
    let asked = |world: &World| world.gauges(0).keyframe_requests;
    let before = asked(&world);
    for _ in 0..50 {
        let stream = super::world::STREAM;
        let reply = world.shards[0].handle_command(world.now, Command::WantKeyframes(stream));
        assert!(matches!(reply, Reply::Done));
        world.run(10);
    }
    let more = asked(&world) - before;
    assert!((1..=9).contains(&more), "{more}: at most three times for each of three layers");
    let none = Command::WantKeyframes(StreamId(99));
    assert!(matches!(world.shards[0].handle_command(world.now, none), Reply::Unknown));
}
