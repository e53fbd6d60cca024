//! A test that holds the live server to the document of its API, with schemathesis.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Client;
use serde_json::{Value, json};
use support::{Server, offers};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A document cannot say which layers there are, nor which days: who chooses another layer is told so with
/// 422, and who asks for the 30th of February with 400.
const CONFIG: &str = r#"
[[operations]]
include-name = "GET /v1/recordings"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400"]

[[operations]]
include-name = "PUT /v1/sessions/{session}/layer"
checks.positive_data_acceptance.expected-statuses = ["2xx", "404", "422"]
"#;

fn token(action: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims =
        json!({"exp": (now + Duration::from_secs(300)).as_secs(), "action": action, "stream": "*"});
    let key = EncodingKey::from_secret(SECRET.as_bytes()).unwrap();
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key).unwrap()
}

fn schemathesis() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
        PathBuf::from(std::env::var_os("HOME").expect("a home folder")).join(".cache")
    });
    let program = cache.join("whitewater/schemathesis/bin/schemathesis");
    assert!(program.exists(), "schemathesis is missing: run scripts/setup.sh tests");
    program
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answer_of_the_api_is_as_its_document_says() {
    let server = Server::with_config(&format!("[auth]\njwt_secret = \"{SECRET}\"\n")).await;
    let client = Client::new();
    for (path, offer) in [("/whip/a", offers::publish_simulcast()), ("/whep/a", offers::watch())] {
        let action = if path.starts_with("/whip") { "publish" } else { "watch" };
        let request = client.post(server.url(path)).bearer_auth(token(action));
        let request = request.header("Content-Type", "application/sdp").body(offer);
        assert_eq!(request.send().await.unwrap().status(), 201);
    }
    let get = async |path: &str| -> Value {
        let sent = client.get(server.url(path)).bearer_auth(token("admin")).send().await;
        sent.unwrap().json().await.unwrap()
    };
    let sessions = get("/api/v1/sessions").await;
    assert_eq!(sessions.as_array().unwrap().len(), 2);
    let one = get(&format!("/api/v1/sessions/{}", sessions[0]["id"].as_str().unwrap())).await;
    assert_eq!(one["side"], "publish");
    assert_eq!(one["state"], "connecting");

    let (url, base) = (server.url("/api/v1/openapi.json"), server.url("/api"));
    let bearer = format!("Authorization: Bearer {}", token("admin"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), CONFIG).unwrap();
    let run = move || {
        Command::new(schemathesis())
            .current_dir(folder.path())
            .args(["run", &url, "--url", &base, "--header", &bearer, "--checks", "all"])
            // An answer that does not end is no answer to judge.
            .args(["--exclude-path", "/v1/events", "--request-timeout", "5"])
            .args(["--max-examples", "6", "--seed", "1", "--no-color"])
            .args(["--suppress-health-check", "all"])
            .stdin(Stdio::null())
            .output()
            .unwrap()
    };
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{}", said.lines().rev().take(12).collect::<Vec<_>>().join("\n"));
}
