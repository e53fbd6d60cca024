//! A stand-in that holds the media socket.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::Context;

/// What the engine needs.
pub struct Config {
    /// Where media arrives.
    pub udp: SocketAddr,
}

/// The running engine.
#[derive(Clone)]
pub struct Handle(Arc<UdpSocket>);

/// Starts it.
pub fn start(config: Config) -> anyhow::Result<Handle> {
    let socket = UdpSocket::bind(config.udp)
        .with_context(|| format!("udp: {} cannot be bound", config.udp))?;
    Ok(Handle(Arc::new(socket)))
}

impl Handle {
    /// Where media arrives.
    pub fn udp_addr(&self) -> SocketAddr {
        self.0.local_addr().expect("a bound socket has an address")
    }
}
