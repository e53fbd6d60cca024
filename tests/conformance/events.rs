//! Tests of what viewers' sessions tell (WHEP server-sent events extension).

use std::time::{Duration, Instant};

use reqwest::{Method, Response};
use serde_json::json;
use whitewater_core::media::{Codec, Format, Rid};

use super::client::{assert_problem, header, headers, post, publish, request, send, watch};
use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Peer};
use crate::support::told::Told;
use crate::support::{Server, http, offers};

/// Asks a session for an event stream; without a body where it is empty.
async fn ask(server: &Server, session: &str, body: &str) -> Response {
    let request = request(server, Method::POST, &format!("{session}/sse"));
    let request = match body {
        "" => request,
        body => request.header("Content-Type", "application/json").body(body.to_owned()),
    };
    request.send().await.unwrap()
}

/// Makes an event stream; gives its path.
async fn open(server: &Server, session: &str, body: &str) -> String {
    let created = ask(server, session, body).await;
    assert_eq!(created.status(), 201, "the event stream is made");
    header(&created, "location")
}

/// A publisher whose media arrives.
async fn live(server: &Server, stream: &str) -> (Peer, Camera) {
    let publisher = Peer::publish(server, stream, &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    let mut told = Told::read(server, &format!("/api/v1/events?stream={stream}")).await;
    told.event("active").await;
    (publisher, camera)
}

#[tokio::test]
async fn events_and_layers_are_advertised_on_the_answer() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let created = post(&server, "/whep/a", &offers::watch()).await;
    assert_eq!(created.status(), 201, "E19: without any extension");
    let (links, session) = (headers(&created, "link"), header(&created, "location"));
    let events = "active,inactive,layers,viewercount,reconnect";
    let sse = format!(
        "<{session}/sse>; rel=\"urn:ietf:params:whep:ext:core:server-sent-events\"; \
         events=\"{events}\""
    );
    assert!(links.contains(&sse), "E30, E19: {links:?}");
    let layer = format!("<{session}/layer>; rel=\"urn:ietf:params:whep:ext:core:layer\"");
    assert!(links.contains(&layer), "E40, E19: {links:?}");
    for event in events.split(',') {
        let one = ask(&server, &session, &format!("[\"{event}\"]")).await;
        assert_eq!(one.status(), 201, "E30, E40: {event} is advertised and taken");
        let path = header(&one, "location");
        assert_eq!(send(&server, Method::DELETE, &path).await.status(), 200, "E38: {event}");
    }
}

