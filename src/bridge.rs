//! A bridge that runs the frame world: one task per stream, from the tap to the origin's store.
//!
//! What is decided is decided in `core/src/bridge/`; here packets are handed in and parts handed on.

mod picture;
mod sound;
mod stream;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::{debug, warn};
use whitewater_core::bridge::Ladder;
use whitewater_core::shard::{LinkMessage, ShardId, StreamId};
use whitewater_signaling::control::StreamName;

use crate::metrics;
use crate::origin::{Store, Wanted};
pub use crate::transcode::video::Codec;

/// Where packets come from: who knows the streams that are live.
pub trait Packets: Send + Sync + 'static {
    /// A live stream, and the shard that has it.
    fn place(&self, stream: &StreamName) -> Option<(StreamId, ShardId)>;

    /// The live streams.
    fn streams(&self) -> Vec<StreamName>;

    /// Tells a shard something. False if it is lost.
    fn tell(&self, shard: ShardId, message: LinkMessage) -> bool;
}

/// When a stream is packaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// While somebody asks for it.
    OnDemand,
    /// While it is live.
    Always,
    /// Never.
    Never,
}

/// What sound is packaged as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sound {
    /// As AAC, where the system can make it; else as Opus.
    pub aac: bool,
    /// As it comes.
    pub opus: bool,
}

/// What a stream's picture is transcoded to.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Which qualities.
    pub ladder: Ladder,
    /// Encoded as what.
    pub codec: Codec,
}

/// What is recorded beside what comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// Sound as AAC.
    pub aac: bool,
    /// The picture as it is transcoded.
    pub ladder: bool,
}

/// What is recorded of a stream; `None` is nothing.
pub type RecordedOf = Box<dyn Fn(&StreamName) -> Option<Recorded> + Send + Sync>;

/// How a stream is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// What its segments last, where the publisher's keyframes allow it.
    pub segment: Duration,
    /// How far back players can go.
    pub window: Duration,
    /// How long media stays in memory that is kept elsewhere too.
    pub memory: Duration,
}

/// What holds for all streams.
pub struct Config {
    /// When a stream is packaged for players.
    pub when: Box<dyn Fn(&str) -> When + Send + Sync>,
    /// What is recorded of a stream, and so packaged whether or not anybody plays it; `None` is nothing.
    pub recorded: RecordedOf,
    /// What its picture is transcoded to.
    pub picture: Box<dyn Fn(&str) -> Picture + Send + Sync>,
    /// What its segments last, and how far back players can go.
    pub timing: Box<dyn Fn(&str) -> Timing + Send + Sync>,
    /// What its sound is packaged as.
    pub sound: Box<dyn Fn(&str) -> Sound + Send + Sync>,
    /// Where it is counted.
    pub metrics: metrics::Hls,
    /// How long the first request waits until there is something to play.
    pub patience: Duration,
    /// How long it waits where the publisher's keyframes come seldom.
    pub patience_for_keyframes: Duration,
    /// After how long without requests a stream is no longer packaged.
    pub idle: Duration,
}

/// The bridges of all streams.
pub struct Bridges {
    packets: Arc<dyn Packets>,
    store: Store,
    config: Config,
    running: Mutex<HashMap<StreamId, Running>>,
    /// Whether nothing is begun any more.
    closed: AtomicBool,
}

/// The task of one stream, until its shard has been told that it listens no more.
struct Running {
    /// `None` once it is given up.
    inlet: Option<mpsc::Sender<LinkMessage>>,
    stage: watch::Receiver<Stage>,
    /// Whether players have asked for it.
    is_played: Arc<AtomicBool>,
}

/// How far a stream's bridge has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing can be played yet.
    Starting,
    /// The same, as the publisher's keyframes come seldom and are waited for.
    Learning,
    /// Its epoch is in the store.
    Open,
    /// It missed something and was given up; another one may begin.
    GivenUp,
    /// It is over.
    Over,
}

/// Starts the tasks that hand packets on and begin what is always packaged. Call it within a tokio
/// runtime; they end with the tap.
pub fn start(
    packets: Arc<dyn Packets>,
    tap: mpsc::Receiver<LinkMessage>,
    store: Store,
    config: Config,
) -> Arc<Bridges> {
    let running = Mutex::default();
    let closed = AtomicBool::new(false);
    let bridges = Arc::new(Bridges { packets, store, config, running, closed });
    tokio::spawn(hand_on(Arc::clone(&bridges), tap));
    bridges
}

// === impl Bridges ===

