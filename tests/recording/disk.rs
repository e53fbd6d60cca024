//! A disk that is full: recording fails loudly, and nothing else does.

use std::path::Path;
use std::process::Command;

use crate::{Player, Process, Publisher, is, text};

/// A small disk that goes away with the test.
struct Disk<'a>(&'a Path);

impl<'a> Disk<'a> {
    fn mount(folder: &'a Path, size: &str) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        let options = format!("size={size}");
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).status();
        assert!(mounted.unwrap().success(), "a small disk is mounted, which takes root");
        Self(folder)
    }
}

impl Drop for Disk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_recording_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let disk = Disk::mount(&data, "1500k");
    let server = Process::start(&data, "");
    let player = Player::of(&server.url);
    let _publisher = Publisher::start(&server.url, "cam", 3);
    let failed = player.wait("cam", "failed", is("failed")).await;
    let why = text(&failed, "error");
    assert!(why.contains("full"), "{why}");
    assert_eq!(player.metric("whitewater_recordings_failed_total").await, 1.0);
    assert_eq!(player.metric("whitewater_recordings_active").await, 0.0);
    // What was stored is played, to its end.
    for (name, segments, ..) in player.play(text(&failed, "hls")).await {
        assert!(segments > 0, "{name} was recorded for a while");
    }
    // The stream goes on.
    let live = player.playlists("/hls/cam/index.m3u8").await;
    let count = |all: &[(String, m3u8_rs::MediaPlaylist)]| {
        all.iter().map(|(_, one)| one.media_sequence + one.segments.len() as u64).min().unwrap()
    };
    let before = count(&live);
    let due = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while count(&player.playlists("/hls/cam/index.m3u8").await) < before + 2 {
        assert!(std::time::Instant::now() < due, "the live stream does not go on");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    drop(server);
    drop(disk);
}
