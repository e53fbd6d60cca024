//! A drain that receives datagrams on many sockets and throws them away.

use std::io::Read;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use anyhow::Context;
use mio::{Events, Interest, Poll, Token};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::json;

use super::options::Drain;
use super::receive::Receiver;
use super::tell;
use super::usage::own_cpu;

/// Prints the ports, receives until standard input ends, and prints what came.
pub(super) fn run(options: &Drain) -> anyhow::Result<()> {
    if let Some(cpu) = options.cpu {
        let mut set = CpuSet::new();
        set.set(cpu)?;
        sched_setaffinity(Pid::from_raw(0), &set).with_context(|| format!("no core {cpu}"))?;
    }
    let mut poll = Poll::new()?;
    let mut sockets = Vec::new();
    for index in 0..options.sockets {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        // The kernel grants what its limits allow.
        let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(BUFFER_BYTES);
        let mut socket = mio::net::UdpSocket::from_std(socket);
        poll.registry().register(&mut socket, Token(index), Interest::READABLE)?;
        sockets.push(socket);
    }
    let ports = sockets.iter().map(|socket| Ok(socket.local_addr()?.port()));
    let ports: Vec<u16> = ports.collect::<std::io::Result<_>>()?;
    tell::line(&serde_json::to_string(&ports)?);

    // A waker that is dropped takes back its event.
    let waker = Arc::new(mio::Waker::new(poll.registry(), WAKE)?);
    let at_end = Arc::clone(&waker);
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        // An error is an end as well.
        let _ = std::io::stdin().read_to_end(&mut rest);
        let _ = at_end.wake();
    });
    let mut receiver = Receiver::new();
    let mut events = Events::with_capacity(EVENTS);
    let (mut packets, mut bytes) = (0_u64, 0_u64);
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == WAKE {
                let cpu = own_cpu().as_secs_f64();
                let told = json!({"packets": packets, "bytes": bytes, "cpu_seconds": cpu});
                tell::line(&told.to_string());
                return Ok(());
            }
            if let Some(socket) = sockets.get(event.token().0) {
                receiver.drain(socket.as_raw_fd(), |_, datagram| {
                    packets += 1;
                    bytes += datagram.len() as u64;
                })?;
            }
        }
    }
}

const WAKE: Token = Token(usize::MAX);
const EVENTS: usize = 256;
const BUFFER_BYTES: usize = 4 << 20;
