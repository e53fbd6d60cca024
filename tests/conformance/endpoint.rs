//! Tests of the endpoints' HTTP surface (RFC 9725 sections 4.1 and 4.2, WHEP section 4).

use reqwest::{Method, Response};

use super::client::{assert_problem, header, open, post, publish, request, send, watch};
use crate::support::{Server, offers};

async fn preflight(server: &Server, path: &str) -> Response {
    let request = request(server, Method::OPTIONS, path)
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type");
    request.send().await.unwrap()
}

#[tokio::test]
async fn a_post_is_answered_with_a_session() {
    let server = Server::start().await;
    let rows = [("/whip/a", offers::publish_simulcast(), "W1"), ("/whep/a", offers::watch(), "E1")];
    for (path, offer, item) in rows {
        let response = post(&server, path, &offer).await;
        assert_eq!(response.status(), 201, "W1, E1: status ({item})");
        let kind = header(&response, "content-type");
        assert_eq!(kind, "application/sdp", "W1, E1: type ({item})");
        let location = header(&response, "location");
        assert!(location.contains(path), "W1, E1: location {location} ({item})");
        let etag = header(&response, "etag");
        assert!(etag.starts_with('"'), "E1: tag {etag} ({item})");
        let answer = response.text().await.unwrap();
        assert!(answer.starts_with("v=0\r\n"), "W1, E1: {answer} ({item})");
    }
}

#[tokio::test]
async fn only_sdp_is_taken_in() {
    let server = Server::start().await;
    for path in ["/whip/a", "/whep/a"] {
        let offer = offers::publish_simulcast();
        let plain = request(&server, Method::POST, path).body(offer.clone());
        assert_problem(plain.send().await.unwrap(), &[415], "W2, E2: no type").await;
        for kind in ["text/plain", "application/json", "application/sdpx"] {
            let request = request(&server, Method::POST, path).header("Content-Type", kind);
            let response = request.body(offer.clone()).send().await.unwrap();
            assert_problem(response, &[415], "W2, E2").await;
        }
    }
    let request = request(&server, Method::POST, "/whip/a")
        .header("Content-Type", "application/sdp; charset=utf-8")
        .body(offers::publish_simulcast());
    assert_eq!(request.send().await.unwrap().status(), 201, "W2: parameters are no hindrance");
}

#[tokio::test]
async fn what_cannot_be_read_as_an_offer_is_refused() {
    let server = Server::start().await;
    publish(&server, "live").await;
    let good = offers::publish_simulcast();
    let truncated = &good[..good.find("m=audio").unwrap()];
    let headless = good.strip_prefix("v=0\r\n").unwrap();
    for body in ["", "hello", "v=0", "v=0\r\n", truncated, headless, "{\"sdp\":\"\"}"] {
        for path in ["/whip/a", "/whep/live"] {
            assert_problem(post(&server, path, body).await, &[400], "W3, E2").await;
        }
    }
    for path in ["/whip/a", "/whep/live"] {
        let request = request(&server, Method::POST, path)
            .header("Content-Type", "application/sdp")
            .body(vec![0xff, 0xfe, 0, 1]);
        assert_problem(request.send().await.unwrap(), &[400], "W3, E2: not UTF-8").await;
    }
}

#[tokio::test]
async fn a_truncated_offer_is_never_a_fault_of_ours() {
    let server = Server::start().await;
    let good = offers::publish_simulcast();
    for end in (0..good.len()).step_by(97) {
        let path = format!("/whip/cut-{end}");
        let response = post(&server, &path, &good[..end]).await;
        let status = response.status().as_u16();
        assert!(matches!(status, 201 | 400 | 422), "W3: {status} when cut at byte {end}");
    }
}

#[tokio::test]
async fn get_has_no_content() {
    let server = Server::start().await;
    let whip = publish(&server, "a").await;
    let whep = watch(&server, "a").await;
    for path in ["/whip/a", "/whep/a", &whip.path, &whep.path] {
        let response = send(&server, Method::GET, path).await;
        assert_eq!(response.status(), 204, "W4, E7: GET {path}");
        let body = response.bytes().await.unwrap();
        assert!(body.is_empty(), "W4, E7: body of {path}");
    }
}

