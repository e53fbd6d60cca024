//! Tests of who may publish and watch: tokens, passes of HLS, a hook, and keys behind a URL.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::http::{StatusCode, header};
use axum::{Json, Router, extract, routing};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use support::{Server, offers};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn in_seconds(seconds: i64) -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 + seconds
}

fn token_with(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &key).unwrap()
}

fn token(action: &str, stream: &str) -> String {
    token_with(&json!({"exp": in_seconds(60), "action": action, "stream": stream}))
}

async fn guarded(more: &str) -> Server {
    Server::with_config(&format!("[auth]\njwt_secret = \"{SECRET}\"\n{more}")).await
}

async fn ask(server: &Server, method: Method, path: &str, token: Option<&str>) -> Response {
    let mut request = Client::new().request(method.clone(), server.url(path));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if method == Method::POST {
        let offer =
            if path.starts_with("/whip") { offers::publish_simulcast() } else { offers::watch() };
        request = request.header("Content-Type", "application/sdp").body(offer);
    }
    request.send().await.unwrap()
}

fn challenge(response: &Response) -> String {
    let value = response.headers().get(header::WWW_AUTHENTICATE);
    value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn endpoints_and_sessions_take_tokens_for_their_stream_and_action() {
    let server = guarded("").await;
    let expired = token_with(&json!({"exp": in_seconds(-60), "action": "publish", "stream": "a"}));
    let (publish, watch) = (token("publish", "a"), token("watch", "a"));
    let other = token("publish", "b");
    let invalid = "Bearer error=\"invalid_token\"";
    let scope = "Bearer error=\"insufficient_scope\"";
    let rows: [(&str, Option<&str>, u16, &str); 8] = [
        ("/whip/a", None, 401, "Bearer"),
        ("/whip/a", Some("nonsense"), 401, invalid),
        ("/whip/a", Some(&expired), 401, invalid),
        ("/whip/a", Some(&other), 403, scope),
        ("/whip/a", Some(&watch), 403, scope),
        ("/whep/a", None, 401, "Bearer"),
        ("/whep/a", Some(&publish), 403, scope),
        ("/whip/a", Some(&publish), 201, ""),
    ];
    let mut session = String::new();
    for (path, token, status, want) in rows {
        let response = ask(&server, Method::POST, path, token).await;
        assert_eq!(response.status(), status, "W14, E18: {path} {token:?}");
        assert_eq!(challenge(&response), want, "W14, E18: {path} {token:?}");
        if status == 201 {
            session = response.headers()["location"].to_str().unwrap().to_owned();
        } else {
            let kind = response.headers()["content-type"].to_str().unwrap();
            assert_eq!(kind, "application/problem+json", "W14: {path}");
        }
    }
    let session = session.trim_start_matches(&server.url("")).to_owned();
    for (method, token, status) in [
        (Method::PATCH, None, 401),
        (Method::DELETE, None, 401),
        (Method::DELETE, Some(&other), 403),
        (Method::DELETE, Some(&watch), 403),
        (Method::DELETE, Some(&publish), 200),
    ] {
        let token = token.map(String::as_str);
        let response = ask(&server, method.clone(), &session, token).await;
        assert_eq!(response.status(), status, "W14: {method} {token:?}");
    }
    // A browser asks before it sends a token.
    let preflight = Client::new()
        .request(Method::OPTIONS, server.url("/whip/a"))
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "authorization,content-type");
    assert!(preflight.send().await.unwrap().status().is_success(), "W14: the preflight");
}

#[tokio::test]
async fn who_may_not_watch_is_no_viewer() {
    let server = guarded("").await;
    let body = r#"{"stream":"a","player":"player-1","protocol":"hls"}"#;
    let other = token("watch", "b");
    let watch = token("watch", "a");
    for (token, status) in [("", 401), ("nonsense", 401), (&other, 403), (&watch, 404)] {
        let url = server.url(&format!("/api/v1/beacon?token={token}"));
        let response = Client::new().post(url).body(body).send().await.unwrap();
        assert_eq!(response.status(), status, "{token}");
    }
}

