//! The picture of one epoch as a ladder of qualities that every player takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::warn;
use whitewater_core::bridge::Opened;
use whitewater_core::media::Frame;

use crate::metrics;
use crate::transcode::{self, video};
pub(super) use video::Made;

/// A transcoder and what it has made.
pub(super) struct Picture {
    transcoder: video::Handle,
    made: mpsc::Receiver<Made>,
    /// When pictures arrived, by their times.
    arrivals: VecDeque<(i64, Instant)>,
    metrics: metrics::Hls,
    /// What is in there already.
    counted: video::Counters,
    /// Whether it was said that the machine is too slow.
    is_behind: bool,
}

// === impl Picture ===

impl Picture {
    /// Starts a transcoder for an epoch.
    pub(super) fn start(
        opened: &Opened,
        codec: video::Codec,
        metrics: metrics::Hls,
    ) -> Result<Self, transcode::Error> {
        let (made_in, made) = mpsc::channel(MADE_BOUND);
        let config = video::Config {
            codec,
            rungs: opened.rungs.clone(),
            rate: opened.rate,
            segment: opened.segment,
            backlog: opened.gathered + CATCHES_UP,
        };
        let transcoder = video::start(config, move |made| {
            if made_in.try_send(made).is_err() && !made_in.is_closed() {
                warn!("packaging does not keep up with its picture: a frame is dropped");
            }
        })?;
        let counted = video::Counters::default();
        let arrivals = VecDeque::with_capacity(ARRIVALS);
        Ok(Self { transcoder, made, arrivals, metrics, counted, is_behind: false })
    }

    /// Takes in a frame of the source, and when its last packet arrived. `cut`: it is the first of
    /// another publisher.
    pub(super) fn push(&mut self, frame: Frame, cut: bool, arrived: Option<Instant>) {
        if let Some(arrived) = arrived {
            if self.arrivals.len() == ARRIVALS {
                self.arrivals.pop_front();
            }
            self.arrivals.push_back((frame.pts, arrived));
        }
        // What finds no room is counted there.
        self.transcoder.push(frame, cut);
        let counters = self.transcoder.counters();
        let before = std::mem::replace(&mut self.counted, counters);
        self.metrics.transcoded(
            left_out(&counters) - left_out(&before),
            counters.repeated - before.repeated,
            counters.rebuilt - before.rebuilt,
        );
        if !self.is_behind && left_out(&counters) > MANY_DROPPED {
            self.is_behind = true;
            warn!(?counters, "the machine is too slow to transcode: pictures are dropped");
        }
    }

    /// No picture comes for what lies before.
    pub(super) fn still_until(&self, ticks: i64) {
        self.transcoder.still_until(ticks);
    }

    /// When the latest picture arrived that one which came out can show.
    pub(super) fn arrival_of(&self, made: &Frame) -> Option<Instant> {
        self.arrivals.iter().rev().find(|(time, _)| *time <= made.pts).map(|(_, arrived)| *arrived)
    }

    /// What comes out next.
    pub(super) async fn next(&mut self) -> Option<Made> {
        self.made.recv().await
    }
}

fn left_out(counters: &video::Counters) -> u64 {
    counters.dropped_full + counters.dropped_late + counters.dropped_behind
}

/// Frames that wait to be packaged: two seconds of a few rungs.
const MADE_BOUND: usize = 512;

/// After what was gathered the transcoder may be late for so long, and nothing is left out.
const CATCHES_UP: Duration = Duration::from_secs(2);

/// Two seconds of pictures and more.
const ARRIVALS: usize = 128;

/// A second of pictures.
const MANY_DROPPED: u64 = 30;
