//! A scene of real programs around a wire: the server and a publisher at its near end, viewers at the
//! far one.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::wire::Wire;

/// A server with a stream that three layers are published of.
pub(crate) struct Scene {
    /// The wire to viewers.
    pub(crate) wire: Wire,
    children: Vec<Child>,
    _data: tempfile::TempDir,
    _alone: MutexGuard<'static, ()>,
}

/// Scenes come one after the other: they measure time.
static ALONE: Mutex<()> = Mutex::new(());

/// How much the publisher's highest layer has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trace {
    /// 1.1 Mbit/s.
    Small,
    /// 2.5 Mbit/s.
    Large,
}

/// What a viewer saw after its first five seconds; what no test judges is printed.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "it is printed")]
pub(crate) struct Seen {
    /// Frames decoded.
    pub(crate) frames: u64,
    /// Freezes as the browser counts them.
    pub(crate) freezes: u64,
    /// The longest time from one frame shown to the next.
    pub(crate) longest_freeze_ms: f64,
    /// Bits per second that arrived.
    pub(crate) bps: f64,
    /// The heights of the picture, in the order they came in, first five seconds included.
    pub(crate) heights: Vec<u64>,
    /// Seconds until the first frame.
    pub(crate) first_frame_s: f64,
}

// === impl Scene ===

impl Scene {
    /// Starts it all and waits until the stream's layers arrive.
    pub(crate) fn open(trace: Trace) -> Self {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let wire = Wire::lay();
        let data = tempfile::tempdir().unwrap();
        let program = env!("CARGO_BIN_EXE_whitewater");
        let near = Wire::NEAR;
        let mut server = wire.near.command(program);
        server.args(["serve", "--insecure-open", "--http", &format!("{near}:{HTTP_PORT}")]);
        server.args(["--udp", &format!("{near}:{UDP_PORT}")]).arg("--data").arg(data.path());
        server.env("WHITEWATER_RECORDING_ENABLED", "false");
        let mut server = start(&mut server);
        let mut said = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut said).unwrap();
        assert!(said.starts_with("whitewater listens on"), "{said}");
        let mut publisher = wire.near.command(program);
        let trace = match trace {
            Trace::Small => "browser-1100k-4ppf",
            Trace::Large => "browser-2500k-30fps",
        };
        publisher.args(["load", "whip", "--layers", "3", "--trace", trace, "--url"]);
        publisher.arg(format!("http://{near}:{HTTP_PORT}/whip/{STREAM}"));
        let publisher = start(&mut publisher);
        let scene = Self { wire, children: vec![publisher, server], _data: data, _alone: alone };
        scene.wait_for_layers();
        scene
    }

    /// Lets a browser watch for so long after its first five seconds.
    pub(crate) fn browser(&self, seconds: u64) -> Seen {
        install_browser_driver();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/networks/watch.mjs");
        let mut command = self.wire.far.command("node");
        command.args([script, STREAM, &seconds.to_string()]);
        command.env("WHITEWATER_URL", format!("http://{}:{HTTP_PORT}", Wire::NEAR));
        let json = answer(&mut command);
        let number = |name: &str| json[name].as_f64().unwrap_or_else(|| panic!("{name}: {json}"));
        let heights = json["heights"].as_array().unwrap();
        Seen {
            frames: number("frames") as u64,
            freezes: number("freezes") as u64,
            longest_freeze_ms: number("longestFreezeMs"),
            bps: number("bps"),
            heights: heights.iter().filter_map(Value::as_u64).collect(),
            first_frame_s: number("firstFrameS"),
        }
    }

    /// Lets viewers of the load generator watch for so long after their first five seconds, and
    /// returns their figures.
    pub(crate) fn load(&self, viewers: u32, seconds: u64) -> Value {
        let mut command = self.wire.far.command(env!("CARGO_BIN_EXE_whitewater"));
        command.args(["load", "whep", "--json", "--verify", "all", "--settle", "5"]);
        command.args(["--viewers", &viewers.to_string(), "--seconds", &seconds.to_string()]);
        command.args(["--url", &format!("http://{}:{HTTP_PORT}/whep/{STREAM}", Wire::NEAR)]);
        answer(&mut command)
    }

    fn wait_for_layers(&self) {
        let url = format!("http://{}:{HTTP_PORT}/api/v1/streams/{STREAM}", Wire::NEAR);
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let output = self.wire.near.command("curl").args(["-sS", &url]).output().unwrap();
            let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            let tracks = json["tracks"].as_array().into_iter().flatten();
            let layers = tracks.flat_map(|track| track["layers"].as_array().into_iter().flatten());
            let measured = layers.filter(|layer| layer["bitrate_bps"].as_u64() > Some(0));
            // Three of the picture, one of the sound.
            if measured.count() >= 4 {
                return;
            }
            assert!(Instant::now() < end, "the layers do not arrive: {json}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What drives the browser comes from the package registry, unless it is here.
fn install_browser_driver() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");
    if !std::path::Path::new(folder).join("node_modules/playwright-core").exists() {
        let mut command = Command::new("npm");
        command.args(["ci", "--no-audit", "--no-fund"]).current_dir(folder);
        assert!(command.stdout(Stdio::null()).status().unwrap().success(), "{command:?}");
    }
}

fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WHITEWATER_")) {
        command.env_remove(name);
    }
    command.spawn().unwrap()
}

fn answer(command: &mut Command) -> Value {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

const STREAM: &str = "networks";
/// The namespace has no other servers.
const HTTP_PORT: u16 = 8080;
const UDP_PORT: u16 = 7000;
