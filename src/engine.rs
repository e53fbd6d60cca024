//! The engine: sockets, cores and the loop that drives a shard on each.
//!
//! One thread per shard with a runtime of its own. All sockets share one port; the kernel spreads
//! datagrams over them by address, and a shard hands on what belongs to another.

mod histogram;

mod runner;

mod socket;

mod tcp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use whitewater_core::media::Ntp;
use whitewater_core::shard::{self, Command, Event, LinkMessage, MAX_SHARDS, Reply, ShardId};

pub use histogram::{Histogram, Quantiles};
pub use runner::Counters;
use runner::{Inputs, Runner, Sockets};

/// What the engine is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address of the media port.
    pub udp: SocketAddr,
    /// Whether TCP connections are taken at the same address and port.
    pub tcp: bool,
    /// Shards, at least 1.
    pub shards: usize,
    /// Most packets in one write; 1 forbids bursts.
    pub max_burst: usize,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody has the port.
    #[error(
        "the media port {0} is taken by another program: stop it, or choose another with --udp"
    )]
    PortTaken(SocketAddr),
    /// The socket cannot be made.
    #[error("the media port {address} cannot be opened: {source}")]
    Socket {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Somebody has the port over TCP.
    #[error(
        "the media port {0} is taken over TCP by another program: stop it, choose another with \
         --udp, or do without media over TCP with --tcp false"
    )]
    TcpPortTaken(SocketAddr),
    /// The listener cannot be made.
    #[error("the media port {address} cannot be opened over TCP: {source}")]
    TcpSocket {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A thread cannot be made.
    #[error("a shard's thread cannot be started: {0}")]
    Thread(io::Error),
}

/// The running engine. Dropping it ends its threads.
pub struct Handle {
    address: SocketAddr,
    shards: Vec<ShardHandle>,
    links: Vec<mpsc::Sender<LinkMessage>>,
    /// What comes out waits here: neither is kept open by this.
    events: mpsc::WeakSender<(ShardId, Event)>,
    tap: mpsc::WeakSender<LinkMessage>,
    accepting: Option<tcp::Accepting>,
}

/// A command on its way, and where its answer goes.
pub struct Asked {
    command: Command,
    answer: oneshot::Sender<Reply>,
}

type OpenPort = (Vec<socket::Unregistered>, Option<socket2::Socket>);

struct ShardHandle {
    commands: mpsc::Sender<Asked>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// What comes out of the shards.
pub struct Outputs {
    /// What happens in them.
    pub events: mpsc::Receiver<(ShardId, Event)>,
    /// Packets and words of the streams that the frame world listens to; see [`ShardId::TAP`].
    pub tap: mpsc::Receiver<LinkMessage>,
}

/// Starts one thread per shard. Call it within a tokio runtime.
///
/// # Errors
///
/// Fails if the port is taken or cannot be opened.
pub fn start(config: &Config) -> Result<(Handle, Outputs), Error> {
    let count = config.shards.clamp(1, MAX_SHARDS);
    let (sockets, listener) = open_port(config, count)?;
    let address = sockets[0].local_addr();
    let (events, events_out) = mpsc::channel(EVENTS_BOUND);
    let (mut links, link_inputs): (Vec<_>, Vec<_>) =
        (0..count).map(|_| mpsc::channel::<LinkMessage>(LINK_BOUND)).unzip();
    let (tap_in, tap) = mpsc::channel(LINK_BOUND);
    let (weak_events, weak_tap) = (events.downgrade(), tap_in.downgrade());
    links.push(tap_in);
    let mut shards = Vec::with_capacity(count);
    let mut inlets = Vec::with_capacity(count);
    for ((index, socket), link) in sockets.into_iter().enumerate().zip(link_inputs) {
        let (commands, command_input) = mpsc::channel(COMMANDS_BOUND);
        let counters = Arc::new(Counters::default());
        let id = ShardId(index as u8);
        let inputs = Inputs { commands: command_input, link };
        let machine = shard::Shard::new(shard::Config {
            id,
            seed: fastrand::u64(..),
            wall: wall_now(),
            max_burst: config.max_burst,
        });
        let (inlet, inbound) = tcp::inlet(Arc::clone(&counters));
        inlets.push(inlet);
        let connections = tcp::Connections::new(inbound, Arc::clone(&counters));
        let sockets = Sockets { udp: socket, tcp: connections };
        let (links, events, own) = (links.clone(), events.clone(), Arc::clone(&counters));
        let thread = std::thread::Builder::new()
            .name(format!("shard-{index}"))
            .spawn(move || Runner::new(id, machine, sockets, links, events, own).run(inputs))
            .map_err(Error::Thread)?;
        shards.push(ShardHandle { commands, counters, thread: Some(thread) });
    }
    let accepting = listener.map(|listener| tcp::accept(listener, inlets)).transpose();
    let accepting = accepting.map_err(|source| Error::TcpSocket { address, source })?;
    // Who holds the tap's own sender would never see it end.
    links.truncate(count);
    let (events, tap_weak) = (weak_events, weak_tap);
    let handle = Handle { address, shards, links, events, tap: tap_weak, accepting };
    Ok((handle, Outputs { events: events_out, tap }))
}

/// Opens the media port over UDP and, where it is wanted, over TCP. Where the system chooses the
/// number it chooses for UDP, until that number is free over TCP too, and nobody has taken it meanwhile.
fn open_port(config: &Config, count: usize) -> Result<OpenPort, Error> {
    let mut choices = if config.udp.port() == 0 { MAX_CHOICES } else { 1 };
    loop {
        let sockets = match socket::open(config.udp, count) {
            Err(Error::PortTaken(_)) if choices > 1 => {
                choices -= 1;
                continue;
            }
            opened => opened?,
        };
        let address = sockets[0].local_addr();
        if !config.tcp {
            return Ok((sockets, None));
        }
        choices -= 1;
        match tcp::bind(address) {
            Ok(listener) => return Ok((sockets, Some(listener))),
            Err(source) if source.kind() != io::ErrorKind::AddrInUse => {
                return Err(Error::TcpSocket { address, source });
            }
            Err(_) if choices == 0 => return Err(Error::TcpPortTaken(address)),
            Err(_) => {}
        }
    }
}

/// The present instant with the wall-clock time it stands for.
pub fn wall_now() -> (Instant, Ntp) {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (Instant::now(), Ntp::from_unix_micros(since_epoch.as_micros() as i64))
}

// === impl Handle ===

impl Handle {
    /// Where the media port is.
    pub fn udp_addr(&self) -> SocketAddr {
        self.address
    }