#[tokio::test]
async fn the_api_tells_of_streams_that_one_may_watch() {
    let server = guarded("[[streams]]\nmatch = \"lobby\"\naccess = \"open\"\n").await;
    for stream in ["lobby", "a", "b"] {
        let (path, token) = (format!("/whip/{stream}"), token("publish", stream));
        let response = ask(&server, Method::POST, &path, Some(&token)).await;
        assert_eq!(response.status(), 201, "{stream}");
    }
    let names = async |token: Option<&str>| -> Vec<String> {
        let listed = ask(&server, Method::GET, "/api/v1/streams", token).await;
        let listed: Vec<Value> = listed.json().await.unwrap();
        listed.iter().map(|stream| stream["name"].as_str().unwrap().to_owned()).collect()
    };
    let admin = token_with(&json!({"exp": in_seconds(60), "action": "admin"}));
    let watch = token("watch", "a");
    assert_eq!(names(None).await, ["lobby"]);
    assert_eq!(names(Some(&watch)).await, ["a", "lobby"]);
    assert_eq!(names(Some(&admin)).await, ["a", "b", "lobby"]);
    let rows: [(&str, Option<&str>, u16); 10] = [
        ("/api/v1/streams/lobby", None, 200),
        ("/api/v1/streams/a", None, 401),
        ("/api/v1/streams/a", Some(&watch), 200),
        ("/api/v1/streams/b", Some(&watch), 403),
        ("/api/v1/streams", Some("nonsense"), 401),
        ("/api/v1/server", None, 401),
        ("/api/v1/server", Some(&watch), 403),
        ("/api/v1/server", Some(&admin), 200),
        ("/api/v1/events?stream=a", None, 401),
        ("/api/v1/events?stream=b", Some(&watch), 403),
    ];
    for (path, token, status) in rows {
        let response = ask(&server, Method::GET, path, token).await;
        assert_eq!(response.status(), status, "{path} {token:?}");
    }
    // An event source can send no header.
    let path = format!("/api/v1/events?stream=a&token={watch}");
    assert_eq!(ask(&server, Method::GET, &path, None).await.status(), 200);
}

