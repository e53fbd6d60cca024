//! Tests of `/metrics`: what a monitoring system reads while a stream is published, watched and played.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use support::told::Told;
use support::{Server, http};

struct Publisher(Child);

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn publish(server: &Server, stream: &str) -> Publisher {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    command.args(["load", "whip", "--layers", "3", "--seconds", "60", "--url"]);
    command.arg(server.url(&format!("/whip/{stream}")));
    Publisher(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
}

/// A Prometheus that ends with the test.
struct Prometheus {
    process: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Prometheus {
    fn scraping(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let target = server.url("").trim_start_matches("http://").to_owned();
        let config = format!(
            "scrape_configs:\n  - job_name: whitewater\n    scrape_interval: 1s\n    \
             scrape_timeout: 1s\n    static_configs:\n      - targets: [\"{target}\"]\n"
        );
        let path = folder.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        // It does not say which port it was given.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
            .arg(format!("--web.listen-address={free}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus is installed");
        Self { process, url: format!("http://{free}"), _folder: folder }
    }

    /// What a query gives now; `None` where it gives nothing.
    async fn asked(&self, query: &str) -> Option<f64> {
        let url = format!("{}/api/v1/query", self.url);
        let url = reqwest::Url::parse_with_params(&url, [("query", query)]).unwrap();
        let answer = Client::new().get(url).send().await.ok()?;
        let answer: serde_json::Value = answer.json().await.ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn get(server: &Server, path: &str) -> (StatusCode, String) {
    let response = Client::new().get(server.url(path)).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// Players that a cache would hide are counted by what they say.
async fn players_say_how_they_fare(server: &Server) {
    let mut told = Told::read(server, "/api/v1/events?stream=show").await;
    let say = async |player: &str, more: &str| {
        let body = format!(r#"{{"stream":"show","player":"player-{player}"{more}}}"#);
        let response = Client::new().post(server.url("/api/v1/beacon")).body(body).send().await;
        assert_eq!(response.unwrap().status(), 204, "{player}");
    };
    say(
        "one",
        r#","protocol":"hls","startup_ms":900,"latency_ms":2100,"stalls":1,"stalled_ms":500"#,
    )
    .await;
    say("two", r#","protocol":"hls""#).await;
    say("three", r#","protocol":"whep","latency_ms":160"#).await;
    say("four", r#","protocol":"dash""#).await;
    assert_eq!(http::api(server, "streams/show").await["hls_viewers"], 2);
    assert_eq!(http::api(server, "streams/show").await["dash_viewers"], 1);
    told.until("hlsviewercount", |data| data["hlsviewercount"] == 2).await;
    told.until("dashviewercount", |data| data["dashviewercount"] == 1).await;
    let text = get(server, "/metrics").await.1;
    for (name, expected) in [
        ("whitewater_stream_hls_viewers", 2.0),
        ("whitewater_stream_dash_viewers", 1.0),
        ("whitewater_viewers", 3.0),
        ("whitewater_beacons_total", 4.0),
        ("whitewater_player_startup_seconds_count", 1.0),
        ("whitewater_glass_to_glass_latency_seconds_count", 2.0),
        ("whitewater_player_stalls_total", 1.0),
        ("whitewater_player_stalled_seconds_total", 0.5),
    ] {
        assert_eq!(value(&text, name), expected, "{name}\n{text}");
    }
    say("one", r#","protocol":"hls","ended":true"#).await;
    say("two", r#","protocol":"hls","ended":true"#).await;
    told.until("hlsviewercount", |data| data["hlsviewercount"] == 0).await;
    for (ended, status) in [("false", 404), ("true", 204)] {
        let body = format!(
            r#"{{"stream":"none","player":"player-one","protocol":"hls","ended":{ended}}}"#
        );
        let response = Client::new().post(server.url("/api/v1/beacon")).body(body).send().await;
        assert_eq!(response.unwrap().status(), status, "of a stream that is not live: {ended}");
    }
}

/// The dashboard and the alert rules name metrics of this text alone.
fn every_metric_that_is_looked_at_exists(text: &str) {
    let samples: BTreeSet<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    for file in [
        include_str!("../deploy/grafana/dashboards/whitewater.json"),
        include_str!("../deploy/prometheus/whitewater.rules.yml"),
        include_str!("../deploy/prometheus/whitewater.test.yml"),
    ] {
        let named = file.match_indices("whitewater_").map(|(at, _)| {
            let rest = &file[at..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())]
        });
        let missing: BTreeSet<_> = named.filter(|name| !samples.contains(name)).collect();
        assert!(missing.is_empty(), "{missing:?} are in no /metrics:\n{text}");
    }
}

/// The sum of what begins with a name, whatever its labels.
fn value(text: &str, name: &str) -> f64 {
    let lines = text
        .lines()
        .filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_counted_and_prometheus_reads_it() {
    // A webhook that nobody answers for, so that its metrics are there.
    let webhook = "[[webhooks]]\nurl = \"http://127.0.0.1:1/\"\n\
                   secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n";
    let server = Server::with_config(webhook).await;
    let before = get(&server, "/metrics").await.1;
    assert_eq!(value(&before, "whitewater_sessions"), 0.0);
    let publisher = publish(&server, "show");
    let expected = [
        ("whitewater_sessions", 1.0),
        ("whitewater_streams", 1.0),
        ("whitewater_packets_received_total", 100.0),
        ("whitewater_keyframe_requests_total", 1.0),
        ("whitewater_layer_bitrate_bps", 100_000.0),
        ("whitewater_hls_requests_total", 1.0),
        ("whitewater_hls_epochs_total", 1.0),
        ("whitewater_hls_parts_total", 10.0),
        ("whitewater_hls_part_latency_seconds_count", 10.0),
        // The keyframes of a tick are compared when the next one comes.
        ("whitewater_layer_keyframe_skew_seconds_count", 2.0),
    ];
    let deadline = Instant::now() + Duration::from_secs(60);
    let text = loop {
        let _ = get(&server, "/hls/show/index.m3u8").await;
        let (status, text) = get(&server, "/metrics").await;
        assert_eq!(status, 200);
        let below = expected.iter().find(|(name, least)| value(&text, name) < *least);
        let Some((name, least)) = below else { break text };
        assert!(Instant::now() < deadline, "{name} stays below {least}:\n{text}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    players_say_how_they_fare(&server).await;
    every_metric_that_is_looked_at_exists(&get(&server, "/metrics").await.1);
    // Layers of one source begin their segments with the same picture.
    let aligned = "whitewater_layer_keyframe_skew_seconds_bucket{le=\"0.04\"}";
    let all = value(&text, "whitewater_layer_keyframe_skew_seconds_count");
    let at_once = text.lines().find_map(|line| line.strip_prefix(aligned)).unwrap();
    assert!(at_once.trim().parse::<f64>().unwrap() >= all / 2.0, "{text}");

    let prometheus = Prometheus::scraping(&server);
    let deadline = Instant::now() + Duration::from_secs(60);
    while prometheus.asked("sum(whitewater_packets_received_total)").await.unwrap_or(0.0) < 100.0 {
        assert!(Instant::now() < deadline, "Prometheus has read nothing");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let shares = "histogram_quantile(0.5, whitewater_forwarding_delay_seconds_bucket)";
    assert!(prometheus.asked(shares).await.is_some(), "histograms are understood");
    drop(publisher);
}

#[tokio::test]
async fn they_are_for_administrators_where_there_are_any() {
    let server = Server::with_config("[auth]\njwt_secret = \"a secret of some length\"\n").await;
    assert_eq!(get(&server, "/metrics").await.0, 401);
}
