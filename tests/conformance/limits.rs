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

#[tokio::test]
async fn five_hundred_viewers_behind_one_address_may_come_at_once() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let (client, offer) = (Client::new(), offers::watch());
    let joining = (0..500).map(|_| {
        let request = client.post(server.url("/whep/a")).header("Content-Type", "application/sdp");
        tokio::spawn(request.body(offer.clone()).send())
    });
    for joining in joining.collect::<Vec<_>>() {
        let status = joining.await.unwrap().unwrap().status();
        assert_eq!(status, 201, "W15, E21: the default lets a crowd behind one address in");
    }
}

#[tokio::test]
async fn a_flood_from_one_address_is_429_and_others_behind_the_proxy_are_served() {
    let config = "trusted_proxies = [\"127.0.0.0/8\"]\n[limits]\naddress_requests_per_s = 1\n\
                  address_burst = 20\n";
    let server = Server::with_config(config).await;
    publish(&server, "a").await;
    let from = async |client: &str, method: Method, path: &str| {
        let request = request(&server, method, path).header("X-Forwarded-For", client);
        let request = request.header("Content-Type", "application/sdp");
        request.body(offers::watch()).send().await.unwrap()
    };
    let mut refused = 0;
    for _ in 0..40 {
        let response = from("203.0.113.9", Method::POST, "/whep/a").await;
        if response.status() != 201 {
            let seconds = header(&response, "retry-after");
            assert!(seconds.parse::<u32>().is_ok_and(|s| s > 0), "W15, E21: {seconds}");
            assert_problem(response, &[429], "W15, E21").await;
            refused += 1;
        }
    }
    assert!((10..=20).contains(&refused), "W15, E21: {refused} of 40 refused");
    for method in [Method::PATCH, Method::DELETE] {
        let response = from("203.0.113.9", method, "/whep/a/x").await;
        assert_problem(response, &[429, 404], "W15, E21").await;
    }
    let other = from("203.0.113.10", Method::POST, "/whep/a").await;
    assert_eq!(other.status(), 201, "W15, E21: another client of the same proxy");
    let forged = from("203.0.113.77, 203.0.113.9", Method::DELETE, "/whep/a/x").await;
    assert_ne!(forged.status(), 200, "W15: what a client writes itself is not believed");
}

#[tokio::test]
async fn a_client_has_so_many_sessions_and_gets_the_place_of_one_that_ended() {
    let config = "[limits]\naddress_sessions = 3\n";
    let server = Server::with_config(config).await;
    publish(&server, "a").await;
    let first = super::client::watch(&server, "a").await;
    super::client::watch(&server, "a").await;
    for path in ["/whep/a", "/whip/b"] {
        let offer = if path == "/whep/a" { offers::watch() } else { offers::publish_simulcast() };
        let response = post(&server, path, &offer).await;
        assert!(header(&response, "retry-after").parse::<u32>().is_ok(), "W15: {path}");
        assert_problem(response, &[429], "W15, E21").await;
    }
    let request = request(&server, Method::POST, "/whep/a")
        .header("Content-Type", "application/sdp")
        .header("Replaces-Session", &first.path);
    let replaced = request.body(offers::watch()).send().await.unwrap();
    assert_eq!(replaced.status(), 201, "W15: who replaces a session takes its place");
    let path = header(&replaced, "location");
    assert_eq!(send(&server, Method::DELETE, &path).await.status(), 200, "W15: it ends");
    super::client::watch(&server, "a").await;
}

#[tokio::test]
async fn a_request_has_a_name_that_its_answer_tells() {
    let server = Server::start().await;
    let named = request(&server, Method::GET, "/healthz").header("X-Request-Id", "mine-7");
    assert_eq!(header(&named.send().await.unwrap(), "x-request-id"), "mine-7");
    let odd = request(&server, Method::GET, "/healthz").header("X-Request-Id", "no spaces");
    let (odd, none) = (odd.send().await.unwrap(), send(&server, Method::GET, "/whip/a/b").await);
    let names = [header(&odd, "x-request-id"), header(&none, "x-request-id")];
    assert!(names.iter().all(|name| name.len() == 16), "{names:?}");
    assert_ne!(names[0], names[1]);
}
