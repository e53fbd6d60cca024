//! The sockets of the media port: one per shard, all on the same address.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::{setsockopt, sockopt};
use nix::sys::time::TimeSpec;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use whitewater_core::rtc::Transport;

use super::Error;

/// A socket that has not met its runtime yet.
#[derive(Debug)]
pub(super) struct Unregistered {
    socket: std::net::UdpSocket,
    address: SocketAddr,
}

/// One shard's socket.
#[derive(Debug)]
pub(super) struct ShardSocket {
    socket: UdpSocket,
    state: UdpSocketState,
    is_v6: bool,
    is_wildcard: bool,
}

/// Opens `count` sockets on one port.
///
/// Sockets that share a port share its datagrams, with another program's sockets too: an exclusive
/// bind first makes sure there is none.
pub(super) fn open(address: SocketAddr, count: usize) -> Result<Vec<Unregistered>, Error> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            Error::PortTaken(address)
        } else {
            Error::Socket { address, source }
        }
    };
    let probe = bind(address, false).map_err(failed)?;
    let local = probe.local_addr().and_then(as_std).map_err(failed)?;
    let granted = probe.recv_buffer_size().unwrap_or_default();
    if granted < FEW_BYTES {
        tracing::warn!(
            "the system grants a media socket {} KiB to receive into, which a burst may overflow: \
             sysctl -w net.core.rmem_max={BUFFER_BYTES}",
            granted / 1024
        );
    }
    drop(probe);
    (0..count)
        .map(|_| {
            let socket = bind(local, true).map_err(failed)?;
            Ok(Unregistered { socket: socket.into(), address: local })
        })
        .collect()
}

fn bind(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    if shared {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel grants what its limits allow; who may administer the network has none.
    if setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).is_err() {
        let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    }
    let _ = socket.set_send_buffer_size(BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket)
}

fn as_std(address: socket2::SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| io::Error::other("not an IP socket"))
}

// === impl Unregistered ===

impl Unregistered {
    /// Where the socket is bound.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Joins the current runtime.
    pub(super) fn register(self) -> io::Result<ShardSocket> {
        let state = UdpSocketState::new((&self.socket).into())?;
        let is_v6 = self.address.is_ipv6();
        let is_wildcard = self.address.ip().is_unspecified();
        Ok(ShardSocket { socket: UdpSocket::from_std(self.socket)?, state, is_v6, is_wildcard })
    }
}

// === impl ShardSocket ===

impl ShardSocket {
    /// Waits for datagrams.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Blocks the thread until datagrams come, or for so long.
    pub(super) fn is_readable_within(&self, left: Duration) -> bool {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        let count = ppoll(&mut fds, Some(TimeSpec::from_duration(left)), None);
        count.is_ok_and(|count| count > 0)
    }

    /// Receives a batch; `WouldBlock` when there is none.
    pub(super) fn receive(
        &self,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> io::Result<usize> {
        // The runtime may not have noticed what came while the thread waited by itself.
        let received = self.state.recv((&self.socket).into(), buffers, metas);
        let is_empty = match &received {
            Ok(count) => *count < BATCH_SIZE,
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if is_empty {
            // The kernel had no more: the next wait begins without another call that finds nothing.
            // What arrives from now on makes the socket readable anew.
            let nothing = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _ = self.socket.try_io(Interest::READABLE, nothing);
        }
        received
    }

    /// Sends datagrams that stand side by side in `contents`, each `segment` bytes but the last.
    pub(super) fn send(
        &self,
        transport: &Transport,
        contents: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        if segment < contents.len() && self.state.max_gso_segments() == 1 {
            // Some network devices cannot segment: the kernel says so once.
            return contents
                .chunks(segment.max(1))
                .try_for_each(|datagram| self.send_once(transport, datagram, None));
        }
        self.send_once(transport, contents, (segment < contents.len()).then_some(segment))
    }

    fn send_once(
        &self,
        transport: &Transport,
        contents: &[u8],
        segment_size: Option<usize>,
    ) -> io::Result<()> {
        let transmit = quinn_udp::Transmit {
            destination: self.to_wire(transport.remote),
            ecn: None,
            contents,
            segment_size,
            // Bound to one address there is nothing to choose, and the kernel looks up one route less.
            src_ip: transport.local.filter(|_| self.is_wildcard),
        };
        let send = || self.state.try_send((&self.socket).into(), &transmit);
        self.socket.try_io(Interest::WRITABLE, send)
    }

    /// Where a datagram came from. A dual-stack socket sees IPv4 in IPv6's clothes.
    pub(super) fn origin(meta: &RecvMeta) -> Transport {
        let remote = SocketAddr::new(meta.addr.ip().to_canonical(), meta.addr.port());
        Transport::udp(meta.dst_ip.map(|ip| ip.to_canonical()), remote)
    }

    fn to_wire(&self, remote: SocketAddr) -> SocketAddr {
        match remote.ip() {
            IpAddr::V4(ip) if self.is_v6 => {
                SocketAddr::new(ip.to_ipv6_mapped().into(), remote.port())
            }
            IpAddr::V4(_) | IpAddr::V6(_) => remote,
        }
    }
}

const BUFFER_BYTES: usize = 8 << 20;

/// What a flood of small datagrams fills in 20 ms.
const FEW_BYTES: usize = 1 << 20;
