//! The TCP connections of one shard, as the shard's thread sees them.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::mpsc;
use whitewater_core::rtc::Transport;
use whitewater_core::shard::Shard;

use super::Inbound;
use super::outlet::Outlet;
use crate::engine::Counters;

/// What comes in over TCP, and where to send. Owned by the shard's thread, without a lock.
pub(in crate::engine) struct Connections {
    inbound: mpsc::Receiver<Inbound>,
    outlets: HashMap<Transport, Outlet>,
    counters: Arc<Counters>,
}

// === impl Connections ===

impl Connections {
    pub(in crate::engine) fn new(
        inbound: mpsc::Receiver<Inbound>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { inbound, outlets: HashMap::new(), counters }
    }

    /// Waits for what comes next; `None` at once when nobody listens.
    pub(in crate::engine) async fn next(&mut self) -> Option<Inbound> {
        self.inbound.recv().await
    }

    /// Gives the shard what waits, after `first`; a turn's share of it.
    pub(in crate::engine) fn feed(
        &mut self,
        shard: &mut Shard,
        now: Instant,
        first: Option<Inbound>,
    ) {
        if let Some(first) = first {
            self.take_in(shard, now, first);
        }
        for _ in 0..FRAMES_PER_TURN {
            let Ok(inbound) = self.inbound.try_recv() else { return };
            self.take_in(shard, now, inbound);
        }
    }

    /// Sends datagrams that stand side by side in `contents`, each `segment` bytes but the last.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the connection takes no more for now.
    pub(in crate::engine) fn send(
        &self,
        now: Instant,
        transport: &Transport,
        contents: &[u8],
        segment: usize,
    ) -> io::Result<()> {
        let outlet = self.outlets.get(transport).ok_or(io::ErrorKind::NotConnected)?;
        outlet.send(now, contents, segment)
    }

    /// Ends the connections that have no session any more, after what is queued for them.
    pub(in crate::engine) fn hang_up(&mut self, shard: &mut Shard) {
        while let Some(transport) = shard.poll_hang_up() {
            self.outlets.remove(&transport);
            self.count();
        }
    }

    fn take_in(&mut self, shard: &mut Shard, now: Instant, inbound: Inbound) {
        match inbound {
            Inbound::Opened(transport, outlet) => {
                self.outlets.insert(transport, outlet);
                self.count();
            }
            Inbound::Frame(transport, datagram) => {
                shard.handle_datagram(now, transport, &datagram);
            }
            Inbound::Closed(transport) => {
                self.outlets.remove(&transport);
                self.count();
                shard.handle_disconnect(now, transport);
            }
        }
    }

    fn count(&self) {
        self.counters.tcp_connections.store(self.outlets.len() as u64, Ordering::Relaxed);
    }
}

const FRAMES_PER_TURN: usize = 64;
