//! An encoder of AAC and the book of what it was fed, which says where its frames belong.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::AppSrc;
use whitewater_core::media::{Frame, Ntp, Setup, time};

use super::super::Error;
use super::super::pipeline;
use super::super::weave::{BLOCK, Block};

/// Which encoder is used, and how.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    kind: &'static Kind,
    bitrate_bps: u32,
}

#[derive(Debug)]
struct Kind {
    element: &'static str,
    /// Samples of the decoded sound that come before the first that was fed, by a click that was
    /// encoded and decoded again.
    delay: i64,
}

/// The better one first.
const KINDS: &[Kind] =
    &[Kind { element: "avenc_aac", delay: 1024 }, Kind { element: "voaacenc", delay: 1600 }];

/// What an encoder was fed, and what is due.
pub(super) struct Encoding {
    delay: i64,
    output: Box<dyn FnMut(Frame) + Send>,
    source: Option<AppSrc>,
    generation: u64,
    /// Where the encoder's next frame belongs.
    label: Option<i64>,
    /// Where the next frame belongs that nobody has yet.
    due: Option<i64>,
    /// What an encoder that takes over has to be fed again.
    kept: VecDeque<Block>,
    /// Where the encoder's first block began.
    fed_from: Option<i64>,
    setup: Option<Arc<Setup>>,
    capture: Option<(i64, Ntp)>,
}

// === impl Encoder ===

impl Encoder {
    /// The best that is installed.
    pub(super) fn choose(bitrate_bps: u32) -> Result<Self, Error> {
        let kind =
            KINDS.iter().find(|kind| pipeline::exists(kind.element)).ok_or(Error::Missing {
                element: "avenc_aac or voaacenc",
                package: "gstreamer1.0-libav",
            })?;
        Ok(Self { kind, bitrate_bps })
    }

    pub(super) fn delay(&self) -> i64 {
        self.kind.delay
    }

    pub(super) fn description(&self) -> String {
        let Self { kind: Kind { element, .. }, bitrate_bps } = self;
        format!(
            "appsrc name=in format=time max-bytes=0 \
             caps=\"audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved\" \
             ! audioconvert ! {element} bitrate={bitrate_bps} \
             ! audio/mpeg,mpegversion=4,stream-format=raw,rate=48000,channels=2 \
             ! appsink name=out sync=false async=false"
        )
    }
}

// === impl Encoding ===

impl Encoding {
    pub(super) fn new(delay: i64, output: Box<dyn FnMut(Frame) + Send>) -> Self {
        Self {
            delay,
            output,
            source: None,
            generation: 0,
            label: None,
            due: None,
            kept: VecDeque::new(),
            fed_from: None,
            setup: None,
            capture: None,
        }
    }

    /// Blocks that wait for the encoder.
    pub(super) fn queued(&self) -> u64 {
        self.source.as_ref().map_or(0, AppSrc::current_level_buffers)
    }

    /// Remembers when a tick was captured.
    pub(super) fn note_capture(&mut self, dts: i64, capture: Ntp) {
        self.capture = Some((dts, capture));
    }

    /// The number of an encoder that is about to take over.
    pub(super) fn next_generation(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Goes on with another encoder. It is fed once more what its predecessor did not finish.
    pub(super) fn restart(&mut self, source: AppSrc) {
        self.source = Some(source);
        self.label = None;
        self.fed_from = None;
        let kept = self.kept.clone();
        for block in &kept {
            self.push(block);
        }
    }

    /// Feeds the next block.
    pub(super) fn feed(&mut self, block: Block) {
        self.push(&block);
        if self.kept.len() == MAX_KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(block);
    }

    fn push(&mut self, block: &Block) {
        let from = *self.fed_from.get_or_insert(block.start);
        self.label.get_or_insert(block.start - self.delay);
        // The first that is due may belong before the first block by less than one.
        self.due.get_or_insert((block.start + BLOCK - 1).div_euclid(BLOCK) * BLOCK);
        let mut buffer = gst::Buffer::from_slice(block.pcm.clone());
        if let Some(buffer) = buffer.get_mut() {
            let ticks = u64::try_from(block.start - from).unwrap_or_default();
            buffer.set_pts(gst::ClockTime::from_nseconds(ticks * 62_500 / 3));
        }
        if let Some(source) = &self.source {
            // A pipeline that takes nothing says on its bus why.
            let _ = source.push_buffer(buffer);
        }
    }

    /// Takes the encoder's next frame.
    pub(super) fn take(&mut self, generation: u64, data: Bytes, setup: impl FnOnce() -> Setup) {
        let (Some(label), Some(due)) = (self.label, self.due) else { return };
        if generation != self.generation {
            return;
        }
        self.label = Some(label + BLOCK);
        if label < due {
            return;
        }
        self.due = Some(label + BLOCK);
        while self.kept.front().is_some_and(|block| block.start + PREROLL <= label + BLOCK) {
            self.kept.pop_front();
        }
        let setup = self.setup.get_or_insert_with(|| Arc::new(setup())).clone();
        let capture = self
            .capture
            .map(|(dts, capture)| capture.plus_micros(time::ticks_to_micros(label - dts, 48_000)));
        let frame = Frame { dts: label, pts: label, keyframe: true, data, setup, capture };
        (self.output)(frame);
    }
}

/// An encoder that takes over is fed two blocks of what is out already, so that its first frame begins
/// as the last one ended.
const PREROLL: i64 = 3 * BLOCK;

/// 43 s: as long as no encoder can be had.
const MAX_KEPT: usize = 2048;
