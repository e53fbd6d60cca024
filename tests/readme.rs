//! Tests that run the README's commands as they stand there.
//!
//! Each runs in a network namespace of its own: the ports that the README names are free in it, and nothing
//! of it reaches the network. That needs root, or a kernel that lets anybody be root in a namespace.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How one block of the README is held to what it says.
enum How {
    /// A function here runs it.
    Run(fn(&str)),
    /// Another test does, or none can: the file that does it or says why, and a word to find there.
    Elsewhere(&'static str, &'static str),
}

/// Every block of shell commands in the README, by its first line.
const BLOCKS: &[(&str, How)] = &[
    ("make run", How::Run(make_run)),
    ("ffmpeg -re -f lavfi", How::Elsewhere("docs/clients.md", "FFmpeg")),
    ("whitewater serve --config whitewater.toml", How::Run(serve_with_a_file)),
    ("openssl rand", How::Run(tokens)),
    ("WHITEWATER_AUTH_JWT_SECRET_FILE=secret", How::Run(serve_in_the_open)),
    ("make bench", How::Elsewhere("docs/bench.md", "make bench")),
    ("whitewater load whip", How::Run(load)),
];

#[test]
fn every_block_of_commands_in_the_readme_is_known_here() {
    let blocks = blocks();
    for block in &blocks {
        let known = BLOCKS.iter().filter(|(start, _)| block.starts_with(start)).count();
        assert_eq!(known, 1, "tests/readme.rs says how to run this block of the README:\n{block}");
    }
    for (start, how) in BLOCKS {
        assert!(
            blocks.iter().any(|block| block.starts_with(start)),
            "the README has a block: {start}"
        );
        if let How::Elsewhere(file, word) = how {
            let text = fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("{file}"));
            assert!(text.contains(word), "{file} speaks of {word}");
        }
    }
}

#[test]
#[ignore = "needs a release build and a minute: make test runs it"]
fn the_commands_of_the_readme_do_what_it_says() {
    let blocks = blocks();
    for (start, how) in BLOCKS {
        let How::Run(run) = how else { continue };
        let block = blocks.iter().find(|block| block.starts_with(start)).unwrap();
        run(block);
    }
}

/// `make run` builds what is not built yet, and starts a server with pages at the addresses that are printed.
///
/// What the network is needed for is brought before.
fn make_run(block: &str) {
    let built = Command::new("make").arg("build").current_dir(root()).status().unwrap();
    assert!(built.success(), "make build");
    let room = Room::new();
    let server = room.start(block, root(), Duration::from_secs(1_800));
    for path in ["/", "/publish", "/watch/show"] {
        let page = room.get(&format!("http://127.0.0.1:8080{path}"));
        assert!(page.contains("<!doctype html>"), "{path}: {page}");
    }
    assert_eq!(room.get("http://127.0.0.1:8080/api/v1/streams"), "[]");
    server.stop();
}

fn serve_with_a_file(block: &str) {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("whitewater.toml"), "http = \"127.0.0.1:8090\"\n").unwrap();
    let server = room.start(block, folder.path(), START);
    assert_eq!(room.status("http://127.0.0.1:8090/healthz"), "200");
    server.stop();
}

fn tokens(block: &str) {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    let made = room.run(block, folder.path());
    let said = String::from_utf8_lossy(&made.stdout).into_owned();
    assert!(made.status.success(), "{said}{}", String::from_utf8_lossy(&made.stderr));
    let tokens: Vec<_> = said.lines().collect();
    assert_eq!(tokens.len(), 2, "{said}");
    assert!(tokens.iter().all(|token| token.split('.').count() == 3), "{said}");
}

fn serve_in_the_open(block: &str) {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("secret"), "0123456789abcdef0123456789abcdef").unwrap();
    let made = room.run(
        "openssl req -x509 -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
         -subj /CN=localhost -keyout key.pem -out cert.pem",
        folder.path(),
    );
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let server = room.start(block, folder.path(), START);
    assert_eq!(room.status("https://127.0.0.1:443/healthz"), "200");
    server.stop();
}

