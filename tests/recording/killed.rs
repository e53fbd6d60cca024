//! A server that is killed leaves recordings that play to their last segment.

use std::time::Duration;

use crate::{Player, Process, Publisher, is, text};

#[tokio::test(flavor = "multi_thread")]
async fn of_twenty_kills_each_leaves_a_recording_that_plays_to_its_last_segment() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut known: Vec<(String, u64)> = Vec::new();
    for round in 0..=KILLS {
        let server = Process::start(&data, "");
        let player = Player::of(&server.url);
        if let Some((id, last)) = known.last() {
            let closed =
                player.wait("cam", "closed", |one| one["id"] == **id && is("ready")(one)).await;
            for (name, playlist) in player.playlists(text(&closed, "hls")).await {
                let to = playlist.media_sequence + playlist.segments.len() as u64 - 1;
                assert!(to >= *last, "round {round}: {name} ends with {to}, and {last} was there");
                assert!(playlist.end_list, "round {round}: {name} is closed");
            }
            for (name, segments, ..) in player.play(text(&closed, "hls")).await {
                assert!(segments > 0, "round {round}: there is nothing of {name}");
            }
        }
        if round == KILLS {
            assert_eq!(player.recordings("cam").await.len(), KILLS);
            break;
        }
        let _publisher = Publisher::start(&server.url, "cam", 1);
        let new = |one: &serde_json::Value| {
            known.iter().all(|(id, _)| one["id"] != **id) && one["bytes"].as_u64().unwrap() > 0
        };
        let going = player.wait("cam", "begun", new).await;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..3_000))).await;
        let playlists = player.playlists(text(&going, "hls")).await;
        // Whatever all renditions had told of.
        let last = playlists.iter().map(|(_, p)| p.media_sequence + p.segments.len() as u64 - 1);
        known.push((text(&going, "id").to_owned(), last.min().unwrap()));
        server.kill();
    }
}

const KILLS: usize = 20;
