//! Tests of what the endpoints have in common, and of where they differ.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use whitewater_signaling::control::{Action, Refusal};
use whitewater_signaling::{Config, IceServer};

use crate::server::{OFFER, Server, assert_problem, header};

#[tokio::test]
async fn a_post_opens_a_session_and_tells_all_about_it() {
    let server = Server::start().await;
    for (item, path) in [("W1", "/whip/a"), ("E1", "/whep/a")] {
        let response = server.post(path).send().await.unwrap();
        assert_eq!(response.status(), 201, "{item}: status");
        assert_eq!(header(&response, "content-type"), "application/sdp", "{item}: type");
        let location = header(&response, "location").to_owned();
        let id = location.strip_prefix(&format!("{path}/")).unwrap_or_default();
        assert!(!id.is_empty() && !id.contains(['/', '?']), "{item}, W54: {location}");
        let etag = header(&response, "etag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 2, "W40: {etag}");
        assert_eq!(
            header(&response, "accept-patch"),
            "application/trickle-ice-sdpfrag",
            "W9: on the 201"
        );
        assert_eq!(response.text().await.unwrap(), "v=0\r\nthe answer\r\n", "{item}: body");
    }
}

#[tokio::test]
async fn the_port_learns_the_offer_the_grant_and_the_client() {
    let server = Server::start().await;
    server.open_both("a").await;
    let open = server.fake.last_open();
    assert_eq!(open.offer, OFFER);
    assert_eq!(open.stream.as_str(), "a");
    assert_eq!(open.grant.action, Action::Watch);
    assert_eq!(open.client, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(open.replaces, None);
}

#[tokio::test]
async fn the_grant_tells_who_asks_by_the_bearer_token() {
    let server = Server::start().await;
    let mut identities = Vec::new();
    for token in [Some("Bearer one"), Some("bearer one"), Some("Bearer two"), None] {
        let mut request = server.post("/whip/a");
        if let Some(token) = token {
            request = request.header("Authorization", token);
        }
        request.send().await.unwrap();
        let grant = server.fake.last_open().grant;
        assert_eq!(
            (grant.action, grant.stream.as_ref().map(|name| name.as_str())),
            (Action::Publish, Some("a"))
        );
        identities.push(grant.identity);
    }
    assert!(identities[0].is_some() && identities[0] == identities[1], "the same token");
    assert!(identities[2].is_some() && identities[2] != identities[0], "another token");
    assert_eq!(identities[3], None, "no token");
}

#[tokio::test]
async fn a_server_that_stops_is_alive_and_not_ready() {
    let server = Server::start().await;
    assert_eq!(server.send(Method::GET, "/readyz").await.status(), 200);
    server.fake.drain();
    assert_eq!(server.send(Method::GET, "/healthz").await.status(), 200);
    let ready = server.send(Method::GET, "/readyz").await;
    assert_eq!(header(&ready, "retry-after"), "2", "when to look again");
    assert_problem(ready, 503, "readiness").await;
    for path in ["/whip/a", "/whep/a"] {
        let response = server.post(path).send().await.unwrap();
        assert_eq!(header(&response, "retry-after"), "2", "{path}");
        assert_problem(response, 503, path).await;
    }
}

#[tokio::test]
async fn only_sdp_is_taken_in_with_whatever_parameters() {
    let server = Server::start().await;
    for (index, kind) in ["application/sdp; charset=utf-8", "Application/SDP"].iter().enumerate() {
        let request = server.request(Method::POST, &format!("/whip/{index}")).body(OFFER);
        let response = request.header("Content-Type", *kind).send().await.unwrap();
        assert_eq!(response.status(), 201, "W2: {kind}");
    }
    for (item, path) in [("W2", "/whip/a"), ("E2", "/whep/a")] {
        let none = server.request(Method::POST, path).body(OFFER).send().await.unwrap();
        assert_problem(none, 415, item).await;
        for kind in ["text/plain", "application/sdpx", "application/json", ""] {
            let request = server.request(Method::POST, path).body(OFFER);
            let response = request.header("Content-Type", kind).send().await.unwrap();
            assert_problem(response, 415, item).await;
        }
    }
}

#[tokio::test]
async fn a_body_that_is_no_offer_is_400() {
    let server = Server::start().await;
    for (item, path) in [("W3", "/whip/a"), ("E2", "/whep/a")] {
        for body in [&b""[..], &b"\xff\xfe\x00v=0"[..], &b"hello"[..]] {
            let response = server.post(path).body(body).send().await.unwrap();
            assert_problem(response, 400, item).await;
        }
    }
}

#[tokio::test]
async fn get_has_no_content() {
    let server = Server::start().await;
    for (item, path) in [("W4", "/whip/a"), ("E7", "/whep/a")] {
        let response = server.send(Method::GET, path).await;
        assert_eq!(response.status(), 204, "{item}: GET {path}");
        assert_eq!(header(&response, "cache-control"), "no-store", "{item}: no cache keeps it");
        assert!(response.bytes().await.unwrap().is_empty(), "{item}: body");
    }
    let response = server.send(Method::HEAD, "/whip/a").await;
    assert_eq!(response.status(), 204, "W4: HEAD is as GET");
}

#[tokio::test]
async fn head_tells_that_this_is_a_whep_endpoint() {
    let server = Server::start().await;
    let response = server.send(Method::HEAD, "/whep/a").await;
    assert_eq!(response.status(), 200, "E8: status");
    assert_eq!(header(&response, "content-type"), "application/sdp", "E8: type");
    assert_eq!(header(&response, "content-length"), "0", "E8: length");
    let get = server.send(Method::GET, "/whep/a").await;
    assert_eq!(header(&get, "content-type"), "application/sdp", "E8: as GET's");
}

#[tokio::test]
async fn methods_that_a_resource_has_not_are_405_with_allow() {
    let server = Server::start().await;
    let [whip, whep] = server.open_both("a").await;
    let layer = format!("{whep}/layer");
    let rows = [
        (Method::PUT, "/whip/a", ["GET", "POST", "OPTIONS"]),
        (Method::PATCH, "/whip/a", ["GET", "POST", "OPTIONS"]),
        (Method::DELETE, "/whep/a", ["GET", "POST", "HEAD"]),
        (Method::POST, &whip, ["GET", "PATCH", "DELETE"]),
        (Method::PUT, &whip, ["OPTIONS", "PATCH", "DELETE"]),
        (Method::POST, &whep, ["GET", "PATCH", "DELETE"]),
        (Method::GET, &layer, ["POST", "DELETE", "OPTIONS"]),
        (Method::POST, "/api/v1/streams", ["GET", "HEAD", "OPTIONS"]),
        (Method::POST, "/time", ["GET", "HEAD", "OPTIONS"]),
    ];
    for (method, path, methods) in rows {
        let response = server.send(method.clone(), path).await;
        let allow = header(&response, "allow").to_owned();
        let allowed: Vec<&str> = allow.split(',').map(str::trim).collect();
        for one in methods {
            assert!(allowed.contains(&one), "W10: {method} {path} allows {allow}");
        }
        assert!(!allowed.contains(&method.as_str()), "W10: {method} {path} allows {allow}");
        assert_problem(response, 405, "W10").await;
    }
}

#[tokio::test]
async fn what_is_no_stream_name_is_404() {
    let server = Server::start().await;
    let long = "x".repeat(65);
    for name in [".hidden", "a%20b", "a%2Fb", "%ff", "caf%C3%A9", &long, "", "a/b/c/d"] {
        for endpoint in ["whip", "whep"] {
            let response = server.post(&format!("/{endpoint}/{name}")).send().await.unwrap();
            assert_problem(response, 404, "E5").await;
        }
        let response = server.send(Method::GET, &format!("/api/v1/streams/{name}")).await;
        assert_problem(response, 404, "E5").await;
    }
    let name = "x".repeat(64);
    server.open(&format!("/whip/{name}")).await;
}

#[tokio::test]
async fn refusals_become_statuses() {
    let server = Server::start().await;
    let name = "a".parse().unwrap();
    let rows = [
        ("W3", Refusal::Malformed("no m=".into()), 400, false),
        ("W24", Refusal::Unprocessable("two videos".into()), 422, false),
        ("W17", Refusal::Taken(name), 409, false),
        ("W17", Refusal::Kept { stream: "a".parse().unwrap(), retry_after_s: 2 }, 409, true),
        ("W12", Refusal::Full("too many streams".into()), 503, true),
        ("W12", Refusal::Closing, 503, true),
    ];
    for (item, refusal, status, later) in rows {
        server.fake.refuse(refusal);
        let response = server.post("/whip/a").send().await.unwrap();
        let retry = header(&response, "retry-after");
        assert_eq!(retry, if later { "2" } else { "" }, "{item}: Retry-After");
        assert_problem(response, status, item).await;
    }
}

#[tokio::test]
async fn a_second_publisher_is_refused_and_a_viewer_of_nothing_is_told_when_to_come_back() {
    let server = Server::start().await;
    let response = server.post("/whep/a").send().await.unwrap();
    assert_eq!(header(&response, "retry-after"), "2", "E4: Retry-After");
    assert_problem(response, 409, "E4").await;
    server.open("/whip/a").await;
    let response = server.post("/whip/a").send().await.unwrap();
    assert_problem(response, 409, "W17").await;
    server.open("/whep/a").await;
}

#[tokio::test]
async fn a_post_may_replace_a_session_of_the_same_endpoint() {
    let server = Server::start().await;
    let first = server.open("/whip/a").await;
    let request = server.post("/whip/a").header("Replaces-Session", &first);
    assert_eq!(request.send().await.unwrap().status(), 201, "by its path");
    let second = server.fake.last_open().replaces.unwrap();
    assert_eq!(format!("/whip/{}/{}", second.stream, second.id), first);

    let url = server.url("/whip/a/session-2");
    let request = server.post("/whip/a").header("Replaces-Session", url);
    assert_eq!(request.send().await.unwrap().status(), 201, "by its URL");

    let bad = ["", "x", "/whip/a", "/whip/b/session-3", "/whep/a/session-3", "/whip/a/b/c"];
    for value in bad {
        let request = server.post("/whip/a").header("Replaces-Session", value);
        assert_problem(request.send().await.unwrap(), 400, value).await;
    }
    let request = server.post("/whip/a").header("Replaces-Session", "/whip/a/session-3");
    let twice = request.header("Replaces-Session", "/whip/a/session-3").send().await.unwrap();
    assert_problem(twice, 400, "twice").await;
}

#[tokio::test]
async fn ice_servers_are_one_link_line_each() {
    let ice_servers = vec![
        IceServer { urls: vec!["stun:s.example".into()], ..IceServer::default() },
        IceServer {
            urls: vec!["turn:t.example?transport=udp".into(), "turns:t.example:443".into()],
            username: Some("u".into()),
            credential: Some("p".into()),
        },
    ];
    let server = Server::with(Config { ice_servers, ..Config::default() }).await;
    let expected = [
        r#"<stun:s.example>; rel="ice-server""#,
        r#"<turn:t.example?transport=udp>; rel="ice-server"; username="u"; credential="p""#,
        r#"<turns:t.example:443>; rel="ice-server"; username="u"; credential="p""#,
    ];
    for (item, path) in [("W60", "/whip/a"), ("E17", "/whep/a")] {
        let created = server.post(path).send().await.unwrap();
        let mut links: Vec<_> = created.headers().get_all("link").iter().collect();
        let extensions = if item == "E17" { 2 } else { 0 };
        let ours = links.split_off(links.len() - extensions);
        let is_extension = |link: &&HeaderValue| link.to_str().unwrap().contains(":ext:core:");
        assert!(ours.iter().all(is_extension), "W63, E19: {ours:?} after the ICE servers");
        assert_eq!(links, expected, "{item}, W61, W63: on the 201");

        let plain = server.send(Method::OPTIONS, path).await;
        let links: Vec<_> = plain.headers().get_all("link").iter().collect();
        assert_eq!(links, expected, "{item}, W62: on a plain OPTIONS");

        let preflight = server
            .request(Method::OPTIONS, path)
            .header("Origin", "https://page.example")
            .header("Access-Control-Request-Method", "POST");
        let preflight = preflight.send().await.unwrap();
        assert_eq!(preflight.status(), StatusCode::OK, "W62: preflight");
        assert!(!preflight.headers().contains_key("link"), "W62: none on a preflight");
    }
}
