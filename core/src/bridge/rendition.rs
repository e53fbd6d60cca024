//! A rendition that packages the frames of one source and keeps its playlist going.
//!
//! Whatever its source does, its parts follow each other: where nothing comes, gaps stand for it.

use std::time::Duration;

use crate::media::{Frame, Kind, Packaged};
use crate::package::{self, Exceeded, Segmenter};

/// Which rendition of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RenditionId {
    /// A layer of the picture as it is.
    Layer(u8),
    /// A transcoded picture.
    Rung(u8),
    /// The sound as it is.
    Opus,
    /// The sound as every player takes it.
    Aac,
}

/// One rendition of an epoch.
#[derive(Debug)]
pub(super) struct Rendition {
    pub(super) id: RenditionId,
    config: package::Config,
    segmenter: Segmenter,
    clock_rate: u32,
    /// Up to where its timeline reaches, if the next frame comes as soon as the last one did.
    end: i64,
    /// Up to where gaps stand for what did not come.
    filled: i64,
    /// The usual distance of frames.
    interval: i64,
    last: Option<i64>,
    /// Whether frames come.
    live: bool,
    /// From where on frames are another publisher's that have yet to come out of the transcoder.
    turns: Option<i64>,
    /// Until then nothing is filled up: what was gathered before the epoch opened comes all at once.
    settles: Duration,
}

// === impl RenditionId ===

impl RenditionId {
    /// Sound or picture.
    pub fn kind(self) -> Kind {
        match self {
            Self::Layer(_) | Self::Rung(_) => Kind::Video,
            Self::Opus | Self::Aac => Kind::Audio,
        }
    }

    /// Its name in addresses.
    pub fn name(self) -> String {
        match self {
            Self::Layer(index) => format!("v{index}"),
            Self::Rung(index) => format!("t{index}"),
            Self::Opus => "opus".into(),
            Self::Aac => "aac".into(),
        }
    }
}

// === impl Rendition ===

impl Rendition {
    /// A rendition of an epoch that opens so long after its zero.
    pub(super) fn new(id: RenditionId, config: package::Config, opens: Duration) -> Self {
        Self {
            id,
            clock_rate: config.timescale,
            config,
            segmenter: Segmenter::new(config),
            end: 0,
            filled: 0,
            interval: 0,
            last: None,
            live: false,
            turns: None,
            settles: match id {
                RenditionId::Layer(_) | RenditionId::Opus => opens,
                RenditionId::Rung(_) | RenditionId::Aac => opens + BACKLOG,
            },
        }
    }

    /// Counts segments as another one of its kind does that has begun already.
    pub(super) fn count_like(&mut self, lag: i64) {
        if self.last.is_none() {
            self.config.lag = lag;
            self.segmenter = Segmenter::new(self.config);
        }
    }

    /// Whether a frame has come.
    pub(super) fn has_begun(&self) -> bool {
        self.last.is_some()
    }

    /// Takes in a frame on the epoch's timeline.
    pub(super) fn push(&mut self, frame: &Frame) -> Result<(), Exceeded> {
        if frame.dts < self.filled {
            // A gap has taken its place.
            return Ok(());
        }
        if frame.keyframe && self.turns.is_some_and(|at| frame.dts + self.ticks(BESIDE) >= at) {
            self.turns = None;
            self.segmenter.discontinuity();
        }
        if self.last.is_some() && frame.dts - self.end > self.ticks(LONGEST_FRAME) {
            self.segmenter.gap(frame.dts)?;
        }
        if let Some(last) = self.last {
            let interval = frame.dts - last;
            if (1..self.ticks(LONGEST_FRAME)).contains(&interval) {
                self.interval = interval;
            }
        }
        self.last = Some(frame.dts);
        self.end = frame.dts + self.interval;
        self.segmenter.handle_frame(frame)?;
        self.live = !self.segmenter.wants_keyframe();
        Ok(())
    }

    /// Fills up what did not come until now, in time since the epoch began. Says whether frames came
    /// of late.
    pub(super) fn fill(&mut self, now: Duration) -> Result<(), Exceeded> {
        // What has not begun has nothing to go on with.
        let Some(last) = self.last.filter(|_| now >= self.settles) else { return Ok(()) };
        let (now_ticks, patience) = (self.ticks(now), self.ticks(self.patience()));
        if self.end + patience <= now_ticks {
            let until = now_ticks - patience;
            self.segmenter.gap(until)?;
            (self.end, self.filled) = (until, until);
            self.live &= now_ticks - last < self.ticks(GONE);
        } else {
            // As late as the latest frame that is still waited for.
            self.segmenter.close_due(now_ticks - patience)?;
        }
        Ok(())
    }

    /// What follows comes from another publisher, and begins about now.
    pub(super) fn discontinue(&mut self) {
        // Of what is transcoded some is still to come.
        if !self.is_rung() {
            self.segmenter.discontinuity();
        }
    }

    /// What is transcoded comes from another publisher from this tick on, and begins with a keyframe.
    pub(super) fn discontinue_at(&mut self, dts: i64) {
        if self.is_rung() {
            self.turns = Some(dts);
        }
    }

    fn is_rung(&self) -> bool {
        matches!(self.id, RenditionId::Rung(_))
    }

    /// Nothing follows.
    pub(super) fn finish(&mut self) {
        self.segmenter.end();
    }

    /// How many segment numbers it is behind the grid, once it has begun.
    pub(super) fn lag(&self) -> Option<i64> {
        self.last.map(|_| self.segmenter.lag())
    }

    /// Whether nothing can be packaged before a keyframe comes.
    pub(super) fn wants_keyframe(&self) -> bool {
        self.segmenter.wants_keyframe()
    }

    /// Whether frames come.
    pub(super) fn is_live(&self) -> bool {
        self.live
    }

    pub(super) fn poll(&mut self) -> Option<Packaged> {
        self.segmenter.poll()
    }

    /// How late a frame may come.
    fn patience(&self) -> Duration {
        match self.id {
            RenditionId::Layer(_) | RenditionId::Opus => PATIENCE,
            RenditionId::Aac => PATIENCE + TRANSCODING,
            RenditionId::Rung(_) => PATIENCE + TRANSCODING_PICTURES,
        }
    }

    /// A time since the epoch began in ticks of the rendition.
    pub(super) fn ticks(&self, time: Duration) -> i64 {
        let us = i64::try_from(time.as_micros()).unwrap_or(i64::MAX);
        crate::media::time::micros_to_ticks(us, self.clock_rate)
    }
}

/// A frame stands for itself as long as this; more is a hole.
const LONGEST_FRAME: Duration = Duration::from_millis(400);

/// How long a frame may come late: a lost packet is waited for 300 ms, and ways differ.
const PATIENCE: Duration = Duration::from_millis(600);

/// How much later it may come from a transcoder.
const TRANSCODING: Duration = Duration::from_millis(400);

/// Pictures take longer on a busy machine. What does not come at all is filled up before.
const TRANSCODING_PICTURES: Duration = Duration::from_millis(900);

/// How long a transcoder may take to catch up as an epoch opens.
const BACKLOG: Duration = Duration::from_secs(4);

/// A transcoder puts pictures onto a regular grid, at most this far from their places.
const BESIDE: Duration = Duration::from_millis(60);

/// A rendition without frames for so long is no longer offered.
const GONE: Duration = Duration::from_secs(3);
