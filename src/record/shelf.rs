//! A shelf: the recordings that there are, in the order of their names, which begin with the time.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use whitewater_core::playlist::Kept;
use whitewater_core::playlist::recorded::Growth;
use whitewater_signaling::control::StreamName;

use super::index::{Choice, End, Header, Index};
use super::layout::Layout;
use super::recorder::{Block, Shared, Unclosed};
use crate::origin::EpochId;

/// All recordings.
#[derive(Default)]
pub(super) struct Shelf {
    recordings: BTreeMap<Key, Recording>,
    keys: HashMap<String, Key>,
}

/// The time in its name, in microseconds since 1970, and its name.
type Key = (i64, String);

/// A recording.
pub(super) struct Recording {
    pub(super) header: Arc<Header>,
    pub(super) layout: Layout,
    pub(super) state: State,
}

/// How far a recording has come.
#[derive(Clone)]
pub(super) enum State {
    /// It goes on.
    Going(Shared),
    /// It has ended.
    Over(End),
    /// It has ended, and could not be closed yet.
    Unclosed(Arc<Unclosed>),
}

/// Which recordings are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Of this stream only.
    pub stream: Option<StreamName>,
    /// Those older than this one, whether it is still there or not.
    pub after: Option<String>,
    /// Those that began at this time or later, in microseconds since 1970.
    pub from_us: Option<i64>,
    /// Those that began before this time.
    pub until_us: Option<i64>,
    /// So many at most.
    pub limit: usize,
}

/// What is told of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// What was known when it began.
    pub header: Arc<Header>,
    /// Whether it goes on.
    pub is_going: bool,
    /// What there is of it, or was when it ended.
    pub end: End,
}

/// How much there is of a recording: what is told of it is the same as long as this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    growth: Growth,
    segments: usize,
    /// Numbers of the renditions' last segments together: a beginning may go away as an end comes.
    last: u64,
}

/// A recording, ready to be played.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// All that is known of it.
    pub index: Arc<Index>,
    /// Whether more will come.
    pub growth: Growth,
}

// === impl View ===

impl View {
    /// How much there is of it.
    pub fn extent(&self) -> Extent {
        let tracks = &self.index.tracks;
        let segments = tracks.iter().map(|track| track.segments.len()).sum();
        let ends = tracks.iter().filter_map(|track| Some(track.segments.last()?.msn));
        // An index that is damaged may have any number.
        let last = ends.fold(0, u64::wrapping_add);
        Extent { growth: self.growth, segments, last }
    }

    /// About how many bytes of memory it takes.
    pub(super) fn weight(&self) -> u32 {
        let segments: usize = self.index.tracks.iter().map(|track| track.segments.len()).sum();
        u32::try_from(segments * size_of::<Kept>() + 1_024).unwrap_or(u32::MAX)
    }
}

// === impl Shelf ===

impl Shelf {
    pub(super) fn put(&mut self, recording: Recording) {
        let Header { id, began_us, .. } = &*recording.header;
        let key = key_of(id).unwrap_or_else(|| (*began_us, id.clone()));
        self.keys.insert(recording.header.id.clone(), key.clone());
        self.recordings.insert(key, recording);
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Recording> {
        let key = self.keys.remove(id)?;
        self.recordings.remove(&key)
    }

    pub(super) fn get(&self, id: &str) -> Option<&Recording> {
        self.recordings.get(self.keys.get(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut Recording> {
        self.recordings.get_mut(self.keys.get(id)?)
    }

    /// The oldest first.
    pub(super) fn all(&self) -> impl DoubleEndedIterator<Item = &Recording> {
        self.recordings.values()
    }

    /// The newest first, and whether there are more.
    pub(super) fn list(
        &self,
        which: &Which,
        is_seen: &dyn Fn(&StreamName) -> bool,
    ) -> (Vec<About>, bool) {
        let end = match &which.after {
            None => None,
            // One that has been deleted meanwhile has its place in its name.
            Some(id) => match self.keys.get(id).cloned().or_else(|| key_of(id)) {
                Some(key) => Some(key),
                None => return (Vec::new(), false),
            },
        };
        let all = match end {
            Some(end) => self.recordings.range(..end),
            None => self.recordings.range::<Key, _>(..),
        };
        let fits = |recording: &&Recording| {
            let Header { stream, began_us, .. } = &*recording.header;
            which.stream.as_ref().is_none_or(|wanted| wanted == stream)
                && which.from_us.is_none_or(|from| *began_us >= from)
                && which.until_us.is_none_or(|until| *began_us < until)
                && is_seen(stream)
        };
        let mut found = all.rev().map(|(_, recording)| recording).filter(fits);
        let page = found.by_ref().take(which.limit).map(Recording::about).collect();
        (page, found.next().is_some())
    }
}

/// Where a recording of that name is on a shelf.
fn key_of(id: &str) -> Option<Key> {
    let micros = EpochId::unix_ms(id)?.checked_mul(1_000)?;
    Some((i64::try_from(micros).ok()?, id.to_owned()))
}

// === impl Recording ===

impl Recording {
    pub(super) fn about(&self) -> About {
        let (is_going, end) = match &self.state {
            State::Going(shared) => (true, shared.lock().end(None)),
            State::Over(end) => (false, end.clone()),
            State::Unclosed(unclosed) => (false, unclosed.end.clone()),
        };
        About { header: Arc::clone(&self.header), is_going, end }
    }

    pub(super) fn bytes(&self) -> u64 {
        match &self.state {
            State::Going(shared) => shared.lock().bytes(),
            State::Over(end) => end.bytes,
            State::Unclosed(unclosed) => unclosed.end.bytes,
        }
    }
}

// === impl Shared ===

impl Shared {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn blocks(&self) -> std::sync::MutexGuard<'_, Vec<Block>> {
        lock(&self.blocks)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl About ===

impl About {
    /// `recording`, `ready` or `failed`.
    pub fn state(&self) -> &'static str {
        match (self.is_going, &self.end.error) {
            (true, _) => "recording",
            (false, None) => "ready",
            (false, Some(_)) => "failed",
        }
    }

    /// What there is to choose from.
    pub fn renditions(&self) -> &[Choice] {
        &self.end.renditions
    }
}
