//! Tests that hold the API's document to its routes, and of what administrators ask.

use std::collections::BTreeSet;
use std::fs;

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::Value;
use whitewater_signaling::control::{LayerChoice, SessionInfo, StreamInfo};

use crate::server::{Server, assert_problem, header};

async fn document(server: &Server) -> Value {
    let response = server.send(Method::GET, "/api/v1/openapi.json").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "application/json");
    response.json().await.unwrap()
}

/// Paths with their methods, as `GET /v1/x`.
fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| -> Vec<String> {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| format!("{} {path}", method.to_uppercase())).collect()
    };
    paths.iter().flat_map(methods).collect()
}

/// Follows the links of a list through so many pages.
async fn pages<T: DeserializeOwned>(server: &Server, first: &str, count: usize) -> Vec<T> {
    let (mut path, mut seen) = (first.to_owned(), Vec::new());
    for page in 1.. {
        let response = server.send(Method::GET, &path).await;
        assert_eq!(response.status(), 200, "{path}");
        let link = header(&response, "link").to_owned();
        seen.extend(response.json::<Vec<T>>().await.unwrap());
        let Some(next) = link.strip_prefix('<').and_then(|rest| rest.split_once('>')) else {
            assert_eq!(page, count, "{first}");
            break;
        };
        assert_eq!(next.1, "; rel=\"next\"");
        path = next.0.to_owned();
    }
    seen
}

#[tokio::test]
async fn every_operation_of_the_document_exists_and_no_other() {
    let server = Server::start().await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    let listed = operations(&document);
    let paths: BTreeSet<&str> =
        listed.iter().map(|operation| operation.split_once(' ').unwrap().1).collect();
    for path in paths {
        let real = path.replace("{stream}", "none").replace("{session}", "none");
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            let operation = format!("{method} {path}");
            let sent = server.send(method.parse().unwrap(), &format!("/api{real}")).await;
            let is_there = sent.status() != 405;
            assert_eq!(is_there, listed.contains(&operation), "{operation}: {}", sent.status());
        }
        let options = server.send(Method::OPTIONS, &format!("/api{real}")).await;
        assert_eq!(options.status(), 200, "OPTIONS {path}");
    }
}

#[test]
fn every_route_of_the_api_is_one_that_the_document_knows() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let text = fs::read_to_string(format!("{folder}/api.rs")).unwrap();
    let others: Vec<_> = text.lines().filter(|line| line.contains(".route(")).collect();
    // Preflights of what is listed, and the document itself.
    assert_eq!(others.len(), 2, "use .routes(routes!(...)) with #[utoipa::path]: {others:?}");
}

#[tokio::test]
async fn the_document_says_what_needs_an_administrator_and_what_a_refusal_is() {
    let server = Server::start().await;
    let document = document(&server).await;
    let bearer = |path: &str, method: &str| document["paths"][path][method]["security"].clone();
    assert_eq!(bearer("/v1/sessions", "get"), serde_json::json!([{"bearer": []}]));
    assert_eq!(bearer("/v1/streams", "get"), serde_json::json!([{}, {"bearer": []}]));
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let refused = &operation["responses"]["default"]["content"];
            assert!(refused["application/problem+json"].is_object(), "{operation}");
            assert!(operation["summary"].as_str().is_some_and(|it| !it.is_empty()), "{operation}");
        }
    }
}

#[tokio::test]
async fn sessions_come_in_pages_that_lead_on() {
    let server = Server::start().await;
    for stream in ["a", "b"] {
        server.open_both(stream).await;
    }
    let seen: Vec<SessionInfo> = pages(&server, "/api/v1/sessions?limit=3", 2).await;
    let ids: BTreeSet<_> = seen.iter().map(|session| &session.id).collect();
    assert_eq!((seen.len(), ids.len()), (4, 4));
    let of_b = server.send(Method::GET, "/api/v1/sessions?stream=b").await;
    assert_eq!(header(&of_b, "link"), "", "all are on the first page");
    assert_eq!(of_b.json::<Vec<SessionInfo>>().await.unwrap().len(), 2);
    let too_far = format!("after={}", 1_u64 << 53);
    let queries =
        ["limit=0", "limit=1001", "limit=x", "after=-1", &too_far, "stream=..", "other=1"];
    for query in queries {
        let path = format!("/api/v1/sessions?{query}");
        assert_problem(server.send(Method::GET, &path).await, 400, query).await;
    }
}