/// All lines at once, as they are meant: viewers and players find what the publisher sends.
fn load(block: &str) {
    let room = Room::new();
    let folder = tempfile::tempdir().unwrap();
    let server = room.start("whitewater serve", folder.path(), START);
    let [publish, watch, play] = block.lines().collect::<Vec<_>>()[..] else { panic!("{block}") };
    let publisher = room.spawn(publish, folder.path());
    let until = Instant::now() + START;
    while !room.get("http://127.0.0.1:8080/api/v1/streams").contains(r#""name":"demo""#) {
        assert!(Instant::now() < until, "the publisher is not live");
        thread::sleep(Duration::from_millis(100));
    }
    let players = room.spawn(play, folder.path());
    let viewers = room.run(watch, folder.path());
    let said = String::from_utf8_lossy(&viewers.stdout).into_owned();
    assert!(viewers.status.success(), "{said}{}", String::from_utf8_lossy(&viewers.stderr));
    assert!(said.contains("100 of 100 connected"), "{said}");
    let played = players.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&played.stdout).into_owned();
    assert!(played.status.success(), "{said}{}", String::from_utf8_lossy(&played.stderr));
    assert!(said.contains(" x 200"), "{said}");
    let published = publisher.wait_with_output().unwrap();
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    server.stop();
}

/// A network namespace, kept by a process that does nothing.
struct Room {
    keeper: Child,
}

impl Room {
    fn new() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--map-root-user", "--net", "--", "sh", "-c"]);
        command.arg("ip link set lo up && echo ready && exec sleep 7200");
        let mut keeper = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(keeper.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "a network namespace could not be made");
        Self { keeper }
    }

    /// A shell in the room, with the release build's programs at hand.
    fn shell(&self, script: &str, folder: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.keeper.id().to_string(), "--net", "--user"]);
        command.args(["--preserve-credentials", "--", "sh", "-c", script]);
        command.current_dir(folder).stdin(Stdio::null());
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WHITEWATER_")) {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", release().display()));
        command
    }

    fn run(&self, script: &str, folder: &Path) -> Output {
        self.shell(script, folder).output().unwrap()
    }

    fn spawn(&self, script: &str, folder: &Path) -> Child {
        let mut command = self.shell(&format!("exec {script}"), folder);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs what starts a server, and waits until it says that it listens.
    fn start(&self, script: &str, folder: &Path, within: Duration) -> Server {
        let mut command = self.shell(&format!("exec env {script}"), folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (tell, told) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|length| length > 0) {
                if line.starts_with("whitewater listens on ") {
                    let _ = tell.send(());
                }
                line.clear();
            }
            let _ = output.read_to_string(&mut line);
        });
        told.recv_timeout(within).unwrap_or_else(|_| panic!("no server listens after: {script}"));
        Server { child }
    }

    fn get(&self, url: &str) -> String {
        let output = self.run(&format!("curl --silent --show-error --insecure '{url}'"), root());
        String::from_utf8(output.stdout).unwrap()
    }

    fn status(&self, url: &str) -> String {
        let curl = "curl --silent --show-error --insecure --output /dev/null";
        let output = self.run(&format!("{curl} --write-out '%{{http_code}}' '{url}'"), root());
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}

/// A server that a command of the README started, perhaps through make.
struct Server {
    child: Child,
}

impl Server {
    /// Ends it as Ctrl-C does: the signal reaches make and what it started.
    fn stop(mut self) {
        for pid in family(self.child.id()).into_iter().rev() {
            let _ = Command::new("kill").args(["-INT", &pid.to_string()]).output();
        }
        let until = Instant::now() + START;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < until, "the server does not end");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for pid in family(self.child.id()) {
            let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).output();
        }
        let _ = self.child.wait();
    }
}

/// A process and its descendants, parents first; none once it was waited for.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let Ok(children) = children else { return Vec::new() };
    let children = children.split_whitespace().filter_map(|child| child.parse().ok());
    std::iter::once(pid).chain(children.flat_map(family)).collect()
}

/// The README's blocks of shell commands, with continued lines joined.
fn blocks() -> Vec<String> {
    let text = fs::read_to_string(root().join("README.md")).unwrap().replace("\\\n", " ");
    let fenced = text.split("```").skip(1).step_by(2);
    fenced.filter_map(|block| Some(block.strip_prefix("sh\n")?.trim().to_owned())).collect()
}

/// Where `make build` puts its programs.
fn release() -> PathBuf {
    let target = std::env::var("CARGO_TARGET_DIR")
        .map_or_else(|_| root().join("target"), |target| root().join(target));
    target.join("release")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// How long a server may take to start, or to end.
const START: Duration = Duration::from_secs(30);
