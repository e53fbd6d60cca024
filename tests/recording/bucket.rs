//! Recordings in a bucket of S3, which is away for a while.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Client;

use crate::{Player, Process, Publisher, is, lasts, text};

/// A server that speaks S3, on a port that the system chose.
struct S3 {
    child: Child,
    url: String,
}

impl S3 {
    async fn start() -> Self {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).unwrap_or_else(|| {
            PathBuf::from(std::env::var_os("HOME").expect("a home folder")).join(".cache")
        });
        let program = cache.join("whitewater/moto/bin/moto_server");
        assert!(program.exists(), "moto is missing: run scripts/setup.sh tests");
        let mut child = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line[line.find("http://")?..].trim().to_owned()))
            .expect("it says where it listens");
        std::thread::spawn(move || lines.for_each(drop));
        let made = Client::new().put(format!("{url}/recordings")).send().await.unwrap();
        assert_eq!(made.status(), 200, "a bucket is made");
        Self { child, url }
    }

    /// Stops to answer, and goes on later.
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
    }

    fn config(&self) -> String {
        format!(
            "[recording]\ns3_bucket = \"recordings\"\ns3_prefix = \"here\"\ns3_endpoint = \"{}\"\n\
             s3_region = \"us-east-1\"\ns3_access_key_id = \"a\"\ns3_secret_access_key = \"b\"\n",
            self.url
        )
    }

    /// The names of all objects.
    async fn names(&self) -> Vec<String> {
        let url = format!("{}/recordings?list-type=2&max-keys=10000", self.url);
        let text = Client::new().get(url).send().await.unwrap().text().await.unwrap();
        let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        keys.map(str::to_owned).collect()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_that_is_away_for_half_a_minute_misses_nothing() {
    let s3 = S3::start().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data, &s3.config());
    let player = Player::of(&server.url);
    let publisher = Publisher::start(&server.url, "cam", 1);
    let going = player.wait("cam", "four seconds long", lasts(4.0)).await;
    s3.signal(Signal::SIGSTOP);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let spooled = player.metric("whitewater_recordings_spooled_bytes").await;
    assert!(spooled > 0.0, "what is recorded waits on disk");
    // Even now it can be played, from the spool.
    let now = player.recordings("cam").await;
    assert_eq!(text(&now[0], "state"), "recording");
    s3.signal(Signal::SIGCONT);
    drop(publisher);
    let ready = player.wait("cam", "ready", is("ready")).await;
    assert_eq!(ready["id"], going["id"]);
    let due = Instant::now() + Duration::from_secs(60);
    while std::fs::read_dir(data.join("spool")).unwrap().next().is_some() {
        assert!(Instant::now() < due, "the spool is not emptied: {:?}", s3.names().await);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let names = s3.names().await;
    assert!(names.iter().all(|name| name.starts_with("here/cam/")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("/end.json")), "{names:?}");
    for (name, segments, gaps, _) in player.play(text(&ready, "hls")).await {
        assert!(segments >= 15 && gaps <= 1, "{name}: {segments} segments, {gaps} gaps");
    }
    drop(server);
    // Another server finds it there.
    let other = Process::start(&folder.path().join("other"), &s3.config());
    let player = Player::of(&other.url);
    let found = player.wait("cam", "found", is("ready")).await;
    player.play(text(&found, "hls")).await;
    let path = format!("/api/v1/recordings/{}", text(&found, "id"));
    assert_eq!(player.client_delete(&path).await.0, 204);
    assert_eq!(s3.names().await, [] as [String; 0], "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_had_not_sent_goes_up_at_its_next_start() {
    let s3 = S3::start().await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let server = Process::start(&data, &s3.config());
    let player = Player::of(&server.url);
    let publisher = Publisher::start(&server.url, "cam", 1);
    player.wait("cam", "two seconds long", lasts(2.0)).await;
    s3.signal(Signal::SIGSTOP);
    player.wait("cam", "eight seconds long", lasts(8.0)).await;
    server.kill();
    drop(publisher);
    s3.signal(Signal::SIGCONT);
    let server = Process::start(&data, &s3.config());
    let player = Player::of(&server.url);
    let closed = player.wait("cam", "closed", is("ready")).await;
    assert!(closed["duration_s"].as_f64().unwrap() >= 8.0, "{closed}");
    player.play(text(&closed, "hls")).await;
    drop(server);
}
