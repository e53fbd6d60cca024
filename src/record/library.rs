//! The library: what is recorded, and what there is of it.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use moka::future::Cache;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};
use whitewater_core::media::{Init, Ntp};
use whitewater_core::playlist::recorded::Growth;
use whitewater_core::playlist::{Finished, Name};
use whitewater_core::shard::StreamId;
use whitewater_signaling::control::StreamName;

use super::choice::choose;
use super::index::{End, Header, Rendition, VERSION};
use super::layout::Layout;
use super::recorder::{Ended, Recorder};
use super::recovery;
use super::shelf::{About, Recording, Shelf, State, View, Which};
use crate::metrics::Recording as Metrics;
use crate::origin::{EpochId, Keeper, Offered, Receipt};
use crate::storage::{Error, Objects, Path, Spooled};

/// Names for a stream.
pub type NamesOf = Box<dyn Fn(&str) -> Vec<String> + Send + Sync>;

/// The life of a stream; `None` while it is not live.
pub type LifeOf = Box<dyn Fn(&StreamName) -> Option<StreamId> + Send + Sync>;

/// What holds for recordings.
pub struct Config {
    /// Whether a stream is recorded whenever it is live.
    pub always: Box<dyn Fn(&str) -> bool + Send + Sync>,
    /// Which renditions of a stream are recorded: their names, or `source`, `ladder` and `aac`.
    pub renditions: NamesOf,
    /// How much of a stream is kept.
    pub keep: Box<dyn Fn(&str) -> Keep + Send + Sync>,
    /// Bytes of all recordings together; 0 is no limit.
    pub max_bytes: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Which life of a stream there is.
    pub life: LifeOf,
    /// Told when a recording can be replayed from beginning to end.
    pub ready: Box<dyn Fn(Ready) + Send + Sync>,
    /// What waits on disk for the store.
    pub spooled: Box<dyn Fn() -> Spooled + Send + Sync>,
    /// Bytes that may wait for the store.
    pub queue_bytes: usize,
    /// Who records: another server that uses the same bucket is left alone.
    pub server: String,
    /// Where it is counted.
    pub metrics: Metrics,
}

/// How much of a stream is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keep {
    /// For how long after its end; zero is for ever.
    pub max_age: Duration,
    /// Bytes of all its recordings; 0 is no limit.
    pub max_bytes: u64,
    /// How far back players of the live stream may go.
    pub window: Duration,
}

/// A recording that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ready {
    /// The stream.
    pub stream: StreamName,
    /// The recording.
    pub id: String,
    /// What there is of it.
    pub end: End,
}

/// Why a wish about recordings was not granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such recording.
    #[error("there is no such recording")]
    Missing,
    /// It goes on.
    #[error("it is still being recorded: stop that first")]
    Going,
    /// Nobody publishes the stream.
    #[error("nobody publishes this stream at the moment")]
    NotLive,
    /// The store does not answer.
    #[error("the store of recordings does not answer: {0}")]
    Store(String),
}

/// The recordings of all streams. Its clones are the same library.
#[derive(Clone)]
pub struct Library(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) objects: Arc<dyn Objects>,
    pub(super) config: Config,
    book: Mutex<Book>,
    room: Arc<Semaphore>,
    views: Cache<String, Arc<View>>,
    tasks: TaskTracker,
}

#[derive(Default)]
pub(super) struct Book {
    pub(super) shelf: Shelf,
    epochs: HashMap<(StreamName, EpochId), Live>,
    /// Recordings that are gone, save for what could not be removed yet.
    leaving: Vec<Layout>,
    /// What the API said of streams, and of which life of theirs.
    wishes: HashMap<StreamName, (StreamId, bool)>,
}

/// An epoch that is being packaged.
struct Live {
    /// The life of the stream that it began in.
    life: Option<StreamId>,
    offered: Vec<Offered>,
    going: Option<Going>,
    failed: Option<Instant>,
    /// Whether it has been recorded from its beginning.
    named: bool,
}

