//! Tests of requests that mean no good, and of browsers that ask first.

use reqwest::{Client, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::kit::{Stage, header, text};

#[tokio::test]
async fn nonsense_names_nothing() {
    let stage = Stage::with_segments(2).await;
    // Written by hand: clients would tidy them up.
    for path in [
        "/hls/../../etc/passwd",
        "/hls/live/../../Cargo.toml",
        "/hls/live/e1/../e1/video.m3u8",
        "/hls/live/e1/..%2f..%2fvideo.m3u8",
        "/hls/%2e%2e/index.m3u8",
        "/hls/%FF%FE/index.m3u8",
        "/hls/live%00/index.m3u8",
        "/hls//index.m3u8",
        "/hls/live//video.m3u8",
        "/hls/live/e1/video.m3u8/",
        "/hls/live/e1/VIDEO.m3u8",
        "/hls/LIVE/e1/video.m3u8",
        "/hls/live/e2/video.m3u8",
        "/hls/live/e1/video/01.m4s",
        "/hls/live/e1/video/99999999999999999999.m4s",
        "/hls/live/e1/video/0.99999999999.m4s",
        "/hls/live/e1/video/init-0.m4s",
        "/hls/live/e1/video/0.m4s;x=y",
        &format!("/hls/{}/index.m3u8", "a".repeat(65)),
        &format!("/hls/live/{}", "a/".repeat(2_000)),
    ] {
        let answer = raw(&stage, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{path}: {answer}");
        let lower = answer.to_ascii_lowercase();
        assert!(lower.contains("access-control-allow-origin: *"), "H68: {path}: {answer}");
    }
    assert_eq!(text(stage.get("live/e1/video/0.0.m4s?any=query").await).await, "<0.0>");
}

#[tokio::test]
async fn other_methods_are_refused_and_preflights_answered() {
    let stage = Stage::with_segments(2).await;
    let url = stage.origin.url("live/e1/video.m3u8");
    let client = Client::new();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let response = client.request(method.clone(), &url).body("x").send().await.unwrap();
        assert_eq!(response.status(), 405, "{method}");
        assert!(header(&response, "allow").contains("GET"), "{method}");
    }
    let preflight = client
        .request(Method::OPTIONS, &url)
        .header("Origin", "https://player.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "range")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204, "H68");
    assert_eq!(header(&preflight, "access-control-allow-origin"), "*", "H68");
    assert!(header(&preflight, "access-control-allow-headers").contains("Range"), "H68");
    assert!(header(&preflight, "access-control-allow-methods").contains("GET"), "H68");
}

/// The answer to a request line as it is, as far as it is text.
async fn raw(stage: &Stage, path: &str) -> String {
    let mut connection = TcpStream::connect(stage.origin.address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
