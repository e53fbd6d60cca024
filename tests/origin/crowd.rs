//! Tests of many requests at once.

use std::time::{Duration, Instant};

use reqwest::{Client, Version};
use whitewater::origin::Limits;

use super::kit::{Stage, both, header, part};

/// Clients with a connection each, on which a hundred requests may be under way.
fn clients(count: usize) -> Vec<Client> {
    (0..count).map(|_| Client::builder().http2_prior_knowledge().build().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_held_requests_are_released_by_one_part() {
    let stage = Stage::with_segments(40).await;
    let playlist = stage.origin.url("live/e1/video.m3u8?_HLS_msn=40&_HLS_part=0");
    let media = stage.origin.url("live/e1/video/40.0.m4s");
    let mut requests = Vec::new();
    for client in clients(10) {
        for number in 0..100 {
            let url = if number % 2 == 0 { playlist.clone() } else { media.clone() };
            let request = client.get(url).header("Accept-Encoding", "gzip");
            requests.push(tokio::spawn(async move {
                let response = request.send().await.unwrap();
                assert_eq!(response.status(), 200);
                let over_http2 = response.version() == Version::HTTP_2;
                (over_http2, response.bytes().await.unwrap())
            }));
        }
    }
    stage.until_held(1_000).await;
    let released = Instant::now();
    stage.push("video", [part(40, 0)]);
    let (mut playlists, mut parts) = (Vec::new(), Vec::new());
    let mut over_http2 = true;
    for (number, request) in requests.into_iter().enumerate() {
        let (version, body) = request.await.unwrap();
        over_http2 &= version;
        if number % 2 == 0 { playlists.push(body) } else { parts.push(body) }
    }
    let took = released.elapsed();
    assert!(over_http2, "H60: all of them over HTTP/2, a hundred on a connection");
    assert!(playlists.iter().all(|body| *body == playlists[0]), "H66: all are the same");
    assert!(playlists[0].starts_with(&[0x1F, 0x8B]), "H62");
    assert!(parts.iter().all(|body| body == "<40.0>"), "H16");
    assert_eq!(stage.store.held_requests(), 0);
    assert!(took < Duration::from_secs(3), "H42: {took:?}");
}

#[tokio::test]
async fn more_than_may_be_held_are_turned_away() {
    let limits = Limits { max_held: 3, ..Limits::default() };
    let stage = Stage::with(limits, both(), 4).await;
    let path = "live/e1/video.m3u8?_HLS_msn=4&_HLS_part=0";
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(stage.held(path).await);
    }
    for path in [path, "live/e1/video/4.0.m4s", "nobody/index.m3u8"] {
        let response = stage.get(path).await;
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(header(&response, "retry-after"), "1", "{path}");
        assert_eq!(header(&response, "cache-control"), "max-age=1", "H63: {path}");
    }
    assert_eq!(stage.get("live/e1/video.m3u8").await.status(), 200, "it has not to wait");
    stage.push("video", [part(4, 0)]);
    for request in held {
        assert_eq!(request.await.unwrap().status(), 200);
    }
    assert_eq!(stage.get(path).await.status(), 200, "there is room again");
}

#[tokio::test]
async fn whoever_hangs_up_is_not_held_any_longer() {
    let stage = Stage::with_segments(4).await;
    let request = stage.held("live/e1/video.m3u8?_HLS_msn=4&_HLS_part=0").await;
    request.abort();
    stage.until_held(0).await;
}
