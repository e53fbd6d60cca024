//! Tests of floods: who watches does not notice, and HTTP has an end.

#![allow(clippy::unwrap_used)]

mod support;

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A process of the load generator. Its server runs in this one.
struct Load(Child);

impl Load {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
        command.arg("load").args(args).arg("--json").stdout(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    async fn finish(self) -> Value {
        let output = tokio::task::spawn_blocking(move || self.0.wait_with_output());
        let output =
            tokio::time::timeout(Duration::from_secs(90), output).await.unwrap().unwrap().unwrap();
        assert!(output.status.success());
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

/// Begins to publish one layer for so many seconds; some of it has arrived.
async fn publish(server: &Server, seconds: &str) -> Load {
    let whip = server.url("/whip/a");
    let load =
        Load::start(&["whip", "--url", &whip, "--layers", "1", "--no-audio", "--seconds", seconds]);
    until_sum(server, "packets_in", 20).await;
    load
}

/// Waits until the shards count so many of something.
async fn until_sum(server: &Server, count: &str, least: u64) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(8);
    while support::http::sum(server, count).await < least {
        assert!(tokio::time::Instant::now() < deadline, "{count} never reaches {least}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Holds what eight viewers say to that they lost next to nothing.
fn assert_kept_their_packets(watched: &Value, under: &str) {
    assert_eq!(watched["connected"], 8, "{watched}");
    let (lost, expected) =
        (watched["lost"].as_u64().unwrap(), watched["expected"].as_u64().unwrap());
    assert!(expected > 3_000, "{watched}");
    assert!(lost * 100 <= expected, "{lost} of {expected} lost under {under}: {watched}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_keep_their_packets_while_junk_pours_in() {
    let server = Server::with_config("shards = 2\n").await;
    let whep = server.url("/whep/a");
    let udp = server.udp_addr().to_string();
    let publisher = publish(&server, "14").await;
    let viewers =
        Load::start(&["whep", "--url", &whep, "--viewers", "8", "--seconds", "4", "--ramp", "0.5"]);
    let flood = |kind: &str| {
        let rate = ["--rate", "5000", "--seconds", "7"];
        Load::start(
            &[&["flood", "--udp", &udp, "--kind", kind, "--url", &whep], &rate[..]].concat(),
        )
    };
    let floods = ["random", "stun", "hello", "wrong-password"].map(flood);

    let watched = viewers.finish().await;
    let mut sent = 0;
    for flood in floods {
        sent += flood.finish().await["datagrams"].as_u64().unwrap();
    }
    publisher.finish().await;
    assert_kept_their_packets(&watched, &format!("{sent} datagrams"));
    assert!(sent > 40_000, "{sent}");
    for count in ["dropped_stranger", "dropped_flood"] {
        assert!(support::http::sum(&server, count).await > 5_000, "{count}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn viewers_keep_their_packets_while_requests_pour_in() {
    let limits = "[limits]\naddress_requests_per_s = 20\naddress_burst = 60\n";
    let server = Server::with_config(&format!("shards = 2\n{limits}")).await;
    let whep = server.url("/whep/a");
    let publisher = publish(&server, "14").await;
    let viewers =
        Load::start(&["whep", "--url", &whep, "--viewers", "8", "--seconds", "4", "--ramp", "0.2"]);
    until_sum(&server, "sessions", 9).await;
    let client = reqwest::Client::new();
    let mut statuses = std::collections::BTreeMap::<u16, u32>::new();
    let until = tokio::time::Instant::now() + Duration::from_secs(3);
    while tokio::time::Instant::now() < until {
        let posts = (0..8).map(|_| {
            let post = client.post(&whep).header("Content-Type", "application/sdp");
            tokio::spawn(post.body(support::offers::watch()).send())
        });
        for post in posts.collect::<Vec<_>>() {
            let status = post.await.unwrap().unwrap().status().as_u16();
            *statuses.entry(status).or_default() += 1;
        }
    }

    let watched = viewers.finish().await;
    publisher.finish().await;
    assert_kept_their_packets(&watched, &format!("{statuses:?}"));
    let of = |status: u16| statuses.get(&status).copied().unwrap_or(0);
    assert!(of(429) > 200, "{statuses:?}");
    assert!((1..=60 + 20 * 6).contains(&of(201)), "{statuses:?}");
    assert_eq!(of(201) + of(429), statuses.values().sum::<u32>(), "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_viewers_are_let_in_while_as_much_leaves_as_may() {
    let server = Server::with_config("max_total_bitrate = \"200k\"\n").await;
    let whep = server.url("/whep/a");
    let publisher = publish(&server, "12").await;
    let client = reqwest::Client::new();
    let join = async || {
        let post = client.post(&whep).header("Content-Type", "application/sdp");
        post.body(support::offers::watch()).send().await.unwrap()
    };
    assert_eq!(join().await.status(), 201, "nothing leaves yet");
    let viewers = ["--viewers", "3", "--seconds", "5", "--ramp", "0.1"];
    let viewers = Load::start(&[&["whep", "--url", &whep], &viewers[..]].concat());
    let deadline = tokio::time::Instant::now() + Duration::from_secs(8);
    let refused = loop {
        let answer = join().await;
        if answer.status() != 201 {
            break answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "they are let in for ever");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(refused.status(), 503);
    assert!(refused.headers().contains_key("retry-after"));
    let watched = viewers.finish().await;
    assert_eq!(watched["connected"], 3, "who is there stays: {watched}");
    publisher.finish().await;
}

#[tokio::test]
async fn connections_above_the_limit_are_turned_away_until_one_ends() {
    let server = Server::with_config("max_http_connections = 3\n").await;
    let address = server.url("").trim_start_matches("http://").to_owned();
    let ask = async |stream: &mut TcpStream| {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).await?;
        std::io::Result::Ok(String::from_utf8(answer).unwrap())
    };
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        assert_eq!(ask(&mut stream).await.unwrap(), "HTTP/1.1 200");
        open.push(stream);
    }
    let mut one_too_many = TcpStream::connect(&address).await.unwrap();
    let mut answer = String::new();
    one_too_many.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after"), "{answer}");

    open.pop();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        if ask(&mut stream).await.is_ok_and(|answer| answer == "HTTP/1.1 200") {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "the place comes back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
