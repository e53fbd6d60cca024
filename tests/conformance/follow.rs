//! Tests of the API's events: what happens to several streams, over one connection.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use super::client::{assert_problem, header, send, watch};
use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Peer};
use crate::support::told::Told;
use crate::support::{Server, http};

const SHORT_WINDOW: &str = "[[streams]]\nmatch = \"*\"\nreconnect_window_s = 2\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_streams_are_followed_from_start_to_end_over_one_connection() {
    let server = Server::with_config(SHORT_WINDOW).await;
    let response = send(&server, Method::GET, "/api/v1/events?stream=a&stream=b").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    assert_eq!(header(&response, "cache-control"), "no-store");
    let mut told = Told::new(response);
    for stream in ["a", "b"] {
        let absent = ("inactive".to_owned(), json!({ "stream": stream }));
        assert_eq!(told.next().await.unwrap(), absent, "neither is live");
    }

    let publisher = Peer::publish(&server, "b", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    assert_eq!(told.event("active").await, json!({ "stream": "b" }));
    watch(&server, "b").await;
    told.until("viewercount", |data| data["stream"] == "b" && data["viewercount"] == 1).await;
    let layers = told.event("layers").await;
    let video = layers["tracks"].as_array().unwrap().iter().find(|track| track["kind"] == "video");
    assert_eq!(video.unwrap()["layers"][0]["width"], 320, "{layers}");

    // The server notices a DELETE as soon as it has answered it.
    assert_eq!(http::delete(&publisher.session.url).await, 200);
    let noticed = Instant::now();
    assert_eq!(told.event("lost").await, json!({ "stream": "b" }));
    let after = noticed.elapsed();
    assert!(after < Duration::from_secs(1), "the loss is told after {after:?}");
    drop(camera);
    assert_eq!(told.event("inactive").await, json!({ "stream": "b" }));
    let after = noticed.elapsed();
    assert!(after >= Duration::from_millis(1_900), "told over after {after:?}, in its window");

    // The name has another life.
    let publisher = Peer::publish(&server, "b", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    assert_eq!(told.event("active").await, json!({ "stream": "b" }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_that_comes_back_within_its_window_is_told_without_an_end() {
    let server = Server::start().await;
    let first = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&first, Style::default());
    let mut told = Told::read(&server, "/api/v1/events?stream=a").await;
    told.event("active").await;
    http::delete(&first.session.url).await;
    drop(camera);
    let mut between = Vec::new();
    let second = Peer::publish(&server, "a", &Ask { ssrc: 5000, ..Ask::default() }).await;
    let second = second.connected().await;
    let _camera = Camera::start(&second, Style::default());
    while between.last().is_none_or(|event| event != "active") {
        between.push(told.next().await.unwrap().0);
    }
    assert!(between.contains(&"lost".to_owned()), "{between:?}");
    assert!(!between.contains(&"inactive".to_owned()), "{between:?}");
}

#[tokio::test]
async fn what_names_no_stream_is_refused() {
    let server = Server::start().await;
    for query in ["", "?stream=.bad", "?name=a"] {
        let response = send(&server, Method::GET, &format!("/api/v1/events{query}")).await;
        assert_problem(response, &[400], "the API's events").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_its_event_streams_and_does_not_wait_for_them() {
    let server = Server::start().await;
    let mut told = Told::read(&server, "/api/v1/events?stream=a").await;
    told.event("inactive").await;
    let from = Instant::now();
    server.stop().await;
    let took = from.elapsed();
    assert!(took < Duration::from_secs(2), "stopping takes {took:?}: less than its grace");
    assert_eq!(told.rest().await, [""; 0], "the connection ends cleanly");
}
