//! A spool: objects wait on the local disk until another store has them.
//!
//! Whatever is written is on the local disk first, so that a store that is slow, away, or comes back
//! holds up nobody, and the end of this process loses nothing. It goes up in the order in which it was
//! written, save that folders do not wait for each other, and that several objects of media go up at once
//! between those that tell of them.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashSet, VecDeque};
use std::hash::{Hash, Hasher};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures_util::future::{BoxFuture, join_all};
use tokio::sync::Notify;
use tracing::{info, warn};

use super::{Bucket, Entry, Error, Objects, Path, is_telling};

/// Counts of a spool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spooled {
    /// Bytes that wait.
    pub bytes: u64,
    /// Objects that wait.
    pub objects: u64,
    /// Tries that failed.
    pub failures: u64,
}

/// A store whose objects wait on disk until another store has them.
#[derive(Clone)]
pub struct Spool(Arc<Inner>);

struct Inner {
    near: Bucket,
    far: Box<dyn Objects>,
    max_bytes: u64,
    bytes: AtomicU64,
    objects: AtomicU64,
    failures: AtomicU64,
    /// How many lanes fail at the moment.
    stuck: AtomicUsize,
    lanes: Vec<Arc<Lane>>,
    /// Objects that are being written, deleted, or on their way up.
    held: Mutex<HashSet<Path>>,
    released: Notify,
}

/// Objects that go up in their order.
#[derive(Default)]
struct Lane {
    waiting: Mutex<VecDeque<(Path, u64)>>,
    more: Notify,
}

/// An object that nobody else touches as long as this is there.
struct Held<'a> {
    inner: &'a Inner,
    path: &'a Path,
}

// === impl Spool ===

impl Spool {
    /// A spool in a local folder. What an earlier process left there goes up too. Call it within a
    /// tokio runtime; it works until it is dropped.
    pub fn start(near: Bucket, far: impl Objects, max_bytes: u64) -> Self {
        let lanes = std::iter::repeat_with(Arc::default).take(LANES).collect();
        let spool = Self(Arc::new(Inner {
            near,
            far: Box::new(far),
            max_bytes,
            bytes: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            stuck: AtomicUsize::new(0),
            lanes,
            held: Mutex::default(),
            released: Notify::new(),
        }));
        tokio::spawn(take_in_left(Arc::downgrade(&spool.0)));
        for lane in 0..LANES {
            tokio::spawn(upload(Arc::downgrade(&spool.0), lane));
        }
        spool
    }

    /// What it counts.
    pub fn counted(&self) -> Spooled {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Spooled {
            bytes: read(&self.0.bytes),
            objects: read(&self.0.objects),
            failures: read(&self.0.failures),
        }
    }
}

impl Objects for Spool {
    fn put(&self, path: &Path, bytes: Bytes) -> BoxFuture<'_, Result<(), Error>> {
        let path = path.clone();
        Box::pin(async move {
            let len = bytes.len() as u64;
            let is_over = self.0.bytes.load(Ordering::Relaxed) + len > self.0.max_bytes;
            // Without what tells of media nothing could be closed or deleted.
            if is_over && !is_telling(&path) {
                return Err(Error::Full("the spool is full, as the store takes nothing".into()));
            }
            let _held = self.0.hold(&path).await;
            self.0.near.put(&path, bytes).await?;
            self.0.note(path.clone(), len);
            Ok(())
        })
    }

    fn get(&self, path: &Path) -> BoxFuture<'_, Result<Bytes, Error>> {
        let path = path.clone();
        Box::pin(async move {
            // It is up there before it is gone from here.
            match self.0.near.get(&path).await {
                Err(Error::Missing(_)) => self.0.far.get(&path).await,
                found => found,
            }
        })
    }

    fn list(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Entry>, Error>> {
        let folder = folder.clone();
        Box::pin(async move {
            let mut all = self.0.near.list(&folder).await?;
            all.extend(self.0.far.list(&folder).await?);
            all.sort_by(|a, b| a.path.cmp(&b.path));
            all.dedup_by(|a, b| a.path == b.path);
            Ok(all)
        })
    }

    fn folders(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Path>, Error>> {
        let folder = folder.clone();
        Box::pin(async move {
            let mut all = self.0.near.folders(&folder).await?;
            all.extend(self.0.far.folders(&folder).await?);
            all.sort();
            all.dedup();
            Ok(all)
        })
    }

    fn delete(&self, path: &Path) -> BoxFuture<'_, Result<(), Error>> {
        let path = path.clone();
        Box::pin(async move {
            // What is on its way up would be there again afterwards.
            let _held = self.0.hold(&path).await;
            self.0.forget(&path);
            self.0.near.delete(&path).await?;
            self.0.far.delete(&path).await
        })
    }
}

// === impl Inner ===

