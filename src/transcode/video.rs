//! A transcoder that turns a picture of any codec into the rungs of a ladder.
//!
//! The picture is decoded once; a `Clock` puts what comes out onto a regular grid of ticks, and each rung
//! has a pipeline that scales and encodes. **Frames come out at multiples of one interval, those that
//! begin segments are keyframes**: holes show the last picture, and a pipeline that fails is made anew.
//! An encoder that does not keep up loses pictures before it encodes them.

mod decoder;
mod encoder;
mod lane;
mod parameters;
mod stamps;
mod worker;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use whitewater_core::bridge::Rung;
use whitewater_core::media::{Frame, Ntp};

use super::clock::Clock;
use super::{Error, pipeline};
use crate::priority::Behind;
use lane::{Lane, Picture};
use worker::Worker;

/// What rungs are encoded with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// H.264, by x264.
    #[default]
    H264,
    /// H.265, by x265.
    H265,
}

/// What to make.
#[derive(Clone, Debug)]
pub struct Config {
    /// With what.
    pub codec: Codec,
    /// The qualities.
    pub rungs: Vec<Rung>,
    /// Pictures per second, a divisor of 90,000.
    pub rate: u32,
    /// From keyframe to keyframe.
    pub segment: Duration,
    /// The beginning, of which nothing is left out although it comes all at once.
    pub backlog: Duration,
}

/// What comes out.
#[derive(Debug)]
pub enum Made {
    /// A frame of the rung of this number.
    Frame(u8, Frame),
    /// Nothing comes before the source has a keyframe.
    WantKeyframe,
    /// Nothing comes at all.
    Failed(Error),
}

/// A running transcoder. It ends when this is dropped.
pub struct Handle {
    inputs: SyncSender<Input>,
    shared: Arc<Mutex<Shared>>,
    /// Up to where nothing is left out.
    backlog: i64,
    dropped: AtomicU64,
}

/// What a transcoder went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames dropped because the queue was full, and those after them up to a keyframe.
    pub dropped_full: u64,
    /// Frames left out because the decoder does not keep up, and those after them up to a keyframe.
    pub dropped_late: u64,
    /// Pictures left out because encoders do not keep up, by all rungs together.
    pub dropped_behind: u64,
    /// Pictures shown once more.
    pub repeated: u64,
    /// Pictures left out since their place was taken.
    pub late: u64,
    /// Frames of which the decoder made nothing.
    pub undecoded: u64,
    /// Pipelines made anew after a failure.
    pub rebuilt: u64,
}

enum Input {
    Frame(Frame, bool),
    StillUntil(i64),
    Fail,
}

/// What the pipelines' threads share.
struct Shared {
    clock: Clock<Picture>,
    lanes: Vec<Lane>,
    /// Which decoder is seen: pictures of its predecessors are late.
    decoder: u64,
    /// From where on pictures are another publisher's.
    cut: Option<i64>,
    capture: Option<(i64, Ntp)>,
    /// Frames that this decoder has made nothing of, since it made something.
    unread: u64,
    undecoded: u64,
    rebuilt: u64,
    /// Frames in the queue of inputs.
    waiting: usize,
    /// Whether a frame found no room there, so that the next ones mean nothing.
    skips: bool,
    /// Before this, no picture is waited for.
    due: i64,
    /// Frames that came out of that queue too late to be decoded.
    too_late: u64,
}

/// Starts a transcoder. `output` is called by its threads and must not block.
pub fn start(
    config: Config,
    output: impl Fn(Made) + Send + Sync + 'static,
) -> Result<Handle, Error> {
    pipeline::init()?;
    encoder::check(config.codec)?;
    let (segment, backlog) = (stamps::of(config.segment), stamps::of(config.backlog));
    let shared = Arc::new(Mutex::new(Shared {
        clock: Clock::new(config.rate, segment),
        lanes: config.rungs.iter().map(|rung| Lane::new(*rung, config.rate)).collect(),
        decoder: 0,
        cut: None,
        capture: None,
        unread: 0,
        undecoded: 0,
        rebuilt: 0,
        waiting: 0,
        skips: false,
        due: 0,
        too_late: 0,
    }));
    let (inputs, received) = sync_channel(MAX_INPUTS);
    let mut worker = Worker::new(config, backlog, Arc::clone(&shared), Arc::new(output));
    thread::Builder::new().name("transcode-video".into()).spawn(move || {
        Behind::Transcoding.stand();
        worker.run(&received)
    })?;
    Ok(Handle { inputs, shared, backlog, dropped: AtomicU64::new(0) })
}

// === impl Handle ===

impl Handle {
    /// Takes a frame, whose times are ticks of 90 kHz since the epoch. `cut`: it is the first of another
    /// publisher and is to come out as a keyframe. Never waits; says whether it was taken.
    pub fn push(&self, frame: Frame, cut: bool) -> bool {
        let most = if frame.dts < self.backlog { usize::MAX } else { MAX_WAITING };
        let (skips, waiting) = {
            let shared = lock(&self.shared);
            (shared.skips && !frame.keyframe, shared.waiting)
        };
        let taken = !skips && waiting < most && self.put(frame, cut);
        lock(&self.shared).skips = !taken;
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }

    fn put(&self, frame: Frame, cut: bool) -> bool {
        // Counted before, as the worker takes it out at once.
        lock(&self.shared).waiting += 1;
        let taken = self.inputs.try_send(Input::Frame(frame, cut)).is_ok();
        if !taken {
            lock(&self.shared).waiting -= 1;
        }
        taken
    }

    /// Says that for what lies before `ticks` no picture is waited for any more: the last one stands for
    /// it. To be said all the time, as what comes much later is left out. Never waits.
    pub fn still_until(&self, ticks: i64) -> bool {
        lock(&self.shared).due = ticks;
        self.inputs.try_send(Input::StillUntil(ticks)).is_ok()
    }

    /// What it went through so far.
    pub fn counters(&self) -> Counters {
        let shared = lock(&self.shared);
        let clock = shared.clock.counters();
        Counters {
            dropped_full: self.dropped.load(Ordering::Relaxed),
            dropped_late: shared.too_late,
            dropped_behind: shared.lanes.iter().map(Lane::dropped).sum(),
            repeated: clock.repeated,
            late: clock.late,
            undecoded: shared.undecoded,
            rebuilt: shared.rebuilt,
        }
    }

    /// Makes all pipelines fail, for tests.
    #[doc(hidden)]
    pub fn inject_failure(&self) {
        let _ = self.inputs.try_send(Input::Fail);
    }
}

// === impl Shared ===

impl Shared {
    /// Takes a decoded picture.
    fn picture(&mut self, at: i64, picture: Picture) {
        if self.cut.is_some_and(|cut| at >= cut) {
            self.cut = None;
            self.clock.cut();
        }
        let Self { clock, lanes, .. } = self;
        clock.picture(at, picture, &mut |shot| lanes.iter_mut().for_each(|lane| lane.feed(&shot)));
    }

    fn still_until(&mut self, ticks: i64) {
        let Self { clock, lanes, .. } = self;
        clock.still_until(ticks, &mut |shot| lanes.iter_mut().for_each(|lane| lane.feed(&shot)));
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seventeen seconds of pictures: what is gathered before an epoch opens comes all at once.
const MAX_INPUTS: usize = 1024;

/// Frames that may wait otherwise: about a second.
const MAX_WAITING: usize = 32;
