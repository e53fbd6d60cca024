//! Tests of what pages of other origins may do.

use reqwest::{Method, Response};
use whitewater_signaling::Config;

use crate::server::{Server, header};

const PAGE: &str = "https://page.example";

async fn preflight(server: &Server, path: &str, method: &str) -> Response {
    let request = server
        .request(Method::OPTIONS, path)
        .header("Origin", PAGE)
        .header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization,content-type,if-match");
    request.send().await.unwrap()
}

#[tokio::test]
async fn options_tell_what_can_be_posted() {
    let server = Server::start().await;
    for (item, path) in [("W6", "/whip/a"), ("E9", "/whep/a")] {
        let plain = server.send(Method::OPTIONS, path).await;
        assert_eq!(plain.status(), 200, "W5, {item}: plain OPTIONS");
        assert_eq!(header(&plain, "accept-post"), "application/sdp", "{item}: plain OPTIONS");
        let preflight = preflight(&server, path, "POST").await;
        assert_eq!(preflight.status(), 200, "W5, {item}: preflight");
        assert_eq!(header(&preflight, "accept-post"), "application/sdp", "{item}: preflight");
    }
}

#[tokio::test]
async fn a_preflight_spells_out_what_is_allowed() {
    let server = Server::start().await;
    let [whip, whep] = server.open_both("a").await;
    let [layer, sse, read] = ["layer", "sse", "sse/x"].map(|end| format!("{whep}/{end}"));
    let events = "/api/v1/events";
    let paths = [
        "/whip/a",
        "/whep/a",
        &whip,
        &whep,
        &layer,
        &sse,
        &read,
        "/whip/.bad",
        events,
        "/time",
        "/api/v1/streams",
    ];
    for path in paths {
        let response = preflight(&server, path, "PATCH").await;
        assert_eq!(response.status(), 200, "W7: preflight of {path}");
        assert_eq!(header(&response, "access-control-allow-origin"), "*", "W7: {path}");
        assert_eq!(
            header(&response, "access-control-allow-headers"),
            "Authorization, Content-Type, If-Match, Last-Event-ID, Replaces-Session",
            "W7: {path}"
        );
        let methods = header(&response, "access-control-allow-methods");
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            assert!(methods.split(", ").any(|one| one == method), "W7, E9: {method} in {methods}");
        }
    }
    let session = preflight(&server, &whip, "PATCH").await;
    let accepted = header(&session, "accept-patch");
    assert_eq!(accepted, "application/trickle-ice-sdpfrag", "W9: on a preflight of a session");
}

#[tokio::test]
async fn answers_and_errors_can_be_read_by_any_page() {
    let server = Server::start().await;
    let [whip, _] = server.open_both("a").await;
    let responses = [
        server.post("/whip/b").send().await.unwrap(),
        server.post("/whip/a").send().await.unwrap(),
        server.post("/whep/none").send().await.unwrap(),
        server.send(Method::PUT, "/whip/a").await,
        server.send(Method::GET, &whip).await,
        server.send(Method::GET, "/whip/a/none").await,
        server.send(Method::GET, "/api/none").await,
        server.send(Method::GET, "/api/v1/streams").await,
        server.send(Method::GET, "/time").await,
    ];
    for response in responses {
        let url = response.url().path().to_owned();
        assert_eq!(header(&response, "access-control-allow-origin"), "*", "W8: {url}");
        assert_eq!(
            header(&response, "access-control-expose-headers"),
            "Location, Link, ETag, Accept-Patch, Retry-After, WWW-Authenticate, X-Request-Id",
            "W8: {url}"
        );
    }
}

#[tokio::test]
async fn a_list_of_origins_lets_in_those_alone() {
    let cors_origins = vec!["https://other.example".into(), PAGE.into()];
    let server = Server::with(Config { cors_origins, ..Config::default() }).await;
    let listed = preflight(&server, "/whip/a", "POST").await;
    assert_eq!(header(&listed, "access-control-allow-origin"), PAGE, "W7: the origin's echo");
    assert_eq!(header(&listed, "vary"), "Origin", "W7: Vary");

    let request = server.post("/whip/a").header("Origin", PAGE);
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), PAGE, "W8: the origin's echo");
    assert_eq!(header(&response, "vary"), "Origin", "W8: Vary");

    let request = server.post("/whip/b").header("Origin", "https://evil.example");
    let response = request.send().await.unwrap();
    assert_eq!(header(&response, "access-control-allow-origin"), "", "W8: not for others");
    assert_eq!(header(&response, "vary"), "Origin", "W8: Vary for others too");
}
