//! Tests of a session's resource: PATCH, DELETE and its end (RFC 9725 section 4.3, WHEP section 4.4).

use std::time::{Duration, Instant};

use reqwest::Method;

use super::client::{
    FRAGMENT, Session, assert_problem, fragment, header, patch, publish, request, send, value_of,
    watch,
};
use crate::support::Server;

const NEW_PWD: &str = "aNewPasswordOfTheClient0";

async fn both(server: &Server) -> [Session; 2] {
    let whip = publish(server, "a").await;
    [whip, watch(server, "a").await]
}

#[tokio::test]
async fn each_ice_session_has_its_own_strong_tag() {
    let server = Server::start().await;
    let sessions = both(&server).await;
    for session in &sessions {
        let tag = &session.etag;
        assert!(tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"'), "W40, E1: {tag}");
    }
    assert_ne!(sessions[0].etag, sessions[1].etag, "W40: the tags of two sessions");
}

#[tokio::test]
async fn a_patch_must_be_a_fragment() {
    let server = Server::start().await;
    for session in both(&server).await {
        for kind in ["application/sdp", "text/plain"] {
            let request = request(&server, Method::PATCH, &session.path)
                .header("Content-Type", kind)
                .header("If-Match", &session.etag)
                .body(fragment(&session.ufrag, &session.pwd));
            assert_problem(request.send().await.unwrap(), &[415], "W41, E11").await;
        }
        for body in ["", "hello", "a=ice-ufrag:abcd\r\n"] {
            let response = patch(&server, &session.path, Some(&session.etag), body.into()).await;
            assert_problem(response, &[400], "W41, E11").await;
        }
    }
}

#[tokio::test]
async fn candidates_are_taken_in() {
    let server = Server::start().await;
    for session in both(&server).await {
        let body = fragment(&session.ufrag, &session.pwd);
        let response = patch(&server, &session.path, Some(&session.etag), body).await;
        assert_eq!(response.status(), 204, "W42, E12: status");
        assert_eq!(header(&response, "etag"), "", "W42, E12: no tag");
        assert!(response.bytes().await.unwrap().is_empty(), "W42, E12: no body");
    }
}

#[tokio::test]
async fn a_patch_needs_the_present_tag() {
    let server = Server::start().await;
    for session in both(&server).await {
        let body = || fragment(&session.ufrag, &session.pwd);
        let none = patch(&server, &session.path, None, body()).await;
        assert_problem(none, &[428], "W43, E13").await;
        for stale in ["\"stale\"", &format!("W/{}", session.etag)] {
            let response = patch(&server, &session.path, Some(stale), body()).await;
            assert_problem(response, &[412], "W43, E13").await;
        }
        let list = format!("\"other\", {}", session.etag);
        let response = patch(&server, &session.path, Some(&list), body()).await;
        assert_eq!(response.status(), 204, "W43, E13: one of a list");
    }
}

#[tokio::test]
async fn ice_restarts_on_request_and_trickle_goes_on() {
    let server = Server::start().await;
    for (session, star) in both(&server).await.into_iter().zip(["*", "\"*\""]) {
        let body = fragment("Restart0", NEW_PWD);
        let response = patch(&server, &session.path, Some(star), body).await;
        assert_eq!(response.status(), 200, "W44, W45, W47, E12: restart with {star}");
        assert_eq!(header(&response, "content-type"), FRAGMENT, "W44, E12: type");
        let tag = header(&response, "etag");
        assert_ne!(tag, session.etag, "W44, E12: a new tag");
        let answer = response.text().await.unwrap();
        for name in ["a=ice-ufrag:", "a=ice-pwd:"] {
            let value = value_of(&answer, name);
            assert!(!value.is_empty(), "W44, E12: {name} in {answer}");
            assert_ne!(value, value_of(&session.answer, name), "W44, E12: a new {name}");
        }
        for line in ["a=ice-lite", "a=ice-options:trickle"] {
            let (then, now) = (session.answer.contains(line), answer.contains(line));
            assert_eq!(then, now, "W44, E12: {line} as in the first answer");
        }
        assert!(answer.contains("a=candidate:"), "W44, E12: candidates in {answer}");

        let old = fragment("Restart0", NEW_PWD);
        let response = patch(&server, &session.path, Some(&session.etag), old).await;
        assert_problem(response, &[412], "W44, E12: the old tag").await;
        let more = fragment("Restart0", NEW_PWD);
        let response = patch(&server, &session.path, Some(&tag), more).await;
        assert_eq!(response.status(), 204, "W47, E12: trickle after the restart");
    }
}

#[tokio::test]
async fn a_restart_that_cannot_be_done_leaves_the_session_alone() {
    let server = Server::start().await;
    for session in both(&server).await {
        let response = patch(&server, &session.path, Some("*"), fragment("New0", "short")).await;
        assert_problem(response, &[400, 422], "W46, E12").await;
        let alive = send(&server, Method::GET, &session.path).await;
        assert_eq!(alive.status(), 204, "W46, E12: it lives");
        let body = fragment(&session.ufrag, &session.pwd);
        let trickle = patch(&server, &session.path, Some(&session.etag), body).await;
        assert_eq!(trickle.status(), 204, "W46, E12: its ICE session is as before");
    }
}

#[tokio::test]
async fn candidates_of_no_use_are_ignored_silently() {
    let server = Server::start().await;
    let candidates = "a=candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active\r\n\
                      a=candidate:2 1 udp 2122260223 0aa5b7d2.local 50001 typ host\r\n";
    for session in both(&server).await {
        let body = fragment(&session.ufrag, &session.pwd) + candidates;
        let response = patch(&server, &session.path, Some(&session.etag), body).await;
        assert_eq!(response.status(), 204, "W48, E14: {candidates}");
    }
}

#[tokio::test]
async fn fragments_of_every_client_are_read() {
    let server = Server::start().await;
    for session in both(&server).await {
        let credentials = format!("a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", session.ufrag, session.pwd);
        let shapes = [
            format!("{credentials}m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"),
            format!("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{credentials}a=end-of-candidates\r\n"),
            format!("a=group:BUNDLE 0 1\r\n{credentials}m=audio 9 X 1 2\r\na=mid:0\r\n"),
            credentials.replace("\r\n", "\n"),
        ];
        for shape in shapes {
            let etag = Some(session.etag.as_str());
            let response = patch(&server, &session.path, etag, shape.clone()).await;
            assert_eq!(response.status(), 204, "W49: {shape}");
        }
    }
}

#[tokio::test]
async fn a_delete_ends_the_session_whatever_its_tag() {
    let server = Server::start().await;
    let [whip, whep] = both(&server).await;
    for session in [whep, whip] {
        let request = request(&server, Method::DELETE, &session.path).header("If-Match", "\"x\"");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "W50, E10: {}", session.path);
        let body = || fragment(&session.ufrag, &session.pwd);
        let responses = [
            send(&server, Method::DELETE, &session.path).await,
            send(&server, Method::GET, &session.path).await,
            patch(&server, &session.path, Some(&session.etag), body()).await,
            patch(&server, &session.path, None, body()).await,
        ];
        for response in responses {
            assert_problem(response, &[404], "W51").await;
        }
    }
    publish(&server, "a").await;
}

