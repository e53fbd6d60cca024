//! Tests of the command line as a person meets it.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use whitewater::config::documented;

fn whitewater(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WHITEWATER_")) {
        command.env_remove(name);
    }
    command.args(args);
    command
}

fn refused(args: &[&str]) -> String {
    let Output { status, stdout, stderr } = whitewater(args).output().unwrap();
    assert!(!status.success());
    assert!(stdout.is_empty(), "standard output is for answers");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn help_shows_every_option_with_its_default_and_its_variable() {
    let output = whitewater(&["serve", "--help"]).output().unwrap();
    assert!(output.status.success());
    let help: String =
        String::from_utf8(output.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    for option in documented() {
        let (Some(flag), Some(variable)) = (option.flag, option.variable) else { continue };
        let default = if option.default.is_empty() { "none" } else { option.default };
        assert!(help.contains(&flag), "{flag}");
        assert!(
            help.contains(&format!("[default: {default}] [env: {variable}]")),
            "{flag}: {help}"
        );
    }
}

#[test]
fn a_mistake_is_one_sentence_before_anything_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.toml");
    fs::write(&path, "shards = 1\nmax_viwers = 5\n").unwrap();
    let path = path.to_str().unwrap();
    let rows: [(&[&str], String); 4] = [
        (
            &["serve", "--config", path],
            format!("whitewater: unknown key max_viwers in {path} line 2; is max_viewers meant?\n"),
        ),
        (
            &["serve", "--shards", "many"],
            "whitewater: bad value for shards given as --shards: \"many\" is not a whole number \
             that fits\n"
                .into(),
        ),
        (
            &["serve", "--tls-cert", "nowhere.pem", "--tls-key", "nowhere.pem"],
            "whitewater: tls_cert: nowhere.pem cannot be used: No such file or directory (os \
             error 2)\n"
                .into(),
        ),
        (
            &["serve", "--config", "nowhere.toml"],
            "whitewater: the configuration file nowhere.toml cannot be read: No such file or \
             directory (os error 2)\n"
                .into(),
        ),
    ];
    for (args, sentence) in rows {
        assert_eq!(refused(args), sentence);
    }
}

#[test]
fn a_server_that_everybody_could_use_needs_somebody_who_insists() {
    for args in [["serve", "--http", "0.0.0.0:0"], ["serve", "--udp", "[::]:0"]] {
        let sentence = refused(&args);
        assert!(sentence.contains("--insecure-open"), "{sentence}");
        assert_eq!(sentence.lines().count(), 1);
    }
}

#[test]
fn serve_says_where_it_is_and_stops_when_told() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let mut server = whitewater(&["serve", "--http", "127.0.0.1:0", "--data", data])
        .env("WHITEWATER_UDP", "127.0.0.1:0")
        .stdout(Stdio::piped())
        .spawn()
        .map(Killed)
        .unwrap();
    let mut said = BufReader::new(server.0.stdout.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let address = first.strip_prefix("whitewater listens on http://").unwrap();
    let (address, _) = address.split_once(" (media: udp 127.0.0.1:").unwrap();
    let second = said.next().unwrap().unwrap();
    assert_eq!(second.split_whitespace().last(), Some(&*format!("http://{address}/publish")));

    let mut connection = TcpStream::connect(address).unwrap();
    write!(connection, "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let recordings = folder.path().join("data/recordings");
    assert!(fs::exists(recordings).unwrap(), "recordings have a place before there are any");

    let killed = Command::new("kill").arg(server.0.id().to_string()).status().unwrap();
    assert!(killed.success());
    let asked = Instant::now();
    loop {
        if let Some(status) = server.0.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        assert!(asked.elapsed() < Duration::from_secs(20), "it does not stop");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that ends with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
