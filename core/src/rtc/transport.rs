//! The two ends of a datagram's way.

use std::net::{IpAddr, SocketAddr};

/// How datagrams travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Plain UDP.
    Udp,
    /// Framed one after the other in a TCP connection (RFC 4571).
    Tcp,
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

/// What tells one sender of datagrams from another.
///
/// Over UDP that is its address, whichever of ours it sends to. A TCP connection has two ends: a
/// client may use one port towards several of our addresses, and the same over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Origin {
    /// An address over UDP.
    Udp(SocketAddr),
    /// A TCP connection.
    Tcp {
        /// Our end.
        local: Option<IpAddr>,
        /// Theirs.
        remote: SocketAddr,
    },
}

// === impl Transport ===

impl Transport {
    /// A UDP path.
    pub fn udp(local: Option<IpAddr>, remote: SocketAddr) -> Self {
        Self { protocol: Protocol::Udp, local, remote }
    }

    /// A path in a TCP connection.
    pub fn tcp(local: IpAddr, remote: SocketAddr) -> Self {
        Self { protocol: Protocol::Tcp, local: Some(local), remote }
    }

    /// Who sends on this path.
    pub fn origin(&self) -> Origin {
        match self.protocol {
            Protocol::Udp => Origin::Udp(self.remote),
            Protocol::Tcp => Origin::Tcp { local: self.local, remote: self.remote },
        }
    }
}

// === impl Origin ===

impl Origin {
    /// The path to a TCP connection's other end; `None` over UDP.
    pub fn connection(&self) -> Option<Transport> {
        match *self {
            Self::Udp(_) => None,
            Self::Tcp { local, remote } => {
                Some(Transport { protocol: Protocol::Tcp, local, remote })
            }
        }
    }
}