/// A recording that goes on.
struct Going {
    id: String,
    recorder: Recorder,
    /// The renditions that are recorded, as its header counts them.
    places: Vec<Name>,
}

// === impl Library ===

impl Library {
    /// The library of a store. Call it within a tokio runtime; what the store has is known a while later.
    pub fn open(objects: Arc<dyn Objects>, config: Config) -> Self {
        let room = Arc::new(Semaphore::new(config.queue_bytes / 1024));
        let weigh = |_: &String, view: &Arc<View>| view.weight();
        let views = Cache::builder().weigher(weigh).max_capacity(VIEWS_BYTES).build();
        let (book, tasks) = (Mutex::default(), TaskTracker::new());
        let library = Self(Arc::new(Inner { objects, config, book, room, views, tasks }));
        tokio::spawn(recovery::read_store(Arc::downgrade(&library.0)));
        tokio::spawn(super::retention::keep_house(Arc::downgrade(&library.0)));
        library
    }

    /// Whether a stream is recorded while it is live.
    pub fn wants(&self, stream: &StreamName) -> bool {
        let life = (self.0.config.life)(stream);
        self.0.wants(&self.0.book(), stream, life)
    }

    /// Which renditions of a stream its policy records.
    pub fn chosen(&self, stream: &str) -> Vec<String> {
        (self.0.config.renditions)(stream)
    }

    /// A page of recordings, the newest first, and whether there are more.
    pub fn page(&self, which: &Which, is_seen: &dyn Fn(&StreamName) -> bool) -> (Vec<About>, bool) {
        self.0.book().shelf.list(which, is_seen)
    }

    /// A recording.
    pub fn about(&self, id: &str) -> Result<About, Refused> {
        self.0.book().shelf.get(id).map(Recording::about).ok_or(Refused::Missing)
    }

    /// What goes on of a stream. One that is about to end does not.
    pub fn going(&self, stream: &StreamName) -> Option<About> {
        let book = self.0.book();
        let of_stream = book.epochs.iter().filter(|((name, _), _)| name == stream);
        let ids = of_stream.filter_map(|(_, live)| Some(&live.going.as_ref()?.id));
        let found = ids.filter_map(|id| book.shelf.get(id));
        found.max_by_key(|one| one.header.began_us).map(Recording::about)
    }

    /// Records a stream from now on, until it ends or somebody stops it.
    pub fn start(&self, stream: &StreamName) -> Result<(), Refused> {
        let life = (self.0.config.life)(stream).ok_or(Refused::NotLive)?;
        self.0.book().wishes.insert(stream.clone(), (life, true));
        Ok(())
    }

    /// Records a stream no more, until it ends or somebody starts it.
    pub fn stop(&self, stream: &StreamName) -> Result<(), Refused> {
        let life = (self.0.config.life)(stream).ok_or(Refused::NotLive)?;
        let mut book = self.0.book();
        book.wishes.insert(stream.clone(), (life, false));
        for ((name, _), live) in &mut book.epochs {
            if name == stream {
                live.going = None;
            }
        }
        Ok(())
    }

    /// Deletes a recording.
    pub async fn delete(&self, id: &str) -> Result<(), Refused> {
        self.0.delete(id).await
    }

