//! What lies in the folder of recordings: other people's files, damage, another server, and too much.

use std::fs;

use crate::{Player, Process, Publisher, is, lasts, text};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_foreign_or_damaged_harms_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data, "");
    let player = Player::of(&server.url);
    let publisher = Publisher::start(&server.url, "cam", 1);
    player.wait("cam", "five seconds long", lasts(5.0)).await;
    drop(publisher);
    let good = player.wait("cam", "ready", is("ready")).await;
    drop(server);
    let recordings = data.join("recordings");
    let own = recordings.join("cam").join(text(&good, "id"));
    let put = |path: &str, bytes: &[u8]| {
        let path = recordings.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put("notes.txt", b"mine");
    put("..hidden/a/recording.json", b"{}");
    put("cam/not an id!/recording.json", b"{}");
    put("cam/empty/other.bin", b"");
    put("cam/damaged1/recording.json", b"{\"version\":1");
    put("cam/damaged2/recording.json", &[0xff; 4096]);
    let header = fs::read_to_string(own.join("recording.json")).unwrap();
    put("cam/another1/recording.json", header.as_bytes());
    let traversing = header.replace("\"v0\"", "\"../../../x\"");
    put(
        "cam/traverse1/recording.json",
        traversing.replace(text(&good, "id"), "traverse1").as_bytes(),
    );
    // One that was cut off in the middle of everything: half an index, half a segment.
    let cut = header.replace(text(&good, "id"), "cutoff1");
    put("cam/cutoff1/recording.json", cut.as_bytes());
    let index = fs::read(own.join("index.jsonl")).unwrap();
    put("cam/cutoff1/index/00000000.jsonl", &index[..index.len() / 2]);
    for entry in fs::read_dir(own.join("v0")).unwrap() {
        let entry = entry.unwrap();
        let bytes = fs::read(entry.path()).unwrap();
        put(&format!("cam/cutoff1/v0/{}", entry.file_name().to_str().unwrap()), &bytes);
    }
    put("cam/cutoff1/v0/99999.m4s", &[0, 0, 0, 0, b'm', b'o', b'o', b'f']);
    put("cam/cutoff1/v0/99998.m4s", b"");
    let server = Process::start(&data, "");
    let player = Player::of(&server.url);
    player.wait("cam", "the good one", |one| one["id"] == good["id"]).await;
    let cut = player.wait("cam", "the one that was cut off", |one| one["id"] == "cutoff1").await;
    let all = player.recordings("cam").await;
    assert_eq!(all.len(), 2, "{all:?}");
    player.play(text(&good, "hls")).await;
    player.play(text(&cut, "hls")).await;
    for id in ["damaged1", "another1", "traverse1", "empty", "..", "%2e%2e", "x/../y"] {
        for file in ["index.m3u8", "manifest.mpd", "download.mp4", "v0/0.m4s", "recording.json"] {
            let (status, _) = player.get(&format!("/replay/cam/{id}/{file}")).await;
            assert_eq!(status, 404, "{id}/{file}");
        }
        let (status, _) = player.client_delete(&format!("/api/v1/recordings/{id}")).await;
        assert!(status == 404 || status == 405, "{id}: {status}");
    }
    assert!(recordings.join("notes.txt").exists(), "what is not ours is left alone");
    assert!(recordings.join("cam/damaged1/recording.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_do_not_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let first = Process::start(&data, "");
    let said = Process::try_start(&data, "").err().expect("the second one is refused");
    assert!(said.contains("in use by another process"), "{said}");
    assert_eq!(said.trim().lines().count(), 1, "a sentence: {said}");
    let off = Process::start(&data, "[recording]\nenabled = false\n");
    let player = Player::of(&off.url);
    assert_eq!(player.recordings("cam").await.len(), 0, "recording is off");
    let (status, said) = player.client_post("/api/v1/streams/cam/recording").await;
    assert_eq!((status.as_u16(), said.contains("recording.enabled")), (409, true), "{said}");
    first.kill();
    let _again = Process::start(&data, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_delete_the_oldest_and_leave_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data, "");
    let player = Player::of(&server.url);
    for round in 1..=2 {
        let publisher = Publisher::start(&server.url, "cam", 1);
        player.wait("cam", "recording", |one| is("recording")(one) && lasts(2.0)(one)).await;
        drop(publisher);
        let due = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while player.recordings("cam").await.iter().filter(|one| is("ready")(one)).count() < round {
            assert!(std::time::Instant::now() < due, "round {round} is not ready");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
    let all = player.recordings("cam").await;
    drop(server);
    let newest = all[0]["bytes"].as_u64().unwrap();
    let config = format!("[recording]\nmax_size = {}\n", newest + 1_000);
    let server = Process::start(&data, &config);
    let player = Player::of(&server.url);
    let due = std::time::Instant::now() + std::time::Duration::from_secs(20);
    loop {
        let left = player.recordings("cam").await;
        if left.len() == 1 {
            assert_eq!(left[0]["id"], all[0]["id"], "the newest stays");
            break;
        }
        assert!(std::time::Instant::now() < due, "nothing is deleted: {left:?}");
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    let gone = data.join("recordings/cam").join(text(&all[1], "id"));
    let due = std::time::Instant::now() + std::time::Duration::from_secs(5);
    while gone.exists() {
        assert!(std::time::Instant::now() < due, "its files are left behind");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