impl Bridges {
    /// Somebody wants to play a stream: begins to package it if need be, and waits until it can be
    /// played.
    pub async fn want(self: Arc<Self>, stream: StreamName) -> Wanted {
        if (self.config.when)(stream.as_str()) == When::Never {
            return Wanted::Off;
        }
        let Some(mut stage) = self.begin(&stream, true) else { return Wanted::NotLive };
        let asked = Instant::now();
        loop {
            let was = *stage.borrow();
            let patience = match was {
                Stage::Learning => self.config.patience_for_keyframes,
                Stage::Starting => self.config.patience,
                Stage::Open => return Wanted::Ready,
                Stage::GivenUp if asked.elapsed() > self.config.patience => {
                    return Wanted::NotReady;
                }
                Stage::GivenUp => {
                    tokio::time::sleep(BEGIN_AGAIN).await;
                    let Some(next) = self.begin(&stream, true) else { return Wanted::NotLive };
                    stage = next;
                    continue;
                }
                Stage::Over => return Wanted::NotLive,
            };
            let due = (asked + patience).into();
            let moved = stage.wait_for(|stage| *stage != was);
            match tokio::time::timeout_at(due, moved).await {
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Wanted::NotLive,
                Err(_) => return Wanted::NotReady,
            }
        }
    }

    /// Ends all that is packaged, so that playlists say so, and begins nothing any more. Gives whether
    /// there was anything to play. Call it when no more packets come.
    pub async fn finish(&self) -> bool {
        self.closed.store(true, Ordering::Relaxed);
        let running: Vec<_> = {
            let running = self.running();
            let open = running.iter().filter(|(_, one)| *one.stage.borrow() == Stage::Open);
            open.filter_map(|(id, one)| Some((*id, one.inlet.clone()?, one.stage.clone())))
                .collect()
        };
        let found = !running.is_empty();
        let all = async {
            for (stream, inlet, _) in &running {
                // A task that has ended meanwhile has ended its epoch too.
                let _ = inlet.send(LinkMessage::Gone { stream: *stream, ended: true }).await;
            }
            for (_, _, mut stage) in running.iter().cloned() {
                let _ = stage.wait_for(|stage| matches!(stage, Stage::GivenUp | Stage::Over)).await;
            }
        };
        if tokio::time::timeout(LAST_PARTS, all).await.is_err() {
            warn!("not every HLS playlist was ended in time");
        }
        found
    }

    /// Begins to package a live stream, unless that is done already, for players or to be recorded.
    fn begin(
        self: &Arc<Self>,
        name: &StreamName,
        for_players: bool,
    ) -> Option<watch::Receiver<Stage>> {
        if self.closed.load(Ordering::Relaxed) {
            return None;
        }
        let (id, home) = self.packets.place(name)?;
        let mut running = self.running();
        if let Some(running) = running.get(&id) {
            running.is_played.fetch_or(for_players, Ordering::Relaxed);
            return Some(running.stage.clone());
        }
        let (inlet, messages) = mpsc::channel(INLET_BOUND);
        let (stage_in, stage) = watch::channel(Stage::Starting);
        let is_played = Arc::new(AtomicBool::new(for_players));
        let playing = Arc::clone(&is_played);
        running.insert(id, Running { inlet: Some(inlet), stage: stage.clone(), is_played });
        debug!(stream = %name, "packaging begins");
        let home = (id, home);
        let task = stream::Task::new(Arc::clone(self), name.clone(), home, stage_in, playing);
        tokio::spawn(task.run(messages));
        Some(stage)
    }

    fn begin_always(self: &Arc<Self>) {
        for name in self.packets.streams() {
            let is_played = (self.config.when)(name.as_str()) == When::Always;
            if is_played || (self.config.recorded)(&name).is_some() {
                self.begin(&name, is_played);
            }
        }
    }

    /// A stream's task has ended, and its shard has been told. Only now may another one begin: the shard counts
    /// all who listen here as one.
    fn forget(&self, id: StreamId) {
        self.running().remove(&id);
    }

    fn running(&self) -> MutexGuard<'_, HashMap<StreamId, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dispatch(&self, message: LinkMessage) {
        let Some(id) = message.stream() else { return };
        let mut running = self.running();
        let Some(found) = running.get_mut(&id) else { return };
        let Some(inlet) = &found.inlet else { return };
        let may_be_dropped = message.may_be_dropped();
        if inlet.try_send(message).is_err() && !may_be_dropped {
            // A bridge that missed a word about its stream is of no use; it begins anew when asked for.
            warn!(?id, "packaging does not keep up with its stream, and is given up");
            found.inlet = None;
        }
    }
}

async fn hand_on(bridges: Arc<Bridges>, mut tap: mpsc::Receiver<LinkMessage>) {
    let mut look = tokio::time::interval(LOOK_INTERVAL);
    loop {
        tokio::select! {
            message = tap.recv() => match message {
                Some(message) => bridges.dispatch(message),
                // The engine has ended; so do the streams' tasks.
                None => return bridges.running().values_mut().for_each(|one| one.inlet = None),
            },
            _ = look.tick() => bridges.begin_always(),
        }
    }
}

/// Messages that wait for a stream's task: about two seconds of a large stream.
const INLET_BOUND: usize = 4096;

/// Who was given up is begun anew after this.
const BEGIN_AGAIN: Duration = Duration::from_millis(100);

/// How often live streams are looked through for those that are always packaged.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long it may take to package what has come last.
const LAST_PARTS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