#[tokio::test]
async fn a_session_ends_when_its_token_does() {
    let server = guarded("grace_s = 0\n").await;
    let short = token_with(&json!({"exp": in_seconds(2), "action": "publish", "stream": "a"}));
    let began = Instant::now();
    let opened = ask(&server, Method::POST, "/whip/a", Some(&short)).await;
    assert_eq!(opened.status(), 201);
    let session = opened.headers()["location"].to_str().unwrap().to_owned();
    let path = session.trim_start_matches(&server.url("")).to_owned();
    assert_eq!(ask(&server, Method::GET, &path, None).await.status(), 204);
    let deadline = Instant::now() + Duration::from_secs(10);
    while ask(&server, Method::GET, &path, None).await.status() != 404 {
        assert!(Instant::now() < deadline, "the session outlives its token");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Tokens count whole seconds: it is good for one at least.
    assert!(began.elapsed() > Duration::from_millis(900), "{:?}", began.elapsed());
    let again = ask(&server, Method::POST, "/whip/a", Some(&token("publish", "a"))).await;
    assert_eq!(again.status(), 201, "the name is free");
}

#[tokio::test]
async fn a_patch_with_a_newer_token_prolongs_a_session() {
    let server = guarded("grace_s = 0\n").await;
    let of = |seconds| json!({"exp": in_seconds(seconds), "action": "publish", "stream": "a"});
    let (short, long) = (token_with(&of(3)), token_with(&of(60)));
    let opened = ask(&server, Method::POST, "/whip/a", Some(&short)).await;
    assert_eq!(opened.status(), 201);
    let path = opened.headers()["location"].to_str().unwrap();
    let path = path.trim_start_matches(&server.url("")).to_owned();
    let etag = opened.headers()["etag"].clone();
    let offer = offers::publish_simulcast();
    let (ufrag, pwd) = (
        support::http::value_of(&offer, "a=ice-ufrag:"),
        support::http::value_of(&offer, "a=ice-pwd:"),
    );
    let patch = async |token: &str| {
        let same = format!("a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n");
        let request = Client::new().patch(server.url(&path)).bearer_auth(token);
        let request = request.header("Content-Type", "application/trickle-ice-sdpfrag");
        request.header("If-Match", &etag).body(same).send().await.unwrap().status().as_u16()
    };
    assert_eq!(patch(&token("publish", "b")).await, 403, "another stream's does not");
    assert_eq!(patch(&long).await, 204);
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert_eq!(ask(&server, Method::GET, &path, None).await.status(), 204, "it goes on");
}

#[tokio::test]
async fn administrators_see_sessions_and_end_them() {
    let server = guarded("").await;
    for (stream, path) in [("a", "/whip/a"), ("b", "/whip/b"), ("a", "/whep/a")] {
        let action = if path.starts_with("/whip") { "publish" } else { "watch" };
        let opened = ask(&server, Method::POST, path, Some(&token(action, stream))).await;
        assert_eq!(opened.status(), 201, "{path}");
    }
    let admin = token_with(&json!({"exp": in_seconds(60), "action": "admin"}));
    let list = async |query: &str| -> Vec<Value> {
        let path = format!("/api/v1/sessions{query}");
        let listed = ask(&server, Method::GET, &path, Some(&admin)).await;
        assert_eq!(listed.status(), 200);
        listed.json().await.unwrap()
    };
    let all = list("").await;
    let seen: Vec<_> = all.iter().map(|s| (s["stream"].as_str(), s["side"].as_str())).collect();
    let want = [("a", "publish"), ("b", "publish"), ("a", "watch")];
    assert_eq!(seen, want.map(|(stream, side)| (Some(stream), Some(side))));
    assert_eq!(list("?stream=a").await.len(), 2);
    assert_eq!(all[2]["address"], "127.0.0.1");
    assert!((1..=60).contains(&all[2]["expires_in_s"].as_u64().unwrap()), "{all:?}");

    let viewer = format!("/api/v1/sessions/{}", all[2]["id"].as_str().unwrap());
    let watch = token("watch", "a");
    let rows: [(Method, &str, Option<&str>, u16); 9] = [
        (Method::GET, "/api/v1/sessions", None, 401),
        (Method::GET, "/api/v1/sessions", Some(&watch), 403),
        (Method::GET, "/api/v1/sessions?stream=..", Some(&admin), 400),
        (Method::DELETE, &viewer, Some(&watch), 403),
        (Method::DELETE, &viewer, Some(&admin), 204),
        (Method::DELETE, &viewer, Some(&admin), 404),
        (Method::DELETE, "/api/v1/streams/b/publisher", Some(&watch), 403),
        (Method::DELETE, "/api/v1/streams/b/publisher", Some(&admin), 204),
        (Method::DELETE, "/api/v1/streams/none/publisher", Some(&admin), 404),
    ];
    for (method, path, token, status) in rows {
        let response = ask(&server, method.clone(), path, token).await;
        assert_eq!(response.status(), status, "{method} {path} {token:?}");
    }
    let left = list("").await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0]["stream"], "a");
}

/// A publisher that ends with the test.
struct Publisher(Child);

