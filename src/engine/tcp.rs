//! The TCP side of the media port (RFC 6544, passive), for clients whose network lets no UDP
//! through.
//!
//! Connections are ordinary tasks of the runtime that the engine is started in. A shard's thread
//! gives them what it has to send without waiting, and takes in what they read between two batches
//! of its own socket.

mod admission;

mod connection;

mod connections;

mod frame;

mod outlet;

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::BytesMut;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tracing::{debug, error, warn};
use whitewater_core::rtc::Transport;

use super::Counters;
use admission::Admission;
pub(super) use connections::Connections;
pub(super) use outlet::Outlet;

/// What a shard hears of its connections.
#[derive(Debug)]
pub(super) enum Inbound {
    /// One has begun; its first frame follows.
    Opened(Transport, Outlet),
    /// A datagram came.
    Frame(Transport, BytesMut),
    /// It is over.
    Closed(Transport),
}

/// Where a shard's connections put what they read.
#[derive(Clone, Debug)]
pub(super) struct Inlet {
    pub(super) queue: mpsc::Sender<Inbound>,
    pub(super) counters: Arc<Counters>,
}

/// The task that accepts connections. It ends when this is dropped; the connections end with their
/// shards.
#[derive(Debug)]
pub(super) struct Accepting(JoinHandle<()>);

/// Makes a shard's inlet and the other end of its queue.
pub(super) fn inlet(counters: Arc<Counters>) -> (Inlet, mpsc::Receiver<Inbound>) {
    let (queue, inbound) = mpsc::channel(INBOUND_BOUND);
    (Inlet { queue, counters }, inbound)
}

/// Takes the port.
pub(super) fn bind(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        socket.set_only_v6(false)?;
    }
    // Connections of the last run that are still dying do not keep the port.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Accepts connections from now on. Call it within a tokio runtime.
pub(super) fn accept(socket: Socket, inlets: Vec<Inlet>) -> io::Result<Accepting> {
    socket.listen(BACKLOG)?;
    let listener = TcpListener::from_std(socket.into())?;
    Ok(Accepting(tokio::spawn(accept_all(listener, inlets.into()))))
}

async fn accept_all(listener: TcpListener, inlets: Arc<[Inlet]>) {
    let Some(first) = inlets.first().cloned() else { return };
    let admission = Admission::new((room_for_files() / 2).min(MAX_OPEN));
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_about_one_connection(&error) => continue,
            Err(error) => {
                warn!(%error, "no TCP connection can be accepted for now");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
        let Some(ticket) = admission.admit(remote.ip()) else {
            // No shard is to blame: the first one counts for all.
            first.counters.tcp_refused.fetch_add(1, Ordering::Relaxed);
            continue;
        };
        match prepare(&stream) {
            Ok(local) => {
                let transport = Transport::tcp(local, remote);
                tokio::spawn(connection::serve(stream, transport, Arc::clone(&inlets), ticket));
            }
            Err(error) => debug!(%error, "a TCP connection was over before it began"),
        }
    }
}

/// Sets what live media needs and says to which of our addresses the connection goes.
fn prepare(stream: &TcpStream) -> io::Result<IpAddr> {
    let socket = SockRef::from(stream);
    socket.set_tcp_nodelay(true)?;
    // What the kernel holds back cannot be thrown away when it is too old.
    socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED_WITHIN))?;
    Ok(stream.local_addr()?.ip().to_canonical())
}

/// Whether accepting failed for a client that has gone again.
fn is_about_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    [ConnectionAborted, ConnectionReset, Interrupted].contains(&error.kind())
}

/// How many files this process may open, after asking for as many as it may have.
fn room_for_files() -> usize {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    let (soft, hard) = match limits {
        Ok(limits) => limits,
        Err(error) => {
            error!(%error, "the limit of open files cannot be read");
            return CAUTIOUS_FILES;
        }
    };
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => usize::try_from(hard).unwrap_or(usize::MAX),
        Err(_) => usize::try_from(soft).unwrap_or(usize::MAX),
    }
}

// === impl Accepting ===

impl Drop for Accepting {
    fn drop(&mut self) {
        self.0.abort();
    }
}

const MAX_OPEN: usize = 32_768;
const INBOUND_BOUND: usize = 1_024;
const BACKLOG: i32 = 1_024;
const PAUSE: Duration = Duration::from_millis(100);
const UNSENT_BYTES: u32 = 16 << 10;
const UNACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(20);
const CAUTIOUS_FILES: usize = 1_024;
