//! A crowd of clients who connect and then hardly do anything.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::support::Server;

/// A server in a process of its own, whose memory and files are not the test's.
pub(crate) struct Process {
    child: Child,
    pub(crate) server: Server,
    _folder: TempDir,
}

/// Those who do not finish their request, and those who do not read the answer.
pub(crate) struct Crowd {
    pub(crate) silent: Vec<TcpStream>,
    pub(crate) deaf: Vec<TcpStream>,
}

/// How many connections the system lets this process have, up to a number.
pub(crate) fn allowed(wanted: u64) -> u64 {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    wanted.min(hard.saturating_sub(200))
}

// === impl Process ===

impl Process {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_whitewater"))
            .args(["serve", "--http", "127.0.0.1:0", "--udp", "127.0.0.1:0", "--log", "error"])
            .arg("--data")
            .arg(folder.path())
            .env("WHITEWATER_RECORDING_ENABLED", "false")
            // All of them come from one address here.
            .env("WHITEWATER_LIMITS_ADDRESS_CONNECTIONS", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.split_whitespace().find(|word| word.starts_with("http://")).unwrap();
        let server = Server::elsewhere(url.trim_end_matches('/'));
        Self { child, server, _folder: folder }
    }

    pub(crate) fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

// === impl Crowd ===

impl Crowd {
    /// Connects so many, half of either kind.
    pub(crate) async fn connect(server: &Server, count: u64, media: &str) -> Self {
        let address = server.url("").trim_start_matches("http://").parse().unwrap();
        let (mut silent, mut deaf) = (Vec::new(), Vec::new());
        for number in 0..count {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(2_048).unwrap();
            let mut stream = socket.connect(address).await.unwrap();
            if number % 2 == 0 {
                stream.write_all(b"GET /hls/show/index.m3u8 HTTP/1.1\r\nX-").await.unwrap();
                silent.push(stream);
            } else {
                let request = format!("GET {media} HTTP/1.1\r\nHost: a\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
                deaf.push(stream);
            }
        }
        Self { silent, deaf }
    }

    /// How many of those who do not finish their request the server gives up in time.
    pub(crate) async fn given_up(&mut self, within: Duration) -> usize {
        let deadline = Instant::now() + within;
        let mut count = 0;
        for stream in &mut self.silent {
            let mut answer = Vec::new();
            let read = tokio::time::timeout_at(deadline.into(), stream.read_to_end(&mut answer));
            count += usize::from(read.await.is_ok());
        }
        count
    }
}
