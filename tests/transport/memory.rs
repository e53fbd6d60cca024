//! A test that opens thousands of sessions, abandons them, and looks what is left.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::Value;

use crate::support::offers;

/// A server in a process of its own, whose memory is its own too.
struct Program {
    child: Child,
    url: String,
}

impl Program {
    fn start(folder: &tempfile::TempDir) -> Self {
        let config = folder.path().join("w.toml");
        // All come from one address, which has no limit here.
        let text = "[limits]\naddress_requests_per_s = 0\n\
                    [[streams]]\nmatch = \"*\"\nreconnect_window_s = 1\n";
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_whitewater"))
            .args(["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--log", "warn"])
            .arg("--config")
            .arg(config)
            .env("WHITEWATER_RECORDING_ENABLED", "false")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split(' ').find(|word| word.starts_with("http://")).unwrap().to_owned();
        Self { child, url }
    }

    /// Resident memory in KiB.
    fn resident_kib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sessions, streams and addresses of all shards together.
    async fn gauges(&self, client: &Client) -> u64 {
        let response = client.get(format!("{}/api/v1/server", self.url)).send().await.unwrap();
        let info: Value = response.json().await.unwrap();
        let shards = info["shards"].as_array().unwrap().clone();
        let names = ["sessions", "streams", "addresses"];
        shards.iter().flat_map(|shard| names.map(|name| shard[name].as_u64().unwrap())).sum()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens a session; gives its URL.
async fn open(client: &Client, url: &str, path: &str, offer: &str) -> String {
    let request = client.post(format!("{url}{path}")).header("Content-Type", "application/sdp");
    let response = request.body(offer.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), 201, "{path}");
    format!("{url}{}", response.headers()["location"].to_str().unwrap())
}

#[tokio::test]
async fn a_thousand_abandoned_sessions_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::start(&folder);
    let client = Client::new();
    let (publish, watch) = (offers::publish_simulcast(), offers::watch());
    let mut resident = Vec::new();
    for round in 0..3 {
        let mut sessions = Vec::new();
        for stream in 0..100 {
            let name = format!("{round}-{stream}");
            let path = format!("/whip/{name}");
            sessions.push(open(&client, &program.url, &path, &publish).await);
            for _ in 0..9 {
                let path = format!("/whep/{name}");
                sessions.push(open(&client, &program.url, &path, &watch).await);
            }
        }
        assert_eq!(sessions.len(), 1_000);
        // Every tenth is a publisher; those are abandoned, with half of their viewers.
        for url in sessions.iter().skip(1).step_by(2) {
            let status = client.delete(url).send().await.unwrap().status();
            assert_eq!(status, 200, "{url}");
        }
        let opened = Instant::now();
        while program.gauges(&client).await > 0 {
            assert!(opened.elapsed() < Duration::from_secs(32), "sessions are kept");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        assert!(opened.elapsed() > Duration::from_secs(10), "a handshake may take its time");
        resident.push(program.resident_kib());
    }
    let growth = resident[2] as f64 / resident[0] as f64;
    assert!(growth <= 1.1, "resident memory in KiB after each round: {resident:?}");
}