#[tokio::test]
async fn an_event_stream_is_asked_for_by_types_or_for_all() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let session = watch(&server, "a").await.path;
    let mut paths = Vec::new();
    for body in ["", "[\"active\",\"viewercount\"]", "[]"] {
        let created = ask(&server, &session, body).await;
        assert_eq!(created.status(), 201, "E31: {body:?}");
        let path = header(&created, "location");
        let response = send(&server, Method::GET, &path).await;
        assert_eq!(response.status(), 200, "E31: the Location of {body:?} can be read");
        paths.push(path);
    }
    assert!(paths[0] != paths[1], "E31: each has a Location of its own");
    for body in ["[\"nope\"]", "[\"active\",\"scte35\"]", "{}", "[1]", "["] {
        assert_problem(ask(&server, &session, body).await, &[400], "E32").await;
    }
    // Had a refused request made one, there would be no room for the fourth.
    assert_eq!(ask(&server, &session, "").await.status(), 201, "E32: nothing was made");
    assert_problem(ask(&server, &session, "").await, &[503], "E31: a session has four").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_told_from_before_its_media_to_its_end() {
    let window = "[[streams]]\nmatch = \"*\"\nreconnect_window_s = 2\n";
    let server = Server::with_config(window).await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let session = watch(&server, "a").await.path;
    let path = open(&server, &session, "[\"active\",\"inactive\"]").await;
    let response = send(&server, Method::GET, &path).await;
    assert_eq!(header(&response, "content-type"), "text/event-stream", "E33: type");
    let mut early = Told::new(response);
    let camera = Camera::start(&publisher, Style::default());
    let (event, data) = early.raw().await.unwrap();
    assert_eq!((event.as_str(), data.len()), ("active", 1), "E33, E34: and no inactive before");
    assert_eq!(data[0], "{}", "E34: data of active");
    let path = open(&server, &session, "[\"active\",\"inactive\"]").await;
    let mut late = Told::read(&server, &path).await;
    assert_eq!(late.next().await.unwrap(), ("active".into(), json!({})), "E34: at subscribe time");

    http::delete(&publisher.session.url).await;
    drop(camera);
    let again = Peer::publish(&server, "a", &Ask { ssrc: 5000, ..Ask::default() }).await;
    let again = again.connected().await;
    let camera = Camera::start(&again, Style::default());
    for told in [&mut early, &mut late] {
        let next = told.next().await.unwrap();
        assert_eq!(next, ("active".into(), json!({})), "E34: published again, nothing between");
    }

    http::delete(&again.session.url).await;
    drop(camera);
    let lost = Instant::now();
    for told in [&mut early, &mut late] {
        let next = told.next().await.unwrap();
        assert_eq!(next, ("inactive".into(), json!({})), "E34: it ends with its window");
        assert!(lost.elapsed() >= Duration::from_millis(1_900), "E34: and not before");
        assert_eq!(told.next().await, None, "E38: then the session ends");
    }
    assert_problem(send(&server, Method::GET, &path).await, &[404], "E38").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_are_counted() {
    let server = Server::start().await;
    let (_publisher, _camera) = live(&server, "a").await;
    let session = watch(&server, "a").await.path;
    let path = open(&server, &session, "[\"viewercount\"]").await;
    let mut told = Told::read(&server, &path).await;
    let first = told.next().await.unwrap();
    assert_eq!(
        first,
        ("viewercount".into(), json!({ "viewercount": 1 })),
        "E35: at subscribe time"
    );
    let second = watch(&server, "a").await.path;
    let next = told.event("viewercount").await;
    assert_eq!(next, json!({ "viewercount": 2 }), "E35: one more");
    send(&server, Method::DELETE, &second).await;
    let next = told.event("viewercount").await;
    assert_eq!(next, json!({ "viewercount": 1 }), "E35: one less");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_are_told_as_they_come_and_go() {
    let server = Server::start().await;
    let rids = ["q", "h"].map(Rid::new).to_vec();
    let ask = Ask { rids, ..Ask::default() };
    let publisher = Peer::publish(&server, "a", &ask).await.connected().await;
    let both = Camera::start(&publisher, Style { layers: 2, ..Style::default() });
    let session = watch(&server, "a").await.path;
    let path = open(&server, &session, "[\"layers\"]").await;
    let mut told = Told::read(&server, &path).await;
    let active = |data: &serde_json::Value| -> Vec<String> {
        let layers = data["1"].as_array().map(Vec::as_slice).unwrap_or_default();
        let active = layers.iter().filter(|layer| layer["bitrate"].as_u64() > Some(0));
        let mut rids: Vec<_> = active.map(|layer| layer["rid"].as_str().unwrap().into()).collect();
        rids.sort();
        rids
    };
    let data = told.until("layers", |data| active(data) == ["h", "q"]).await;
    for layer in data["1"].as_array().unwrap() {
        assert_eq!([&layer["width"], &layer["height"]], [320, 240], "E36: {layer}");
    }
    drop(both);
    let _one = Camera::start(&publisher, Style { start: 0x8000_0000, ..Style::default() });
    let data = told.until("layers", |data| active(data) == ["q"]).await;
    let inactive = data["1"].as_array().unwrap().iter().find(|layer| layer["rid"] == "h");
    assert_eq!(inactive.unwrap()["bitrate"], 0, "E36: {data}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_are_told_to_reconnect_when_the_publisher_comes_back_with_another_codec() {
    let server = Server::start().await;
    let (first, camera) = live(&server, "a").await;
    let session = watch(&server, "a").await.path;
    let path = open(&server, &session, "[\"reconnect\",\"inactive\"]").await;
    let mut told = Told::read(&server, &path).await;
    let again = |video: Format, of: &Peer, ssrc| {
        let replaces = Some(of.session.path.clone());
        Ask { video, replaces, ssrc, ..Ask::default() }
    };
    let same = again(Format::video(Codec::Vp8, ""), &first, 5_000);
    let second = Peer::publish(&server, "a", &same).await.connected().await;
    drop(camera);
    let h264 = Format::video(Codec::H264, "packetization-mode=1;profile-level-id=42e01f");
    let other = again(h264, &second, 6_000);
    let third = Peer::publish(&server, "a", &other).await.connected().await;
    let style = Style { codec: Codec::H264, ..Style::default() };
    let _camera = Camera::start(&third, style);
    let next = told.next().await.unwrap();
    assert_eq!(next, ("reconnect".into(), json!({})), "E37: for the other codec");
    let once = tokio::time::timeout(Duration::from_secs(2), told.next()).await;
    assert!(once.is_err(), "E37: and not for the same one: {once:?}");
    let status = send(&server, Method::GET, &session).await.status();
    assert_eq!(status, 204, "E37: the old session lives until it is replaced");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn event_streams_are_dropped_by_their_client_and_end_with_their_session() {
    let server = Server::start().await;
    let (_publisher, _camera) = live(&server, "a").await;
    let session = watch(&server, "a").await.path;
    let path = open(&server, &session, "").await;
    let mut told = Told::read(&server, &path).await;
    told.event("active").await;
    assert_eq!(send(&server, Method::DELETE, &path).await.status(), 200, "E38: DELETE");
    assert!(!told.rest().await.contains(&"inactive".into()), "E38: its reader just ends");
    for method in [Method::GET, Method::DELETE] {
        assert_problem(send(&server, method, &path).await, &[404], "E38: dropped").await;
    }

    let path = open(&server, &session, "").await;
    let mut first = Told::read(&server, &path).await;
    first.event("active").await;
    let mut second = Told::read(&server, &path).await;
    second.event("active").await;
    first.rest().await;
    send(&server, Method::DELETE, &session).await;
    second.rest().await;
    assert_problem(send(&server, Method::GET, &path).await, &[404], "E38: with its session").await;
    assert_problem(ask(&server, &session, "").await, &[404], "E38: with its session").await;
}

#[tokio::test]
async fn the_location_alone_is_enough_to_read_and_cannot_be_guessed() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let session = watch(&server, "a").await.path;
    let path = open(&server, &session, "").await;
    let secret = path.strip_prefix(&format!("{session}/sse/")).unwrap();
    // 62 letters are worth 5.95 bits each.
    assert!(secret.len() >= 21, "E39: at least 122 bits in {secret}");
    assert!(secret.bytes().all(|b| b.is_ascii_alphanumeric()), "E39: {secret}");
    assert_ne!(open(&server, &session, "").await, path, "E39: each its own");
    let guess = send(&server, Method::GET, &format!("{session}/sse/{}", "x".repeat(24))).await;
    assert_problem(guess, &[404], "E39").await;

    let origin = |method| request(&server, method, &path).header("Origin", "https://page.example");
    let preflight = origin(Method::OPTIONS)
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "last-event-id");
    let preflight = preflight.send().await.unwrap();
    assert_eq!(preflight.status(), 200, "E39: preflight");
    let allowed = header(&preflight, "access-control-allow-headers");
    assert!(allowed.contains("Last-Event-ID"), "E39: {allowed}");
    let response = origin(Method::GET).header("Last-Event-ID", "x").send().await.unwrap();
    assert_eq!(response.status(), 200, "E39: without Authorization");
    assert_eq!(header(&response, "access-control-allow-origin"), "*", "E39: CORS");
}
