//! Tests of a session's own resource, on both sides.

use reqwest::Method;

use crate::fake::UFRAG;
use crate::server::{Server, assert_problem, header};

fn fragment(ufrag: &str) -> String {
    format!(
        "a=ice-ufrag:{ufrag}\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
         a=candidate:1 1 udp 2122260223 192.0.2.1 61764 typ host\r\n\
         a=candidate:2 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
         a=candidate:3 1 udp 2122260223 0aa5.local 61765 typ host\r\na=end-of-candidates\r\n"
    )
}

#[tokio::test]
async fn a_trickle_is_204_without_a_tag() {
    let server = Server::start().await;
    for (item, path) in ["W42", "E12"].into_iter().zip(server.open_both("a").await) {
        let etag = if item == "W42" { "\"tag-1\"" } else { "\"old\", \"tag-2\"" };
        let request = server.patch(&path).header("If-Match", etag).body(fragment(UFRAG));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 204, "{item}: status");
        assert_eq!(header(&response, "etag"), "", "{item}: no ETag");
        assert!(response.bytes().await.unwrap().is_empty(), "{item}: no body");
        let kept = server.fake.last_fragment().candidates;
        assert_eq!(kept, ["1 1 udp 2122260223 192.0.2.1 61764 typ host"], "W48: {item}");
    }
}

#[tokio::test]
async fn a_restart_is_200_with_a_fragment_and_a_new_tag() {
    let server = Server::start().await;
    let paths = server.open_both("a").await;
    for (path, (item, star)) in paths.into_iter().zip([("W44", "*"), ("E12, W45", "\"*\"")]) {
        let request = server.patch(&path).header("If-Match", star).body(fragment("New0"));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{item}: status");
        assert_eq!(
            header(&response, "content-type"),
            "application/trickle-ice-sdpfrag",
            "{item}: type"
        );
        let etag = header(&response, "etag").to_owned();
        assert!(etag.ends_with("-restarted\""), "{item}: new tag {etag}");
        let body = response.text().await.unwrap();
        assert!(body.contains("a=ice-ufrag:ours"), "{item}: body {body}");

        let request = server.patch(&path).header("If-Match", etag).body(fragment("New0"));
        assert_eq!(request.send().await.unwrap().status(), 204, "{item}: the new tag works");
    }
}

#[tokio::test]
async fn a_patch_needs_the_present_tag() {
    let server = Server::start().await;
    for (item, path) in ["W43", "E13"].into_iter().zip(server.open_both("a").await) {
        let none = server.patch(&path).body(fragment(UFRAG)).send().await.unwrap();
        assert_problem(none, 428, item).await;
        for stale in ["\"other\"", "W/\"tag-1\"", "W/\"tag-2\"", "\"a\", \"b\""] {
            let request = server.patch(&path).header("If-Match", stale).body(fragment(UFRAG));
            assert_problem(request.send().await.unwrap(), 412, item).await;
        }
        let request = server.patch(&path).header("If-Match", "tag-1").body(fragment(UFRAG));
        assert_problem(request.send().await.unwrap(), 400, item).await;
    }
}

#[tokio::test]
async fn a_patch_must_be_a_fragment() {
    let server = Server::start().await;
    for (item, path) in ["W41", "E11"].into_iter().zip(server.open_both("a").await) {
        for kind in ["application/sdp", "text/plain", "application/json"] {
            let request = server.request(Method::PATCH, &path).header("Content-Type", kind);
            let request = request.header("If-Match", "*").body(fragment(UFRAG));
            assert_problem(request.send().await.unwrap(), 415, item).await;
        }
        let short = fragment("New0").replace("P2uYro0UCOQ4zxjKXaWCBui1", "short");
        for body in ["", "hello", "a=ice-ufrag:abcd\r\n", &short] {
            let request = server.patch(&path).header("If-Match", "*").body(body.to_owned());
            assert_problem(request.send().await.unwrap(), 400, item).await;
        }
        assert_eq!(server.send(Method::GET, &path).await.status(), 204, "W46: it lives on");
    }
}

#[tokio::test]
async fn a_session_can_be_looked_at_and_asked_for_its_methods() {
    let server = Server::start().await;
    for (item, path) in ["W4", "E7"].into_iter().zip(server.open_both("a").await) {
        let response = server.send(Method::GET, &path).await;
        assert_eq!(response.status(), 204, "{item}: GET of a session");
        let response = server.send(Method::OPTIONS, &path).await;
        assert_eq!(response.status(), 200, "W5: OPTIONS of a session");
        let accepted = header(&response, "accept-patch");
        assert_eq!(accepted, "application/trickle-ice-sdpfrag", "W9: on OPTIONS of a session");
    }
}

#[tokio::test]
async fn a_delete_ends_the_session_whatever_its_tag() {
    let server = Server::start().await;
    let [whip, whep] = server.open_both("a").await;
    for (item, path) in [("E10", whep), ("W50", whip)] {
        let request = server.request(Method::DELETE, &path).header("If-Match", "\"x\"");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{item}: status");
        assert!(response.bytes().await.unwrap().is_empty(), "{item}: no body");
        for method in [Method::GET, Method::DELETE] {
            assert_problem(server.send(method, &path).await, 404, "W51").await;
        }
        let late = server.patch(&path).header("If-Match", "*").body(fragment(UFRAG));
        assert_problem(late.send().await.unwrap(), 404, "W51").await;
        let tagless = server.patch(&path).send().await.unwrap();
        assert_problem(tagless, 404, "W51").await;
    }
}

#[tokio::test]
async fn a_session_is_found_under_its_own_side_and_stream_only() {
    let server = Server::start().await;
    let [whip, _] = server.open_both("a").await;
    let id = whip.rsplit('/').next().unwrap();
    let odd = "x".repeat(200);
    let paths = [
        format!("/whip/b/{id}"),
        format!("/whep/a/{id}"),
        "/whip/a/unknown".into(),
        "/whip/a/%ff".into(),
        "/whip/a/a%2Fb".into(),
        format!("/whip/a/{odd}"),
        format!("/whip/.a/{id}"),
    ];
    for path in paths {
        for method in [Method::GET, Method::DELETE, Method::PATCH] {
            assert_problem(server.send(method, &path).await, 404, "W51").await;
        }
    }
    assert_eq!(server.send(Method::GET, &whip).await.status(), 204, "W51: the session lives");
}
