//! A receiver that reads many datagrams per call.
//!
//! **UDP_GRO stays off:** joined datagrams would make the sending side look cheaper than it is.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::RawFd;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg};

/// Buffers for one batch; shared by all sockets of a thread, which are of one address family.
pub(super) struct Receiver {
    headers: MultiHeaders<SockaddrStorage>,
    storage: Vec<u8>,
}

// === impl Receiver ===

impl Receiver {
    pub(super) fn new() -> Self {
        Self {
            headers: MultiHeaders::preallocate(BATCH, None),
            storage: vec![0; BATCH * DATAGRAM_BYTES],
        }
    }

    /// Hands over everything that waits in a socket. Says how many datagrams that were.
    pub(super) fn drain(
        &mut self,
        fd: RawFd,
        mut take: impl FnMut(SocketAddr, &[u8]),
    ) -> io::Result<usize> {
        let mut total = 0;
        loop {
            let count = self.batch(fd, &mut take)?;
            total += count;
            if count < BATCH {
                return Ok(total);
            }
        }
    }

    fn batch(&mut self, fd: RawFd, take: &mut impl FnMut(SocketAddr, &[u8])) -> io::Result<usize> {
        let mut chunks = self.storage.chunks_mut(DATAGRAM_BYTES);
        let mut slices: [[IoSliceMut<'_>; 1]; BATCH] =
            std::array::from_fn(|_| [IoSliceMut::new(chunks.next().unwrap_or_default())]);
        let flags = MsgFlags::MSG_DONTWAIT;
        let messages = match recvmmsg(fd, &mut self.headers, slices.iter_mut(), flags, None) {
            Ok(messages) => messages,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(0),
            // What an earlier write met on its way; the socket goes on.
            Err(Errno::ECONNREFUSED) => return Ok(BATCH),
            Err(error) => return Err(error.into()),
        };
        let mut count = 0;
        for message in messages {
            count += 1;
            let (Some(from), Some(bytes)) = (message.address, message.iovs().next()) else {
                continue;
            };
            if let Some(from) = to_std(&from) {
                take(from, bytes);
            }
        }
        Ok(count)
    }
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    if let Some(v4) = address.as_sockaddr_in() {
        return Some(SocketAddr::V4((*v4).into()));
    }
    address.as_sockaddr_in6().map(|v6| SocketAddr::V6((*v6).into()))
}

const BATCH: usize = 32;
const DATAGRAM_BYTES: usize = 2048;
