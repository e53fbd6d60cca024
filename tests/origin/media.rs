//! Tests of initialization sections, segments and parts.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whitewater_core::media::{Packaged, Part};

use super::kit::{Stage, end_of, header, init, part, part_of, segments, text};

#[tokio::test]
async fn media_has_its_type_urgency_and_lifetime() {
    let stage = Stage::with_segments(50).await;
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let rows = [
        ("video/init-0.mp4", "init 0", "video/mp4", "u=3", "max-age=126"),
        ("video/49.m4s", "<49.0><49.1><49.2><49.3><49.4><49.5>", "video/mp4", "u=3", "max-age=126"),
        ("video/49.2.m4s", "<49.2>", "video/mp4", "u=3", "max-age=126"),
        ("audio/init-0.mp4", "init 0", "audio/mp4", "u=2", "max-age=126"),
        ("audio/40.0.m4s", "<40.0>", "audio/mp4", "u=2", "max-age=99"),
    ];
    for (file, body, kind, urgency, age) in rows {
        let response =
            client.get(stage.origin.url(&format!("live/e1/{file}"))).send().await.unwrap();
        assert_eq!(response.status(), 200, "H70: at once, without a redirect: {file}");
        assert_eq!(header(&response, "content-type"), kind, "H69: {file}");
        assert_eq!(header(&response, "priority"), urgency, "H61: {file}");
        assert_eq!(header(&response, "cache-control"), age, "H64: {file}");
        assert_eq!(header(&response, "content-encoding"), "", "H62: {file}");
        assert_eq!(header(&response, "access-control-allow-origin"), "*", "H68: {file}");
        assert_eq!(text(response).await, body, "H13: {file}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_404_at_once() {
    let stage = Stage::with_segments(4).await;
    let gap = Packaged::Part(Part {
        segment: 4,
        index: 0,
        start: 12_000,
        duration: 500,
        independent: false,
        bytes: None,
    });
    stage.push("video", [gap, part(4, 1)]);
    let began = Instant::now();
    for file in [
        "video/4.0.m4s", // A gap.
        "video/4.m4s",   // Not complete.
        "video/4.3.m4s", // Not the hinted one.
        "video/5.0.m4s",
        "video/99.m4s",
        "video/init-1.mp4",
        "other/3.m4s",
        "video/3.6.m4s",
    ] {
        let response = stage.get(&format!("live/e1/{file}")).await;
        assert_eq!(response.status(), 404, "H16: {file}");
        assert_eq!(header(&response, "cache-control"), "max-age=3", "H63: {file}");
        assert_eq!(header(&response, "content-type"), "application/problem+json");
    }
    assert!(began.elapsed() < Duration::from_secs(3), "H16: at once");
}

#[tokio::test]
async fn the_hinted_part_is_held_until_it_is_there_or_abandoned() {
    let stage = Stage::with_segments(4).await;
    let hinted = stage.held("live/e1/video/4.0.m4s").await;
    stage.push("video", [part(4, 0)]);
    let response = hinted.await.unwrap();
    assert_eq!(header(&response, "cache-control"), "max-age=18", "H63");
    assert_eq!(text(response).await, "<4.0>", "H16");

    let abandoned = stage.held("live/e1/video/4.1.m4s").await;
    stage.push("video", [end_of(4)]);
    assert_eq!(abandoned.await.unwrap().status(), 404, "H16");

    let withdrawn = stage.held("live/e1/video/5.0.m4s").await;
    stage.writer.withdraw(&super::kit::name("video")).unwrap();
    assert_eq!(withdrawn.await.unwrap().status(), 404, "H16");
    assert_eq!(stage.get("live/e1/video/4.0.m4s").await.status(), 200, "it was told of");

    let released = stage.held("live/e1/audio/4.0.m4s").await;
    drop(stage.writer);
    assert_eq!(released.await.unwrap().status(), 404, "nobody writes any more");
}

#[tokio::test]
async fn ranges_of_media_are_served() {
    let stage = Stage::with_segments(4).await;
    let url = stage.origin.url("live/e1/video/3.m4s");
    let client = Client::new();
    let rows = [
        ("bytes=5-9", 206, "<3.1>", "bytes 5-9/30"),
        ("bytes=25-9007199254740991", 206, "<3.5>", "bytes 25-29/30"),
        ("bytes=-5", 206, "<3.5>", "bytes 25-29/30"),
        ("bytes=30-", 416, "", "bytes */30"),
        ("bytes=0-1,4-5", 200, "<3.0><3.1><3.2><3.3><3.4><3.5>", ""),
    ];
    for (range, status, body, said) in rows {
        let response = client.get(&url).header("Range", range).send().await.unwrap();
        assert_eq!(response.status().as_u16(), status, "H17: {range}");
        assert_eq!(header(&response, "content-range"), said, "H17: {range}");
        assert_eq!(response.text().await.unwrap(), body, "H17: {range}");
    }
    let head = client.head(&url).send().await.unwrap();
    assert_eq!((header(&head, "content-length"), header(&head, "accept-ranges")), ("30", "bytes"));
}

#[tokio::test]
async fn a_segment_that_left_the_playlist_is_there_a_while_longer() {
    let stage = Stage::with_segments(45).await;
    let playlist = text(stage.get("live/e1/video.m3u8").await).await;
    assert!(playlist.contains("#EXT-X-MEDIA-SEQUENCE:5\n"), "H26: {playlist}");
    let response = stage.get("live/e1/video/4.m4s").await;
    assert_eq!(header(&response, "cache-control"), "max-age=6", "H64");
    assert_eq!(text(response).await.len(), 30, "H27");
    assert_eq!(stage.get("live/e1/video/4.0.m4s").await.status(), 200, "H14");
    stage.push("video", segments(45..60));
    assert_eq!(stage.get("live/e1/video/4.m4s").await.status(), 404, "and then it is gone");
}

#[tokio::test]
async fn a_slow_reader_delays_nobody() {
    let stage = Stage::with_segments(1).await;
    let large = Bytes::from(vec![7; 16 << 20]);
    stage.push("video", [part_of(1, 0, large.clone())]);
    let mut slow = TcpStream::connect(stage.origin.address).await.unwrap();
    let request = "GET /hls/live/e1/video/1.0.m4s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut start = vec![0; 1_000];
    slow.read_exact(&mut start).await.unwrap();

    let began = Instant::now();
    stage.push("video", [part(1, 1), end_of(1), init(1, "avc1.42c01f"), part(2, 0)]);
    assert!(text(stage.get("live/e1/video.m3u8").await).await.contains("video/2.0.m4s"));
    assert_eq!(text(stage.get("live/e1/video/2.0.m4s").await).await, "<2.0>");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    // What it reads is what was there when it asked, although its segment is another piece now.
    let mut rest = Vec::new();
    slow.read_to_end(&mut rest).await.unwrap();
    start.extend(rest);
    let head = start.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    assert_eq!(start.len() - head, large.len());
    assert!(start[head..].iter().all(|byte| *byte == 7));
}
