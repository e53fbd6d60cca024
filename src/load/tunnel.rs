//! A tunnel that carries the datagrams of a viewer's UDP socket in a TCP connection (RFC 4571), so
//! that a viewer over TCP measures as one over UDP does.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpStream, UdpSocket};
use tracing::debug;

/// Opens a tunnel to a server's media port; gives its near end. Call it within a tokio runtime.
///
/// It connects with the first datagram, and ends with the connection.
pub(super) fn open(server: SocketAddr) -> io::Result<SocketAddr> {
    let loopback = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
    };
    let socket = std::net::UdpSocket::bind(loopback)?;
    socket.set_nonblocking(true)?;
    let near = socket.local_addr()?;
    let socket = UdpSocket::from_std(socket)?;
    tokio::spawn(async move {
        if let Err(error) = carry(&socket, server).await {
            debug!(%error, "a tunnel ended");
        }
    });
    Ok(near)
}

async fn carry(socket: &UdpSocket, server: SocketAddr) -> io::Result<()> {
    let mut frame = vec![0; LENGTH_BYTES + MAX_LENGTH];
    let (mut len, viewer) = socket.recv_from(&mut frame[LENGTH_BYTES..]).await?;
    socket.connect(viewer).await?;
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (reader, mut writer) = stream.into_split();
    let up = async {
        loop {
            let length = u16::try_from(len).map_err(io::Error::other)?;
            frame[..LENGTH_BYTES].copy_from_slice(&length.to_be_bytes());
            writer.write_all(&frame[..LENGTH_BYTES + len]).await?;
            len = socket.recv(&mut frame[LENGTH_BYTES..]).await?;
        }
    };
    tokio::select! {
        ended = up => ended,
        ended = down(socket, reader) => ended,
    }
}

async fn down(socket: &UdpSocket, reader: OwnedReadHalf) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(MAX_LENGTH, reader);
    let mut datagram = vec![0; MAX_LENGTH];
    loop {
        let length = usize::from(reader.read_u16().await?);
        reader.read_exact(&mut datagram[..length]).await?;
        // A viewer that has left, or does not keep up, loses it.
        let _ = socket.try_send(&datagram[..length]);
    }
}

const LENGTH_BYTES: usize = 2;
const MAX_LENGTH: usize = 0xffff;
