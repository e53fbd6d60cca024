//! Tests of the API, the clock and the health check.

use axum::Router;
use axum::routing::get;
use reqwest::Method;
use whitewater_signaling::Config;
use whitewater_signaling::control::{DeliveryInfo, DeliveryState, Refusal, StreamInfo};

use crate::server::{Server, assert_problem, header};

#[tokio::test]
async fn live_streams_are_listed_and_shown() {
    let server = Server::start().await;
    let empty = server.send(Method::GET, "/api/v1/streams").await;
    assert_eq!(empty.json::<Vec<StreamInfo>>().await.unwrap(), []);
    server.open("/whip/a").await;

    let response = server.send(Method::GET, "/api/v1/streams").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "application/json");
    assert_eq!(header(&response, "cache-control"), "no-store");
    let expected = StreamInfo { name: "a".into(), live: true, ..StreamInfo::default() };
    assert_eq!(response.json::<Vec<StreamInfo>>().await.unwrap(), std::slice::from_ref(&expected));

    let response = server.send(Method::GET, "/api/v1/streams/a").await;
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(response.json::<StreamInfo>().await.unwrap(), expected);
}

#[tokio::test]
async fn what_is_not_there_is_404() {
    let server = Server::start().await;
    let response = server.send(Method::GET, "/api/v1/streams/none").await;
    assert_eq!(header(&response, "retry-after"), "", "no Retry-After in the API");
    assert_problem(response, 404, "a stream that is not live").await;
    for path in ["/api", "/api/", "/api/v1", "/api/v1/streams/", "/api/v1/streams/a/b", "/whip"] {
        assert_problem(server.send(Method::GET, path).await, 404, path).await;
    }
}

#[tokio::test]
async fn a_port_that_does_not_answer_is_503() {
    let server = Server::start().await;
    server.fake.refuse(Refusal::Closing);
    let response = server.send(Method::GET, "/api/v1/streams").await;
    assert_eq!(header(&response, "retry-after"), "2");
    assert_problem(response, 503, "closing").await;
}

#[tokio::test]
async fn deliveries_of_webhooks_are_listed() {
    let server = Server::start().await;
    let delivery = |id: &str| DeliveryInfo {
        id: id.into(),
        r#type: "stream.started".into(),
        stream: "a".into(),
        webhook: "example.org".into(),
        state: DeliveryState::GivenUp,
        tries: 3,
        status: Some(500),
        error: None,
        took_ms: Some(4),
        occurred_at: "2026-01-01T00:00:00.000Z".into(),
        finished_at: None,
    };
    for id in ["evt_1", "evt_2"] {
        server.fake.deliver(delivery(id));
    }
    for (query, expected) in [("", 2), ("?limit=1", 1), ("?limit=0", 0)] {
        let path = format!("/api/v1/webhooks/deliveries{query}");
        let response = server.send(Method::GET, &path).await;
        assert_eq!(response.status(), 200, "{path}");
        let text = response.text().await.unwrap();
        let read: Vec<DeliveryInfo> = serde_json::from_str(&text).unwrap();
        assert_eq!(read.len(), expected, "{path}");
        assert!(read.iter().all(|one| *one == delivery(&one.id)), "{text}");
        assert_eq!(text.matches(r#""state":"given_up""#).count(), expected, "{text}");
    }
    for query in ["limit=x", "limit=1001", "limit=-1"] {
        let path = format!("/api/v1/webhooks/deliveries?{query}");
        assert_problem(server.send(Method::GET, &path).await, 400, query).await;
    }
}

#[tokio::test]
async fn the_clock_tells_milliseconds_with_a_fraction() {
    let server = Server::start().await;
    let mut fractions = 0;
    for _ in 0..5 {
        let response = server.send(Method::GET, "/time").await;
        assert_eq!(header(&response, "cache-control"), "no-store");
        assert_eq!(header(&response, "access-control-allow-origin"), "*");
        let body: serde_json::Value = response.json().await.unwrap();
        let now_ms = body["unix_ms"].as_f64().unwrap();
        assert!(now_ms > 1_700_000_000_000.0, "{now_ms}");
        fractions += u32::from(now_ms.fract() != 0.0);
    }
    assert!(fractions > 0, "all five were whole milliseconds");
}

#[tokio::test]
async fn the_server_says_that_it_is_well() {
    let server = Server::start().await;
    let response = server.send(Method::GET, "/healthz").await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.text().await.unwrap(), "ok");
}

#[tokio::test]
async fn other_routers_keep_their_fallback_when_merged() {
    let pages = Router::new().route("/", get("home")).fallback(async || "a page");
    let server = Server::with_others(Config::default(), pages).await;
    let response = server.send(Method::GET, "/publish").await;
    assert_eq!(response.text().await.unwrap(), "a page");
    assert_problem(server.send(Method::GET, "/whip/a/b/c").await, 404, "below our roots").await;
}
