//! A harness that starts whole servers in the test's own process, on loopback.

#![allow(clippy::unwrap_used)]
#![allow(dead_code, unused_imports, reason = "each test uses its part of the harness")]

pub(crate) mod camera;
pub(crate) mod foreign;
pub(crate) mod http;
pub(crate) mod offers;
pub(crate) mod peer;
pub(crate) mod told;

use std::net::SocketAddr;

use whitewater::app::{self, Running};
use whitewater::config::{Config, File, Flags};

/// A server that runs until it is stopped or dropped.
pub(crate) struct Server {
    running: Option<Running>,
    /// Where a server runs that is not ours to stop.
    elsewhere: Option<String>,
}

// === impl Server ===

impl Server {
    /// A server with the defaults, on ports that the system chooses.
    pub(crate) async fn start() -> Self {
        Self::with_config("").await
    }

    /// A server with the keys of a configuration file. Unless they name addresses, the system
    /// chooses ports; unless they name a folder for data, nothing is recorded.
    #[allow(clippy::unused_async, reason = "it needs a runtime, and says so")]
    pub(crate) async fn with_config(toml: &str) -> Self {
        Self::try_with_config(toml).expect("the server starts")
    }

    /// As [`Self::with_config`], where it is expected to fail.
    pub(crate) fn try_with_config(toml: &str) -> anyhow::Result<Self> {
        let mut text = String::new();
        for key in ["http", "udp"] {
            if !toml.lines().any(|line| line.starts_with(&format!("{key} ="))) {
                text += &format!("{key} = \"127.0.0.1:0\"\n");
            }
        }
        text += toml;
        // Tests run beside each other, and folders are nobody else's.
        if !toml.lines().any(|line| line.starts_with("data =")) && !toml.contains("[recording]") {
            text += "\n[recording]\nenabled = false\n";
        }
        let file = File { path: "test.toml", text: &text };
        let config = Config::merge(Some(file), [], &Flags::default())?;
        let running = app::start(&config)?;
        Ok(Self { running: Some(running), elsewhere: None })
    }

    /// A server in a process of its own.
    pub(crate) fn elsewhere(url: &str) -> Self {
        Self { running: None, elsewhere: Some(url.into()) }
    }

    /// The URL of a path.
    pub(crate) fn url(&self, path: &str) -> String {
        match &self.elsewhere {
            Some(url) => format!("{url}{path}"),
            None => format!("{}{path}", self.running().url()),
        }
    }

    /// Where media arrives.
    pub(crate) fn udp_addr(&self) -> SocketAddr {
        self.running().udp_addr()
    }

    /// Ends it, and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        if let Some(running) = self.running.take() {
            running.stop().await.unwrap();
        }
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("it is taken by stop alone")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let (Some(running), Ok(runtime)) =
            (self.running.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(running.stop());
        }
    }
}
