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
use whitewater_signaling::control::{Follow, Happened, Happening, Interest, StreamName};

use super::log::{Change, Entry};
use super::registry::Registry;
use super::standing::{Phase, Presence, Standing};

/// A reader of the log.
pub(super) struct Follower {
    registry: Arc<Mutex<Registry>>,
    log: broadcast::Receiver<Entry>,
    known: BTreeMap<StreamName, Known>,
    /// There for a reader of all that is live; counts those.
    all_live: Option<Arc<()>>,
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
    /// Whether it is followed when it is not live too.
    named: bool,
    standing: Standing,
    viewers: Option<u64>,
    viewers_at: Option<Instant>,
}

// === impl Follower ===

impl Follower {
    /// A follower of these streams until `end` breaks; `None` where the log is closed.
    pub(super) fn new(
        registry: &Arc<Mutex<Registry>>,
        interest: Interest,
        absence: Absence,
        end: Option<oneshot::Receiver<()>>,
    ) -> Option<Self> {
        let book = registry.lock().unwrap_or_else(PoisonError::into_inner);
        let mut follower = Self {
            registry: Arc::clone(registry),
            log: book.log.read()?,
            known: interest.names.into_iter().map(|name| (name, Known::named())).collect(),
            all_live: interest.all_live.then(|| Arc::clone(&book.all_live)),
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
        if self.all_live.is_some() {
            let live = book.streams.iter().filter(|(_, it)| it.presence.phase != Phase::Off);
            for (name, _) in live {
                self.known.entry(name.clone()).or_default();
            }
        }
        for (name, known) in &mut self.known {
            let told = known.standing.catch_up(book.standing(name));
            self.pending.extend(told.into_iter().map(|what| happened(name, what)));
        }
        self.known.retain(|_, known| known.named || known.standing.life.is_some());
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
        if self.all_live.is_some() && entry.what == Change::Started {
            self.take_in(entry);
        }
        let Some(known) = self.known.get_mut(&entry.stream) else { return };
        for what in known.standing.take(entry.life, &entry.what) {
            if let Happening::Layers(_) = what {
                self.pending.retain(|other| {
                    other.stream != entry.stream || !matches!(other.what, Happening::Layers(_))
                });
            }
            self.pending.push_back(happened(&entry.stream, what));
        }
        if entry.what == Change::Ended && !known.named {
            self.known.remove(&entry.stream);
        }
    }

    /// Follows a stream that goes live; who came to wait for it was told before.
    fn take_in(&mut self, entry: &Entry) {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let viewers = registry.standing(&entry.stream).viewers;
        let known = self.known.entry(entry.stream.clone()).or_default();
        if known.standing.life != Some(entry.life) {
            let (life, presence) = (Some(entry.life), Presence::default());
            known.standing = Standing { life, presence, viewers };
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

impl Known {
    fn named() -> Self {
        Self { named: true, ..Self::default() }
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
pub(super) mod tests;
