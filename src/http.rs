//! A server that carries HTTP, or HTTPS with HTTP/2, and gives up on clients that stall.

mod client;
mod crowd;
mod redirect;
mod request_id;
mod shares;
mod tls;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use axum_server::tls_rustls::RustlsAcceptor;
use axum_server::{Handle, Server};
use tokio::task::JoinHandle;

use crate::config::Tls;
use client::Proxies;
use crowd::Crowd;
pub use shares::{Allowance, Allowed};
pub use tls::Certificate;

/// An address that is taken and not served yet.
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    certificate: Option<Certificate>,
}

/// A server that runs until it is stopped.
pub struct Serving {
    local: SocketAddr,
    secure: bool,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
    /// What looks after the files of the certificate.
    watch: Option<JoinHandle<()>>,
}

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be had.
    #[error("http: {address} cannot be bound: {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A file of the certificate cannot be used.
    #[error("{key}: {} cannot be used: {reason}", .path.display())]
    File {
        /// The key of the configuration that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key are readable and do not work.
    #[error("tls_cert and tls_key do not work together: {0}")]
    Tls(#[from] rustls::Error),
}

/// Takes an address. Files of the certificate are read first.
pub fn bind(address: SocketAddr, tls: Option<&Tls>) -> Result<Listener, HttpError> {
    let certificate = tls.map(Certificate::new).transpose()?;
    let taken = TcpListener::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (local, socket) = taken.map_err(|source| HttpError::Bind { address, source })?;
    Ok(Listener { socket, local, certificate })
}

// === impl Listener ===

impl Listener {
    /// The certificate, where it is HTTPS.
    pub fn certificate(&self) -> Option<Certificate> {
        self.certificate.clone()
    }

    /// Sends whoever reads to HTTPS at another address.
    pub fn redirect_to(
        self,
        https: SocketAddr,
        max_connections: usize,
        allowance: Allowance,
    ) -> io::Result<Serving> {
        self.serve(redirect::router(https.port()), max_connections, allowance)
    }

    /// Serves the router from a task of the present runtime, to so many connections at once, of which one
    /// client has a share. Its requests have names, and come from whom a trusted proxy speaks for.
    pub fn serve(
        self,
        router: Router,
        max_connections: usize,
        allowance: Allowance,
    ) -> io::Result<Serving> {
        let requests = shares::Requests::new(Arc::clone(&allowance));
        let router = router
            .layer(middleware::from_fn_with_state(requests, shares::limit))
            .layer(middleware::from_fn_with_state(
                Proxies::new(Arc::clone(&allowance)),
                client::find,
            ))
            .layer(middleware::from_fn(request_id::name));
        let handle = Handle::new();
        let secure = self.certificate.is_some();
        let watch = self.certificate.as_ref().map(Certificate::watch);
        let crowd = Crowd::new(max_connections, allowance, !secure);
        let server = hardened(axum_server::from_tcp(self.socket)?).handle(handle.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = match self.certificate {
            Some(certificate) => {
                let acceptor = RustlsAcceptor::new(certificate.served())
                    .handshake_timeout(STALL)
                    .acceptor(crowd);
                tokio::spawn(server.acceptor(acceptor).serve(service))
            }
            None => tokio::spawn(server.acceptor(crowd).serve(service)),
        };
        Ok(Serving { local: self.local, secure, handle, task, watch })
    }
}

// === impl Serving ===

impl Serving {
    /// The address that is served.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Whether it is HTTPS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Takes no more connections and lets requests under way finish, for a while.
    pub async fn stop(self, within: Duration) -> io::Result<()> {
        if let Some(watch) = self.watch {
            watch.abort();
        }
        self.handle.graceful_shutdown(Some(GRACE.min(within)));
        self.task.await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

fn hardened(mut server: Server<SocketAddr>) -> Server<SocketAddr> {
    let builder = server.http_builder();
    builder.http1().header_read_timeout(STALL).max_buf_size(MAX_HEADERS_BYTES);
    builder
        .http2()
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS_BYTES as u32)
        .keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(STALL);
    server.first_request_timeout(STALL).accept_error_handler(|client, error| {
        tracing::debug!(?client, %error, "a connection could not be taken");
    })
}

/// How long a client may take over a handshake, a request's head or an answer to a ping.
const STALL: Duration = Duration::from_secs(10);

/// How often a silent HTTP/2 connection is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// How long requests under way may take once the server stops.
const GRACE: Duration = Duration::from_secs(3);

const MAX_HEADERS_BYTES: usize = 64 * 1024;

/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 100;
