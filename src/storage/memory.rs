//! A store in memory for tests, some of whose requests fail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::{Entry, Error, Objects, Path};

/// A store in memory. Its clones are the same store.
#[derive(Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    objects: BTreeMap<Path, Bytes>,
    faults: Vec<(Request, &'static str, Error)>,
    /// How long it takes to put an object there, by a part of its path.
    slow: Vec<(&'static str, Duration)>,
    /// What was deleted, in its order.
    deleted: Vec<Path>,
    /// How many are being put there, and how many were at once.
    putting: (usize, usize),
}

/// What fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    Put,
    Get,
    Delete,
}

// === impl Memory ===

impl Memory {
    /// Lets requests fail from now on whose path has a text in it.
    pub(crate) fn fail(&self, request: Request, path: &'static str, error: Error) {
        self.lock().faults.push((request, path, error));
    }

    /// Lets nothing fail any more.
    pub(crate) fn mend(&self) {
        self.lock().faults.clear();
    }

    /// Lets it take so long from now on to put an object there whose path has a text in it.
    pub(crate) fn slow_down(&self, path: &'static str, slow: Duration) {
        self.lock().slow.push((path, slow));
    }

    /// What was deleted, in its order.
    pub(crate) fn deleted(&self) -> Vec<String> {
        self.lock().deleted.iter().map(Path::to_string).collect()
    }

    /// How many objects were put there at once.
    pub(crate) fn most_at_once(&self) -> usize {
        self.lock().putting.1
    }

    pub(crate) fn set(&self, path: &str, bytes: impl Into<Bytes>) {
        self.lock().objects.insert(Path::from(path), bytes.into());
    }

    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let bytes = self.lock().objects.get(&Path::from(path)).cloned()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        self.lock().objects.keys().map(Path::to_string).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check(&self, request: Request, path: &Path) -> Result<(), Error> {
        let inner = self.lock();
        let mut faults = inner.faults.iter();
        let fault = faults.find(|(of, part, _)| *of == request && path.as_ref().contains(part));
        fault.map_or(Ok(()), |(_, _, error)| Err(error.clone()))
    }
}

impl Objects for Memory {
    fn put(&self, path: &Path, bytes: Bytes) -> BoxFuture<'_, Result<(), Error>> {
        let path = path.clone();
        Box::pin(async move {
            let slow = {
                let mut inner = self.lock();
                inner.putting.0 += 1;
                inner.putting.1 = inner.putting.1.max(inner.putting.0);
                let slow = inner.slow.iter().find(|(part, _)| path.as_ref().contains(part));
                slow.map(|(_, slow)| *slow)
            };
            match slow {
                Some(slow) => tokio::time::sleep(slow).await,
                None => tokio::task::yield_now().await,
            }
            let checked = self.check(Request::Put, &path);
            let mut inner = self.lock();
            inner.putting.0 -= 1;
            checked.map(|()| drop(inner.objects.insert(path, bytes)))
        })
    }

    fn get(&self, path: &Path) -> BoxFuture<'_, Result<Bytes, Error>> {
        let path = path.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.check(Request::Get, &path)?;
            let found = self.lock().objects.get(&path).cloned();
            found.ok_or(Error::Missing(path))
        })
    }

    fn list(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Entry>, Error>> {
        let folder = folder.clone();
        Box::pin(async move {
            let inner = self.lock();
            let below = inner.objects.iter().filter(|(path, _)| path.prefix_matches(&folder));
            let entry = |(path, bytes): (&Path, &Bytes)| Entry {
                path: path.clone(),
                bytes: bytes.len() as u64,
                modified: SystemTime::UNIX_EPOCH,
            };
            Ok(below.map(entry).collect())
        })
    }

    fn folders(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Path>, Error>> {
        let folder = folder.clone();
        Box::pin(async move {
            let inner = self.lock();
            let below = inner.objects.keys().filter_map(|path| {
                let mut rest = path.prefix_match(&folder)?;
                let name = rest.next()?;
                rest.next().map(|_| folder.clone().join(name))
            });
            Ok(below.collect::<BTreeSet<_>>().into_iter().collect())
        })
    }

    fn delete(&self, path: &Path) -> BoxFuture<'_, Result<(), Error>> {
        let path = path.clone();
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.check(Request::Delete, &path)?;
            let mut inner = self.lock();
            inner.objects.remove(&path);
            inner.deleted.push(path);
            Ok(())
        })
    }
}
