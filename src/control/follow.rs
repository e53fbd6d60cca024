//! A follower that tells one reader what happens to its streams.
//!
//! It takes entries from the log in gulps, with a rest between them, so that a hundred viewers who
//! join at once wake it once. Numbers of viewers are told once a second at most.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, oneshot};
use tokio::time::{Instant, sleep_until};
use whitewater_signaling::control::{Follow, Happened, Happening, StreamName};

use super::log::Entry;
use super::registry::Registry;
use super::standing::{Phase, Standing};

/// A reader of the log.
pub(super) struct Follower {
    registry: Arc<Mutex<Registry>>,
    log: broadcast::Receiver<Entry>,
    known: BTreeMap<StreamName, Known>,
    pending: VecDeque<Happened>,
    /// Breaks when there is nothing more to follow.
    end: Option<oneshot::Receiver<()>>,
    over: bool,
    rested_at: Instant,
}

/// Whether a name that is not live is told of at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Absence {
    /// It is.
    Told,
    /// It is not.
    Silent,
}

/// What a reader knows of one stream.
#[derive(Default)]
struct Known {
    standing: Standing,
    viewers: Option<u64>,
    viewers_at: Option<Instant>,
}

// === impl Follower ===

impl Follower {
    /// A follower of these streams until `end` breaks; `None` where the log is closed.
    pub(super) fn new(
        registry: &Arc<Mutex<Registry>>,
        streams: Vec<StreamName>,
        absence: Absence,
        end: Option<oneshot::Receiver<()>>,
    ) -> Option<Self> {
        let book = registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut follower = Self {
            registry: Arc::clone(registry),
            log: book.log.read()?,
            known: streams.into_iter().map(|name| (name, Known::default())).collect(),
            pending: VecDeque::new(),
            end,
            over: false,
            rested_at: Instant::now(),
        };
        follower.look(&book);
        if absence == Absence::Told {
            let off = |known: &Known| known.standing.presence.phase == Phase::Off;
            let absent = follower.known.iter().filter(|(_, known)| off(known));
            let told = absent.map(|(name, _)| happened(name, Happening::Inactive));
            follower.pending.extend(told);
        }
        drop(book);
        Some(follower)
    }

    /// Takes over how streams stand.
    fn look(&mut self, book: &Registry) {
        for (name, known) in &mut self.known {
            let told = known.standing.catch_up(book.standing(name));
            self.pending.extend(told.into_iter().map(|what| happened(name, what)));
        }
    }

    /// Starts anew from how streams stand: entries were missed.
    fn catch_up(&mut self) {
        let registry = Arc::clone(&self.registry);
        let book = registry.lock().unwrap_or_else(PoisonError::into_inner);
        match book.log.read() {
            Some(log) => self.log = log,
            None => self.over = true,
        }
        self.look(&book);
    }

    fn take(&mut self, entry: &Entry) {
        let Some(known) = self.known.get_mut(&entry.stream) else { return };
        for what in known.standing.take(entry.life, &entry.what) {
            if let Happening::Layers(_) = what {
                self.pending.retain(|other| {
                    other.stream != entry.stream || !matches!(other.what, Happening::Layers(_))
                });
            }
            self.pending.push_back(happened(&entry.stream, what));
        }
    }

    /// Takes what the log has by now.
    fn gulp(&mut self) {
        loop {
            match self.log.try_recv() {
                Ok(entry) => self.take(&entry),
                Err(TryRecvError::Lagged(_)) => return self.catch_up(),
                Err(TryRecvError::Empty) => return,
                Err(TryRecvError::Closed) => return self.over = true,
            }
        }
    }

    /// Tells the numbers of viewers that are due; gives when the next one is.
    fn tell_viewers(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for (name, known) in &mut self.known {
            let standing = &known.standing;
            if standing.presence.phase == Phase::Off {
                known.viewers = None;
                continue;
            }
            if known.viewers == Some(standing.viewers) {
                continue;
            }
            let due = known.viewers_at.map_or(now, |at| at + VIEWERS_INTERVAL);
            if due > now {
                next = Some(next.map_or(due, |next: Instant| next.min(due)));
                continue;
            }
            (known.viewers, known.viewers_at) = (Some(standing.viewers), Some(now));
            self.pending.push_back(happened(name, Happening::Viewers(standing.viewers)));
        }
        next
    }

    async fn follow(&mut self) -> Option<Happened> {
        loop {
            if let Some(happened) = self.pending.pop_front() {
                return Some(happened);
            }
            if self.over {
                return None;
            }
            let viewers_due = self.tell_viewers(Instant::now());
            if !self.pending.is_empty() {
                continue;
            }
            let due = viewers_due.unwrap_or_else(|| Instant::now() + LONG);
            let ended = async {
                match &mut self.end {
                    Some(end) => drop(end.await),
                    None => std::future::pending().await,
                }
            };
            let log = &mut self.log;
            let rested_at = self.rested_at;
            let entry = async {
                sleep_until(rested_at).await;
                log.recv().await
            };
            tokio::select! {
                () = ended => self.over = true,
                entry = entry => match entry {
                    Ok(entry) => self.take(&entry),
                    Err(RecvError::Lagged(_)) => self.catch_up(),
                    Err(RecvError::Closed) => self.over = true,
                },
                () = sleep_until(due) => {}
            }
            self.rested_at = Instant::now() + REST;
            self.gulp();
        }
    }
}

impl Follow for Follower {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Happened>> + Send + '_>> {
        Box::pin(self.follow())
    }
}

fn happened(stream: &StreamName, what: Happening) -> Happened {
    Happened { stream: stream.clone(), what }
}

/// Between two gulps.
const REST: Duration = Duration::from_millis(100);

/// Between two numbers of viewers of one stream.
const VIEWERS_INTERVAL: Duration = Duration::from_secs(1);

/// As good as for ever, and far from what an instant can hold.
const LONG: Duration = Duration::from_secs(86_400);

#[cfg(test)]
mod tests;
