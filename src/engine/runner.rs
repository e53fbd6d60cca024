//! The loop that drives one shard: receive, feed, fire timers, send.

use std::collections::VecDeque;
use std::io::IoSliceMut;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use quinn_udp::{BATCH_SIZE, RecvMeta};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::{debug, error, warn};
use whitewater_core::rtc::Protocol;
use whitewater_core::shard::{Event, LinkMessage, Reason, Shard, ShardId, Transmit};

use super::histogram::Histogram;
use super::socket::{ShardSocket, Unregistered};
use super::tcp::{Connections, Inbound};
use super::{Asked, wall_now};

/// What a shard's loop counts. One thread writes, others read.
#[derive(Debug, Default)]
pub struct Counters {
    /// From the kernel's receive time of the oldest packet of a write to the write's return, once for
    /// each packet; what a joiner catches up on and what is sent again is not counted.
    pub forwarding_delay: Histogram,
    /// How long one turn of the loop takes.
    pub turn: Histogram,
    /// Microseconds of a core's time that the thread used, as of about a second ago.
    pub cpu_us: AtomicU64,
    /// Calls that received.
    pub receives: AtomicU64,
    /// Bytes received over UDP.
    pub bytes_in: AtomicU64,
    /// Calls that sent.
    pub sends: AtomicU64,
    /// Datagrams sent.
    pub datagrams_out: AtomicU64,
    /// Bytes sent.
    pub bytes_out: AtomicU64,
    /// Writes dropped because the socket's buffer was full.
    pub dropped_full: AtomicU64,
    /// Writes that failed otherwise.
    pub dropped_error: AtomicU64,
    /// Messages to another shard or the tap dropped because its queue was full.
    pub dropped_link: AtomicU64,
    /// TCP connections open.
    pub tcp_connections: AtomicU64,
    /// TCP connections refused because there were too many.
    pub tcp_refused: AtomicU64,
}

/// Where datagrams come in and go out.
pub(super) struct Sockets {
    pub(super) udp: Unregistered,
    pub(super) tcp: Connections,
}

/// What comes in beside datagrams.
pub(super) struct Inputs {
    pub(super) commands: mpsc::Receiver<Asked>,
    pub(super) link: mpsc::Receiver<LinkMessage>,
}

/// One shard with its socket and its neighbours.
pub(super) struct Runner {
    id: ShardId,
    shard: Shard,
    socket: Option<Unregistered>,
    tcp: Connections,
    /// One per shard, and the tap.
    links: Vec<mpsc::Sender<LinkMessage>>,
    events: mpsc::Sender<(ShardId, Event)>,
    counters: Arc<Counters>,
    transmit: Vec<u8>,
    /// Words about streams that found their link full, by shard.
    held: Vec<VecDeque<LinkMessage>>,
}

/// Why a turn of the loop began.
enum Woken {
    Datagrams,
    Tcp(Inbound),
    Link(Option<LinkMessage>),
    Command(Option<Asked>),
    Timer,
}

// === impl Runner ===

impl Runner {
    pub(super) fn new(
        id: ShardId,
        shard: Shard,
        sockets: Sockets,
        links: Vec<mpsc::Sender<LinkMessage>>,
        events: mpsc::Sender<(ShardId, Event)>,
        counters: Arc<Counters>,
    ) -> Self {
        let transmit = vec![0; TRANSMIT_BYTES];
        let held = links.iter().map(|_| VecDeque::new()).collect();
        let Sockets { udp, tcp } = sockets;
        Self { id, shard, socket: Some(udp), tcp, links, events, counters, transmit, held }
    }

