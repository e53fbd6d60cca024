//! The two ends of a datagram's way.

use std::net::{IpAddr, SocketAddr};

/// How datagrams travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Plain UDP.
    Udp,
}

/// Where a datagram came from or goes to.
///
/// `local` is the address it arrived at (the reply leaves from it), `remote` the other side's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Transport {
    /// How the datagram travels.
    pub protocol: Protocol,
    /// Our address, where the socket knows it.
    pub local: Option<IpAddr>,
    /// Theirs.
    pub remote: SocketAddr,
}

impl Transport {
    /// A UDP path.
    pub fn udp(local: Option<IpAddr>, remote: SocketAddr) -> Self {
        Self { protocol: Protocol::Udp, local, remote }
    }
}
