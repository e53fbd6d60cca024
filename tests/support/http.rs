//! Requests of WHIP and WHEP clients.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::Value;

use super::Server;

/// A session that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    /// Its URL.
    pub(crate) url: String,
    /// Its path, as `Location` gave it.
    pub(crate) path: String,
    pub(crate) etag: String,
    pub(crate) answer: String,
}

/// Who posts an offer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct As<'a> {
    /// The session that it replaces.
    pub(crate) replaces: Option<&'a str>,
    /// Its bearer token.
    pub(crate) token: Option<&'a str>,
}

/// Posts an offer.
pub(crate) async fn post(
    server: &Server,
    endpoint: &str,
    offer: &str,
    who: As<'_>,
) -> reqwest::Response {
    let mut request =
        Client::new().post(server.url(endpoint)).header("Content-Type", "application/sdp");
    if let Some(replaces) = who.replaces {
        request = request.header("Replaces-Session", replaces);
    }
    if let Some(token) = who.token {
        request = request.bearer_auth(token);
    }
    request.body(offer.to_owned()).send().await.unwrap()
}

/// Posts an offer that must be answered.
pub(crate) async fn open(
    server: &Server,
    endpoint: &str,
    offer: &str,
    replaces: Option<&str>,
) -> Opened {
    open_as(server, endpoint, offer, As { replaces, token: None }).await
}

/// As [`open`], by somebody in particular.
pub(crate) async fn open_as(server: &Server, endpoint: &str, offer: &str, who: As<'_>) -> Opened {
    let response = post(server, endpoint, offer, who).await;
    let status = response.status();
    let header = |name: &str| {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let (path, etag) = (header("location"), header("etag"));
    let answer = response.text().await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{endpoint}: {answer}\n{offer}");
    Opened { url: server.url(&path), path, etag, answer }
}

/// Whether a session is there.
pub(crate) async fn is_alive(url: &str) -> bool {
    let status = reqwest::get(url).await.unwrap().status();
    assert!(matches!(status.as_u16(), 204 | 404), "{url}: {status}");
    status == StatusCode::NO_CONTENT
}

/// Waits until a session is gone, at most so long.
pub(crate) async fn is_gone_within(url: &str, limit: Duration) -> bool {
    let deadline = tokio::time::Instant::now() + limit;
    while is_alive(url).await {
        if tokio::time::Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

/// Ends a session.
pub(crate) async fn delete(url: &str) -> StatusCode {
    Client::new().delete(url).send().await.unwrap().status()
}

/// Patches a session with a fragment: the status, the tag and the body of the answer.
pub(crate) async fn patch(
    url: &str,
    if_match: &str,
    ufrag: &str,
    pwd: &str,
) -> (StatusCode, String, String) {
    let fragment =
        format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\nm=audio 9 X 0\r\na=mid:0\r\n");
    let request = Client::new()
        .patch(url)
        .header("Content-Type", "application/trickle-ice-sdpfrag")
        .header("If-Match", if_match);
    let response = request.body(fragment).send().await.unwrap();
    let status = response.status();
    let tag = response.headers().get("etag").map_or("", |value| value.to_str().unwrap()).to_owned();
    (status, tag, response.text().await.unwrap())
}

/// A page of the API; `Null` where there is none.
pub(crate) async fn api(server: &Server, path: &str) -> Value {
    let response = reqwest::get(server.url(&format!("/api/v1/{path}"))).await.unwrap();
    match response.status() {
        StatusCode::NOT_FOUND => Value::Null,
        _ => response.json().await.unwrap(),
    }
}

/// The sum of one of the shards' counts.
pub(crate) async fn sum(server: &Server, count: &str) -> u64 {
    let info = api(server, "server").await;
    let shards = info["shards"].as_array().unwrap();
    shards.iter().map(|shard| shard[count].as_u64().unwrap()).sum()
}

/// The value of the first line of a text that begins like this.
pub(crate) fn value_of<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(prefix)).unwrap_or_default().trim_end()
}

/// The addresses to which an answer or a fragment lets clients connect over TCP.
pub(crate) fn tcp_candidates(text: &str) -> Vec<SocketAddr> {
    let candidates = text.lines().filter_map(|line| line.strip_prefix("a=candidate:"));
    candidates
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, "1", "tcp", _, ip, port, "typ", "host", "tcptype", "passive"] = words[..]
            else {
                return None;
            };
            Some(SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap()))
        })
        .collect()
}
