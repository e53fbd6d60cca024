//! Tests of recording as its users see it: what was live is replayed, whatever befell the server.

#![allow(clippy::unwrap_used)]

mod support;

#[path = "recording/back.rs"]
mod back;

#[path = "recording/bucket.rs"]
mod bucket;

#[path = "recording/disk.rs"]
mod disk;

#[path = "recording/house.rs"]
mod house;

#[path = "recording/killed.rs"]
mod killed;

#[path = "recording/replayed.rs"]
mod replayed;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;

/// A publisher of real frames that ends with the test.
struct Publisher(Child);

impl Publisher {
    fn start(url: &str, stream: &str, layers: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
        command.args(["load", "whip", "--seconds", "300", "--layers", &layers.to_string()]);
        command.args(["--url", &format!("{url}/whip/{stream}")]);
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server in a process of its own, which can be killed.
struct Process {
    child: Child,
    url: String,
}

impl Process {
    /// One whose data is in a folder; `more` is added to its configuration.
    fn start(data: &Path, more: &str) -> Self {
        Self::try_start(data, more).unwrap_or_else(|said| panic!("it does not start: {said}"))
    }

    fn try_start(data: &Path, more: &str) -> Result<Self, String> {
        use std::io::{BufRead, BufReader, Read};
        std::fs::create_dir_all(data.parent().unwrap()).unwrap();
        let config = data.with_extension("toml");
        std::fs::write(&config, more).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_whitewater"))
            .args(["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--log", "info"])
            .arg("--config")
            .arg(&config)
            .arg("--data")
            .arg(data)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut out, mut url) = (BufReader::new(child.stdout.take().unwrap()), None);
        let mut line = String::new();
        while out.read_line(&mut line).unwrap() > 0 {
            if let Some(at) = line.find("http://") {
                url = line[at..].split_whitespace().next().map(str::to_owned);
                break;
            }
            line.clear();
        }
        let mut err = child.stderr.take().unwrap();
        let Some(url) = url else {
            let mut said = String::new();
            err.read_to_string(&mut said).unwrap();
            child.wait().unwrap();
            return Err(said);
        };
        // Somebody has to read what it says.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        std::thread::spawn(move || std::io::copy(&mut err, &mut std::io::stderr()));
        Ok(Self { child, url })
    }

    /// Ends it as a power cut would.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A player's view of a server.
struct Player {
    client: Client,
    url: String,
}

impl Player {
    fn of(url: &str) -> Self {
        Self { client: Client::new(), url: url.into() }
    }

    async fn get(&self, path: &str) -> (StatusCode, Vec<u8>) {
        let response = self.client.get(format!("{}{path}", self.url)).send().await.unwrap();
        let status = response.status();
        (status, response.bytes().await.map(|bytes| bytes.to_vec()).unwrap_or_default())
    }

    async fn text(&self, path: &str) -> String {
        let (status, bytes) = self.get(path).await;
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(status, 200, "{path}: {text}");
        text
    }

    async fn bytes(&self, path: &str) -> Vec<u8> {
        let (status, bytes) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        bytes
    }

    /// The recordings of a stream, the newest first.
    async fn recordings(&self, stream: &str) -> Vec<Value> {
        let text = self.text(&format!("/api/v1/recordings?stream={stream}")).await;
        let page: Value = serde_json::from_str(&text).unwrap();
        page["items"].as_array().unwrap().clone()
    }

    /// Waits for a recording of the stream of which something holds.
    async fn wait(&self, stream: &str, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let due = Instant::now() + Duration::from_secs(45);
        loop {
            let all = self.recordings(stream).await;
            if let Some(found) = all.iter().find(|one| holds(one)) {
                return found.clone();
            }
            assert!(Instant::now() < due, "no recording of {stream} is {what}: {all:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// The media playlists of a multivariant one: their names and themselves.
    async fn playlists(&self, index: &str) -> Vec<(String, m3u8_rs::MediaPlaylist)> {
        let text = self.text(index).await;
        let (_, index_of) = m3u8_rs::parse_master_playlist(text.as_bytes()).unwrap();
        let sound = index_of.alternatives.iter().filter_map(|one| one.uri.clone());
        let mut uris: Vec<_> =
            index_of.variants.iter().map(|one| one.uri.clone()).chain(sound).collect();
        uris.sort();
        uris.dedup();
        let folder = index.rsplit_once('/').unwrap().0;
        let mut all = Vec::new();
        for uri in uris {
            let text = self.text(&format!("{folder}/{uri}")).await;
            let (rest, playlist) = m3u8_rs::parse_media_playlist(text.as_bytes()).unwrap();
            assert!(rest.is_empty(), "{text}");
            all.push((uri.trim_end_matches(".m3u8").to_owned(), playlist));
        }
        all
    }

    /// Plays a recording from its first segment to its last: every segment that a playlist names is
    /// there and follows the one before. Gives each rendition's name, segments, gaps and seconds.
    async fn play(&self, index: &str) -> Vec<(String, usize, usize, f64)> {
        let folder = index.rsplit_once('/').unwrap().0.to_owned();
        let mut played = Vec::new();
        for (name, playlist) in self.playlists(index).await {
            let (mut gaps, mut end, mut init) = (0, None::<i64>, None);
            for segment in &playlist.segments {
                if let Some(map) = &segment.map {
                    let bytes = self.bytes(&format!("{folder}/{}", map.uri)).await;
                    assert_eq!(&bytes[4..8], b"ftyp", "{name}");
                    init = Some(bytes);
                }
                if segment.unknown_tags.iter().any(|tag| tag.tag == "X-GAP") {
                    (gaps, end) = (gaps + 1, None);
                    continue;
                }
                assert!(init.is_some(), "{name}: a segment without an initialization section");
                let bytes = self.bytes(&format!("{folder}/{}", segment.uri)).await;
                let extent = whitewater_core::package::file::extent(&bytes);
                let (start, lasts) =
                    extent.unwrap_or_else(|| panic!("{}: no segment", segment.uri));
                let beside = end.map_or(0, |end| (start - end).abs());
                assert!(beside <= lasts as i64 / 10, "{}: {beside} ticks beside", segment.uri);
                end = Some(start + lasts as i64);
            }
            let seconds = playlist.segments.iter().map(|one| f64::from(one.duration)).sum();
            played.push((name, playlist.segments.len() - gaps, gaps, seconds));
        }
        assert!(!played.is_empty(), "{index} names nothing");
        played
    }

    /// The value of a metric.
    async fn metric(&self, name: &str) -> f64 {
        let text = self.text("/metrics").await;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no metric {name}")).parse().unwrap()
    }
}

/// Whether a recording has lasted for so long.
fn lasts(seconds: f64) -> impl Fn(&Value) -> bool {
    move |one| one["duration_s"].as_f64().unwrap() >= seconds
}

/// Whether a recording is in a state.
fn is(state: &'static str) -> impl Fn(&Value) -> bool {
    move |one| one["state"] == state
}

fn text<'a>(recording: &'a Value, key: &str) -> &'a str {
    recording[key].as_str().unwrap()
}
