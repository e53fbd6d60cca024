//! Tests of the load generator against servers that are not ours: the `webrtc` crate's peer
//! connection behind a small WHIP and WHEP endpoint.

#![allow(clippy::unwrap_used)]

#[path = "load/foreign_server.rs"]
mod foreign_server;

use std::process::{Command, Output};
use std::time::Duration;

use foreign_server::{ForeignServer, Manner};
use serde_json::Value;
use whitewater_core::media::Kind;

/// Runs the program while the servers of this process go on.
async fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    command.arg("load").args(args);
    let run = tokio::task::spawn_blocking(move || command.output());
    tokio::time::timeout(Duration::from_secs(60), run).await.unwrap().unwrap().unwrap()
}

/// Runs the program and reads the JSON that it prints.
async fn load(args: &[&str]) -> Value {
    let output = run(&[args, &["--json"]].concat()).await;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_server_gets_h264_and_opus_that_can_be_decoded() {
    let server = ForeignServer::start(Manner::default()).await;
    let url = server.url("/whip/a");
    let json = load(&["whip", "--url", &url, "--layers", "1", "--seconds", "4"]).await;
    assert!(json["ended"].is_null(), "{json}");
    assert!(json["frames"].as_u64().unwrap() > 80, "{json}");

    let video = server.received(Kind::Video);
    assert!(server.received(Kind::Audio).len() > 100);
    let contiguous = video.windows(2).filter(|pair| {
        pair[1].header.sequence_number == pair[0].header.sequence_number.wrapping_add(1)
    });
    assert!(contiguous.count() * 100 > video.len() * 99, "of {} packets", video.len());
    // SPS and PPS lead, together with the first slices of the IDR picture.
    let first = &video[0].payload;
    assert_eq!((first[0] & 0x1F, first[3] & 0x1F), (24, 7), "{first:?}");
    assert_eq!(server.deleted(), 1, "the session is deleted at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_server_that_asks_gets_keyframes() {
    let server = ForeignServer::start(Manner { asks: true, ..Manner::default() }).await;
    let url = server.url("/whip/a");
    let json = load(&["whip", "--url", &url, "--layers", "1", "--seconds", "4"]).await;
    assert!(json["keyframe_requests"].as_u64().unwrap() >= 2, "{json}");
    assert!(json["keyframes"].as_u64().unwrap() >= 3, "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_server_is_watched() {
    let server = ForeignServer::start(Manner::default()).await;
    let url = server.url("/whep/a");
    let args = ["whep", "--url", &url, "--viewers", "3", "--seconds", "2", "--verify", "all"];
    let json = load(&args).await;
    assert_eq!((&json["connected"], &json["with_keyframe"]), (&3.into(), &3.into()), "{json}");
    assert_eq!(json["refused_packets"], 0, "{json}");
    // Three viewers, 25 pictures of two packets and 50 sounds a second.
    let rate = json["packets_per_second"].as_f64().unwrap();
    assert!((200.0..400.0).contains(&rate), "{json}");
    assert_eq!(json["lost"], 0, "{json}");
    assert_eq!(json["broken_frames"], 0, "{json}");
    assert_eq!(server.deleted(), 3, "the sessions are deleted at the end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_asks_for_what_a_foreign_server_has_lost() {
    let server = ForeignServer::start(Manner { skips: true, ..Manner::default() }).await;
    let url = server.url("/whep/a");
    let json = load(&["whep", "--url", &url, "--seconds", "3", "--verify", "all"]).await;
    let lost = json["lost"].as_u64().unwrap();
    assert!(lost > 0, "{json}");
    assert!(json["nacked"].as_u64().unwrap() >= lost, "{json}");
    assert!(json["broken_frames"].as_u64().unwrap() > 0, "{json}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_server_may_take_either_dtls_role() {
    for active in [true, false] {
        let server = ForeignServer::start(Manner { active, ..Manner::default() }).await;
        let url = server.url("/whep/a");
        let json = load(&["whep", "--url", &url, "--seconds", "1"]).await;
        assert_eq!(json["connected"], 1, "active: {active}, {json}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_is_told_in_one_sentence() {
    let server = ForeignServer::start(Manner::default()).await;
    let output = run(&["whep", "--url", &server.url("/nothing")]).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    assert!(errors.contains("no viewer could join: 404 Not Found"), "{errors}");
}
