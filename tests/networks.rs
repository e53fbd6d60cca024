//! Tests of bad networks with real clients: a server and its publisher in one network namespace,
//! viewers in another, and a wire between them that misbehaves as it is told.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "networks/scene.rs"]
mod scene;

#[path = "support/wire.rs"]
mod wire;

use scene::{Scene, Trace};
use wire::Conditions;

/// A network, and how much of it is to be used.
struct Row {
    name: &'static str,
    down: Conditions,
    up: Conditions,
    trace: Trace,
    /// What the wire carries, or what the highest layer needs if that is less.
    most_bps: f64,
    seconds: u64,
}

fn rows() -> Vec<Row> {
    let clean = Conditions::taking(20);
    let row = |name, down, trace, most_bps| Row {
        name,
        down,
        up: Conditions { rate_bps: 0, ..down },
        trace,
        most_bps,
        seconds: 25,
    };
    vec![
        row("1.5 Mbit/s", clean.carrying(1_500_000, 300), Trace::Small, 1_500_000.0),
        row("300 kbit/s", clean.carrying(300_000, 500), Trace::Large, 300_000.0),
        row("5 % loss", Conditions::taking(25).losing(0.05), Trace::Large, 2_500_000.0),
        row("200 ms round trip", Conditions::taking(100), Trace::Large, 2_500_000.0),
    ]
}

#[test]
fn a_browser_keeps_its_picture_on_every_network() {
    let mut wrong = Vec::new();
    for row in rows() {
        let scene = Scene::open(row.trace);
        scene.wire.set(row.down, row.up);
        let seen = scene.browser(row.seconds);
        let used = seen.bps / row.most_bps * 100.0;
        eprintln!("{}: {seen:?}, {used:.0} % used", row.name);
        // Loose: three times the goals of 1 s and 60 %, for a busy machine.
        if seen.longest_freeze_ms > 3000.0 || used < 20.0 || seen.frames < 100 {
            wrong.push(format!("{}: {seen:?}, {used:.0} % used", row.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_browser_climbs_when_its_network_gets_better() {
    let scene = Scene::open(Trace::Large);
    let narrow = Conditions::taking(20).carrying(300_000, 500);
    scene.wire.set(narrow, Conditions::taking(20));
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Within the browser's time below: it needs some seconds to begin.
            std::thread::sleep(std::time::Duration::from_secs(20));
            scene.wire.set(Conditions::taking(20), Conditions::taking(20));
        });
        scene.browser(75)
    });
    eprintln!("300 kbit/s, then free: {seen:?}");
    assert!(seen.longest_freeze_ms <= 3000.0, "{seen:?}");
    assert!(seen.heights.last() > Some(&180), "{seen:?}");
}

#[test]
fn a_twentieth_lost_both_ways_costs_no_frame_in_a_thousand() {
    let scene = Scene::open(Trace::Large);
    let bad = Conditions::taking(25).losing(0.05);
    scene.wire.set(bad, bad);
    let json = scene.load(3, 20);
    let number = |name: &str| json[name].as_f64().unwrap_or_else(|| panic!("{name}: {json}"));
    // Who joins without the first packet of its keyframe cannot know of it, and asks for the next keyframe.
    let joining = number("broken_before_keyframe");
    let (frames, broken) = (number("frames"), number("broken_frames") - joining);
    let share = frames / (frames + broken);
    eprintln!(
        "5 % loss: {frames} frames, {broken} broken, {:.3} %, {joining} before; {} % of packets lost, longest freeze {}",
        share * 100.0,
        json["loss_percent"],
        json["longest_freeze_ms"]
    );
    assert!(number("loss_percent") > 2.0 && frames > 200.0, "{json}");
    assert!(share >= 0.999, "{json}");
    let joined = json["first_keyframe_after_answer_ms"]["max"].as_f64().unwrap();
    assert!(joined < 4_000.0, "{json}");
}
