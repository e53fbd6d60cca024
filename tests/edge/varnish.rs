//! A Varnish with our configuration before an origin, until it is dropped.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub(crate) struct Varnish {
    pub(crate) address: SocketAddr,
    process: Child,
    _folder: TempDir,
}

// === impl Varnish ===

impl Varnish {
    pub(crate) async fn before(origin: SocketAddr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let shipped = std::fs::read_to_string(root.join("deploy/varnish/whitewater.vcl")).unwrap();
        let vcl = shipped.replacen("\"127.0.0.1\"", &format!("\"{}\"", origin.ip()), 1).replacen(
            "\"8080\"",
            &format!("\"{}\"", origin.port()),
            1,
        );
        assert_ne!(vcl, shipped, "the shipped configuration names the origin");
        let file = folder.path().join("test.vcl");
        std::fs::write(&file, vcl).unwrap();
        // Varnish does not tell which port the system has chosen: choose, and let go.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let process = Command::new("/usr/sbin/varnishd")
            .args(["-F", "-j", "none", "-a", &address.to_string(), "-s", "malloc,256m"])
            .args(["-n", folder.path().join("varnish").to_str().unwrap()])
            .args(["-f", file.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("varnish is installed by scripts/setup.sh tests");
        let varnish = Self { address, process, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(60);
        while tokio::net::TcpStream::connect(address).await.is_err() {
            assert!(Instant::now() < deadline, "varnishd does not listen");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        varnish
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.root(&format!("hls/{path}"))
    }

    pub(crate) fn root(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

impl Drop for Varnish {
    fn drop(&mut self) {
        // The manager takes its child with it when it is asked, not when it is killed.
        let pid = nix::unistd::Pid::from_raw(self.process.id().cast_signed());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.process.wait();
    }
}
