//! A bounded queue that takes what goes to one TCP connection, and never waits.
//!
//! Over a path that is too slow the oldest waits longest: what has waited too long is thrown away,
//! so that what a viewer does get is fresh.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::frame;
use crate::engine::Counters;

/// The shard's end.
#[derive(Debug)]
pub(in crate::engine) struct Outlet {
    bursts: mpsc::Sender<Burst>,
    queued_bytes: Arc<AtomicUsize>,
}

/// The connection's end.
pub(super) struct Outgoing {
    bursts: mpsc::Receiver<Burst>,
    queued_bytes: Arc<AtomicUsize>,
    counters: Arc<Counters>,
}

/// What one write of the shard became.
#[derive(Debug)]
struct Burst {
    frames: Vec<u8>,
    since: Instant,
}

/// Both ends of an empty queue.
pub(super) fn pair(counters: Arc<Counters>) -> (Outlet, Outgoing) {
    let (sender, receiver) = mpsc::channel(MAX_BURSTS);
    let queued_bytes = Arc::new(AtomicUsize::new(0));
    let outlet = Outlet { bursts: sender, queued_bytes: Arc::clone(&queued_bytes) };
    (outlet, Outgoing { bursts: receiver, queued_bytes, counters })
}

// === impl Outlet ===

impl Outlet {
    /// Queues datagrams that stand side by side, each `segment` bytes long but the last.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the queue is full, `NotConnected` when the connection has ended.
    pub(super) fn send(&self, now: Instant, contents: &[u8], segment: usize) -> io::Result<()> {
        let len = frame::framed_len(contents.len(), segment);
        // Checks, reports and sound come alone. A picture that does not fit leaves room for them.
        let is_alone = segment >= contents.len();
        let bound = if is_alone { MAX_BYTES + RESERVE_BYTES } else { MAX_BYTES };
        if self.queued_bytes.load(Ordering::Relaxed) + len > bound {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let permit = self.bursts.try_reserve().map_err(|error| match error {
            TrySendError::Full(()) => io::ErrorKind::WouldBlock,
            TrySendError::Closed(()) => io::ErrorKind::NotConnected,
        })?;
        self.queued_bytes.fetch_add(len, Ordering::Relaxed);
        permit.send(Burst { frames: frame::framed(contents, segment), since: now });
        Ok(())
    }
}

// === impl Outgoing ===

impl Outgoing {
    /// The next frames to write, as soon as there are some; `None` when the shard has hung up.
    pub(super) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            let Burst { frames, since } = self.bursts.recv().await?;
            self.queued_bytes.fetch_sub(frames.len(), Ordering::Relaxed);
            if since.elapsed() <= MAX_AGE {
                return Some(frames);
            }
            self.counters.dropped_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

const MAX_BYTES: usize = 256 << 10;
const RESERVE_BYTES: usize = 16 << 10;
const MAX_BURSTS: usize = 1_024;
/// A keyframe of 100 KiB takes 0.8 s at 1 Mbit/s; a shorter time would cut every one short.
const MAX_AGE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn full(outcome: io::Result<()>) -> bool {
        outcome.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    fn fill(outlet: &Outlet, now: Instant, datagrams: usize) -> usize {
        let burst = vec![1; 1_000 * datagrams];
        (0..).take_while(|_| outlet.send(now, &burst, 1_000).is_ok()).count()
    }

    #[tokio::test]
    async fn a_full_queue_takes_no_burst_but_still_a_lone_datagram() {
        let (outlet, mut outgoing) = pair(Arc::default());
        let now = Instant::now();
        assert_eq!(fill(&outlet, now, 10), MAX_BYTES / 10_020);
        let alone = (0..).take_while(|_| outlet.send(now, &[2; 100], 100).is_ok()).count();
        assert!((150..=200).contains(&alone), "{alone}");
        assert!(full(outlet.send(now, &[2; 100], 100)));
        while outgoing.queued_bytes.load(Ordering::Relaxed) > 0 {
            outgoing.next().await.unwrap();
        }
        assert!(outlet.send(now, &[1; 2_000], 1_000).is_ok(), "what was taken out makes room");
    }

    #[test]
    fn small_datagrams_are_bounded_by_their_number() {
        let (outlet, _outgoing) = pair(Arc::default());
        let now = Instant::now();
        let taken = (0..).take_while(|_| outlet.send(now, &[1], 1).is_ok()).count();
        assert_eq!(taken, MAX_BURSTS);
        assert!(full(outlet.send(now, &[1], 1)));
    }

    #[tokio::test]
    async fn what_has_waited_too_long_is_thrown_away_and_counted() {
        let counters = Arc::new(Counters::default());
        let (outlet, mut outgoing) = pair(Arc::clone(&counters));
        let now = Instant::now();
        let long_ago = now.checked_sub(MAX_AGE + Duration::from_millis(1)).unwrap();
        outlet.send(long_ago, b"old", 3).unwrap();
        outlet.send(now, b"new", 3).unwrap();
        assert_eq!(outgoing.next().await.unwrap(), b"\0\x03new");
        assert_eq!(counters.dropped_full.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_is_queued_comes_out_before_the_end() {
        let (outlet, mut outgoing) = pair(Arc::default());
        outlet.send(Instant::now(), b"bye", 3).unwrap();
        drop(outlet);
        assert!(outgoing.next().await.is_some());
        assert!(outgoing.next().await.is_none());
    }

    #[test]
    fn who_sends_to_a_connection_that_has_ended_is_told() {
        let (outlet, outgoing) = pair(Arc::default());
        drop(outgoing);
        let outcome = outlet.send(Instant::now(), b"bye", 3);
        assert!(outcome.is_err_and(|error| error.kind() == io::ErrorKind::NotConnected));
    }
}
