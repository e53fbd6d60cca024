//! Tests of webhooks: what a receiver on the network gets while a stream comes and goes.

#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect};
use axum::{Router, extract, routing};
use serde_json::{Value, json};
use support::camera::{Camera, Style};
use support::peer::{Ask, Do, Peer};
use support::told::Told;
use support::{Server, http};
use whitewater_core::media::Kind;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What a receiver got.
#[derive(Clone, Default)]
struct Inbox(Arc<Mutex<Vec<(HeaderMap, Bytes)>>>);

impl Inbox {
    /// A receiver that fails at first, then sends elsewhere, then takes what comes. Gives its URL.
    async fn open(&self) -> String {
        let inbox = self.clone();
        let take = async |inbox: extract::State<Self>, headers: HeaderMap, body: Bytes| {
            let mut got = inbox.0.0.lock().unwrap();
            got.push((headers, body));
            match got.len() {
                1 => StatusCode::SERVICE_UNAVAILABLE.into_response(),
                2 => Redirect::temporary("/elsewhere").into_response(),
                _ => StatusCode::NO_CONTENT.into_response(),
            }
        };
        // Who followed the redirect would be through with two requests.
        let routes = Router::new().route("/hook", routing::post(take));
        let routes = routes.route("/elsewhere", routing::post(take));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes.with_state(inbox)).await });
        url
    }

    fn got(&self) -> Vec<(HeaderMap, Bytes)> {
        self.0.lock().unwrap().clone()
    }

    /// The type and data of what was taken in the end, with the names of the events.
    fn taken(&self) -> Vec<(String, Value)> {
        let got = self.got().into_iter().skip(2);
        got.map(|(headers, body)| {
            let id = headers["webhook-id"].to_str().unwrap().to_owned();
            (id, serde_json::from_slice(&body).unwrap())
        })
        .collect()
    }

    async fn until(&self, what: &str, is: impl Fn(&[(String, Value)]) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !is(&self.taken()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.got());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Whether the check that the documentation shows finds a request to be ours.
fn is_ours(headers: &HeaderMap, body: &[u8]) -> bool {
    let page = include_str!("../docs/webhooks.md");
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (code, _) = rest.split_once("```").unwrap();
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let sent = names.map(|name| (name.to_owned(), json!(headers[name].to_str().unwrap())));
    let headers = Value::Object(sent.into_iter().collect());
    let code = format!(
        "{code}\nimport json, sys\nheaders = json.loads(sys.argv[1])\n\
         print(is_ours({SECRET:?}, headers, sys.stdin.buffer.read()))"
    );
    let mut python = Command::new("python3")
        .args(["-c", &code, &headers.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(body).unwrap();
    let said = python.wait_with_output().unwrap();
    assert!(said.status.success());
    match said.stdout.trim_ascii() {
        b"True" => true,
        b"False" => false,
        other => panic!("{other:?}"),
    }
}

fn types(taken: &[(String, Value)]) -> Vec<&str> {
    taken.iter().map(|(_, body)| body["type"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_gets_each_event_signed_in_order_and_once_it_takes_it_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let inbox = Inbox::default();
    let url = inbox.open().await;
    let config = format!(
        "[[streams]]\nmatch = \"*\"\nreconnect_window_s = 1\n\n[[webhooks]]\nname = \"w\"\n\
         url = \"{url}\"\nsecret_file = \"{}\"\nevents = [\"stream.started\", \"stream.ended\", \
         \"publisher.lost\", \"publisher.back\", \"viewer.joined\", \"viewer.left\"]\n",
        secret.display()
    );
    let server = Server::with_config(&config).await;
    let mut told = Told::read(&server, "/api/v1/events?type=*").await;

    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    let mut live = Value::Null;
    let deadline = Instant::now() + Duration::from_secs(10);
    while live["live"] != true {
        assert!(Instant::now() < deadline, "{live}");
        live = http::api(&server, "streams/a").await;
    }
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 5).await;
    viewer.order(Do::Close);
    assert!(http::is_gone_within(&viewer.session.url, Duration::from_secs(5)).await);
    publisher.order(Do::Close);
    drop(camera);
    inbox.until("everything is told", |taken| types(taken).contains(&"stream.ended")).await;

    let taken = inbox.taken();
    let expected = [
        ("stream.started", json!({"stream": "a"})),
        ("viewer.joined", json!({"stream": "a", "viewers": 1})),
        ("viewer.left", json!({"stream": "a", "viewers": 0})),
        ("publisher.lost", json!({"stream": "a"})),
        ("stream.ended", json!({"stream": "a"})),
    ];
    assert_eq!(types(&taken), expected.iter().map(|(kind, _)| *kind).collect::<Vec<_>>());
    for ((id, body), (kind, data)) in taken.iter().zip(expected) {
        let mut body = body.clone();
        let session = body["data"].as_object_mut().unwrap().remove("session");
        assert_eq!(session.is_some(), kind.starts_with("viewer"), "{body}");
        assert_eq!(body["data"], data, "{kind}");
        let (event, told) = told.next().await.unwrap();
        assert_eq!(event, kind, "the same as server-sent events: {id}");
        assert_eq!(told["timestamp"], body["timestamp"]);
    }
    let got = inbox.got();
    for (headers, body) in &got {
        assert!(is_ours(headers, body), "{headers:?}");
        assert_eq!(headers["content-type"], "application/json");
    }
    assert!(!is_ours(&got[0].0, b"{}"), "another body");
    let first: Vec<_> = got[..3].iter().map(|(headers, _)| &headers["webhook-id"]).collect();
    assert!(first.iter().all(|id| *id == first[0]), "one event is tried three times: {first:?}");

    let log = http::api(&server, "webhooks/deliveries?limit=9").await;
    let log = log.as_array().unwrap();
    assert_eq!(log.len(), 5);
    let row = &log[4];
    assert_eq!((&row["type"], &row["tries"]), (&json!("stream.started"), &json!(3)));
    assert_eq!((&row["state"], &row["status"]), (&json!("delivered"), &json!(204)));
    assert_eq!((&row["id"], &row["webhook"]), (&json!(taken[0].0), &json!("w")));
    let metrics = reqwest::get(server.url("/metrics")).await.unwrap().text().await.unwrap();
    for line in [
        "whitewater_webhook_events_total{webhook=\"w\",outcome=\"delivered\"} 5",
        "whitewater_webhook_requests_total{webhook=\"w\",code=\"503\"} 1",
        "whitewater_webhook_waiting{webhook=\"w\"} 0",
    ] {
        assert!(metrics.lines().any(|have| have == line), "{line}\n{metrics}");
    }

    // A server that stops says so, and waits until that has arrived.
    let publisher = Peer::publish(&server, "b", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    inbox.until("it starts", |taken| types(taken).len() == 6).await;
    server.stop().await;
    drop(camera);
    let taken = inbox.taken();
    let (_, last) = taken.last().unwrap();
    assert_eq!((&last["type"], &last["data"]["stream"]), (&json!("stream.ended"), &json!("b")));
}

#[tokio::test]
async fn a_webhook_whose_secret_cannot_be_had_is_refused_before_anything_opens() {
    let hook = |more: &str| format!("[[webhooks]]\nurl = \"http://127.0.0.1:1/\"\n{more}\n");
    for (more, expected) in [
        ("secret = \"password\"", "a secret is whsec_ and 24 to 64 bytes"),
        ("secret_file = \"nowhere\"", "secret_file: nowhere cannot be read"),
        ("secret_env = \"NOBODY_SETS_THIS\"", "secret_env: the environment has no variable"),
    ] {
        let refused = Server::try_with_config(&hook(more)).err().expect(more);
        let why = format!("{refused:#}");
        assert!(why.starts_with("the webhook 127.0.0.1:1: ") && why.contains(expected), "{why}");
        assert!(!why.contains("password"), "{why}");
    }
}

#[tokio::test]
async fn deliveries_are_for_administrators() {
    let server = Server::with_config("[auth]\njwt_secret = \"a secret of some length\"\n").await;
    let response = reqwest::get(server.url("/api/v1/webhooks/deliveries")).await.unwrap();
    assert_eq!(response.status(), 401);
}