    /// A recording to be played.
    pub async fn view(&self, stream: &StreamName, id: &str) -> Result<Arc<View>, Refused> {
        let (layout, state) = {
            let book = self.0.book();
            let recording = book.shelf.get(id).filter(|one| one.header.stream == *stream);
            let recording = recording.ok_or(Refused::Missing)?;
            (recording.layout.clone(), recording.state.clone())
        };
        match state {
            State::Going(shared) => {
                let index = Arc::clone(&shared.lock());
                let growth = if index.is_cut { Growth::Moving } else { Growth::Growing };
                return Ok(Arc::new(View { index, growth }));
            }
            State::Unclosed(unclosed) => {
                let index = Arc::clone(&unclosed.index);
                return Ok(Arc::new(View { index, growth: Growth::Complete }));
            }
            State::Over(_) => {}
        }
        let objects = Arc::clone(&self.0.objects);
        let read = async {
            let index = Arc::new(recovery::read_index(&*objects, &layout).await?);
            Ok(Arc::new(View { index, growth: Growth::Complete }))
        };
        self.0.views.try_get_with(id.to_owned(), read).await.map_err(|error: Arc<Error>| {
            match &*error {
                Error::Missing(_) => Refused::Missing,
                other @ (Error::Full(_) | Error::Failed(_)) => Refused::Store(other.to_string()),
            }
        })
    }

    /// What was known of a recording when it began, and where it lies.
    pub fn place(&self, stream: &StreamName, id: &str) -> Option<(Arc<Header>, Layout)> {
        let book = self.0.book();
        let recording = book.shelf.get(id).filter(|one| one.header.stream == *stream)?;
        Some((Arc::clone(&recording.header), recording.layout.clone()))
    }

    /// An object of a recording.
    pub async fn object(&self, path: &Path) -> Result<Bytes, Error> {
        self.0.objects.get(path).await
    }

    /// Ends all recordings, and waits until they are closed.
    pub async fn finish(&self, limit: Duration) {
        self.0.book().epochs.values_mut().for_each(|live| live.going = None);
        self.0.tasks.close();
        if tokio::time::timeout(limit, self.0.tasks.wait()).await.is_err() {
            warn!("not every recording was closed in time: the next start closes them");
        }
    }
}

// === impl Book ===

impl Book {
    /// The streams of all epochs that go on, and when their tick 0 was.
    pub(super) fn zeros(&self) -> HashSet<(&StreamName, i64)> {
        let zero = |live: &Live| Some(live.offered.first()?.config.epoch.unix_micros());
        self.epochs.iter().filter_map(|((stream, _), live)| Some((stream, zero(live)?))).collect()
    }
}

// === impl Inner ===

impl Inner {
    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants(&self, book: &Book, stream: &StreamName, life: Option<StreamId>) -> bool {
        let wish = book.wishes.get(stream).filter(|(of, _)| Some(*of) == life);
        wish.map_or_else(|| (self.config.always)(stream.as_str()), |(_, wish)| *wish)
    }