#[tokio::test]
async fn head_tells_that_a_path_is_a_whep_endpoint() {
    let server = Server::start().await;
    let response = send(&server, Method::HEAD, "/whep/a").await;
    assert_eq!(response.status(), 200, "E8: status");
    assert_eq!(header(&response, "content-type"), "application/sdp", "E8: type");
    assert_eq!(header(&response, "content-length"), "0", "E8: length");
    let get = send(&server, Method::GET, "/whep/a").await;
    assert_eq!(header(&get, "content-type"), "application/sdp", "E8: as with GET");
}

#[tokio::test]
async fn options_tell_what_can_be_posted() {
    let server = Server::start().await;
    for path in ["/whip/a", "/whep/a"] {
        for response in [send(&server, Method::OPTIONS, path).await, preflight(&server, path).await]
        {
            assert_eq!(response.status(), 200, "W5, E9: OPTIONS {path}");
            let accepted = header(&response, "accept-post");
            assert_eq!(accepted, "application/sdp", "W6, E9: Accept-Post of {path}");
        }
    }
}

#[tokio::test]
async fn a_preflight_needs_no_token_and_names_what_is_allowed() {
    let server = Server::start().await;
    let session = publish(&server, "a").await;
    for path in ["/whip/a", "/whep/a", &session.path] {
        let response = preflight(&server, path).await;
        assert_eq!(response.status(), 200, "W7, E9: {path}");
        let origin = header(&response, "access-control-allow-origin");
        assert_eq!(origin, "*", "W7, E9: origin, {path}");
        let methods = header(&response, "access-control-allow-methods");
        for method in ["POST", "PATCH", "DELETE", "OPTIONS"] {
            assert!(methods.contains(method), "W7, E9: {method} in {methods}");
        }
        let names = header(&response, "access-control-allow-headers");
        for name in ["Authorization", "Content-Type", "If-Match", "Replaces-Session"] {
            assert!(names.split(", ").any(|one| one == name), "W7, E9: {name} in {names}");
        }
    }
}

#[tokio::test]
async fn pages_may_read_answers_and_errors() {
    let server = Server::start().await;
    let offer = offers::publish_simulcast();
    let responses = [
        post(&server, "/whip/a", &offer).await,
        post(&server, "/whip/a", &offer).await,
        post(&server, "/whep/none", &offers::watch()).await,
        send(&server, Method::GET, "/whip/a/unknown").await,
        send(&server, Method::PUT, "/whep/a").await,
    ];
    for response in responses {
        let status = response.status();
        let origin = header(&response, "access-control-allow-origin");
        assert_eq!(origin, "*", "W8, E9: origin of a {status}");
        let exposed = header(&response, "access-control-expose-headers");
        let names = ["Location", "Link", "ETag", "Accept-Patch", "Retry-After", "WWW-Authenticate"];
        for name in names {
            assert!(exposed.split(", ").any(|one| one == name), "W8, E9: {name} in {exposed}");
        }
    }
}

#[tokio::test]
async fn the_way_to_patch_a_session_is_told() {
    let server = Server::start().await;
    let created = post(&server, "/whip/a", &offers::publish_simulcast()).await;
    let kind = "application/trickle-ice-sdpfrag";
    assert_eq!(header(&created, "accept-patch"), kind, "W9: on the 201");
    let options = send(&server, Method::OPTIONS, &header(&created, "location")).await;
    assert_eq!(header(&options, "accept-patch"), kind, "W9: on OPTIONS of the session");
}

#[tokio::test]
async fn other_methods_are_405_and_a_session_is_never_renegotiated() {
    let server = Server::start().await;
    let session = publish(&server, "a").await;
    let rows = [
        (Method::PUT, "/whip/a", "POST"),
        (Method::PATCH, "/whep/a", "POST"),
        (Method::DELETE, "/whip/a", "POST"),
        (Method::PUT, &session.path, "PATCH"),
        (Method::POST, &session.path, "DELETE"),
    ];
    for (method, path, allowed) in rows {
        let request = request(&server, method.clone(), path)
            .header("Content-Type", "application/sdp")
            .body(offers::publish_simulcast());
        let response = request.send().await.unwrap();
        let allow = header(&response, "allow");
        assert!(allow.contains(allowed), "W10, W36: {method} {path} allows {allow}");
        assert!(!allow.contains(method.as_str()), "W10, W36: {method} {path} allows {allow}");
        assert_problem(response, &[405], "W10, W36").await;
    }
}

