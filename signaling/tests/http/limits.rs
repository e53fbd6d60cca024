//! Tests of bodies that are too large or too slow, and of both versions of HTTP.

use std::time::Duration;

use reqwest::{Client, Method};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use whitewater_signaling::Config;
use whitewater_signaling::rate::{Rate, Rates};

use crate::server::{OFFER, Server, assert_problem, header};

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let server = Server::start().await;
    let fits = format!("v=0\r\n{}", " ".repeat(64 * 1024 - 5));
    let response = server.post("/whip/a").body(fits.clone()).send().await.unwrap();
    assert_eq!(response.status(), 201, "W18: 64 KiB fit");
    for body in [fits + " ", "x".repeat(10 << 20), "x".repeat(20 << 20)] {
        let response = server.post("/whip/b").body(body).send().await;
        if let Ok(response) = response {
            assert_problem(response, 413, "W18").await;
        } else {
            panic!("W18: the answer was lost");
        }
    }
}

/// What a server answers to raw bytes on a connection that stays open.
async fn exchange(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut chunk));
        let length = read.await.expect("an answer within 5 s").unwrap();
        assert_ne!(length, 0, "the connection was closed");
        answer.extend_from_slice(&chunk[..length]);
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_413_before_it_sends() {
    let server = Server::start().await;
    let request = "POST /whip/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n\
                   Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n";
    let answer = exchange(&server, request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "W18: {answer}");
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let body_timeout = Duration::from_millis(50);
    let server = Server::with(Config { body_timeout, ..Config::default() }).await;
    let request = "POST /whip/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n\
                   Content-Length: 100\r\n\r\nv=0";
    let answer = exchange(&server, request).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "W18: {answer}");
}

#[tokio::test]
async fn a_chunked_body_is_counted_too() {
    let server = Server::with(Config { max_body_bytes: 8, ..Config::default() }).await;
    let request = "POST /whip/a HTTP/1.1\r\nHost: x\r\nContent-Type: application/sdp\r\n\
                   Transfer-Encoding: chunked\r\n\r\n5\r\nv=0\r\n\r\n4\r\naaaa\r\n0\r\n\r\n";
    let answer = exchange(&server, request).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "W18: {answer}");
}

#[tokio::test]
async fn http_2_serves_as_well() {
    let server = Server::start().await;
    let client = Client::builder().http2_prior_knowledge().build().unwrap();
    let request = client.post(server.url("/whip/a")).header("Content-Type", "application/sdp");
    let response = request.body(OFFER).send().await.unwrap();
    assert_eq!(response.version(), reqwest::Version::HTTP_2);
    assert_eq!(response.status(), 201, "W1: over HTTP/2");
}

#[tokio::test]
async fn requests_that_change_something_are_refused_above_their_rate() {
    let within = Duration::from_secs(3_600);
    let three = Rate { times: 1, within, burst: 3 };
    let by_address = Rates { address: three, token: Rate::NONE };
    let by_token = Rates { address: Rate::NONE, token: three };
    for rates in [by_address, by_token] {
        let server = Server::with(Config { rates, ..Config::default() }).await;
        let ask = async |method: Method, path: &str| {
            let request = server.request(method, path).header("Content-Type", "application/sdp");
            request.bearer_auth("one").body(OFFER).send().await.unwrap()
        };
        for name in ["a", "b", "c"] {
            let opened = ask(Method::POST, &format!("/whip/{name}")).await;
            assert_eq!(opened.status(), 201, "W15: within the burst, {rates:?}");
        }
        let rows = [
            (Method::POST, "/whip/d"),
            (Method::POST, "/whep/a"),
            (Method::PATCH, "/whip/a/x"),
            (Method::DELETE, "/whep/a/x"),
            (Method::DELETE, "/api/v1/streams/a/publisher"),
        ];
        for (method, path) in rows {
            let response = ask(method.clone(), path).await;
            let wait: u64 = header(&response, "retry-after").parse().unwrap_or(0);
            assert!((1..=3_600).contains(&wait), "W15, E21: {method} {path} waits {wait} s");
            assert_problem(response, 429, "W15, E21").await;
        }
        for path in ["/whip/a", "/api/v1/streams", "/healthz"] {
            let response = server.send(Method::GET, path).await;
            assert!(response.status().is_success(), "W15: reading {path} is not counted");
        }
        let other = server.post("/whip/e").bearer_auth("two").send().await.unwrap();
        let is_free = rates == by_token;
        assert_eq!(other.status() == 201, is_free, "W15: another token, {rates:?}");
    }
}
