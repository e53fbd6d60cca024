//! A recorder that writes one recording: segments, the index that tells of them, and the end.
//!
//! It never holds up who hands it segments: they queue, and where the queue has no room the recording
//! fails. What was written before stays good.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;
use tracing::warn;
use whitewater_core::media::Init;
use whitewater_core::playlist::{Finished, Kept};

use super::index::{End, Header, Index, InitLine, Line, SegmentLine, push_line};
use super::layout::Layout;
use crate::metrics::Recording as Metrics;
use crate::origin::Receipt;
use crate::storage::{Error, Objects, Path};

/// A recording that goes on. It ends when this is dropped.
pub(super) struct Recorder {
    jobs: mpsc::UnboundedSender<Job>,
    room: Arc<Semaphore>,
    failed: Arc<OnceLock<String>>,
}

/// A segment of a rendition, whose bytes are counted as long as they wait.
struct Job {
    rendition: usize,
    init: Init,
    segment: Finished,
    receipt: Receipt,
    _room: OwnedSemaphorePermit,
}

/// What a recorder works with.
pub(super) struct Task {
    objects: Arc<dyn Objects>,
    layout: Layout,
    index: Arc<Mutex<Arc<Index>>>,
    failed: Arc<OnceLock<String>>,
    metrics: Metrics,
    /// Lines that no block has yet.
    pending: String,
    /// When the newest of them ends, in microseconds since 1970.
    newest_us: i64,
    since: Option<Instant>,
    blocks: Arc<Mutex<Vec<Block>>>,
    next_block: u32,
    /// Renditions whose next segment continues nothing: the one that said so was a gap.
    broken: Vec<bool>,
}

/// A block that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) number: u32,
    /// When the newest of its segments ends, in microseconds since 1970.
    pub(super) newest_us: i64,
}

/// What a recorder shares with who looks after it.
#[derive(Clone)]
pub(super) struct Shared {
    /// It is copied only if somebody looks at it while it grows.
    pub(super) index: Arc<Mutex<Arc<Index>>>,
    pub(super) blocks: Arc<Mutex<Vec<Block>>>,
}

/// A recording that has ended, and of which the store does not say so yet.
pub(super) struct Unclosed {
    pub(super) end: End,
    pub(super) index: Arc<Index>,
    pub(super) blocks: Vec<u32>,
}

/// How a recording has ended.
pub(super) struct Ended {
    pub(super) unclosed: Unclosed,
    /// Whether the store says so.
    pub(super) closed: Result<(), Error>,
}

// === impl Recorder ===

impl Recorder {
    /// A recorder, what it shares, and the task that has to run for it.
    pub(super) fn new(
        objects: Arc<dyn Objects>,
        header: Header,
        layout: Layout,
        room: Arc<Semaphore>,
        metrics: Metrics,
    ) -> (Self, Shared, impl Future<Output = Ended> + Send + 'static) {
        let (jobs, received) = mpsc::unbounded_channel();
        let failed = Arc::new(OnceLock::new());
        let broken = vec![false; header.renditions.len()];
        let index = Arc::new(Mutex::new(Arc::new(Index::new(header))));
        let blocks = Arc::default();
        let shared = Shared { index: Arc::clone(&index), blocks: Arc::clone(&blocks) };
        let task = Task {
            objects,
            layout,
            index,
            failed: Arc::clone(&failed),
            metrics,
            pending: String::new(),
            newest_us: 0,
            since: None,
            blocks,
            next_block: 0,
            broken,
        };
        (Self { jobs, room, failed }, shared, task.run(received))
    }

    /// Takes in a segment. False if the recording has failed.
    pub(super) fn take(
        &self,
        rendition: usize,
        init: Init,
        segment: Finished,
        receipt: Receipt,
    ) -> bool {
        let bytes = segment.bytes.as_ref().map_or(0, Bytes::len) + init.bytes.len();
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(kib) else {
            let _ = self.failed.set("the store is too slow, and too much waits for it".into());
            return false;
        };
        let job = Job { rendition, init, segment, receipt, _room: room };
        self.failed.get().is_none() && self.jobs.send(job).is_ok()
    }
}

// === impl Task ===

