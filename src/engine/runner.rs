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
use whitewater_core::shard::{Event, LinkMessage, Shard, ShardId};

use super::histogram::Histogram;
use super::socket::{ShardSocket, Unregistered};
use super::{Asked, wall_now};

/// What a shard's loop counts. One thread writes, others read.
#[derive(Debug, Default)]
pub struct Counters {
    /// From the kernel's receive time to the return of the write that forwards it.
    pub forwarding_delay: Histogram,
    /// How long one turn of the loop takes.
    pub turn: Histogram,
    /// Calls that received.
    pub receives: AtomicU64,
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
    /// Messages to another shard dropped because its queue was full.
    pub dropped_link: AtomicU64,
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
    Link(Option<LinkMessage>),
    Command(Option<Asked>),
    Timer,
}

// === impl Runner ===

impl Runner {
    pub(super) fn new(
        id: ShardId,
        shard: Shard,
        socket: Unregistered,
        links: Vec<mpsc::Sender<LinkMessage>>,
        events: mpsc::Sender<(ShardId, Event)>,
        counters: Arc<Counters>,
    ) -> Self {
        let transmit = vec![0; TRANSMIT_BYTES];
        let held = links.iter().map(|_| VecDeque::new()).collect();
        Self { id, shard, socket: Some(socket), links, events, counters, transmit, held }
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
            let due = self.shard.poll_timeout().map(|(at, _)| at);
            let woken = Self::wait(&socket, &mut inputs, due).await;
            let begun = Instant::now();
            // 2. Take in one batch of datagrams, or the message that woke us with its followers.
            let mut received_at = None;
            match woken {
                Woken::Datagrams => {
                    received_at = self.receive(&socket, &mut storage, &mut metas, begun);
                }
                Woken::Link(Some(message)) => self.take_links(begun, message, &mut inputs),
                Woken::Command(Some(asked)) => self.carry_out(begun, asked),
                Woken::Link(None) | Woken::Command(None) => {
                    self.drain(&socket, begun, None);
                    return;
                }
                Woken::Timer => {}
            }
            // 3. Fire what is due, and follow the wall clock where it is corrected.
            self.shard.handle_timeout(begun);
            if begun >= wall_due {
                let (now, wall) = wall_now();
                self.shard.set_wall(now, wall);
                wall_due = now + WALL_INTERVAL;
            }
            // 4. Send everything, then tell the neighbours and control.
            self.drain(&socket, begun, received_at);
            self.hand_on();
            self.counters.turn.record(begun.elapsed(), 1);
        }
    }

    async fn wait(socket: &ShardSocket, inputs: &mut Inputs, due: Option<Instant>) -> Woken {
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
            () = timer => Woken::Timer,
        }
    }

    /// Receives one batch and feeds it; returns the kernel's time of its oldest datagram.
    fn receive(
        &mut self,
        socket: &ShardSocket,
        storage: &mut [u8],
        metas: &mut [RecvMeta],
        now: Instant,
    ) -> Option<Duration> {
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| IoSliceMut::new(&mut []));
        for (slice, chunk) in slices.iter_mut().zip(storage.chunks_mut(RECEIVE_BYTES)) {
            *slice = IoSliceMut::new(chunk);
        }
        let count = socket.receive(&mut slices, metas).ok()?;
        self.counters.receives.fetch_add(1, Ordering::Relaxed);
        let mut oldest = None;
        for (meta, slice) in metas.iter().zip(&slices).take(count) {
            oldest = match (oldest, meta.timestamp) {
                (Some(oldest), Some(this)) => Some(this.min(oldest)),
                (oldest, this) => oldest.or(this),
            };
            let origin = ShardSocket::origin(meta);
            for datagram in slice[..meta.len].chunks(meta.stride.max(1)) {
                self.shard.handle_datagram(now, origin, datagram);
            }
        }
        oldest
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

    fn drain(&mut self, socket: &ShardSocket, now: Instant, received_at: Option<Duration>) {
        let (mut sends, mut datagrams, mut bytes) = (0, 0, 0);
        while let Some(out) = self.shard.poll_transmit(now, &mut self.transmit) {
            sends += 1;
            match socket.send(&out.transport, &self.transmit[..out.len], out.segment) {
                Ok(()) => {
                    let count = out.len.div_ceil(out.segment.max(1)) as u64;
                    datagrams += count;
                    bytes += out.len as u64;
                    if let Some(received_at) = received_at {
                        let delay = since_epoch().saturating_sub(received_at);
                        self.counters.forwarding_delay.record(delay, count);
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
        self.counters.sends.fetch_add(sends, Ordering::Relaxed);
        self.counters.datagrams_out.fetch_add(datagrams, Ordering::Relaxed);
        self.counters.bytes_out.fetch_add(bytes, Ordering::Relaxed);
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
            let index = usize::from(shard.0);
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

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The kernel joins up to 64 KiB of datagrams of one sender.
const RECEIVE_BYTES: usize = 65_536;
const TRANSMIT_BYTES: usize = 65_000;
const LINKS_PER_TURN: usize = 512;
const WALL_INTERVAL: Duration = Duration::from_secs(1);
