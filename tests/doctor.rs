//! Tests of the doctor: what it finds where media would not flow, and that it finds nothing where it does.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with a configuration.
fn folder(toml: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let text = format!("data = {:?}\n{toml}", data.display().to_string());
    fs::write(folder.path().join("whitewater.toml"), text).unwrap();
    folder
}

/// Both ports are the system's to choose unless the configuration names them.
const LOOPBACK: &str = "http = \"127.0.0.1:0\"\nudp = \"127.0.0.1:0\"\n";

fn doctor(folder: &Path, more: &[&str]) -> Output {
    let config = folder.join("whitewater.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    command.args(["doctor", "--config"]).arg(config).args(more).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Lines of a level, as the page shows them.
fn lines<'a>(text: &'a str, level: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(level)).collect()
}

#[test]
fn a_machine_that_is_well_has_no_problem() {
    let folder = folder(LOOPBACK);
    let output = doctor(folder.path(), &[]);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(lines(&text, "PROBLEM").is_empty(), "{text}");
    for what in ["a datagram to 127.0.0.1", "a connection to 127.0.0.1", "can be written to"] {
        assert!(text.contains(what), "{what}: {text}");
    }
    assert!(!folder.path().join("data").exists(), "it leaves nothing behind");
    let json: Value = serde_json::from_str(&said(&doctor(folder.path(), &["--json"]))).unwrap();
    let findings = json.as_array().unwrap();
    assert_eq!(findings.len(), text.lines().count());
    assert!(findings.iter().all(|one| one["level"] != "problem"), "{json}");
}

#[test]
fn each_thing_that_is_wrong_is_one_line_with_what_to_do() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let http = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let (udp_at, http_at) = (udp.local_addr().unwrap(), http.local_addr().unwrap());
    let tcp_at = tcp.local_addr().unwrap();
    let rows = [
        (
            format!("udp = \"{udp_at}\"\nhttp = \"127.0.0.1:0\"\n"),
            "media port: udp 127.0.0.1:",
            "--udp",
        ),
        (
            format!("http = \"{http_at}\"\nudp = \"127.0.0.1:0\"\n"),
            "http port: tcp 127.0.0.1:",
            "--http",
        ),
        (
            format!("http = \"127.0.0.1:0\"\nudp = \"{tcp_at}\"\n"),
            "media port over tcp: tcp 127.0.0.1:",
            "ss -lnp",
        ),
        (
            "http = \"127.0.0.1:0\"\nudp = \"203.0.113.7:7000\"\ninsecure_open = true\n".into(),
            "media port: udp 203.0.113.7:7000 is no address of this machine",
            "public_ips",
        ),
        ("http = \"0.0.0.0:0\"\n".into(), "configuration: http is 0.0.0.0:0", "insecure-open"),
        ("http = 5\n".into(), "configuration: ", "docs/configuration.md"),
        (
            format!("{LOOPBACK}tls_cert = \"/none/c.pem\"\ntls_key = \"/none/k.pem\"\n"),
            "tls: /none/c.pem cannot be read",
            "name another file",
        ),
        (
            "http = \"0.0.0.0:0\"\nudp = \"127.0.0.1:0\"\ninsecure_open = true\n".into(),
            "advertised addresses: others get no media from 127.0.0.1",
            "public_ips",
        ),
    ];
    for (toml, what, todo) in rows {
        let folder = folder(&toml);
        let output = doctor(folder.path(), &[]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{toml}{text}");
        let found = lines(&text, "PROBLEM");
        assert!(
            found.iter().any(|line| line.contains(what) && line.contains(todo)),
            "{toml}{text}"
        );
    }
}

#[test]
fn a_data_folder_that_is_a_file_and_an_unreadable_configuration_are_told() {
    let folder = folder(LOOPBACK);
    fs::write(folder.path().join("data"), "a file").unwrap();
    let text = said(&doctor(folder.path(), &[]));
    assert!(text.contains("data is no folder"), "{text}");
    let nowhere = said(&doctor(Path::new("/none"), &[]));
    assert!(nowhere.contains("/none/whitewater.toml cannot be read"), "{nowhere}");
}

#[test]
fn a_public_address_that_is_not_ours_is_one_to_forward() {
    let folder = folder(&format!("{LOOPBACK}public_ips = [\"203.0.113.9\"]\n"));
    let output = doctor(folder.path(), &[]);
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    let found = lines(&text, "warning");
    assert!(found.iter().any(|line| line.contains("forward udp port")), "{text}");
    assert!(found.iter().any(|line| line.contains("forward tcp port")), "{text}");
}

/// It needs root, as the tests with networks do.
#[test]
fn a_firewall_that_drops_media_is_found() {
    let folder = folder("http = \"127.0.0.1:8080\"\nudp = \"127.0.0.1:7000\"\n");
    let script = format!(
        "ip link set lo up && nft add table inet t && \
         nft 'add chain inet t in {{ type filter hook input priority 0; }}' && \
         nft add rule inet t in udp dport 7000 drop && \
         nft add rule inet t in tcp dport 7000 reject with tcp reset && \
         exec {} doctor --config {}",
        env!("CARGO_BIN_EXE_whitewater"),
        folder.path().join("whitewater.toml").display()
    );
    let output = Command::new("unshare").args(["--net", "sh", "-c", &script]).output().unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let found = lines(&text, "PROBLEM");
    assert_eq!(found.len(), 2, "{text}");
    assert!(found[0].contains("udp: a datagram to 127.0.0.1:7000 does not arrive"), "{text}");
    assert!(found[1].contains("tcp: a connection to 127.0.0.1:7000 is not taken"), "{text}");
}