#[tokio::test]
async fn a_session_that_never_was_is_404() {
    let server = Server::start().await;
    let session = publish(&server, "a").await;
    let id = session.path.rsplit('/').next().unwrap();
    let paths = ["/whip/a/unknown".to_owned(), format!("/whip/b/{id}"), format!("/whep/a/{id}")];
    for path in paths {
        for method in [Method::GET, Method::DELETE, Method::PATCH] {
            assert_problem(send(&server, method, &path).await, &[404], "W51").await;
        }
    }
    let alive = send(&server, Method::GET, &session.path).await;
    assert_eq!(alive.status(), 204, "W51: the session under its own path");
}

#[tokio::test]
async fn a_handshake_that_never_comes_is_given_up() {
    let server = Server::start().await;
    let sessions = both(&server).await;
    let deadline = Instant::now() + Duration::from_secs(35);
    for session in &sessions {
        while send(&server, Method::GET, &session.path).await.status() == 204 {
            assert!(Instant::now() < deadline, "W53: {} is kept", session.path);
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }
    publish(&server, "a").await;
}

#[tokio::test]
async fn a_location_is_a_path_and_nothing_more() {
    let server = Server::start().await;
    for session in both(&server).await {
        let path = &session.path;
        assert!(path.starts_with('/') && !path.starts_with("//"), "W54: {path}");
        assert!(!path.contains(['?', '#', ':']), "W54: {path}");
        let response = send(&server, Method::GET, path).await;
        assert_eq!(response.status(), 204, "W54: {path} works as given");
    }
}
