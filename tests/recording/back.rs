//! Players of a live stream go back to what has left memory.

use crate::support::Server;
use crate::{Player, Publisher, lasts, text};

#[tokio::test(flavor = "multi_thread")]
async fn a_live_player_goes_back_to_what_is_on_disk_only() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let policy = "[[streams]]\nmatch = \"*\"\nhls_window_s = 600\nhls_memory_s = 10\n";
    let server = Server::with_config(&format!("data = {data:?}\n{policy}")).await;
    let player = Player::of(&server.url(""));
    let publisher = Publisher::start(&server.url(""), "cam", 1);
    player.wait("cam", "eight seconds long", lasts(8.0)).await;

    // Who comes first finds the picture and the sound of the time before.
    let live = player.playlists("/hls/cam/index.m3u8").await;
    let mut first = Vec::new();
    for (name, playlist) in &live {
        let seconds: f32 = playlist.segments.iter().map(|one| one.duration).sum();
        assert!(seconds > 5.5, "{name} goes back {seconds} s");
        let folder =
            name.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
        let whole = playlist.segments.iter().find(|one| one.duration > 1.5).unwrap();
        let path = format!("/hls/cam/{folder}{}", whole.uri);
        first.push((name, path.clone(), player.bytes(&path).await));
    }
    let names: Vec<_> = first.iter().map(|(name, ..)| name.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["aac", "v0"]);

    let going = player.wait("cam", "thirty seconds long", lasts(30.0)).await;
    for (name, path, bytes) in &first {
        assert!(player.bytes(path).await == *bytes, "{name}: the same address, other bytes");
    }
    let after = player.playlists("/hls/cam/index.m3u8").await;
    for ((name, before), (_, after)) in live.iter().zip(&after) {
        assert_eq!(before.media_sequence, after.media_sequence, "{name} forgets");
        let gaps = after
            .segments
            .iter()
            .filter(|one| one.unknown_tags.iter().any(|tag| tag.tag == "X-GAP"));
        assert_eq!(gaps.count(), 0, "{name}");
    }
    // They come from the recording, whose files a player of the live stream does not name.
    for (name, path, _) in &first {
        let file = path.strip_prefix(&format!("/hls/cam/{}/", text(&going, "id"))).unwrap();
        let kept = data.join("recordings/cam").join(text(&going, "id")).join(file);
        std::fs::remove_file(&kept).unwrap();
        let (status, _) = player.get(path).await;
        assert_eq!(status, 404, "{name} is still in memory");
    }
    drop(publisher);
    server.stop().await;
}
