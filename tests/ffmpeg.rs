//! Tests with FFmpeg 9 as the publisher, over its WHIP muxer.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use support::peer::{Ask, Peer, missing};
use support::{Server, http};
use whitewater_core::media::{Codec, Kind, codec};

/// What every test publishes: H.264 with a keyframe every two seconds, and Opus.
const MEDIA: &[&str] = &[
    "-re",
    "-f",
    "lavfi",
    "-i",
    "testsrc2=size=640x360:rate=30",
    "-f",
    "lavfi",
    "-i",
    "sine=frequency=440",
    "-c:v",
    "libx264",
    "-preset",
    "ultrafast",
    "-tune",
    "zerolatency",
    "-profile:v",
    "baseline",
    "-bf",
    "0",
    "-g",
    "60",
    "-pix_fmt",
    "yuv420p",
    "-c:a",
    "libopus",
    "-ar",
    "48000",
    "-ac",
    "2",
];

/// A publisher that ends with the test.
struct Ffmpeg(Child);

impl Ffmpeg {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).spawn().unwrap())
    }

    /// Waits until it has ended by itself.
    async fn ends(mut self) -> ExitStatus {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "FFmpeg does not end");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Ffmpeg {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The folder where scripts/setup.sh puts FFmpeg.
fn folder() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").expect("a home folder")).join(".cache")
    });
    let folder = cache.join("whitewater/ffmpeg");
    assert!(folder.join("ffmpeg").exists(), "FFmpeg 9 is missing: run scripts/setup.sh tests");
    folder
}

/// Begins to publish.
fn publish(server: &Server, stream: &str, flags: &[&str]) -> Ffmpeg {
    Ffmpeg::start(
        Command::new(folder().join("ffmpeg"))
            .args(["-nostdin", "-hide_banner", "-loglevel", "warning"])
            .args(MEDIA)
            .args(flags)
            .args(["-f", "whip", &server.url(&format!("/whip/{stream}"))]),
    )
}

/// Waits until a stream is live with a picture, and watches it.
async fn watch(server: &Server, stream: &str) -> Peer {
    until("it is live", async || {
        let info = http::api(server, &format!("streams/{stream}")).await;
        let tracks = info["tracks"].as_array().cloned().unwrap_or_default();
        tracks.iter().any(|track| track["layers"][0]["keyframes"].as_u64() > Some(0))
    })
    .await;
    Peer::watch(server, stream, &Ask { nack: true, ..Ask::default() }).await.connected().await
}

async fn until(what: &str, check: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !check().await {
        assert!(tokio::time::Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A viewer gets whole pictures from a keyframe on, and sound.
async fn shows(viewer: &Peer) {
    viewer
        .until("it gets sound and picture", 30, |log| {
            log.of(Kind::Video).iter().filter(|packet| packet.marker).count() >= 60
                && log.count(Kind::Audio) >= 60
        })
        .await;
    let video = viewer.log(|log| log.of(Kind::Video));
    assert!(missing(&video).is_empty(), "packets are missing: {:?}", missing(&video));
    let info = codec::inspect(Codec::H264, &video[0].payload);
    assert!(info.keyframe, "the viewer begins with a keyframe");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ffmpeg_publishes_in_both_dtls_roles_and_ends_its_session() {
    let server = Server::start().await;
    // By default it waits for our handshake (W28), else it begins it (W27); both times without a
    // candidate and without a PATCH (W30).
    let roles: [&[&str]; 2] = [&[], &["-whip_flags", "dtls_active"]];
    for role in roles {
        let flags = [role, &["-authorization", "a-token", "-t", "8"]].concat();
        let ffmpeg = publish(&server, "show", &flags);
        let viewer = watch(&server, "show").await;
        shows(&viewer).await;
        let info = http::api(&server, "streams/show").await;
        assert_eq!(info["warnings"].as_array().map(Vec::len), Some(0), "W28: {info}");
        let status = ffmpeg.ends().await;
        assert!(status.success(), "W27, W28, W30: {status} {role:?}");
        // It deletes its session: the name is free at once.
        let info = http::api(&server, "streams/show").await;
        assert_ne!(info["live"], true, "W50: the session has ended: {info}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_of_the_readme_publishes() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"));
    let readme = readme.unwrap();
    let mut blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let command = blocks.find(|block| block.starts_with("ffmpeg ")).expect("a command");
    let server = Server::start().await;
    assert!(command.contains("http://127.0.0.1:8080/whip/show"), "{command}");
    let command = command.replace("http://127.0.0.1:8080", &server.url(""));
    let path = std::env::var("PATH").unwrap();
    let _ffmpeg = Ffmpeg::start(
        Command::new("bash")
            .args(["-c", &format!("exec {}", command.trim())])
            .env("PATH", format!("{}:{path}", folder().display()))
            .stderr(Stdio::null()),
    );
    let viewer = watch(&server, "show").await;
    shows(&viewer).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_joins_ffmpeg_late_catches_up() {
    let server = Server::start().await;
    // The last -g counts: eight seconds.
    let _ffmpeg = publish(&server, "show", &["-g", "240"]);
    let first = watch(&server, "show").await;
    first.until("it gets a picture", 30, |log| log.count(Kind::Video) > 0).await;
    let keyframes = async || {
        let info = http::api(&server, "streams/show").await;
        let tracks = info["tracks"].as_array().unwrap().clone();
        tracks.iter().filter_map(|track| track["layers"][0]["keyframes"].as_u64()).max().unwrap()
    };
    let before = keyframes().await;
    until("another keyframe", async || keyframes().await > before).await;
    tokio::time::sleep(Duration::from_millis(1800)).await;
    let late = Peer::watch(&server, "show", &Ask { nack: true, ..Ask::default() }).await;
    let late = late.connected().await;
    // Six seconds are left of the GOP: without its past there would be nothing to see until then.
    late.until("it has caught up", 5, |log| {
        log.of(Kind::Video).iter().filter(|packet| packet.marker).count() >= 70
    })
    .await;
    let video = late.log(|log| log.of(Kind::Video));
    assert!(codec::inspect(Codec::H264, &video[0].payload).keyframe, "it begins with the keyframe");
    until("the host is warned", async || {
        let info = http::api(&server, "streams/show").await;
        info["warnings"].as_array().is_some_and(|warnings| warnings.len() == 1)
    })
    .await;
}
