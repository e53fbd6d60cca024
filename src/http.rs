//! A server that carries HTTP, or HTTPS with HTTP/2, and gives up on clients that stall.

mod client;
mod crowd;
mod request_id;

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::{Router, middleware};
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use axum_server::{Handle, Server};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinHandle;

use crate::config::Tls;
use client::Proxies;
pub use client::Trusted;
use crowd::Crowd;

/// An address that is taken and not served yet.
pub struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    tls: Option<RustlsConfig>,
}

/// A server that runs until it is stopped.
pub struct Serving {
    local: SocketAddr,
    secure: bool,
    handle: Handle<SocketAddr>,
    task: JoinHandle<io::Result<()>>,
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
    let tls = tls.map(read_tls).transpose()?;
    let taken = TcpListener::bind(address).and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (local, socket) = taken.map_err(|source| HttpError::Bind { address, source })?;
    Ok(Listener { socket, local, tls })
}

// === impl Listener ===

impl Listener {
    /// Serves the router from a task of the present runtime, to so many connections at once. Its requests
    /// have names, and come from whom a trusted proxy speaks for.
    pub fn serve(
        self,
        router: Router,
        max_connections: usize,
        trusted: Trusted,
    ) -> io::Result<Serving> {
        let router = router
            .layer(middleware::from_fn_with_state(Proxies::new(trusted), client::find))
            .layer(middleware::from_fn(request_id::name));
        let handle = Handle::new();
        let secure = self.tls.is_some();
        let crowd = Crowd::new(max_connections, !secure);
        let server = hardened(axum_server::from_tcp(self.socket)?).handle(handle.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        let task = match self.tls {
            Some(tls) => {
                let acceptor = RustlsAcceptor::new(tls).handshake_timeout(STALL).acceptor(crowd);
                tokio::spawn(server.acceptor(acceptor).serve(service))
            }
            None => tokio::spawn(server.acceptor(crowd).serve(service)),
        };
        Ok(Serving { local: self.local, secure, handle, task })
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

fn read_tls(tls: &Tls) -> Result<RustlsConfig, HttpError> {
    let unusable =
        |key, path: &Path, reason: String| HttpError::File { key, path: path.into(), reason };
    let cert = |reason| unusable("tls_cert", &tls.cert, reason);
    let key = |reason| unusable("tls_key", &tls.key, reason);

    let pem = fs::read(&tls.cert).map_err(|error| cert(error.to_string()))?;
    let chain = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| cert(error.to_string()))?;
    if chain.is_empty() {
        return Err(cert("it holds no PEM certificate".into()));
    }
    let pem = fs::read(&tls.key).map_err(|error| key(error.to_string()))?;
    let private = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| key("it holds no PEM private key".into()))?;

    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, private)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
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
