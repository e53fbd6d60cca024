//! Tests of a server process that is told to stop while it is at work.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use whitewater_core::media::Kind;
use whitewater_core::rtc::CloseReason;

use crate::support::camera::{Camera, Style};
use crate::support::http::As;
use crate::support::peer::{Ask, Peer};
use crate::support::told::Told;
use crate::support::{Server, http, offers};

/// A server in a process of its own, which ends with its test.
struct Process {
    child: Child,
    server: Server,
}

// === impl Process ===

impl Process {
    fn start(args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WHITEWATER_")) {
            command.env_remove(name);
        }
        command.args(["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0"]).args(args);
        command.env("WHITEWATER_RECORDING_ENABLED", "false");
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = said.next().unwrap().unwrap();
        let url = first.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        Self { server: Server::elsewhere(url), child }
    }

    fn tell_to_stop(&self) {
        let killed = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    async fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < limit, "it does not stop within {limit:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn status(server: &Server, path: &str) -> u16 {
    reqwest::get(server.url(path)).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_takes_nobody_in_and_tells_everybody() {
    let mut process = Process::start(&["--drain-delay-s", "3"]);
    let server = &process.server;
    let publisher = Peer::publish(server, "a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 30).await;
    let mut told_of = Told::read(server, "/api/v1/events?stream=a").await;
    told_of.event("active").await;
    assert_eq!(status(server, "/readyz").await, 200);

    process.tell_to_stop();
    let told = Instant::now();
    while status(server, "/readyz").await != 503 {
        assert!(told.elapsed() < Duration::from_secs(3), "it says that it is ready");
    }
    assert_eq!(status(server, "/healthz").await, 200, "it is alive");
    for (path, offer) in
        [("/whip/b", offers::publish_simulcast()), ("/whip/a", offers::publish_simulcast())]
    {
        let who = As { replaces: None, token: None };
        let response = http::post(server, path, &offer, who).await;
        assert_eq!(response.status(), 503, "{path}");
        assert_eq!(response.headers()["retry-after"], "2", "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
    }
    let response = http::post(server, "/whep/a", &offers::watch(), As::default()).await;
    assert_eq!(response.status(), 503, "nobody new watches");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["type"], "urn:whitewater:closing", "which is not that it is full");
    // Who was there goes on until the delay is over.
    assert_eq!(viewer.log(|log| log.closed.clone()), None);
    let before = viewer.log(|log| log.count(Kind::Video));
    viewer.until("the picture goes on", 2, |log| log.count(Kind::Video) > before).await;

    told_of.event("reconnect").await;
    assert_eq!(viewer.log(|log| log.closed.clone()), None, "it may take its time");
    for peer in [&viewer, &publisher] {
        peer.until("it is told", 6, |log| log.closed.is_some()).await;
        assert_eq!(peer.log(|log| log.closed.clone()), Some(CloseReason::PeerClosed));
    }
    for kind in [Kind::Audio, Kind::Video] {
        let ssrc = viewer.section(kind).ssrc.unwrap();
        assert!(viewer.log(|log| log.byes.contains(&ssrc)), "the {kind} says goodbye");
    }
    let exit = process.ends_within(Duration::from_secs(10)).await;
    assert!(exit.success(), "{exit}");
    assert!(told.elapsed() < Duration::from_secs(11), "{:?}", told.elapsed());
}

#[tokio::test]
async fn without_a_delay_sessions_end_at_once_and_a_stalled_request_holds_nothing_up() {
    let mut process = Process::start(&["--drain-timeout-s", "8"]);
    let server = &process.server;
    let publisher = Peer::publish(server, "a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(server, "a", &Ask::default()).await.connected().await;
    let address = server.url("").replace("http://", "");
    let mut stalled = TcpStream::connect(address).unwrap();
    let head = "POST /whip/b HTTP/1.1\r\nhost: x\r\ncontent-type: application/sdp\r\n\
                content-length: 1000\r\n\r\nv=0";
    stalled.write_all(head.as_bytes()).unwrap();

    process.tell_to_stop();
    let told = Instant::now();
    for peer in [&viewer, &publisher] {
        peer.until("it is told", 3, |log| log.closed.is_some()).await;
    }
    let exit = process.ends_within(Duration::from_secs(8)).await;
    assert!(exit.success(), "{exit}");
    assert!(told.elapsed() < Duration::from_secs(8), "{:?}", told.elapsed());
}

#[tokio::test]
async fn told_twice_a_server_stops_at_once() {
    let mut process = Process::start(&["--drain-delay-s", "50", "--drain-timeout-s", "60"]);
    process.tell_to_stop();
    while status(&process.server, "/readyz").await != 503 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    process.tell_to_stop();
    let exit = process.ends_within(Duration::from_secs(5)).await;
    assert_eq!(exit.code(), Some(1), "{exit}");
}