    /// Begins a recording of an epoch, whose first frame is of that time.
    fn begin(
        self: &Arc<Self>,
        stream: &StreamName,
        epoch: &EpochId,
        live: &Live,
        began_us: i64,
    ) -> (Going, Recording) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        // Names sort by time: who begins long after its epoch has a name of its own.
        let opened_ms = EpochId::unix_ms(epoch.as_ref()).and_then(|ms| i64::try_from(ms).ok());
        let is_late = opened_ms.is_some_and(|ms| began_us / 1_000 > ms.saturating_add(LATE_MS));
        let id = if live.named || is_late {
            EpochId::new(now.as_millis() as u64, fastrand::u64(..)).to_string()
        } else {
            epoch.to_string()
        };
        let chosen = choose(&live.offered, &(self.config.renditions)(stream.as_str()));
        let renditions = chosen.iter().map(|offered| Rendition {
            name: offered.config.name.to_string(),
            kind: offered.kind.into(),
            timescale: offered.config.timescale,
            frame_rate: offered.frame_rate,
            channels: offered.channels,
        });
        let places = chosen.iter().map(|offered| offered.config.name.clone()).collect();
        let config = &live.offered[0].config;
        let header = Header {
            version: VERSION,
            stream: stream.clone(),
            id: id.clone(),
            server: self.config.server.clone(),
            began_us: began_us.min(now_us),
            zero_us: config.epoch.unix_micros(),
            segment_ms: config.segment.as_millis() as u64,
            part_ms: config.part_target.as_millis() as u64,
            renditions: renditions.collect(),
        };
        let layout = Layout::new(stream, &id);
        let metrics = self.config.metrics.clone();
        let (recorder, shared, task) = Recorder::new(
            Arc::clone(&self.objects),
            header.clone(),
            layout.clone(),
            Arc::clone(&self.room),
            metrics,
        );
        info!(%stream, recording = %id, "recording begins");
        self.config.metrics.began();
        let (inner, closing) = (Arc::clone(self), id.clone());
        self.tasks.spawn(async move {
            let ended = task.await;
            inner.ended(&closing, ended).await;
        });
        let recording = Recording { header: Arc::new(header), layout, state: State::Going(shared) };
        (Going { id, recorder, places }, recording)
    }

    async fn ended(&self, id: &str, ended: Ended) {
        let Ended { unclosed, closed } = ended;
        let end = unclosed.end.clone();
        let (stream, layout) = {
            let mut book = self.book();
            let Some(recording) = book.shelf.get_mut(id) else { return };
            let (stream, layout) = (recording.header.stream.clone(), recording.layout.clone());
            recording.state = match closed {
                Ok(()) => State::Over(end.clone()),
                Err(_) => State::Unclosed(Arc::new(unclosed)),
            };
            (stream, layout)
        };
        self.config.metrics.ended(end.error.is_some());
        if let Some(error) = &end.error {
            error!(%stream, recording = %id, error, "recording has failed; the stream goes on");
        }
        if let Err(error) = closed {
            warn!(%stream, recording = %id, %error, "a recording cannot be closed yet");
        }
        if end.bytes == 0 {
            // One that fails is tried again and again: a list of nothing helps nobody.
            self.book().shelf.take(id);
            self.clear(layout).await;
            return;
        }
        let (seconds, bytes) = (end.duration_s, end.bytes);
        info!(%stream, recording = %id, seconds, bytes, "recording ends");
        (self.config.ready)(Ready { stream, id: id.to_owned(), end });
    }

    /// Deletes a recording, whatever becomes of who asked for it.
    pub(super) async fn delete(self: &Arc<Self>, id: &str) -> Result<(), Refused> {
        let (inner, id) = (Arc::clone(self), id.to_owned());
        let deleted = self.tasks.spawn(async move { inner.delete_now(&id).await }).await;
        deleted.unwrap_or_else(|error| Err(Refused::Store(error.to_string())))
    }

    async fn delete_now(&self, id: &str) -> Result<(), Refused> {
        let layout = {
            let book = self.book();
            let recording = book.shelf.get(id).ok_or(Refused::Missing)?;
            match recording.state {
                State::Going(_) => return Err(Refused::Going),
                State::Over(_) | State::Unclosed(_) => recording.layout.clone(),
            }
        };
        let marked = recovery::mark_removed(&*self.objects, &layout).await;
        marked.map_err(|error| Refused::Store(error.to_string()))?;
        // From here on it is gone, whatever happens.
        self.book().shelf.take(id);
        self.views.invalidate(id).await;
        self.clear(layout).await;
        Ok(())
    }

    /// Removes what there is of a recording that is gone. What cannot be removed is tried again.
    pub(super) async fn clear(&self, layout: Layout) {
        if let Err(error) = recovery::remove(&*self.objects, &layout).await {
            warn!(recording = %layout.folder, %error, "a recording cannot be removed yet");
            self.book().leaving.push(layout);
        }
    }

    /// Removes what could not be removed before.
    pub(super) async fn clear_left(&self) {
        let left = std::mem::take(&mut self.book().leaving);
        for layout in left {
            match recovery::remove(&*self.objects, &layout).await {
                Ok(()) => info!(recording = %layout.folder, "a recording is removed at last"),
                Err(error) => {
                    debug!(recording = %layout.folder, %error, "a recording cannot be removed yet");
                    self.book().leaving.push(layout);
                }
            }
        }
    }

    /// Forgets what was said of lives of streams that are over.
    pub(super) fn forget_wishes(&self) {
        let said: Vec<_> = {
            let book = self.book();
            book.wishes.iter().map(|(stream, (life, _))| (stream.clone(), *life)).collect()
        };
        let over =
            said.into_iter().filter(|(stream, life)| (self.config.life)(stream) != Some(*life));
        for (stream, life) in over {
            if let Entry::Occupied(wish) = self.book().wishes.entry(stream)
                && wish.get().0 == life
            {
                wish.remove();
            }
        }
    }
}