impl Publisher {
    fn start(server: &Server, stream: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
        command.args(["load", "whip", "--layers", "1", "--seconds", "60", "--url"]);
        command.arg(server.url(&format!("/whip/{stream}")));
        command.args(["--token", &token("publish", stream)]);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hls_needs_a_token_once_and_then_a_path_that_many_share() {
    let server = guarded("").await;
    let publishers = [Publisher::start(&server, "a"), Publisher::start(&server, "b")];
    let get = async |path: &str, token: Option<&str>| {
        let response = ask(&server, Method::GET, path, token).await;
        let kept = response.headers().get(header::CACHE_CONTROL);
        let kept = kept.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        (response.status(), kept, response.text().await.unwrap())
    };
    let index = async |stream: &str, token: &str| {
        let path = format!("/hls/{stream}/index.m3u8?token={token}");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let (status, kept, text) = get(&path, None).await;
            if status == StatusCode::OK {
                assert!(kept.contains("private"), "H72: {kept}");
                break text;
            }
            assert!(Instant::now() < deadline, "{status}: {text}");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    };
    let first = index("a", &token("watch", "a")).await;
    let listed =
        |text: &str| text.lines().find(|line| line.ends_with("v0.m3u8")).unwrap().to_owned();
    let relative = listed(&first);
    let (pass, below) = relative.split_once('/').unwrap();
    assert!(pass.starts_with('~'), "H72: {relative}");

    // Neither the playlist nor what it names needs a token any more, and caches may keep both.
    let (status, kept, playlist) = get(&format!("/hls/a/{relative}"), None).await;
    assert_eq!(status, 200, "H72: {playlist}");
    assert!(!kept.contains("private"), "H72: {kept}");
    let segment = playlist.lines().find(|line| line.ends_with(".m4s")).unwrap();
    let base = relative.rsplit_once('/').unwrap().0;
    let (status, kept, _) = get(&format!("/hls/a/{base}/{segment}"), None).await;
    assert_eq!((status, kept.contains("private")), (StatusCode::OK, false), "H72");

    // Two hundred other tokens: the same addresses.
    for viewer in 0..200 {
        let claims = json!({"exp": in_seconds(60), "action": "watch", "stream": "a", "sub": format!("{viewer}")});
        let other = index("a", &token_with(&claims)).await;
        let same_hour = listed(&other).split_once('/').unwrap().1 == below;
        assert!(same_hour, "H72: {other}");
    }
    let watch_a = token("watch", "a");
    let rows: [(String, Option<&str>, u16); 8] = [
        ("/hls/a/index.m3u8".into(), None, 401),
        ("/hls/a/index.m3u8?token=nonsense".into(), None, 401),
        ("/hls/b/index.m3u8".into(), Some(&watch_a), 403),
        (format!("/hls/a/{below}"), None, 401),
        (format!("/hls/a/{below}"), Some(&watch_a), 200),
        (format!("/hls/a/~1.AAAAAAAAAAAAAAAAAAAAAA/{below}"), None, 401),
        (format!("/hls/b/{relative}"), None, 401),
        (format!("/hls/a/{pass}/index.m3u8"), None, 404),
    ];
    for (path, token, status) in rows {
        let (got, _, text) = get(&path, token).await;
        assert_eq!(got, status, "H72: {path}: {text}");
    }
    drop(publishers);
}

/// A server that answers as a closure says.
async fn answering(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

#[tokio::test]
async fn a_hook_is_asked_and_its_answers_hold_as_long_as_it_says() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let hook = move |Json(body): Json<Value>| async move {
        let allowed = body["token"] == "good";
        seen.lock().unwrap().push(body);
        let status = if allowed { StatusCode::OK } else { StatusCode::FORBIDDEN };
        (status, [(header::CACHE_CONTROL, "max-age=30")])
    };
    let url = answering(Router::new().route("/may", routing::post(hook))).await;
    let server = Server::with_config(&format!("[auth]\nhook_url = \"{url}/may\"\n")).await;
    for (token, status) in [(None, 401), (Some("bad"), 403), (Some("good"), 201)] {
        let response = ask(&server, Method::POST, "/whip/a", token).await;
        assert_eq!(response.status(), status, "{token:?}");
    }
    assert_eq!(ask(&server, Method::POST, "/whip/a", Some("bad")).await.status(), 403);
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 3, "the fourth is known: {asked:?}");
    assert_eq!(asked[2]["action"], "publish");
    assert_eq!(asked[2]["stream"], "a");
    assert_eq!(asked[2]["address"], "127.0.0.1");
}

#[tokio::test]
async fn who_watches_by_a_hook_may_read_about_the_stream_and_is_no_guesser() {
    let hook = async |Json(body): Json<Value>| match body["token"] == "a key" {
        true => StatusCode::OK,
        false => StatusCode::FORBIDDEN,
    };
    let url = answering(Router::new().route("/may", routing::post(hook))).await;
    let server = guarded(&format!(
        "hook_url = \"{url}/may\"\n[limits]\nrefused_tokens_per_min = 1\nrefused_tokens_burst = 3\n\
         [[streams]]\nmatch = \"keyed\"\naccess = \"hook\"\n"
    ))
    .await;
    let get = async |path: &str, token: Option<&str>| ask(&server, Method::GET, path, token).await;
    let opened = ask(&server, Method::POST, "/whip/keyed", Some("a key")).await;
    assert_eq!(opened.status(), 201);
    for _ in 0..5 {
        let listed = get("/api/v1/streams", Some("a key")).await;
        assert_eq!(listed.status(), 200, "it need not be one of ours");
        assert_eq!(listed.json::<Value>().await.unwrap(), json!([]), "nobody asks for all");
    }
    for path in ["/api/v1/streams/keyed", "/api/v1/events?stream=keyed"] {
        for (token, status) in [(Some("a key"), 200), (Some("another"), 403), (None, 401)] {
            assert_eq!(get(path, token).await.status(), status, "{path} {token:?}");
        }
    }
    let mut events = get("/api/v1/events?stream=keyed", Some("a key")).await;
    let told = async {
        let mut text = String::new();
        while !text.contains("\"stream\":\"keyed\"") {
            text += &String::from_utf8_lossy(&events.chunk().await.unwrap().unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(10), told).await.expect("the stream is told of");
    let viewer = ask(&server, Method::POST, "/whep/keyed", Some("a key")).await;
    assert_eq!(viewer.status(), 201, "and its address is still heard");
}

#[tokio::test]
async fn a_hook_that_is_down_lets_nobody_in_unless_that_is_configured() {
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (more, status) in [("", 503), ("hook_when_down = \"allow\"\n", 201)] {
        let config = format!("[auth]\nhook_url = \"http://{nowhere}/may\"\n{more}");
        let server = Server::with_config(&config).await;
        let response = ask(&server, Method::POST, "/whip/a", Some("x")).await;
        assert_eq!(response.status(), status, "{more:?}");
        assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503);
        // Nobody becomes an administrator by keeping the hook from answering.
        for path in ["/api/v1/config", "/api/v1/webhooks/deliveries"] {
            let response = ask(&server, Method::GET, path, Some("x")).await;
            assert_eq!(response.status(), 503, "{more:?} {path}");
        }
    }
}

#[tokio::test]
async fn keys_behind_a_url_are_rotated_and_outlive_its_server() {
    let pairs: Vec<_> =
        (0..2).map(|_| rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap()).collect();
    let jwk = |index: usize| {
        use base64::Engine;
        let x =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(pairs[index].public_key_raw());
        json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": format!("{index}"), "x": x})
    };
    let token = |index: usize| {
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(format!("{index}"));
        let key = EncodingKey::from_ed_pem(pairs[index].serialize_pem().as_bytes()).unwrap();
        let claims = json!({"exp": in_seconds(60), "action": "publish", "stream": "*"});
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let served = Arc::new(Mutex::new(Some(json!({"keys": [jwk(0)]}))));
    let (shown, fetches) = (Arc::clone(&served), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&fetches);
    let keys = move |_: extract::Request| async move {
        count.fetch_add(1, Ordering::Relaxed);
        let set = shown.lock().unwrap().clone();
        set.map(Json).ok_or(StatusCode::INTERNAL_SERVER_ERROR)
    };
    let url = answering(Router::new().route("/keys", routing::get(keys))).await;
    let server = Server::with_config(&format!("[auth]\njwks_url = \"{url}/keys\"\n")).await;
    let publish = async |stream: &str, token: String| {
        ask(&server, Method::POST, &format!("/whip/{stream}"), Some(&token)).await.status()
    };
    assert_eq!(publish("a", token(0)).await, 201);
    // A new key comes: its first token makes the server look again, though not at once.
    *served.lock().unwrap() = Some(json!({"keys": [jwk(0), jwk(1)]}));
    let deadline = Instant::now() + Duration::from_secs(20);
    while publish("b", token(1)).await != 201 {
        assert!(Instant::now() < deadline, "the new key is never seen");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let before = fetches.load(Ordering::Relaxed);
    assert!(before <= 6, "{before} fetches");
    // The server of the keys is out of order: what is known goes on.
    *served.lock().unwrap() = None;
    assert_eq!(publish("c", token(0)).await, 201);
    assert_eq!(publish("d", token(1)).await, 201);
}

#[tokio::test]
async fn a_token_that_ends_after_all_time_opens_sessions_and_playlists() {
    let server = guarded("").await;
    let token =
        |action: &str| token_with(&json!({"exp": u64::MAX, "action": action, "stream": "a"}));
    let opened = ask(&server, Method::POST, "/whip/a", Some(&token("publish"))).await;
    assert_eq!(opened.status(), 201);
    let viewer = ask(&server, Method::POST, "/whep/a", Some(&token("watch"))).await;
    assert_eq!(viewer.status(), 201);
    let playlist = format!("/hls/a/index.m3u8?token={}", token("watch"));
    // There is no media: what counts is that the request is answered.
    assert!(ask(&server, Method::GET, &playlist, None).await.status().as_u16() < 600);
}

#[tokio::test]
async fn the_command_line_makes_tokens_that_the_server_takes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.toml");
    std::fs::write(&path, format!("[auth]\njwt_secret = \"{SECRET}\"\n")).unwrap();
    let server = guarded("").await;
    let made = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
        let output = command.args(["token", "--config"]).arg(&path).args(args).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.success(), String::from_utf8(output.stdout).unwrap().trim().to_owned(), said)
    };
    let (_, publish, _) = made(&["--stream", "a", "--publish", "--ttl", "1h"]);
    let (_, watch, _) = made(&["--stream", "a", "--watch", "--ttl", "1h"]);
    let (_, admin, _) = made(&["--admin", "--ttl", "5m"]);
    assert_eq!(ask(&server, Method::POST, "/whip/a", Some(&watch)).await.status(), 403);
    assert_eq!(ask(&server, Method::POST, "/whip/a", Some(&publish)).await.status(), 201);
    assert_eq!(ask(&server, Method::POST, "/whep/a", Some(&watch)).await.status(), 201);
    assert_eq!(ask(&server, Method::GET, "/api/v1/server", Some(&admin)).await.status(), 200);
    let (done, _, said) = made(&["--stream", "a"]);
    assert!(!done && said.contains("--publish"), "{said}");
    let (done, _, said) = made(&["--watch"]);
    assert!(!done && said.contains("--stream"), "{said}");
    std::fs::write(&path, "").unwrap();
    let (done, _, said) = made(&["--stream", "a", "--watch"]);
    assert!(!done && said.contains("auth.jwt_secret"), "{said}");
}

#[tokio::test]
async fn whoever_guesses_tokens_is_not_listened_to_for_a_while() {
    let server = guarded("[limits]\nrefused_tokens_per_min = 1\nrefused_tokens_burst = 3\n").await;
    let (valid, expired) = (
        token("publish", "a"),
        token_with(&json!({"exp": in_seconds(-60), "action": "publish", "stream": "a"})),
    );
    let status = async |token: Option<&str>| {
        let response = ask(&server, Method::POST, "/whip/a", token).await;
        (response.status().as_u16(), response.headers().contains_key(header::RETRY_AFTER))
    };
    for _ in 0..5 {
        assert_eq!(status(Some(&expired)).await, (401, false), "an expired one is no guess");
        assert_eq!(status(None).await, (401, false), "nor is none");
    }
    let guesses = ["nonsense", &format!("{valid}x"), "a.b.c"];
    for guess in guesses {
        assert_eq!(status(Some(guess)).await, (401, false), "{guess}");
    }
    for token in [guesses[0], &valid] {
        assert_eq!(status(Some(token)).await, (429, true), "nobody learns whether one is right");
    }
    let reads =
        [Some(&*valid), Some("x")].map(|token| ask(&server, Method::GET, "/api/v1/streams", token));
    for read in reads {
        assert_eq!(read.await.status(), 429, "the API neither");
    }
    let playlist = format!("/hls/a/index.m3u8?token={valid}");
    assert_eq!(ask(&server, Method::GET, &playlist, None).await.status(), 429, "nor HLS");
    assert_eq!(status(None).await, (401, false));
}

#[test]
fn a_server_whose_streams_need_tokens_may_be_reached_by_others() {
    let config = |text: &str| {
        let text = &format!("http = \"0.0.0.0:8080\"\nudp = \"0.0.0.0:7000\"\n{text}");
        let file = whitewater::config::File { path: "w.toml", text };
        whitewater::config::Config::merge(Some(file), [], &Default::default())
            .map_err(|error| error.to_string())
    };
    assert!(config("").unwrap_err().contains("configure [auth]"));
    let guarded = config("[auth]\njwt_secret = \"a secret\"\n").unwrap();
    assert!(!format!("{guarded:?}").contains("a secret"), "it is never shown");
    assert!(
        config("[[streams]]\nmatch = \"*\"\naccess = \"token\"\n")
            .unwrap_err()
            .contains("jwt_secret")
    );
}
