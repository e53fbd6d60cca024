//! A flood that sends junk to a media port at a steady rate, to see who notices.
//!
//! It goes to this machine alone unless it is told otherwise.

mod junk;

use std::io::{self, IoSlice};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, sendmmsg};
use serde_json::json;
use whitewater_core::media::{Codec, Format};
use whitewater_core::rtc::Transport;
use whitewater_core::rtc::connection::{Connection, Event};
use whitewater_core::rtc::demux::{Class, classify};
use whitewater_core::rtc::sdp::offer_watch;

use super::dial::{Dialled, Dialler};
use super::options::{Flood, Junk};
use super::tell::{self, rounded};
use super::usage::own_cpu;
use junk::Maker;

/// Floods, and prints how much went out.
pub(super) fn run(options: &Flood) -> anyhow::Result<()> {
    if !options.udp.ip().is_loopback() && !options.anywhere {
        bail!("{} is not this machine: --anywhere floods it all the same", options.udp);
    }
    let victim = options.kind.needs_session().then(|| Victim::open(options)).transpose()?;
    let username = victim.as_ref().map(Victim::username);
    let mut sources = match (&victim, options.kind) {
        (Some(victim), Junk::KnownRtp | Junk::KnownRtcp | Junk::KnownHello) => {
            vec![victim.socket.try_clone()?]
        }
        _ => strangers(options)?,
    };
    for source in &mut sources {
        source.connect(options.udp)?;
        source.set_nonblocking(true)?;
    }
    let mut flood = Sending::new(Maker::new(options.kind, username));
    let cpu = own_cpu();
    let begun = Instant::now();
    flood.send(&sources, options)?;
    let seconds = begun.elapsed().as_secs_f64();
    if let Some(victim) = victim {
        victim.leave();
    }
    let cpu = (own_cpu() - cpu).as_secs_f64();
    let rate = flood.sent as f64 / seconds;
    let json = json!({
        "kind": format!("{:?}", options.kind),
        "sources": sources.len(),
        "seconds": rounded(seconds, 3),
        "datagrams": flood.sent,
        "datagrams_per_second": rate.round(),
        "refused_by_the_system": flood.refused,
        "own_cpu_seconds": rounded(cpu, 3),
    });
    tell::print(&json, options.json, || {
        vec![
            ("sent".into(), format!("{} datagrams, {rate:.0} per second", flood.sent)),
            ("refused by the system".into(), flood.refused.to_string()),
        ]
    });
    Ok(())
}

/// A viewer's session whose name or address is misused.
struct Victim {
    runtime: tokio::runtime::Runtime,
    dialler: Dialler,
    session: Option<reqwest::Url>,
    socket: UdpSocket,
    connection: Connection,
}

struct Sending {
    maker: Maker,
    headers: MultiHeaders<SockaddrStorage>,
    datagrams: Vec<Vec<u8>>,
    sent: u64,
    refused: u64,
}

// === impl Victim ===

impl Victim {
    fn open(options: &Flood) -> anyhow::Result<Self> {
        let url = options.url.as_ref().context("this kind needs --url of a stream to watch")?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let formats = [Format::opus(), Format::video(Codec::H264, H264)];
        let (dialler, dialled) = runtime.block_on(async {
            let dialler = Dialler::new(url, None).await?;
            let dialled = dialler.dial(|local| offer_watch(local, &formats)).await?;
            anyhow::Ok((dialler, dialled))
        })?;
        let Dialled { socket, connection, session, .. } = dialled;
        let mut victim = Self { runtime, dialler, session, socket, connection };
        victim.connect()?;
        Ok(victim)
    }

    /// Shakes hands, so that the address is one of the session's.
    fn connect(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + CONNECT_TIMEOUT;
        let mut buffer = vec![0; 2048];
        while Instant::now() < deadline {
            let now = Instant::now();
            if self.connection.poll_timeout().is_some_and(|due| due <= now) {
                self.connection.handle_timeout(now);
            }
            while let Ok((len, from)) = self.socket.recv_from(&mut buffer) {
                let datagram = &buffer[..len];
                if matches!(classify(datagram), Class::Stun | Class::Dtls) {
                    let from = Transport::udp(None, from);
                    let _ = self.connection.handle_datagram(now, from, datagram);
                }
            }
            while let Some((to, datagram)) = self.connection.poll_transmit() {
                let _ = self.socket.send_to(&datagram, to.remote);
            }
            while let Some(event) = self.connection.poll_event() {
                match event {
                    Event::Connected { .. } => return Ok(()),
                    Event::Closed(why) => bail!("the session ended: {why}"),
                    Event::Path(_) => {}
                }
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        bail!("the session did not connect")
    }

    /// What its checks are addressed to: the server's name, and its own.
    fn username(&self) -> String {
        format!("{}:{}", self.connection.remote_ufrag(), self.connection.local_ufrag())
    }

    fn leave(self) {
        if let Some(session) = self.session {
            self.runtime.block_on(self.dialler.delete(session));
        }
    }
}

// === impl Sending ===

impl Sending {
    fn new(maker: Maker) -> Self {
        Self {
            maker,
            headers: MultiHeaders::preallocate(BATCH, None),
            datagrams: vec![Vec::new(); BATCH],
            sent: 0,
            refused: 0,
        }
    }

    /// Sends what is due each millisecond, from one source after the other.
    fn send(&mut self, sources: &[UdpSocket], options: &Flood) -> anyhow::Result<()> {
        let begun = Instant::now();
        let (mut done, mut turn) = (0_u64, 0_usize);
        while begun.elapsed() < options.seconds {
            let due = (begun.elapsed().as_secs_f64() * f64::from(options.rate)) as u64;
            // What a stalled sender missed is not made up for at once.
            done = done.max(due.saturating_sub(u64::from(options.rate) / 20));
            while done < due {
                let count = (due - done).min(BATCH as u64) as usize;
                self.batch(&sources[turn % sources.len()], count)?;
                done += count as u64;
                turn += 1;
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    fn batch(&mut self, source: &UdpSocket, count: usize) -> io::Result<()> {
        for datagram in &mut self.datagrams[..count] {
            self.maker.make(datagram);
        }
        let slices: Vec<_> =
            self.datagrams[..count].iter().map(|datagram| [IoSlice::new(datagram)]).collect();
        let addresses: [Option<SockaddrStorage>; BATCH] = [None; BATCH];
        let (fd, flags) = (source.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
        let sent = match sendmmsg(fd, &mut self.headers, &slices, &addresses[..count], [], flags) {
            Ok(sent) => sent.count(),
            // Nobody listens there, or the buffer is full.
            Err(Errno::ECONNREFUSED | Errno::EAGAIN | Errno::ENOBUFS) => 0,
            Err(error) => return Err(error.into()),
        };
        self.sent += sent as u64;
        self.refused += (count - sent) as u64;
        Ok(())
    }
}

fn strangers(options: &Flood) -> io::Result<Vec<UdpSocket>> {
    let ip = match options.udp {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    };
    (0..options.sources).map(|_| UdpSocket::bind(SocketAddr::new(ip, 0))).collect()
}

const BATCH: usize = 64;
const TICK: Duration = Duration::from_millis(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const H264: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";
