//! A test of a server on a system that lacks the encoder of pictures.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::symlink;
use std::process::{Child, Command, Stdio};

use gstreamer as gst;

use super::support::Server;
use super::{get, index, vp8};

/// A process that ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_encoder_there_is_sound_and_the_log_names_the_package() {
    gst::init().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    std::fs::create_dir(&plugins).unwrap();
    let x264 = gst::Registry::get().find_plugin("x264").unwrap().filename().unwrap();
    for file in std::fs::read_dir(x264.parent().unwrap()).unwrap() {
        let file = file.unwrap().path();
        if file != x264 && file.extension().is_some_and(|end| end == "so") {
            symlink(&file, plugins.join(file.file_name().unwrap())).unwrap();
        }
    }
    let process = Command::new(env!("CARGO_BIN_EXE_whitewater"))
        .args(["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--data"])
        .arg(folder.path().join("data"))
        .env("GST_PLUGIN_SYSTEM_PATH_1_0", &plugins)
        .env("GST_REGISTRY", folder.path().join("registry"))
        .env("WHITEWATER_RECORDING_ENABLED", "false")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut process = Process(process.unwrap());
    let mut first = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut first).unwrap();
    let url = first.strip_prefix("whitewater listens on ").unwrap();
    let server = Server::elsewhere(url.split(' ').next().unwrap().trim());

    let publisher = vp8::Publisher::start(&server, "show").await;
    let index = index(&server, "show").await;
    assert!(index.contains("/aac.m3u8") && !index.contains("RESOLUTION"), "{index}");
    assert!(get(&server, "/healthz").await.0.is_success());
    drop(publisher);
    process.0.kill().unwrap();
    let mut log = String::new();
    process.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    let said: Vec<_> = log.lines().filter(|line| line.contains("WARN")).collect();
    let sentence = "GStreamer lacks x264enc: install the Debian package gstreamer1.0-plugins-ugly";
    let named = said.iter().filter(|line| line.contains(sentence)).count();
    assert_eq!(named, 1, "{log}");
}