impl Inner {
    fn lane_of(&self, path: &Path) -> &Lane {
        let mut hasher = DefaultHasher::new();
        path.parts().take(FOLDERS).for_each(|part| part.as_ref().hash(&mut hasher));
        &self.lanes[usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0)]
    }

    /// An object waits.
    fn note(&self, path: Path, bytes: u64) {
        let lane = self.lane_of(&path);
        let mut waiting = lane.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push_back((path, bytes));
        drop(waiting);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.objects.fetch_add(1, Ordering::Relaxed);
        lane.more.notify_one();
    }

    /// An object waits no more.
    fn forget(&self, path: &Path) {
        let lane = self.lane_of(path);
        let mut waiting = lane.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let before = waiting.len();
        waiting.retain(|(other, len)| {
            let stays = other != path;
            bytes += if stays { 0 } else { *len };
            stays
        });
        let gone = (before - waiting.len()) as u64;
        drop(waiting);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.objects.fetch_sub(gone, Ordering::Relaxed);
    }

    fn waits(&self, path: &Path) -> bool {
        let waiting = self.lane_of(path).waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.iter().any(|(other, _)| other == path)
    }

    /// What goes up next: objects of media together, and what tells of them alone.
    fn next(&self, lane: usize) -> Vec<Path> {
        let waiting = self.lanes[lane].waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut paths = waiting.iter().map(|(path, _)| path);
        let Some(first) = paths.next().cloned() else { return Vec::new() };
        let most = if is_telling(&first) { 0 } else { AT_ONCE - 1 };
        let more = paths.take(most).take_while(|path| !is_telling(path)).cloned();
        std::iter::once(first).chain(more).collect()
    }

    async fn move_up(&self, path: &Path) -> Result<(), Error> {
        let _held = self.hold(path).await;
        let bytes = match self.near.get(path).await {
            // Somebody has deleted it.
            Err(Error::Missing(_)) => {
                self.forget(path);
                return Ok(());
            }
            bytes => bytes?,
        };
        self.far.put(path, bytes).await?;
        self.near.delete(path).await?;
        self.forget(path);
        Ok(())
    }

    /// Waits until nobody does anything with an object, and keeps others from it.
    async fn hold<'a>(&'a self, path: &'a Path) -> Held<'a> {
        loop {
            let mut released = pin!(self.released.notified());
            released.as_mut().enable();
            if self.held().insert(path.clone()) {
                return Held { inner: self, path };
            }
            released.await;
        }
    }

    fn held(&self) -> MutexGuard<'_, HashSet<Path>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lane fails, or works again.
    fn tell(&self, was_stuck: bool, outcome: &Result<(), Error>) {
        match (was_stuck, outcome) {
            (false, Err(error)) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                if self.stuck.fetch_add(1, Ordering::Relaxed) == 0 {
                    warn!(%error, "the store of recordings takes nothing: recordings wait on disk");
                }
            }
            (true, Err(_)) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
            (true, Ok(())) => {
                if self.stuck.fetch_sub(1, Ordering::Relaxed) == 1 {
                    info!("the store of recordings takes objects again");
                }
            }
            (false, Ok(())) => {}
        }
    }
}

// === impl Held ===

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.inner.held().remove(self.path);
        self.inner.released.notify_waiters();
    }
}

/// Takes in what an earlier process left.
async fn take_in_left(spool: Weak<Inner>) {
    let Some(inner) = spool.upgrade() else { return };
    let mut left = match inner.near.list(&Path::default()).await {
        Ok(left) => left,
        Err(error) => {
            warn!(%error, "the spool of recordings cannot be read");
            return;
        }
    };
    left.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
    // What has come since the start is known.
    left.retain(|entry| !inner.waits(&entry.path));
    if !left.is_empty() {
        info!(objects = left.len(), "what the last run left in the spool goes up");
    }
    for Entry { path, bytes, .. } in left {
        inner.note(path, bytes);
    }
}

/// Moves a lane's objects up, for as long as there is a spool.
async fn upload(spool: Weak<Inner>, lane: usize) {
    let (mut stuck, mut pauses) = (false, backoff());
    loop {
        let Some(inner) = spool.upgrade() else { return };
        let paths = inner.next(lane);
        if paths.is_empty() {
            let more = Arc::clone(&inner.lanes[lane]);
            // It does not keep the spool: it looks now and then whether there is one.
            drop(inner);
            let _ = tokio::time::timeout(LOOK_INTERVAL, more.more.notified()).await;
            continue;
        }
        let outcomes = join_all(paths.iter().map(|path| inner.move_up(path))).await;
        let outcome = outcomes.into_iter().collect();
        inner.tell(stuck, &outcome);
        stuck = outcome.is_err();
        drop(inner);
        if stuck {
            tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        } else {
            pauses = backoff();
        }
    }
}

fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_PAUSE)
        .with_jitter()
        .without_max_times()
        .build()
}

/// How many folders go up at once.
const LANES: usize = 8;

/// How many objects of a lane go up at once.
const AT_ONCE: usize = 4;

/// A recording's folder: its stream's, and its own.
const FOLDERS: usize = 2;

const LONGEST_PAUSE: Duration = Duration::from_secs(10);
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
