//! What was live is replayed, byte for byte.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::Server;
use crate::{Player, Publisher, is, lasts, text};

async fn server(more: &str) -> (Server, Player, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Server::with_config(&format!("data = {data:?}\n{more}")).await;
    let player = Player::of(&server.url(""));
    (server, player, folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_has_the_very_bytes_that_live_players_of_hls_and_dash_got() {
    let (server, player, _folder) = server("").await;
    let publisher = Publisher::start(&server.url(""), "cam", 2);
    let going = player.wait("cam", "five seconds long", lasts(5.0)).await;
    assert_eq!(text(&going, "state"), "recording");
    // A live player comes: what it gets is what is recorded.
    let live = player.playlists("/hls/cam/index.m3u8").await;
    let epoch = text(&going, "id").to_owned();
    let mpd = player.text("/dash/cam/manifest.mpd").await;
    assert!(mpd.contains(&format!("<BaseURL>../../hls/cam/{epoch}/</BaseURL>")), "D18: {mpd}");
    let mut hashes = BTreeMap::new();
    for (name, playlist) in &live {
        let name = name.rsplit('/').next().unwrap();
        for segment in playlist.segments.iter().filter(|one| !one.uri.contains("hint")) {
            let file = segment.uri.rsplit('/').next().unwrap();
            let bytes = player.bytes(&format!("/hls/cam/{epoch}/{name}/{file}")).await;
            hashes.insert(format!("{name}/{file}"), bytes);
        }
    }
    assert!(hashes.keys().any(|name| name.starts_with("v0/")), "{:?}", hashes.keys());
    assert!(hashes.keys().any(|name| name.starts_with("aac/")), "players get AAC");
    player.wait("cam", "nine seconds long", lasts(9.0)).await;
    drop(publisher);
    let ready = player.wait("cam", "ready", is("ready")).await;
    assert_eq!(text(&ready, "id"), epoch);
    let recorded = hashes.iter().filter(|(name, _)| !name.starts_with("aac/"));
    let mut compared = 0;
    for (name, bytes) in recorded {
        let replayed = player.bytes(&format!("/replay/cam/{epoch}/{name}")).await;
        assert!(replayed == *bytes, "H28, D18: {name} differs");
        compared += 1;
    }
    assert!(compared >= 4, "{compared} segments compared");
    let played = player.play(text(&ready, "hls")).await;
    let names: Vec<_> = played.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["opus", "v0", "v1"], "as it comes");
    let seconds = ready["duration_s"].as_f64().unwrap();
    for (name, segments, gaps, lasted) in &played {
        assert!(*segments >= 4 && *gaps <= 1, "{name}: {segments} segments, {gaps} gaps");
        assert!((lasted - seconds).abs() < 2.5, "{name} lasts {lasted} s of {seconds}");
    }
    for (name, playlist) in player.playlists(text(&ready, "hls")).await {
        assert!(playlist.end_list, "H28: {name}");
        assert_eq!(playlist.playlist_type, Some(m3u8_rs::MediaPlaylistType::Vod), "H28: {name}");
    }
    let mpd = player.text(text(&ready, "dash")).await;
    assert!(
        !mpd.contains("type=\"dynamic\"") && mpd.contains("mediaPresentationDuration"),
        "{mpd}"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_is_recorded_it_is_an_event_that_grows() {
    let (server, player, _folder) = server("[[streams]]\nmatch = \"*\"\nhls = \"off\"\n").await;
    let publisher = Publisher::start(&server.url(""), "cam", 1);
    let going = player.wait("cam", "three seconds long", lasts(3.0)).await;
    let (status, _) = player.get("/hls/cam/index.m3u8").await;
    assert_eq!(status, 404, "HLS is off, and it is recorded all the same");
    let before = player.playlists(text(&going, "hls")).await;
    player.wait("cam", "seven seconds long", lasts(7.0)).await;
    let after = player.playlists(text(&going, "hls")).await;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        assert_eq!(after.playlist_type, Some(m3u8_rs::MediaPlaylistType::Event), "H28: {name}");
        assert!(!after.end_list, "H28: {name}");
        assert!(after.segments.len() > before.segments.len(), "{name} does not grow");
        let same = before.segments.iter().zip(&after.segments).all(|(a, b)| a.uri == b.uri);
        assert!(same, "H29: {name} changes what it has told");
    }
    let mpd = player.text(text(&going, "dash")).await;
    assert!(mpd.contains("type=\"dynamic\"") && mpd.contains("minimumUpdatePeriod"), "{mpd}");
    let (status, _) =
        player.client_delete(&format!("/api/v1/recordings/{}", text(&going, "id"))).await;
    assert_eq!(status, 409, "what goes on is not deleted");
    drop(publisher);
    let ready = player.wait("cam", "ready", is("ready")).await;
    let path = format!("/api/v1/recordings/{}", text(&ready, "id"));
    assert_eq!(player.client_delete(&path).await.0, 204);
    assert_eq!(player.get(&path).await.0, 404);
    assert_eq!(player.get(text(&ready, "hls")).await.0, 404);
    assert_eq!(player.recordings("cam").await.len(), 0);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_starts_and_stops_recordings() {
    let (server, player, _folder) = server("[[streams]]\nmatch = \"*\"\nrecord = \"off\"\n").await;
    let path = "/api/v1/streams/cam/recording";
    assert_eq!(player.client_post(path).await.0, 404, "nobody publishes it");
    let publisher = Publisher::start(&server.url(""), "cam", 1);
    let due = std::time::Instant::now() + Duration::from_secs(20);
    let started = loop {
        let (status, body) = player.client_post(path).await;
        if status == 201 {
            break body;
        }
        assert!(std::time::Instant::now() < due, "{status}: {body}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    let started: serde_json::Value = serde_json::from_str(&started).unwrap();
    let going = player.wait("cam", "four seconds long", lasts(4.0)).await;
    // Whoever looked a moment before its end sees the end.
    assert!(player.playlists(text(&going, "hls")).await.iter().all(|(_, one)| !one.end_list));
    assert!(player.text(text(&going, "dash")).await.contains("type=\"dynamic\""));
    assert_eq!(player.client_delete(path).await.0, 204);
    let ready = player.wait("cam", "ready", is("ready")).await;
    assert_eq!(ready["id"], started["id"]);
    assert!(player.playlists(text(&ready, "hls")).await.iter().all(|(_, one)| one.end_list));
    assert!(!player.text(text(&ready, "dash")).await.contains("type=\"dynamic\""));
    // A second one of the same epoch has a name of its own.
    assert_eq!(player.client_post(path).await.0, 201);
    player.wait("cam", "recording", is("recording")).await;
    drop(publisher);
    player
        .wait("cam", "ready again", |one| one["state"] == "ready" && one["id"] != ready["id"])
        .await;
    let page = player.text("/api/v1/recordings?stream=cam&limit=1").await;
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let next = page["next"].as_str().unwrap();
    let rest = player.text(&format!("/api/v1/recordings?stream=cam&after={next}")).await;
    let rest: serde_json::Value = serde_json::from_str(&rest).unwrap();
    assert_eq!((&rest["items"][0]["id"], &rest["next"]), (&ready["id"], &serde_json::Value::Null));
    let later = player.text(&format!("/api/v1/recordings?until={}", text(&ready, "began"))).await;
    let later: serde_json::Value = serde_json::from_str(&later).unwrap();
    assert_eq!(later["items"].as_array().unwrap().len(), 0);
    assert_eq!(player.get("/api/v1/recordings?from=yesterday").await.0, 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_one_file_that_ffmpeg_reads_to_its_end() {
    let (server, player, folder) = server("").await;
    let publisher = Publisher::start(&server.url(""), "cam", 2);
    player.wait("cam", "six seconds long", lasts(6.0)).await;
    drop(publisher);
    let ready = player.wait("cam", "ready", is("ready")).await;
    let bytes = player.bytes(text(&ready, "download")).await;
    let file = folder.path().join("all.mp4");
    std::fs::write(&file, &bytes).unwrap();
    let probe = |args: &[&str]| {
        let output = std::process::Command::new("ffprobe")
            .args(["-v", "error"])
            .args(args)
            .arg(&file)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && said.is_empty(), "{said}");
        String::from_utf8(output.stdout).unwrap()
    };
    let streams = probe(&["-show_entries", "stream=codec_name", "-of", "csv=p=0"]);
    assert_eq!(streams.split_whitespace().collect::<Vec<_>>(), ["h264", "opus"]);
    let lasts: f64 =
        probe(&["-show_entries", "format=duration", "-of", "csv=p=0"]).trim().parse().unwrap();
    let told = ready["duration_s"].as_f64().unwrap();
    assert!((lasts - told).abs() < 0.5, "{lasts} s instead of {told}");
    let times =
        probe(&["-select_streams", "v", "-show_entries", "packet=pts_time", "-of", "csv=p=0"]);
    let times: Vec<f64> =
        times.lines().filter_map(|line| line.trim_end_matches(',').parse().ok()).collect();
    let (first, last) = (times[0], times.iter().copied().fold(0.0, f64::max));
    assert!(first < 0.5 && last > told - 1.0, "pictures from {first} to {last} of {told} s");
    // A download that broke off goes on.
    let half = bytes.len() / 2;
    let response = player
        .client
        .get(format!("{}{}", player.url, text(&ready, "download")))
        .header("Range", format!("bytes={half}-"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 206);
    assert!(response.bytes().await.unwrap() == bytes[half..], "the rest is the same");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ffmpeg_reads_what_is_live_and_what_was_over_hls_and_dash() {
    let (server, player, _folder) = server("").await;
    let publisher = Publisher::start(&server.url(""), "cam", 1);
    player.wait("cam", "three seconds long", lasts(3.0)).await;
    for path in ["/hls/cam/index.m3u8", "/dash/cam/manifest.mpd"] {
        let lasted = decoded(&player.url, path, &["-t", "3"]).await;
        // It begins where it likes in what there is.
        assert!((2.8..20.0).contains(&lasted), "{path}: {lasted} s");
    }
    drop(publisher);
    let ready = player.wait("cam", "ready", is("ready")).await;
    let told = ready["duration_s"].as_f64().unwrap();
    for view in ["hls", "dash", "download"] {
        let lasted = decoded(&player.url, text(&ready, view), &[]).await;
        // DASH leaves out a first segment that has no sound.
        let least = told - if view == "dash" { 2.6 } else { 0.6 };
        assert!((least..told + 0.6).contains(&lasted), "{view}: {lasted} s of {told}");
    }
    server.stop().await;
}

/// Seconds of picture and sound that ffmpeg decodes.
async fn decoded(url: &str, path: &str, limit: &[&str]) -> f64 {
    let mut ffmpeg = std::process::Command::new("timeout");
    ffmpeg.args(["60", "ffmpeg", "-hide_banner", "-v", "error", "-nostdin", "-progress", "-"]);
    ffmpeg.args(limit).args(["-i", &format!("{url}{path}"), "-map", "0:v:0", "-map", "0:a:0"]);
    ffmpeg.args(["-f", "null", "-"]);
    let output = tokio::task::spawn_blocking(move || ffmpeg.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let progress = String::from_utf8_lossy(&output.stdout);
    let mut times = progress.lines().filter_map(|line| line.strip_prefix("out_time_us="));
    let last = times.next_back().and_then(|us| us.parse::<f64>().ok());
    assert!(output.status.success(), "{path}: {said}");
    last.unwrap_or_else(|| panic!("{path}: {progress} {said}")) / 1e6
}

impl Player {
    pub(crate) async fn client_delete(&self, path: &str) -> (reqwest::StatusCode, String) {
        let response = self.client.delete(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    pub(crate) async fn client_post(&self, path: &str) -> (reqwest::StatusCode, String) {
        let response = self.client.post(format!("{}{path}", self.url)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}