#[tokio::test]
async fn streams_come_in_pages_to_who_wants_them_and_all_at_once_to_others() {
    let server = Server::start().await;
    for stream in ["d", "b", "a", "c"] {
        server.open(&format!("/whip/{stream}")).await;
    }
    let names = |streams: Vec<StreamInfo>| {
        streams.into_iter().map(|stream| stream.name).collect::<Vec<_>>().concat()
    };
    for (path, count, expected) in [
        ("/api/v1/streams", 1, "abcd"),
        // Caches are got round like this: what is not known counts for nothing.
        ("/api/v1/streams?t=1", 1, "abcd"),
        ("/api/v1/streams?limit=4", 1, "abcd"),
        ("/api/v1/streams?limit=2", 2, "abcd"),
        ("/api/v1/streams?limit=3", 2, "abcd"),
        ("/api/v1/streams?after=b", 1, "cd"),
        ("/api/v1/streams?limit=1&after=bb", 2, "cd"),
        ("/api/v1/streams?after=x", 1, ""),
    ] {
        assert_eq!(names(pages(&server, path, count).await), expected, "{path}");
    }
    for query in ["limit=0", "limit=1001", "limit=x", "limit=-1", "after=.."] {
        let path = format!("/api/v1/streams?{query}");
        assert_problem(server.send(Method::GET, &path).await, 400, query).await;
    }
}

#[tokio::test]
async fn an_administrator_chooses_a_layer_and_asks_for_a_keyframe() {
    let server = Server::start().await;
    server.open_both("a").await;
    let put = async |path: &str, kind: &str, body: &'static str| {
        let request = server.request(Method::PUT, path).header("Content-Type", kind);
        request.body(body).send().await.unwrap()
    };
    let layer = "/api/v1/sessions/session-2/layer";
    let json = "application/json";
    assert_eq!(put(layer, json, r#"{"rid":"h"}"#).await.status(), 204);
    assert_eq!(server.fake.last_choice().rid.as_deref(), Some("h"));
    assert_eq!(server.send(Method::DELETE, layer).await.status(), 204);
    assert_eq!(server.fake.last_choice(), LayerChoice::default());
    assert_problem(put(layer, json, r#"{"rid":"x"}"#).await, 422, "no such layer").await;
    assert_problem(put(layer, json, "{").await, 400, "no JSON").await;
    assert_problem(put(layer, "text/plain", "{}").await, 415, "no type").await;
    assert_problem(put("/api/v1/sessions/x/layer", json, "{}").await, 404, "no session").await;
    let one = server.send(Method::GET, "/api/v1/sessions/session-2").await;
    assert_eq!(one.json::<SessionInfo>().await.unwrap().stream, "a");
    assert_problem(server.send(Method::GET, "/api/v1/sessions/x").await, 404, "no session").await;
    let keyframe = server.send(Method::POST, "/api/v1/streams/a/keyframe").await;
    assert_eq!(keyframe.status(), 202);
    let none = server.send(Method::POST, "/api/v1/streams/none/keyframe").await;
    assert_problem(none, 404, "not live").await;
    let version: Value = server.send(Method::GET, "/api/v1/version").await.json().await.unwrap();
    assert_eq!(version["version"], env!("CARGO_PKG_VERSION"));
    let history: Value = server.send(Method::GET, "/api/v1/history").await.json().await.unwrap();
    assert_eq!(history["interval_s"], 5);
}
