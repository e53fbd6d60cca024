//! The shard's side of TCP connections that end: by themselves, or with their session.

use std::time::Instant;

use super::Shard;
use crate::rtc::transport::Transport;

impl Shard {
    /// Learns that a TCP connection has ended. Its session waits for another path.
    pub fn handle_disconnect(&mut self, now: Instant, transport: Transport) {
        let origin = transport.origin();
        let Some(key) = self.by_remote.remove(&origin) else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.remotes.retain(|known| *known != origin);
        session.connection.handle_disconnect(now, transport);
        self.settle(now, key);
    }

    /// The next TCP connection that belongs to no session any more. Whatever was polled for it
    /// before goes out first.
    pub fn poll_hang_up(&mut self) -> Option<Transport> {
        self.hang_ups.pop_front()
    }
}
