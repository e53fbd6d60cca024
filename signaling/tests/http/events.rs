//! Tests of a viewer's event streams.

use std::sync::Arc;

use reqwest::{Method, Response};
use serde_json::json;
use whitewater_signaling::control::{Happening, LayerInfo, Refusal, TrackInfo};

use crate::server::{Server, assert_problem, header};
use crate::told::Told;

/// Asks for an event stream with a body; without one where it is empty.
async fn ask(server: &Server, session: &str, body: &str) -> Response {
    let request = server.request(Method::POST, &format!("{session}/sse"));
    let request = match body {
        "" => request,
        body => request.header("Content-Type", "application/json").body(body.to_owned()),
    };
    request.send().await.unwrap()
}

/// Opens an event stream and reads it.
async fn read(server: &Server, session: &str, body: &str) -> (String, Told) {
    let created = ask(server, session, body).await;
    assert_eq!(created.status(), 201, "E31: status");
    let path = header(&created, "location").to_owned();
    let response = server.send(Method::GET, &path).await;
    assert_eq!(response.status(), 200, "E33: {path}");
    (path, Told::new(response))
}

#[tokio::test]
async fn the_extension_is_advertised_with_its_types() {
    let server = Server::start().await;
    server.open("/whip/a").await;
    let created = server.post("/whep/a").send().await.unwrap();
    let location = header(&created, "location");
    let link = format!(
        "<{location}/sse>; rel=\"urn:ietf:params:whep:ext:core:server-sent-events\"; \
         events=\"active,inactive,layers,viewercount,reconnect\""
    );
    let links: Vec<_> = created.headers().get_all("link").iter().collect();
    assert!(links.iter().any(|one| *one == link.as_str()), "E30: {links:?}");
}

#[tokio::test]
async fn an_event_stream_is_made_read_and_dropped() {
    let server = Server::start().await;
    let [_, whep] = server.open_both("a").await;
    let created = ask(&server, &whep, "").await;
    assert_eq!(created.status(), 201, "E31: status without a body");
    let path = header(&created, "location").to_owned();
    assert!(path.starts_with(&format!("{whep}/sse/")), "E31: {path}");

    let request = server.request(Method::GET, &path).header("Last-Event-ID", "7");
    let response = request.header("Origin", "https://page.example").send().await.unwrap();
    assert_eq!(response.status(), 200, "E33: status");
    assert_eq!(header(&response, "content-type"), "text/event-stream", "E33: type");
    assert_eq!(header(&response, "cache-control"), "no-store", "E33: caching");
    assert_eq!(header(&response, "x-accel-buffering"), "no", "E33: proxies");
    assert_eq!(header(&response, "access-control-allow-origin"), "*", "E39: CORS");
    let mut told = Told::new(response);
    assert_eq!(told.block().await.unwrap().retry, "2000", "E33: when to come again");

    let rows = [
        (Happening::Active, "active", json!({})),
        (Happening::Viewers(2), "viewercount", json!({ "viewercount": 2 })),
        (Happening::Reconnect, "reconnect", json!({})),
    ];
    for (what, event, data) in rows {
        server.fake.tell("a", what);
        assert_eq!(told.event().await.unwrap(), (event.to_owned(), data), "E33 to E37");
    }
    server.fake.tell("a", Happening::Lost);
    server.fake.tell("a", Happening::Inactive);
    let next = told.event().await.unwrap();
    assert_eq!(next, ("inactive".into(), json!({})), "E34: lost is not inactive");

    assert_eq!(server.send(Method::DELETE, &path).await.status(), 200, "E38: DELETE");
    for method in [Method::GET, Method::DELETE] {
        assert_problem(server.send(method, &path).await, 404, "E38").await;
    }
}

#[tokio::test]
async fn only_the_types_asked_for_are_told() {
    let server = Server::start().await;
    let [_, whep] = server.open_both("a").await;
    let (_, mut told) = read(&server, &whep, r#"["viewercount","inactive"]"#).await;
    for what in [Happening::Active, Happening::Viewers(1), Happening::Inactive] {
        server.fake.tell("a", what);
    }
    assert_eq!(told.event().await.unwrap().0, "viewercount", "E31: active was not asked for");
    assert_eq!(told.event().await.unwrap().0, "inactive", "E31");
}

#[tokio::test]
async fn layers_are_told_under_the_index_of_their_section() {
    let server = Server::start().await;
    let [_, whep] = server.open_both("a").await;
    let (_, mut told) = read(&server, &whep, "").await;
    let layers = |rid: Option<&str>| -> Arc<[TrackInfo]> {
        let layer = LayerInfo {
            rid: rid.map(str::to_owned),
            active: true,
            bitrate_bps: 500_000,
            width: Some(640),
            height: Some(360),
            ..LayerInfo::default()
        };
        let track =
            |kind: &str, layers| TrackInfo { kind: kind.into(), layers, ..TrackInfo::default() };
        Arc::new([track("audio", vec![]), track("video", vec![layer])])
    };
    server.fake.tell("a", Happening::Layers(layers(None)));
    server.fake.tell("a", Happening::Layers(layers(Some("h"))));
    let expected =
        json!({ "1": [{ "rid": "h", "bitrate": 500_000, "width": 640, "height": 360 }] });
    assert_eq!(told.event().await.unwrap(), ("layers".into(), expected), "E36");
    server.fake.tell("a", Happening::Layers(layers(None)));
    assert_eq!(told.event().await.unwrap(), ("layers".into(), json!({})), "E36: none any more");
}

#[tokio::test]
async fn what_is_no_list_of_types_is_refused() {
    let server = Server::start().await;
    let [whip, whep] = server.open_both("a").await;
    for body in [r#"["nope"]"#, r#"["active","scte35"]"#, r#""active""#, "{}", "[", "active"] {
        assert_problem(ask(&server, &whep, body).await, 400, "E32").await;
    }
    let text = server.request(Method::POST, &format!("{whep}/sse")).body("[]");
    assert_problem(text.send().await.unwrap(), 415, "E31: another type").await;
    for path in [whip, "/whep/a/none".into()] {
        assert_problem(ask(&server, &path, "").await, 404, "E31: no viewer's session").await;
    }
    let get = server.send(Method::GET, &format!("{whep}/sse")).await;
    assert_problem(get, 405, "E31: it is posted to").await;
    server.fake.refuse(Refusal::Full("enough".into()));
    assert_problem(ask(&server, &whep, "").await, 503, "E31: bounded").await;
}

#[tokio::test]
async fn the_resource_tells_what_it_takes() {
    let server = Server::start().await;
    let [_, whep] = server.open_both("a").await;
    let response = server.send(Method::OPTIONS, &format!("{whep}/sse")).await;
    assert_eq!(response.status(), 200, "W5: OPTIONS");
    assert_eq!(header(&response, "accept-post"), "application/json", "W6: of the event resource");
}
