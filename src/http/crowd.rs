//! An acceptor that lets in so many connections at once and turns the rest away.
//!
//! Who is turned away over plain HTTP is told so with 503; over TLS the connection is closed before
//! a handshake costs anything.

use std::future::{Ready, ready};
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum_server::accept::Accept;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use whitewater_signaling::rate::Network;

use super::shares::{Allowance, Share, Shares};

/// The places, shared by all copies.
#[derive(Clone)]
pub(super) struct Crowd {
    places: Arc<Semaphore>,
    allowance: Allowance,
    open: Shares,
    warned: Arc<Mutex<Option<Instant>>>,
    tells: bool,
}

/// A connection and its place.
pub(super) struct Placed {
    stream: TcpStream,
    _place: OwnedSemaphorePermit,
    _share: Option<Share>,
}

// === impl Crowd ===

impl Crowd {
    /// Room for so many connections, of which one client has a share; `tells` where they speak plain HTTP.
    pub(super) fn new(max: usize, allowance: Allowance, tells: bool) -> Self {
        make_room(max);
        let places = Arc::new(Semaphore::new(max.min(Semaphore::MAX_PERMITS)));
        let warned = Arc::new(Mutex::new(None));
        Self { places, allowance, open: Shares::default(), warned, tells }
    }

    /// The place of a connection, or why there is none.
    fn place(
        &self,
        stream: &TcpStream,
    ) -> Result<(OwnedSemaphorePermit, Option<Share>), &'static str> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place = place.map_err(|_| "max_http_connections is reached")?;
        let allowed = (self.allowance)();
        let client = stream.peer_addr().ok().map(|client| client.ip());
        let counted = client.filter(|client| allowed.connections > 0 && !allowed.trusts(*client));
        let Some(client) = counted else { return Ok((place, None)) };
        let share = self.open.take(Network::of(client), allowed.connections);
        let share = share.ok_or("one address has reached limits.address_connections")?;
        Ok((place, Some(share)))
    }

    fn turn_away(&self, stream: TcpStream, why: &str) -> io::Error {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            *warned = Some(Instant::now());
            let client = stream.peer_addr().ok().map(|client| client.ip());
            tracing::warn!(?client, "{why}: connections are turned away");
        }
        if self.tells
            && let Ok(mut stream) = stream.into_std()
        {
            // Nothing waits in its buffer yet; who does not read it sees the end all the same.
            let _ = stream.write(SORRY);
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        io::Error::other("too many connections")
    }
}

impl<S> Accept<TcpStream, S> for Crowd {
    type Stream = Placed;
    type Service = S;
    type Future = Ready<io::Result<(Placed, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        ready(match self.place(&stream) {
            Ok((place, share)) => stream
                .set_nodelay(true)
                .map(|()| (Placed { stream, _place: place, _share: share }, service)),
            Err(why) => Err(self.turn_away(stream, why)),
        })
    }
}

// === impl Placed ===

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Asks the system for as many open files as there may be connections, within its hard limit.
fn make_room(max: usize) {
    let wanted = (max as u64).saturating_add(OTHER_FILES);
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    if soft < wanted && soft < hard {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, wanted.min(hard), hard);
    }
}

const WARNING_INTERVAL: Duration = Duration::from_secs(60);
const OTHER_FILES: u64 = 256;
const SORRY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\n\
    content-length: 0\r\nconnection: close\r\n\r\n";
