//! A wire that carries a peer's datagrams: a UDP socket, or a TCP connection with frames.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::sync::mpsc;

/// Either way.
pub(super) enum Wire {
    Udp(UdpSocket),
    Tcp(Box<Tcp>),
}

/// A connection to the server's media port.
pub(super) struct Tcp {
    server: SocketAddr,
    local: SocketAddr,
    writer: OwnedWriteHalf,
    frames: mpsc::Receiver<Vec<u8>>,
    deaf: Arc<AtomicBool>,
    over: bool,
}

// === impl Wire ===

impl Wire {
    pub(super) async fn tcp(local: SocketAddr, server: SocketAddr) -> Self {
        Self::Tcp(Box::new(Tcp::connect(local, server).await))
    }

    pub(super) fn local_addr(&self) -> SocketAddr {
        match self {
            Self::Udp(socket) => socket.local_addr().unwrap(),
            Self::Tcp(tcp) => tcp.local,
        }
    }

    /// Goes on from another port.
    pub(super) async fn renew(&mut self) {
        match self {
            Self::Udp(socket) => {
                let ip = socket.local_addr().unwrap().ip();
                *socket = UdpSocket::bind((ip, 0)).await.unwrap();
            }
            Self::Tcp(tcp) => {
                **tcp = Tcp::connect(SocketAddr::new(tcp.local.ip(), 0), tcp.server).await
            }
        }
    }

    /// Whether it takes nothing out of the kernel's buffer; over TCP alone.
    pub(super) fn set_deaf(&self, deaf: bool) {
        if let Self::Tcp(tcp) = self {
            tcp.deaf.store(deaf, Ordering::Relaxed);
        }
    }

    /// Waits for a datagram. The end of a connection is an error, once.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        match self {
            Self::Udp(socket) => socket.recv_from(buffer).await,
            Self::Tcp(tcp) => {
                if tcp.over {
                    std::future::pending::<()>().await;
                }
                let Some(frame) = tcp.frames.recv().await else {
                    tcp.over = true;
                    return Err(io::ErrorKind::ConnectionReset.into());
                };
                buffer[..frame.len()].copy_from_slice(&frame);
                Ok((frame.len(), tcp.server))
            }
        }
    }

    /// What cannot be sent is lost, as on any network.
    pub(super) async fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        match self {
            Self::Udp(socket) => {
                let _ = socket.send_to(datagram, to).await;
            }
            Self::Tcp(tcp) => {
                let _ = tcp.writer.write_all(&framed(datagram)).await;
            }
        }
    }
}

// === impl Tcp ===

impl Tcp {
    async fn connect(local: SocketAddr, server: SocketAddr) -> Self {
        let socket =
            if local.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }.unwrap();
        // Who stops reading is not helped by the kernel for long.
        socket.set_recv_buffer_size(32 << 10).unwrap();
        socket.bind(local).unwrap();
        let stream = socket.connect(server).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let local = stream.local_addr().unwrap();
        let (reader, writer) = stream.into_split();
        let (sender, frames) = mpsc::channel(64);
        let deaf = Arc::new(AtomicBool::new(false));
        tokio::spawn(read(reader, sender, Arc::clone(&deaf)));
        Self { server, local, writer, frames, deaf, over: false }
    }
}

/// A datagram as it stands in a TCP connection (RFC 4571).
pub(crate) fn framed(datagram: &[u8]) -> Vec<u8> {
    let mut frame = (datagram.len() as u16).to_be_bytes().to_vec();
    frame.extend_from_slice(datagram);
    frame
}

async fn read(mut reader: OwnedReadHalf, frames: mpsc::Sender<Vec<u8>>, deaf: Arc<AtomicBool>) {
    loop {
        while deaf.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let Ok(len) = reader.read_u16().await else { return };
        let mut frame = vec![0; usize::from(len)];
        if reader.read_exact(&mut frame).await.is_err() || frames.send(frame).await.is_err() {
            return;
        }
    }
}
