//! Tests of the library in virtual time, with a store in memory.
#![allow(clippy::unwrap_used)]

mod deleting;
mod failing;
mod fetching;
mod recovery;
mod wishes;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use whitewater_core::media::{Init, Kind, Ntp, VideoRange};
use whitewater_core::playlist::{Bandwidth, Config as Playlist, Finished, Kept, Name};
use whitewater_core::shard::StreamId;
use whitewater_signaling::control::StreamName;

use super::index::{Header, Index, InitLine, Line, Range, Rendition, SegmentLine, Sort, VERSION};
use super::layout::Layout;
use super::library::{Config, Keep, Library, Ready};
use super::shelf::{About, Which};
use crate::origin::{EpochId, Keeper, Offered, Receipt};
use crate::storage::Spooled;
use crate::storage::memory::Memory;

/// A library and what surrounds it.
pub(crate) struct Stage {
    pub(crate) library: Library,
    /// The life of the stream; 0 while it is not live.
    life: Arc<AtomicU64>,
    always: Arc<AtomicBool>,
    max_bytes: Arc<AtomicU64>,
    keep: Arc<Mutex<Keep>>,
    told: Arc<Mutex<Vec<Ready>>>,
}

// === impl Stage ===

impl Stage {
    /// A library of a store, whose stream is live and recorded.
    pub(crate) fn open(memory: &Memory) -> Self {
        let (life, always) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicBool::new(true)));
        let max_bytes = Arc::new(AtomicU64::new(0));
        let (keep, told) = (Arc::new(Mutex::new(Keep::default())), Arc::new(Mutex::default()));
        let (lives, always_of, most) =
            (Arc::clone(&life), Arc::clone(&always), Arc::clone(&max_bytes));
        let (keeps, tells): (_, Arc<Mutex<Vec<Ready>>>) = (Arc::clone(&keep), Arc::clone(&told));
        let config = Config {
            always: Box::new(move |_| always_of.load(Ordering::Relaxed)),
            renditions: Box::new(|_| vec!["source".into()]),
            keep: Box::new(move |_| *keeps.lock().unwrap()),
            max_bytes: Box::new(move || most.load(Ordering::Relaxed)),
            life: Box::new(move |_| {
                Some(lives.load(Ordering::Relaxed)).filter(|life| *life > 0).map(StreamId)
            }),
            ready: Box::new(move |ready| tells.lock().unwrap().push(ready)),
            spooled: Box::new(Spooled::default),
            queue_bytes: 1 << 20,
            server: "here".into(),
            metrics: Default::default(),
        };
        let library = Library::open(Arc::new(memory.clone()), config);
        Self { library, life, always, max_bytes, keep, told }
    }

    /// Opens an epoch of one rendition, whose tick 0 is at that second.
    fn epoch(&self, id: &str, zero_s: i64) -> EpochId {
        let epoch: EpochId = id.parse().unwrap();
        let zero = Ntp::from_unix_micros(zero_s * 1_000_000);
        let config = Playlist::new(name(), HZ, zero);
        let nominal = Bandwidth { peak_bps: 1, average_bps: 1 };
        let offered =
            Offered { config, kind: Kind::Video, nominal, frame_rate: None, channels: None };
        self.library.opened(&stream(), &epoch, &[offered]);
        epoch
    }

    /// Hands a segment of two seconds over.
    async fn segment(&self, epoch: &EpochId, zero_s: i64, msn: u64) {
        let init = Init {
            version: 0,
            bytes: Bytes::from_static(b"init"),
            codecs: "avc1.42c01f".into(),
            size: None,
            range: VideoRange::Sdr,
        };
        let start = i64::try_from(msn).unwrap() * 2_000;
        let segment = Finished {
            msn,
            start,
            duration: 2_000,
            came: 2_000,
            init: 0,
            discontinuity: false,
            wall_us: zero_s * 1_000_000 + start * 1_000,
            bytes: Some(media(zero_s, msn)),
        };
        let receipt = Receipt::of_nothing(name());
        self.library.finished(&stream(), epoch, &name(), &init, segment, receipt);
        settle().await;
    }

    /// All recordings, the newest first.
    fn all(&self) -> Vec<About> {
        let which = Which { limit: 100, ..Which::default() };
        self.library.page(&which, &|_| true).0
    }

    fn ids(&self) -> Vec<String> {
        self.all().iter().map(|one| one.header.id.clone()).collect()
    }
}

/// What a segment of an epoch has.
fn media(zero_s: i64, msn: u64) -> Bytes {
    format!("segment {msn} of the epoch at {zero_s}").into()
}

pub(crate) fn stream() -> StreamName {
    "cam".parse().unwrap()
}

fn name() -> Name {
    "v0".parse().unwrap()
}

/// Lets everything happen that need not wait.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// A recording that a server has left in a store: its header, and its index of so many segments.
pub(crate) fn left(
    memory: &Memory,
    server: &str,
    id: &str,
    began_s: i64,
    segments: u64,
) -> (Layout, Index) {
    let header = Header {
        version: VERSION,
        stream: stream(),
        id: id.into(),
        server: server.into(),
        began_us: began_s * 1_000_000,
        zero_us: began_s * 1_000_000,
        segment_ms: 2_000,
        part_ms: 500,
        renditions: vec![Rendition {
            name: "v0".into(),
            kind: Sort::Video,
            timescale: HZ,
            frame_rate: None,
            channels: None,
        }],
    };
    let layout = Layout::new(&stream(), id);
    memory.set(layout.header().as_ref(), serde_json::to_vec(&header).unwrap());
    memory.set(layout.init("v0", 0).as_ref(), "init");
    let mut index = Index::new(header);
    let codecs = "avc1.42c01f".into();
    let init = InitLine { r: 0, init: 0, from: 0, codecs, size: None, range: Range::Sdr };
    assert!(index.take(Line::Init(init)));
    for msn in 0..segments {
        let bytes = media(began_s, msn);
        memory.set(layout.segment("v0", msn).as_ref(), bytes.clone());
        let start = i64::try_from(msn).unwrap() * 2_000;
        let kept = Kept {
            msn,
            start,
            duration: 2_000,
            init: 0,
            discontinuity: false,
            wall_us: began_s * 1_000_000 + start * 1_000,
            bytes: bytes.len() as u64,
        };
        assert!(index.take(Line::Segment(SegmentLine::of(0, &kept))));
    }
    (layout, index)
}

/// A recording that was closed.
fn closed(memory: &Memory, id: &str, began_s: i64, segments: u64) -> Layout {
    let (layout, index) = left(memory, "here", id, began_s, segments);
    memory.set(layout.index().as_ref(), index.text());
    memory.set(layout.end().as_ref(), serde_json::to_vec(&index.end(None)).unwrap());
    layout
}

/// A recording whose process was killed.
fn cut_off(memory: &Memory, id: &str, began_s: i64, segments: u64) -> Layout {
    let (layout, index) = left(memory, "here", id, began_s, segments);
    memory.set(layout.block(0).as_ref(), index.text());
    layout
}

/// Ticks per second.
const HZ: u32 = 1_000;
