//! The sound of one epoch as AAC, which every player takes.

use tokio::sync::mpsc;
use tracing::warn;
use whitewater_core::media::Frame;

use crate::transcode::{self, audio};

/// A transcoder and what it has made.
pub(super) struct Sound {
    transcoder: audio::Handle,
    made: mpsc::Receiver<Frame>,
    last: Option<i64>,
}

// === impl Sound ===

impl Sound {
    /// Starts a transcoder; its times begin anew.
    pub(super) fn start() -> Result<Self, transcode::Error> {
        let (made_in, made) = mpsc::channel(MADE_BOUND);
        let transcoder = audio::start(audio::Config::default(), move |frame| {
            if made_in.try_send(frame).is_err() {
                warn!("packaging does not keep up with its sound: a frame is dropped");
            }
        })?;
        Ok(Self { transcoder, made, last: None })
    }

    /// Takes in a frame of Opus.
    pub(super) fn push(&mut self, frame: Frame) {
        let last = self.last.replace(frame.dts);
        if last.is_some_and(|last| frame.dts - last > LONGEST_SILENCE) {
            // Nobody hears the silence between: gaps stand for it by now.
            match Self::start() {
                Ok(fresh) => *self = Self { last: self.last, ..fresh },
                Err(error) => warn!(%error, "sound goes on with its old transcoder"),
            }
        }
        // What finds no room is counted there, and becomes silence.
        self.transcoder.push(frame);
    }

    /// The next frame of AAC.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        self.made.recv().await
    }
}

/// A hole that silence is made for, in ticks of 48 kHz: ten seconds.
const LONGEST_SILENCE: i64 = 480_000;

/// Frames that wait to be packaged: five seconds.
const MADE_BOUND: usize = 256;
