//! Tests of what operators do with a running server: they read its configuration, change it, renew its
//! certificate, and find in the log who did what.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode};
use serde_json::{Value, json};
use support::Server;
use whitewater::app;
use whitewater::config::{Config, File, Flags, Recording, Tls};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const OTHER: &str = "abcdefghijklmnopabcdefghijklmnop";

fn admin(secret: &str) -> String {
    let claims = json!({"exp": 4_000_000_000_u64, "action": "admin", "sub": "ann", "jti": "t-1"});
    let key = EncodingKey::from_secret(secret.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn whitewater(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WHITEWATER_")) {
        command.env_remove(name);
    }
    command.args(args);
    command
}

/// A server in a process of its own, with a configuration file that can be changed.
struct Process {
    child: Child,
    url: String,
    file: PathBuf,
    log: mpsc::Receiver<Value>,
    _folder: tempfile::TempDir,
}

// === impl Process ===

impl Process {
    fn start(text: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.toml");
        fs::write(&file, text).unwrap();
        let places = ["--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--log-format", "json"];
        let mut child = whitewater(&["serve", "--config", file.to_str().unwrap()])
            .args(places)
            .env("WHITEWATER_RECORDING_ENABLED", "false")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (lines, log) = mpsc::channel();
        let said = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if lines.send(line).is_err() {
                    break;
                }
            }
        });
        let first = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        Self { url: url.into(), child, file, log, _folder: folder }
    }

    async fn ask(&self, method: Method, path: &str, token: Option<&str>) -> Response {
        let mut request = Client::new().request(method, format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.header("X-Request-Id", "ticket-42").send().await.unwrap()
    }

    /// Waits for the next line of the log for which something holds.
    fn logged(&self, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.log.recv_timeout(left).expect("it is logged");
            if holds(&line) {
                return line;
            }
        }
    }

    fn hang_up(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn what_administrators_change_is_in_the_log_with_who_and_what_came_of_it() {
    let server = Process::start(&format!("log = \"error\"\n[auth]\njwt_secret = \"{SECRET}\"\n"));
    let path = "/api/v1/streams/show/publisher";
    let token = admin(SECRET);
    let rows = [
        (Some(&*token), 404, "refused", "sub=ann jti=t-1"),
        (None, 401, "denied", "unnamed"),
        (Some("nonsense"), 401, "denied", "unnamed"),
    ];
    server.ask(Method::GET, "/api/v1/sessions", Some(&token)).await;
    for (token, status, outcome, who) in rows {
        assert_eq!(server.ask(Method::DELETE, path, token).await.status(), status);
        let line = server.logged(|line| line["target"] == "audit");
        assert_eq!(line["action"], "DELETE /api/v1/streams/{stream}/publisher", "{line}");
        assert_eq!(line["path"], path, "{line}");
        assert_eq!((&line["outcome"], &line["who"]), (&json!(outcome), &json!(who)), "{line}");
        assert_eq!((&line["status"], &line["address"]), (&json!(status), &json!("127.0.0.1")));
        assert_eq!(line["span"]["id"], "ticket-42", "{line}");
        assert!(!line.to_string().contains(token.unwrap_or("eyJ")), "a token is logged: {line}");
    }
    let reloaded = server.ask(Method::POST, "/api/v1/config/reload", Some(&token)).await;
    assert_eq!(reloaded.status(), StatusCode::OK);
    let line = server.logged(|line| line["target"] == "audit");
    assert_eq!((&line["outcome"], &line["status"]), (&json!("done"), &json!(200)), "{line}");
}

#[tokio::test]
async fn a_changed_configuration_holds_after_a_signal_and_what_cannot_is_named() {
    let text = |secret: &str, more: &str| format!("{more}\n[auth]\njwt_secret = \"{secret}\"\n");
    let server = Process::start(&text(SECRET, ""));
    let knows = async |secret: &str| {
        let token = admin(secret);
        server.ask(Method::GET, "/api/v1/config", Some(&token)).await.status() == StatusCode::OK
    };
    assert!(knows(SECRET).await && !knows(OTHER).await);

    fs::write(&server.file, text(OTHER, "max_viewers = 7\nshards = 1\ntcp = false")).unwrap();
    server.hang_up();
    let line = server.logged(|line| line["message"] == "the configuration was read again");
    assert_eq!(line["changed"], r#"["auth", "max_viewers"]"#, "{line}");
    let line = server.logged(|line| line["level"] == "WARN");
    assert_eq!(line["keys"], r#"["shards", "tcp"]"#, "{line}");
    assert!(knows(OTHER).await && !knows(SECRET).await, "the other secret holds now");

    for (broken, why) in [("max_viwers = 3", "unknown key max_viwers"), ("[[", "not valid TOML")] {
        fs::write(&server.file, text(SECRET, broken)).unwrap();
        let refused = server.ask(Method::POST, "/api/v1/config/reload", Some(&admin(OTHER))).await;
        assert_eq!(refused.status(), StatusCode::UNPROCESSABLE_ENTITY);
        let problem: Value = refused.json().await.unwrap();
        assert!(problem["detail"].as_str().unwrap().contains(why), "{problem}");
        server.logged(|line| line["level"] == "ERROR" && line["span"]["id"] == "ticket-42");
        server.hang_up();
        let line = server.logged(|line| line["level"] == "ERROR");
        assert!(line["why"].as_str().unwrap().contains(why), "{line}");
        assert!(knows(OTHER).await, "the one before stays in force");
    }
    let shown = server.ask(Method::GET, "/api/v1/config", Some(&admin(OTHER))).await;
    let shown: Value = shown.json().await.unwrap();
    assert_eq!((&shown["max_viewers"], &shown["tcp"]), (&json!(7), &json!(true)), "{shown}");
    assert_eq!(shown["auth"]["jwt_secret"], "redacted");
    let stranger = server.ask(Method::GET, "/api/v1/config", None).await;
    assert_eq!(stranger.status(), StatusCode::UNAUTHORIZED);
}

#[test]
fn the_configuration_is_printed_without_secrets_and_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let print = |path: &Path| {
        let path = path.to_str().unwrap();
        let mut command = whitewater(&["serve", "--print-config", "--config", path]);
        let Output { status, stdout, stderr } =
            command.env("WHITEWATER_MAX_VIEWERS", "77").output().unwrap();
        assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    };
    let file = folder.path().join("w.toml");
    let text = "max_streams = 3\ntrusted_proxies = [\"10.1.2.3\", \"fd00::/8\"]\n\
                [auth]\njwt_secret = \"top secret\"\n\
                hook_url = \"https://us:pass-word@example.org/ask?key=hidden\"\n\
                [limits]\naddress_burst = 9\n[[ice_servers]]\nurls = [\"turn:a.example\"]\n\
                username = \"ann\"\ncredential = \"long-password\"\n[[streams]]\nmatch = \"a-*\"\n\
                hls_ladder = [\"360p\", \"720p\"]\naccess = \"open\"\nmax_bitrate_bps = \"3M\"\n";
    fs::write(&file, text).unwrap();
    let printed = print(&file);
    for secret in ["top secret", "pass-word", "hidden", "long-password"] {
        assert!(!printed.contains(secret), "{secret} is shown: {printed}");
    }
    let again = folder.path().join("again.toml");
    fs::write(&again, &printed).unwrap();
    assert_eq!(print(&again), printed);
    let read = |text: &str| Config::merge(Some(File { path: "w", text }), [], &Flags::default());
    let (given, mut shown) = (read(text).unwrap(), read(&printed).unwrap());
    assert_eq!((shown.limits.max_viewers, given.limits.max_viewers), (77, 10_000));
    shown.limits.max_viewers = 10_000;
    (shown.auth, shown.ice_servers) = (given.auth.clone(), given.ice_servers.clone());
    assert_eq!(shown, given, "but for the secrets it means the same");
}

fn certificate(tls: &Tls) -> reqwest::Certificate {
    let signed = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(&tls.cert, signed.cert.pem()).unwrap();
    fs::write(&tls.key, signed.signing_key.serialize_pem()).unwrap();
    reqwest::Certificate::from_pem(signed.cert.pem().as_bytes()).unwrap()
}

async fn is_served(url: &str, root: &reqwest::Certificate) -> bool {
    let client = Client::builder().tls_certs_only([root.clone()]).build().unwrap();
    client.get(format!("{url}/healthz")).send().await.is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_certificate_is_served_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let tls = Tls { cert: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    let first = certificate(&tls);
    let nowhere = "127.0.0.1:0".parse().unwrap();
    let config = Config {
        http: nowhere,
        http_redirect: Some(nowhere),
        udp: nowhere,
        tls: Some(tls.clone()),
        recording: Recording { enabled: false, ..Recording::default() },
        ..Config::default()
    };
    let server = app::start(&config).unwrap();
    let url = server.url();
    assert!(is_served(&url, &first).await);

    let plain = format!("http://{}/watch/a?x=1", server.redirect_addr().unwrap());
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let sent = client.get(&plain).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::PERMANENT_REDIRECT);
    assert_eq!(sent.headers()["location"], format!("{url}/watch/a?x=1").as_str());
    let posted = client.post(&plain).body("an offer").send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::FORBIDDEN);

    let second = certificate(&tls);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_served(&url, &second).await {
        assert!(Instant::now() < deadline, "the new certificate is never served");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(!is_served(&url, &first).await);

    fs::write(&tls.key, "nonsense").unwrap();
    let operator = server.operator();
    let refused = tokio::task::spawn_blocking(move || operator.reload()).await.unwrap();
    assert!(refused.as_ref().is_err_and(|why| why.contains("tls_key")), "{refused:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(is_served(&url, &second).await, "the one before stays in force");
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_reload_without_a_change_changes_nothing() {
    let server = Server::with_config("cors_origins = [\"https://a.example\"]\n").await;
    let reloaded = Client::new().post(server.url("/api/v1/config/reload")).send().await.unwrap();
    let reloaded: Value = reloaded.json().await.unwrap();
    assert_eq!(reloaded, json!({"changed": [], "needs_restart": []}));
}