impl Task {
    async fn run(mut self, mut jobs: mpsc::UnboundedReceiver<Job>) -> Ended {
        let text = serde_json::to_vec_pretty(&self.lock().header).unwrap_or_default();
        let mut outcome = self.put(self.layout.header(), text.into()).await;
        while outcome.is_ok() && self.failed.get().is_none() {
            let due = self.since.map(|since| since + BLOCK);
            let block = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(job) => outcome = self.take(job).await,
                    None => break,
                },
                () = block => outcome = self.flush().await,
            }
        }
        if let Err(error) = &outcome {
            let _ = self.failed.set(error.to_string());
        }
        // Nobody is to wait for room that is taken for nothing.
        jobs.close();
        while jobs.try_recv().is_ok() {}
        let index = Arc::clone(&self.lock());
        let end = index.end(self.failed.get().cloned());
        let unclosed = Unclosed { end, index, blocks: (0..self.next_block).collect() };
        let closed = unclosed.close(&*self.objects, &self.layout).await;
        Ended { unclosed, closed }
    }

    async fn take(&mut self, job: Job) -> Result<(), Error> {
        let Job { rendition: r, init, segment, receipt, _room } = job;
        // What ends with gaps is as long as what came: most often it is the last of its publisher.
        let Finished { msn, start, came: duration, discontinuity, wall_us, bytes, .. } = segment;
        let discontinuity = std::mem::take(&mut self.broken[r]) || discontinuity;
        let Some(bytes) = bytes else {
            self.broken[r] = discontinuity;
            return Ok(());
        };
        let name = self.lock().header.renditions[r].name.clone();
        if self.is_new(r, init.version) {
            self.put(self.layout.init(&name, init.version), init.bytes.clone()).await?;
            let Init { version, codecs, size, range, .. } = init;
            let line = InitLine { r, init: version, from: msn, codecs, size, range: range.into() };
            self.note(Line::Init(line), wall_us);
            // Who finds the segment alone knows what goes with it.
            self.flush().await?;
        }
        let len = bytes.len() as u64;
        self.put(self.layout.segment(&name, msn), bytes).await?;
        let kept =
            Kept { msn, start, duration, init: init.version, discontinuity, wall_us, bytes: len };
        let timescale = self.lock().header.renditions[r].timescale;
        let lasts_us = u128::from(duration) * 1_000_000 / u128::from(timescale.max(1));
        let ends_us = wall_us.saturating_add(i64::try_from(lasts_us).unwrap_or(0));
        self.note(Line::Segment(SegmentLine::of(r, &kept)), ends_us);
        self.metrics.written(len);
        receipt.stored();
        if discontinuity {
            self.flush().await?;
        }
        Ok(())
    }

    fn is_new(&self, r: usize, version: u32) -> bool {
        self.lock().tracks[r].inits.last().is_none_or(|last| last.init < version)
    }

    fn note(&mut self, line: Line, ends_us: i64) {
        push_line(&mut self.pending, &line);
        self.newest_us = self.newest_us.max(ends_us);
        self.since.get_or_insert_with(Instant::now);
        if !Arc::make_mut(&mut self.lock()).take(line) {
            warn!("a segment of a recording is not in order, and is left out");
        }
    }

    /// Writes what no block has yet.
    async fn flush(&mut self) -> Result<(), Error> {
        self.since = None;
        if self.pending.is_empty() {
            return Ok(());
        }
        let number = self.next_block;
        self.put(self.layout.block(number), self.pending.clone().into()).await?;
        self.next_block += 1;
        self.pending.clear();
        let block = Block { number, newest_us: self.newest_us };
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).push(block);
        Ok(())
    }

    async fn put(&self, path: Path, bytes: Bytes) -> Result<(), Error> {
        let put = || self.objects.put(&path, bytes.clone());
        let may_pass = |error: &Error| matches!(error, Error::Failed(_));
        put.retry(ExponentialBuilder::default().with_max_times(TRIES)).when(may_pass).await
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Arc<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Unclosed ===

impl Unclosed {
    /// Writes the whole index and the end, and removes the blocks.
    pub(super) async fn close(&self, objects: &dyn Objects, layout: &Layout) -> Result<(), Error> {
        objects.put(&layout.index(), self.index.text().into()).await?;
        let text = serde_json::to_vec_pretty(&self.end).unwrap_or_default();
        objects.put(&layout.end(), text.into()).await?;
        for number in &self.blocks {
            objects.delete(&layout.block(*number)).await?;
        }
        Ok(())
    }
}

/// A block of the index has what came in so long.
const BLOCK: Duration = Duration::from_secs(60);

/// How often a write is tried again: seven seconds in all.
const TRIES: usize = 3;