impl Keeper for Library {
    fn opened(&self, stream: &StreamName, epoch: &EpochId, offered: &[Offered]) {
        let life = (self.0.config.life)(stream);
        let offered = offered.to_vec();
        let live = Live { life, offered, going: None, failed: None, named: false };
        self.0.book().epochs.insert((stream.clone(), epoch.clone()), live);
    }

    fn finished(
        &self,
        stream: &StreamName,
        epoch: &EpochId,
        rendition: &Name,
        init: &Init,
        segment: Finished,
        receipt: Receipt,
    ) {
        let mut book = self.0.book();
        let key = (stream.clone(), epoch.clone());
        let Some(life) = book.epochs.get(&key).map(|live| live.life) else { return };
        let wanted = self.0.wants(&book, stream, life);
        let Book { epochs, shelf, .. } = &mut *book;
        let Some(live) = epochs.get_mut(&key) else { return };
        if !wanted {
            live.going = None;
            return;
        }
        if live.going.is_none() {
            if live.failed.is_some_and(|at| at.elapsed() < FAILED_FOR) {
                return;
            }
            let (going, recording) = self.0.begin(stream, epoch, live, segment.wall_us);
            live.named = true;
            live.going = Some(going);
            shelf.put(recording);
        }
        let Some(going) = &live.going else { return };
        let Some(place) = going.places.iter().position(|name| name == rendition) else { return };
        if !going.recorder.take(place, init.clone(), segment, receipt) {
            warn!(%stream, recording = %going.id, "nothing more is recorded for now");
            live.going = None;
            live.failed = Some(Instant::now());
        }
    }

    fn ended(&self, stream: &StreamName, epoch: &EpochId) {
        self.0.book().epochs.remove(&(stream.clone(), epoch.clone()));
    }

    fn fetch(
        &self,
        stream: &StreamName,
        zero: Ntp,
        rendition: &Name,
        msn: u64,
    ) -> BoxFuture<'static, Option<Bytes>> {
        let paths: Vec<_> = {
            let book = self.0.book();
            // A recording that was begun anew has another name than its epoch.
            let of_epoch = book.shelf.all().rev().filter(|one| {
                one.header.stream == *stream && one.header.zero_us == zero.unix_micros()
            });
            let may_hold = |one: &&Recording| match &one.state {
                State::Going(shared) => shared.lock().has(rendition, msn),
                State::Unclosed(unclosed) => unclosed.index.has(rendition, msn),
                State::Over(_) => {
                    one.header.renditions.iter().any(|r| r.name == rendition.as_ref())
                }
            };
            let found = of_epoch.filter(may_hold);
            found.map(|one| one.layout.segment(rendition.as_ref(), msn)).collect()
        };
        let objects = Arc::clone(&self.0.objects);
        Box::pin(async move {
            for path in paths {
                if let Ok(bytes) = objects.get(&path).await {
                    return Some(bytes);
                }
            }
            None
        })
    }
}

/// Views that are remembered, in bytes.
const VIEWS_BYTES: u64 = 64 * 1024 * 1024;

/// A recording that begins so many milliseconds after its epoch is not named after it.
const LATE_MS: i64 = 30_000;

/// A recording that failed is begun anew after so long.
const FAILED_FOR: Duration = Duration::from_secs(30);
