//! Tests of a running server over HTTP, from outside.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode, Version, header};
use whitewater::app::{self, Running};
use whitewater::config::{Config, Recording, Tls};

fn config() -> Config {
    let nowhere = "127.0.0.1:0".parse().unwrap();
    let recording = Recording { enabled: false, ..Recording::default() };
    Config { http: nowhere, udp: nowhere, recording, ..Config::default() }
}

fn start() -> Running {
    app::start(&config()).unwrap()
}

#[tokio::test]
async fn one_address_serves_health_api_and_pages() {
    let server = start();
    let url = server.url();
    assert_eq!(url, format!("http://{}", server.http_addr()));
    let get = async |path: &str| reqwest::get(format!("{url}{path}")).await.unwrap();

    assert_eq!(get("/healthz").await.status(), StatusCode::OK);
    let streams = get("/api/v1/streams").await;
    assert_eq!(streams.headers()[header::CONTENT_TYPE], "application/json");
    for path in ["/", "/publish", "/watch/show", "/nothing/here"] {
        let page = get(path).await;
        assert_eq!(page.headers()[header::CONTENT_TYPE], "text/html; charset=utf-8", "{path}");
        assert!(page.headers().contains_key(header::CONTENT_SECURITY_POLICY), "{path}");
        assert_eq!(page.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
    }
    assert_eq!(get("/nothing/here").await.status(), StatusCode::NOT_FOUND);
    let problem = get("/api/v1/nothing").await;
    assert_eq!(problem.headers()[header::CONTENT_TYPE], "application/problem+json");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = start();
    let client = Client::new();
    let url = format!("{}/publish", server.url());
    let get = client.get(&url).send().await.unwrap();
    let head = client.head(&url).send().await.unwrap();
    assert_eq!(head.status(), get.status());
    for name in [header::CONTENT_TYPE, header::CACHE_CONTROL, header::CONTENT_LENGTH] {
        assert_eq!(head.headers().get(&name), get.headers().get(&name), "{name}");
    }
    assert!(head.bytes().await.unwrap().is_empty());
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_certificate_makes_it_https_with_http2() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, root) = self_signed(folder.path());
    let server = app::start(&Config { tls: Some(tls), ..config() }).unwrap();
    let client = Client::builder().tls_certs_only([root]).build().unwrap();
    assert!(server.url().starts_with("https://127.0.0.1:"));
    let answer = client.get(format!("{}/healthz", server.url())).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.version(), Version::HTTP_2);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_key_that_does_not_fit_its_certificate_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (tls, _) = self_signed(folder.path());
    fs::write(&tls.key, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let refusal = app::start(&Config { tls: Some(tls.clone()), ..config() }).err().unwrap();
    assert!(refusal.to_string().starts_with("tls_cert and tls_key do not work together"));
    fs::write(&tls.key, "nonsense").unwrap();
    let refusal = app::start(&Config { tls: Some(tls), ..config() }).err().unwrap();
    assert!(refusal.to_string().starts_with("tls_key: "), "{refusal}");
}

#[tokio::test]
async fn a_second_server_on_a_taken_address_is_refused_in_a_sentence() {
    let first = start();
    let http = app::start(&Config { http: first.http_addr(), ..config() }).err().unwrap();
    assert!(http.to_string().contains(&first.http_addr().to_string()), "{http}");
    let udp = app::start(&Config { udp: first.udp_addr(), ..config() }).err().unwrap();
    assert!(udp.to_string().contains(&first.udp_addr().to_string()), "{udp}");
    first.stop().await.unwrap();
}

#[tokio::test]
async fn a_stopped_server_gives_its_addresses_back() {
    let server = start();
    let taken = Config { http: server.http_addr(), udp: server.udp_addr(), ..config() };
    server.stop().await.unwrap();
    app::start(&taken).unwrap().stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stalls_in_its_request_is_given_up() {
    let server = start();
    let address = server.http_addr();
    let waited = tokio::task::spawn_blocking(move || {
        let mut slow = TcpStream::connect(address).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: ").unwrap();
        let began = Instant::now();
        let mut answer = Vec::new();
        slow.read_to_end(&mut answer).unwrap();
        began.elapsed()
    });
    assert!(waited.await.unwrap() < Duration::from_secs(30));
    server.stop().await.unwrap();
}

fn self_signed(folder: &Path) -> (Tls, reqwest::Certificate) {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let tls = Tls { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    fs::write(&tls.cert, signed.cert.pem()).unwrap();
    fs::write(&tls.key, signed.signing_key.serialize_pem()).unwrap();
    let root = reqwest::Certificate::from_pem(signed.cert.pem().as_bytes()).unwrap();
    (tls, root)
}