    /// How many shards there are.
    pub fn shards(&self) -> usize {
        self.shards.len()
    }

    /// Asks a shard; `None` when it has ended.
    pub async fn ask(&self, shard: ShardId, command: Command) -> Option<Reply> {
        let (answer, reply) = oneshot::channel();
        let handle = self.shards.get(usize::from(shard.0))?;
        handle.commands.send(Asked { command, answer }).await.ok()?;
        reply.await.ok()
    }

    /// Tells a shard something as the frame world does, which listens under [`ShardId::TAP`]. False if
    /// its queue is full.
    pub fn tell(&self, shard: ShardId, message: LinkMessage) -> bool {
        let link = self.links.get(usize::from(shard.0));
        link.is_some_and(|link| link.try_send(message).is_ok())
    }

    /// Waits, for a moment, until TCP connections whose sessions have ended are closed.
    pub async fn drained(&self) {
        if let Some(accepting) = &self.accepting {
            accepting.drained().await;
        }
    }

    /// What a shard's loop counts.
    pub fn counters(&self, shard: ShardId) -> Option<&Counters> {
        self.shards.get(usize::from(shard.0)).map(|shard| shard.counters.as_ref())
    }

    /// How many commands and link messages wait for a shard.
    pub fn waiting(&self, shard: ShardId) -> (usize, usize) {
        let index = usize::from(shard.0);
        let commands = self.shards.get(index).map_or(0, |shard| depth(&shard.commands));
        (commands, self.links.get(index).map_or(0, depth))
    }

    /// How many events wait for control, and how many messages for the frame world.
    pub fn waiting_outputs(&self) -> (usize, usize) {
        let events = self.events.upgrade().map_or(0, |events| depth(&events));
        (events, self.tap.upgrade().map_or(0, |tap| depth(&tap)))
    }

    /// How long a turn of the loop takes, of all shards together.
    pub fn turns(&self) -> Quantiles {
        Histogram::quantiles(self.shards.iter().map(|shard| &shard.counters.turn))
    }

    /// The forwarding delay of all shards together.
    pub fn forwarding_delay(&self) -> Quantiles {
        Histogram::quantiles(self.shards.iter().map(|shard| &shard.counters.forwarding_delay))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let threads: Vec<_> =
            self.shards.drain(..).filter_map(|mut shard| shard.thread.take()).collect();
        for thread in threads {
            // A shard that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn depth<T>(queue: &mpsc::Sender<T>) -> usize {
    queue.max_capacity() - queue.capacity()
}

/// Ports the system offers before we give up.
const MAX_CHOICES: usize = 20;
const COMMANDS_BOUND: usize = 256;
const LINK_BOUND: usize = 8192;
const EVENTS_BOUND: usize = 8192;