#[tokio::test]
async fn a_post_is_never_redirected() {
    let server = Server::start().await;
    for path in ["/whip/a", "/whip/a/", "/whip//a", "/whep/a", "/whep/a/", "/WHIP/a"] {
        let status = post(&server, path, &offers::publish_simulcast()).await.status();
        assert!(!status.is_redirection(), "W11, W55, E16: {path} answers {status}");
    }
}

#[tokio::test]
async fn errors_explain_themselves() {
    let server = Server::start().await;
    let response = post(&server, "/whip/a", "hello").await;
    let kind = header(&response, "content-type");
    assert_eq!(kind, "application/problem+json", "W13: type");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["status"], 400, "W13: {body}");
    for member in ["type", "title", "detail"] {
        assert!(body[member].is_string(), "W13: {member} of {body}");
    }
}

#[tokio::test]
async fn session_urls_cannot_be_guessed() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let mut ids = Vec::new();
    for _ in 0..50 {
        let session = watch(&server, "a").await;
        ids.push(session.path.rsplit('/').next().unwrap().to_owned());
    }
    ids.push(publish(&server, "b").await.path.rsplit('/').next().unwrap().to_owned());
    for id in &ids {
        // 62 letters and digits are worth 5.95 bits each: 21 of them are 125.
        assert!(id.len() >= 21, "W15, E21: {id} is short of 122 bits");
        let same = ids.iter().filter(|other| other[..8] == id[..8]).count();
        assert_eq!(same, 1, "W15, E21: {id} begins like another");
        let tail = id.len() - 8;
        let same = ids.iter().filter(|other| other[tail..] == id[tail..]).count();
        assert_eq!(same, 1, "W15, E21: {id} ends like another");
    }
}

#[tokio::test]
async fn a_name_has_one_publisher() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let response = post(&server, "/whip/a", &offers::publish_simulcast()).await;
    assert_problem(response, &[409], "W17").await;
}

#[tokio::test]
async fn a_publisher_that_comes_back_replaces_its_own_session() {
    let server = Server::start().await;
    let first = publish(&server, "a").await;
    let request = request(&server, Method::POST, "/whip/a")
        .header("Content-Type", "application/sdp")
        .header("Replaces-Session", &first.path)
        .body(offers::publish_simulcast());
    assert_eq!(request.send().await.unwrap().status(), 201, "W17: the name is handed over");
    let old = send(&server, Method::GET, &first.path).await;
    assert_eq!(old.status(), 404, "W17: the old session is gone");
}

#[tokio::test]
async fn a_viewer_of_nothing_is_told_when_to_come_back() {
    let server = Server::start().await;
    let response = post(&server, "/whep/none", &offers::watch()).await;
    let seconds = header(&response, "retry-after");
    assert!(seconds.parse::<u32>().is_ok(), "E4: Retry-After {seconds}");
    assert_problem(response, &[409], "E4, E5: a valid name that is not live").await;
}

#[tokio::test]
async fn what_is_no_stream_name_is_404() {
    let server = Server::start().await;
    let long = "x".repeat(65);
    for name in [".hidden", "a%20b", "a%2Fb", "%ff", &long] {
        let viewer = post(&server, &format!("/whep/{name}"), &offers::watch()).await;
        assert_problem(viewer, &[404], "E5").await;
        let path = format!("/whip/{name}");
        let publisher = post(&server, &path, &offers::publish_simulcast()).await;
        assert_problem(publisher, &[404], "E5").await;
    }
}

#[tokio::test]
async fn the_clients_offer_is_always_answered_and_never_countered() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let empty = post(&server, "/whep/a", "").await;
    assert_eq!(empty.status(), 400, "E6: an empty POST asks for no offer of ours");
    let session = open(&server, "/whep/a", &offers::watch()).await;
    let request = request(&server, Method::PATCH, &session.path)
        .header("Content-Type", "application/sdp")
        .header("If-Match", &session.etag)
        .body(session.answer);
    assert_problem(request.send().await.unwrap(), &[415], "E6: no answer is awaited").await;
}