    /// Runs on the calling thread until the engine's handle is dropped.
    pub(super) fn run(mut self, inputs: Inputs) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Some(socket) = self.socket.take() else { return };
        match runtime {
            Ok(runtime) => runtime.block_on(async move {
                match socket.register() {
                    Ok(socket) => self.turn_until_closed(socket, inputs).await,
                    Err(error) => error!(%error, "a shard cannot use its socket"),
                }
            }),
            Err(error) => error!(%error, "a shard has no runtime"),
        }
    }

    async fn turn_until_closed(mut self, socket: ShardSocket, mut inputs: Inputs) {
        let mut storage = vec![0_u8; BATCH_SIZE * RECEIVE_BYTES];
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        let mut wall_due = Instant::now() + WALL_INTERVAL;
        loop {
            // 1. Wait for whatever comes first.
            let woken = match self.shard.poll_timeout() {
                Some((at, Reason::Hold(_))) => Self::wait_briefly(&socket, &mut inputs, at),
                due => {
                    let due = due.map(|(at, _)| at);
                    Self::wait(&socket, &mut inputs, &mut self.tcp, due).await
                }
            };
            let begun = Instant::now();
            // 2. Take in one batch of datagrams, or the message that woke us with its followers.
            let mut framed = None;
            match woken {
                Woken::Datagrams => self.receive(&socket, &mut storage, &mut metas, begun),
                Woken::Tcp(inbound) => framed = Some(inbound),
                Woken::Link(Some(message)) => self.take_links(begun, message, &mut inputs),
                Woken::Command(Some(asked)) => self.carry_out(begun, asked),
                Woken::Link(None) | Woken::Command(None) => {
                    self.drain(&socket, begun);
                    return;
                }
                Woken::Timer => {}
            }
            self.tcp.feed(&mut self.shard, begun, framed);
            // 3. Fire what is due, and follow the wall clock where it is corrected.
            self.shard.handle_timeout(begun);
            if begun >= wall_due {
                let (now, wall) = wall_now();
                self.shard.set_wall(now, wall);
                wall_due = now + WALL_INTERVAL;
                self.note_cpu();
            }
            // 4. Send everything, then tell the neighbours and control.
            self.drain(&socket, begun);
            self.hand_on();
            self.counters.turn.record(begun.elapsed(), 1);
        }
    }

    fn note_cpu(&self) {
        if let Ok(used) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID) {
            let used = Duration::from(used).as_micros() as u64;
            self.counters.cpu_us.store(used, Ordering::Relaxed);
        }
    }

    /// Waits for the rest of a frame, to the tenth of a millisecond: the runtime's timers round up to
    /// whole ones.
    fn wait_briefly(socket: &ShardSocket, inputs: &mut Inputs, until: Instant) -> Woken {
        if let Ok(asked) = inputs.commands.try_recv() {
            return Woken::Command(Some(asked));
        }
        if let Ok(message) = inputs.link.try_recv() {
            return Woken::Link(Some(message));
        }
        let left = until.saturating_duration_since(Instant::now());
        if socket.is_readable_within(left.min(BRIEFLY)) { Woken::Datagrams } else { Woken::Timer }
    }

    async fn wait(
        socket: &ShardSocket,
        inputs: &mut Inputs,
        tcp: &mut Connections,
        due: Option<Instant>,
    ) -> Woken {
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            command = inputs.commands.recv() => Woken::Command(command),
            message = inputs.link.recv() => Woken::Link(message),
            _ = socket.readable() => Woken::Datagrams,
            Some(inbound) = tcp.next() => Woken::Tcp(inbound),
            () = timer => Woken::Timer,
        }
    }

    /// Receives one batch and feeds it, each datagram with the time it has waited in the socket.
    fn receive(
        &mut self,
        socket: &ShardSocket,
        storage: &mut [u8],
        metas: &mut [RecvMeta],
        now: Instant,
    ) {
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(&mut []));
        for (slice, chunk) in slices.iter_mut().zip(storage.chunks_mut(RECEIVE_BYTES)) {
            *slice = IoSliceMut::new(chunk);
        }
        let Ok(count) = socket.receive(&mut slices, metas) else { return };
        self.counters.receives.fetch_add(1, Ordering::Relaxed);
        let bytes: usize = metas.iter().take(count).map(|meta| meta.len).sum();
        self.counters.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        let wall = since_epoch();
        for (meta, slice) in metas.iter().zip(&slices).take(count) {
            let waited = meta.timestamp.map(|received| wall.saturating_sub(received));
            // A wall clock that is set meanwhile says nothing about waiting.
            self.shard.set_waited(waited.unwrap_or_default().min(MAX_WAITED));
            let origin = ShardSocket::origin(meta);
            for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                self.shard.handle_datagram(now, origin, datagram);
            }
        }
        self.shard.set_waited(Duration::ZERO);
    }

    fn take_links(&mut self, now: Instant, first: LinkMessage, inputs: &mut Inputs) {
        self.shard.handle_link(now, first);
        for _ in 1..LINKS_PER_TURN {
            let Ok(message) = inputs.link.try_recv() else { break };
            self.shard.handle_link(now, message);
        }
    }

    fn carry_out(&mut self, now: Instant, Asked { command, answer }: Asked) {
        let reply = self.shard.handle_command(now, command);
        // Whoever asked may have given up; what was done stays done.
        let _ = answer.send(reply);
    }

    fn drain(&mut self, socket: &ShardSocket, now: Instant) {
        let (mut sends, mut datagrams, mut bytes) = (0, 0, 0);
        while let Some(out) = self.shard.poll_transmit(now, &mut self.transmit) {
            sends += 1;
            match self.send(socket, now, &out) {
                Ok(()) => {
                    let count = out.len.div_ceil(out.segment.max(1)) as u64;
                    datagrams += count;
                    bytes += out.len as u64;
                    // What is queued for a TCP connection is not written yet.
                    if let Some(received) = out.received
                        && out.transport.protocol == Protocol::Udp
                    {
                        self.counters.forwarding_delay.record(received.elapsed(), count);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    self.counters.dropped_full.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => {
                    self.counters.dropped_error.fetch_add(1, Ordering::Relaxed);
                    debug!(%error, "a write failed");
                }
            }
        }
        self.tcp.hang_up(&mut self.shard);
        self.counters.sends.fetch_add(sends, Ordering::Relaxed);
        self.counters.datagrams_out.fetch_add(datagrams, Ordering::Relaxed);
        self.counters.bytes_out.fetch_add(bytes, Ordering::Relaxed);
    }

    fn send(&self, socket: &ShardSocket, now: Instant, out: &Transmit) -> std::io::Result<()> {
        let contents = &self.transmit[..out.len];
        match out.transport.protocol {
            Protocol::Udp => socket.send(&out.transport, contents, out.segment),
            Protocol::Tcp => self.tcp.send(now, &out.transport, contents, out.segment),
        }
    }

    fn hand_on(&mut self) {
        // Before the links: what another shard does upon our word is told after our own news.
        while let Some(event) = self.shard.poll_event() {
            if let Err(TrySendError::Full((_, event))) = self.events.try_send((self.id, event)) {
                warn!(?event, "control does not keep up with events");
            }
        }
        for (held, link) in self.held.iter_mut().zip(&self.links) {
            while let Some(message) = held.pop_front() {
                if let Err(TrySendError::Full(message)) = link.try_send(message) {
                    held.push_front(message);
                    break;
                }
            }
        }
        while let Some((shard, message)) = self.shard.poll_link() {
            let index = place_of(shard, self.links.len());
            let (Some(link), Some(held)) = (self.links.get(index), self.held.get_mut(index)) else {
                continue;
            };
            match link.try_send(message) {
                Ok(()) | Err(TrySendError::Closed(_)) => {}
                // A lost packet is repaired, a lost word about a stream is not.
                Err(TrySendError::Full(message)) if !message.may_be_dropped() => {
                    held.push_back(message);
                }
                Err(TrySendError::Full(_)) => {
                    self.counters.dropped_link.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

/// Where the queue to a shard stands among `links`, of which the last is the tap.
fn place_of(shard: ShardId, links: usize) -> usize {
    if shard == ShardId::TAP { links - 1 } else { usize::from(shard.0) }
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The kernel joins up to 64 KiB of datagrams of one sender.
const RECEIVE_BYTES: usize = 65_536;
const TRANSMIT_BYTES: usize = 65_000;
const LINKS_PER_TURN: usize = 512;
/// Commands and links are looked at this often while the rest of a frame is waited for.
const BRIEFLY: Duration = Duration::from_micros(250);
const MAX_WAITED: Duration = Duration::from_secs(1);
const WALL_INTERVAL: Duration = Duration::from_secs(1);
