//! A server that stops while players wait for the next part.

use std::time::{Duration, Instant};

use super::{Playlist, Server, get};

/// Stops the server, and checks that each playlist ends: for who waits, and for who comes a moment later.
pub(crate) async fn ends_properly(server: Server, stream: &str, paths: &[String]) {
    let read = |body: &bytes::Bytes| Playlist::read(std::str::from_utf8(body).unwrap());
    let base = server.url(&format!("/hls/{stream}/"));
    let mut waiting = Vec::new();
    for path in paths {
        let playlist = read(&get(&server, &format!("/hls/{stream}/{path}")).await.1);
        // Far enough ahead to be still waited for, and not so far as to be refused.
        let (msn, _) = playlist.next();
        let url = format!("{base}{path}?_HLS_msn={}", msn + 1);
        waiting.push(tokio::spawn(async move { reqwest::get(url).await.unwrap().bytes().await }));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let stopping = tokio::spawn(server.stop());
    for held in waiting {
        let playlist = read(&held.await.unwrap().unwrap());
        assert!(playlist.ended, "H28: who waits is told: {playlist:?}");
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    for path in paths {
        let late = reqwest::get(format!("{base}{path}")).await.unwrap().bytes().await.unwrap();
        let playlist = read(&late);
        assert!(playlist.ended, "H28: who comes later sees it: {playlist:?}");
        let (folder, _) = path.rsplit_once('/').unwrap();
        let last = &playlist.segments.last().unwrap().1;
        let segment = reqwest::get(format!("{base}{folder}/{last}")).await.unwrap();
        assert!(segment.status().is_success(), "{path}: the last segment can be had");
    }
    stopping.await.unwrap();
}
