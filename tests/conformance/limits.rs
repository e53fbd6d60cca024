//! Tests of what is bounded, and of HTTPS.

use reqwest::{Client, Method};

use super::client::{assert_problem, header, post, publish, request, send};
use crate::support::{Server, offers};

#[tokio::test]
async fn a_full_server_says_when_to_come_back() {
    let server = Server::with_config("max_streams = 1\nmax_viewers = 1\n").await;
    publish(&server, "a").await;
    super::client::watch(&server, "a").await;
    let responses = [
        post(&server, "/whip/b", &offers::publish_simulcast()).await,
        post(&server, "/whep/a", &offers::watch()).await,
    ];
    for response in responses {
        let seconds = header(&response, "retry-after");
        assert!(seconds.parse::<u32>().is_ok(), "W12: Retry-After {seconds}");
        assert_problem(response, &[503], "W12").await;
    }
}

#[tokio::test]
async fn https_is_served_where_a_certificate_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let config = format!("tls_cert = {cert:?}\ntls_key = {key:?}\n");
    let server = Server::with_config(&config).await;

    let url = server.url("/whip/a");
    assert!(url.starts_with("https://"), "W16: {url}");
    let client = Client::builder().danger_accept_invalid_certs(true).build().unwrap();
    let request = client.post(url).header("Content-Type", "application/sdp");
    let response = request.body(offers::publish_simulcast()).send().await.unwrap();
    assert_eq!(response.status(), 201, "W16, H71: over TLS");
    assert_eq!(response.version(), reqwest::Version::HTTP_2, "W16, H60: HTTP/2 over TLS");
}

#[tokio::test]
async fn a_body_over_the_limit_is_413() {
    let server = Server::start().await;
    let mut offer = offers::publish_simulcast();
    while offer.len() <= 64 * 1024 {
        offer += "a=x-padding:0123456789012345678901234567890123456789\r\n";
    }
    for body in [offer, "x".repeat(10 << 20)] {
        assert_problem(post(&server, "/whip/a", &body).await, &[413], "W18").await;
    }
}

#[tokio::test]
async fn many_candidates_and_links_do_no_harm() {
    let server = Server::start().await;
    let mut offer = offers::publish_simulcast();
    for number in 0..500 {
        let port = 10_000 + number;
        offer += &format!("a=candidate:{number} 1 udp 1 192.0.2.1 {port} typ host\r\n");
    }
    let mut request = request(&server, Method::POST, "/whip/a")
        .header("Content-Type", "application/sdp")
        .body(offer);
    for number in 0..50 {
        request = request.header("Link", format!("<https://x.example/{number}>; rel=\"x\""));
    }
    let status = request.send().await.unwrap().status().as_u16();
    assert!(matches!(status, 201 | 400 | 422), "W18: {status}");
    let health = send(&server, Method::GET, "/healthz").await;
    assert_eq!(health.status(), 200, "W18: the server is well");
}
