//! Tests of recordings behind a cache, and of what only passes it. Who answers is no server of ours.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::routing::get;
use futures_util::stream;
use reqwest::Client;

use super::origin::listen;
use super::varnish::Varnish;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_are_kept_but_for_the_one_file() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let counter = Arc::clone(&asked);
    let answer = move |request: Request| {
        let has_range = request.headers().contains_key(header::RANGE);
        counter.lock().unwrap().push((request.uri().to_string(), has_range));
        // As `src/replay.rs` has it.
        let age = match request.uri().path().rsplit_once('.') {
            Some((_, "m4s")) => "max-age=86400",
            Some((_, "mp4")) => "private, max-age=60",
            Some(_) | None => "max-age=60",
        };
        std::future::ready(([(header::CACHE_CONTROL, age)], "all of it"))
    };
    let (address, serving) = listen(Router::new().fallback(answer)).await;
    let varnish = Varnish::before(address).await;
    let paths = [
        "/replay/a/e1/index.m3u8",
        "/replay/a/e1/manifest.mpd",
        "/replay/a/e1/~1.x/v0.m3u8",
        "/replay/a/e1/~1.x/v0/17.m4s",
    ];
    let client = Client::new();
    let ask = async |path: &str| {
        let request = client.get(varnish.root(&path[1..])).header("Range", "bytes=0-2");
        request.send().await.unwrap().text().await.unwrap()
    };
    for query in ["", "?a=1", ""] {
        for path in paths {
            assert_eq!(ask(&format!("{path}{query}")).await, "all", "{path}");
        }
    }
    let times = |path: &str, has_range: bool| {
        let asked = asked.lock().unwrap();
        asked.iter().filter(|(uri, range)| (uri.as_str(), *range) == (path, has_range)).count()
    };
    for path in paths {
        assert_eq!(times(path, false), 1, "{path}: {asked:?}");
    }
    for path in ["/replay/a/e1/download.mp4?rendition=v1", "/replay/a/e1/index.m3u8?token=x"] {
        for _ in 0..2 {
            assert!(ask(path).await.starts_with("all"), "{path}");
        }
        assert_eq!(times(path, true), 2, "with what of it is wanted: {path}: {asked:?}");
    }
    serving.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_may_be_silent() {
    let events = || {
        let told = stream::unfold(0, |told: u32| async move {
            if told == 1 {
                tokio::time::sleep(SILENCE).await;
            }
            let event = Ok::<_, Infallible>(format!("data: {told}\n\n"));
            (told < 2).then_some((event, told + 1))
        });
        let kind = [(header::CONTENT_TYPE, "text/event-stream")];
        std::future::ready((kind, Body::from_stream(told)))
    };
    let (address, serving) = listen(Router::new().route("/api/v1/events", get(events))).await;
    let varnish = Varnish::before(address).await;
    let answer = reqwest::get(varnish.root("api/v1/events")).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "data: 0\n\ndata: 1\n\n");
    serving.abort();
}

/// The server keeps its own alive with a comment every 15 s.
const SILENCE: Duration = Duration::from_secs(17);
