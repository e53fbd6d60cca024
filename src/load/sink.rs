//! A sink that receives as the engine does, and does nothing else: what any server pays for a
//! datagram before it looks at it.

use std::io::{self, IoSliceMut, Read};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mio::{Events, Interest, Poll, Token};
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use serde_json::json;
use socket2::{Domain, Protocol, Socket, Type};

use super::options::Sink;
use super::tell;
use super::usage::own_cpu;

/// Prints the address, receives until standard input ends, and prints what came.
pub(super) fn run(options: &Sink) -> anyhow::Result<()> {
    let first = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    for _ in 1..options.sockets.max(1) {
        sockets.push(bind(address)?);
    }
    let datagrams = Arc::new(AtomicU64::new(0));
    for socket in sockets {
        let datagrams = Arc::clone(&datagrams);
        std::thread::spawn(move || receive(socket, &datagrams));
    }
    tell::line(&json!({ "address": address }).to_string());
    // An error is an end as well.
    let _ = io::stdin().read_to_end(&mut Vec::new());
    let cpu = own_cpu().as_secs_f64();
    let told = json!({"datagrams": datagrams.load(Ordering::Relaxed), "cpu_seconds": cpu});
    tell::line(&told.to_string());
    Ok(())
}

fn receive(socket: UdpSocket, datagrams: &AtomicU64) -> io::Result<()> {
    let state = UdpSocketState::new((&socket).into())?;
    let mut socket = mio::net::UdpSocket::from_std(socket);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut socket, Token(0), Interest::READABLE)?;
    let mut events = Events::with_capacity(8);
    let mut storage = vec![0_u8; BATCH_SIZE * RECEIVE_BYTES];
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    loop {
        poll.poll(&mut events, None)?;
        loop {
            let mut chunks = storage.chunks_mut(RECEIVE_BYTES);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
            let read = || state.recv((&socket).into(), &mut slices, &mut metas);
            let Ok(count) = socket.try_io(read) else { break };
            let each = |meta: &RecvMeta| meta.len.div_ceil(meta.stride.max(1)) as u64;
            let came: u64 = metas.iter().take(count).map(each).sum();
            datagrams.fetch_add(came, Ordering::Relaxed);
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    let _ = socket.set_recv_buffer_size(BUFFER_BYTES);
    socket.bind(&address.into())?;
    Ok(socket.into())
}

const RECEIVE_BYTES: usize = 65_536;
const BUFFER_BYTES: usize = 8 << 20;
