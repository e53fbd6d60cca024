//! A worker that owns a transcoder's pipelines and makes them anew.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use whitewater_core::media::{self, Frame, time};

use super::super::Error;
use super::super::pipeline::Pipeline;
use super::encoder::Encoder;
use super::lane::{Lane, Picture};
use super::{Config, Input, Made, Shared, decoder, lock, stamps};

/// Whoever takes what comes out.
type Output = Arc<dyn Fn(Made) + Send + Sync>;

pub(super) struct Worker {
    config: Config,
    /// Up to where nothing is left out.
    backlog: i64,
    begun: Instant,
    shared: Arc<Mutex<Shared>>,
    output: Output,
    decode: Option<Decode>,
    encoders: Vec<Option<Encode>>,
    /// Whether frames mean nothing before a keyframe.
    wants_keyframe: bool,
    asked: Option<Instant>,
    failed: Option<Instant>,
    /// Whether the system lacks what decodes.
    is_over: bool,
}

struct Decode {
    codec: media::Codec,
    pipeline: Pipeline,
    source: AppSrc,
}

struct Encode {
    pipeline: Pipeline,
    source: AppSrc,
}

// === impl Worker ===

impl Worker {
    pub(super) fn new(
        config: Config,
        backlog: i64,
        shared: Arc<Mutex<Shared>>,
        output: Output,
    ) -> Self {
        let encoders = config.rungs.iter().map(|_| None).collect();
        Self {
            config,
            backlog,
            begun: Instant::now(),
            shared,
            output,
            decode: None,
            encoders,
            wants_keyframe: true,
            asked: None,
            failed: None,
            is_over: false,
        }
    }

    pub(super) fn run(&mut self, inputs: &Receiver<Input>) {
        loop {
            match inputs.recv_timeout(LOOK_AFTER) {
                Ok(Input::Frame(frame, cut)) => {
                    lock(&self.shared).waiting -= 1;
                    self.decode(&frame, cut);
                }
                Ok(Input::StillUntil(ticks)) => self.still_until(ticks),
                Ok(Input::Fail) => {
                    let encoders = self.encoders.iter().flatten().map(|encode| &encode.pipeline);
                    let all = self.decode.iter().map(|decode| &decode.pipeline).chain(encoders);
                    all.for_each(Pipeline::inject_failure);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.mend();
        }
    }

    fn decode(&mut self, frame: &Frame, cut: bool) {
        let codec = frame.setup.codec();
        let (Some(codec), Some(pts), Some(dts)) =
            (codec, stamps::stamp(frame.pts), stamps::stamp(frame.dts))
        else {
            return;
        };
        if cut {
            lock(&self.shared).cut = Some(frame.pts);
        }
        self.wants_keyframe |= self.decode.as_ref().is_none_or(|decode| decode.codec != codec);
        let is_late = !self.is_gathered(frame.dts) && frame.dts + LATE < lock(&self.shared).due;
        if self.is_over || is_late || (self.wants_keyframe && !frame.keyframe) {
            self.wants_keyframe = true;
            lock(&self.shared).too_late += u64::from(is_late);
            return self.ask();
        }
        let Some(source) = self.source(codec) else { return };
        self.wants_keyframe = false;
        // At the beginning all comes at once that was gathered; nothing of it is to be lost.
        self.wait(frame.dts);
        if let Some(capture) = frame.capture {
            lock(&self.shared).capture = Some((frame.pts, capture));
        }
        let mut buffer = gst::Buffer::from_slice(decoder::bytes(frame));
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            buffer.set_dts(dts);
            if !frame.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        // A pipeline that takes nothing says on its bus why.
        let _ = source.push_buffer(buffer);
    }

    /// The way into a decoder of this codec.
    fn source(&mut self, codec: media::Codec) -> Option<AppSrc> {
        if let Some(decode) = self.decode.as_ref().filter(|decode| decode.codec == codec) {
            return Some(decode.source.clone());
        }
        if !self.may_try() {
            return None;
        }
        self.decode = None;
        match self.start_decoder(codec) {
            Ok(decode) => Some(self.decode.insert(decode).source.clone()),
            Err(error @ Error::Missing { .. }) => {
                self.is_over = true;
                (self.output)(Made::Failed(error));
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the decoder does not start");
                self.failed = Some(Instant::now());
                None
            }
        }
    }

    /// Whether nothing of what belongs to these ticks is left out: it was gathered, and there is time.
    fn is_gathered(&self, ticks: i64) -> bool {
        ticks < self.backlog && self.begun.elapsed() < MAX_CATCH_UP
    }

    /// Waits until there is room for what belongs to these ticks.
    fn wait(&mut self, ticks: i64) {
        let gathered = self.is_gathered(ticks);
        let most = if gathered { 1 } else { MAX_QUEUED };
        self.wait_while(|worker| {
            let queued = worker.decode.as_ref().map_or(0, |d| d.source.current_level_buffers());
            queued > most || (gathered && lock(&worker.shared).lanes.iter().any(Lane::is_full))
        });
    }

    /// Goes through the decoder's queue, behind the frames that came before.
    fn still_until(&mut self, ticks: i64) {
        self.wait(ticks);
        match &self.decode {
            Some(decode) => {
                let structure = gst::Structure::builder(STILL).field(STILL, ticks).build();
                decode.source.send_event(gst::event::CustomDownstream::new(structure));
            }
            None => lock(&self.shared).still_until(ticks),
        }
    }

    /// Asks for a keyframe, at most once a second.
    fn ask(&mut self) {
        if !self.is_over && self.asked.is_none_or(|asked| asked.elapsed() > ASK_AFTER) {
            self.asked = Some(Instant::now());
            (self.output)(Made::WantKeyframe);
        }
    }

    fn may_try(&self) -> bool {
        self.failed.is_none_or(|failed| failed.elapsed() > REBUILD_AFTER)
    }

    /// Waits, but not for a pipeline that stands still.
    fn wait_while(&mut self, condition: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while condition(self) && since.elapsed() < MAX_WAIT {
            thread::sleep(Duration::from_millis(2));
            self.mend();
        }
    }

    /// Makes anew what failed and what is of another size now.
    fn mend(&mut self) {
        let (unread, skips) = {
            let shared = lock(&self.shared);
            (shared.unread, shared.skips)
        };
        if unread > FEW_UNREAD || skips {
            self.ask();
        }
        let failure = self.decode.as_ref().and_then(|decode| {
            let stuck = || (unread > MAX_UNREAD).then(|| "it makes nothing of its frames".into());
            decode.pipeline.failure().or_else(stuck)
        });
        if let Some(why) = failure {
            tracing::warn!(why, "making the picture's decoder anew");
            self.decode = None;
            self.fail();
            self.wants_keyframe = true;
            self.ask();
        }
        for index in 0..self.encoders.len() {
            let failure = self.encoders[index].as_ref().and_then(|e| e.pipeline.failure());
            if let Some(why) = failure {
                tracing::warn!(why, "making a picture's encoder anew");
                lock(&self.shared).lanes[index].lose();
                self.encoders[index] = None;
                self.fail();
            }
            let wanted = lock(&self.shared).lanes[index].wants();
            if let Some(size) = wanted {
                self.replace_encoder(index, size);
            }
        }
    }

    fn fail(&mut self) {
        self.failed = Some(Instant::now());
        let mut shared = lock(&self.shared);
        shared.rebuilt += 1;
        shared.unread = 0;
    }

    fn replace_encoder(&mut self, index: usize, size: Option<(u16, u16)>) {
        if let Some(Encode { pipeline, source }) = self.encoders[index].take() {
            // What it has comes before what its successor makes.
            pipeline.drain(&source, DRAIN);
        }
        let Some(made) = size else { return lock(&self.shared).lanes[index].install(None, None) };
        if !self.may_try() {
            return;
        }
        let Config { codec, rate, .. } = self.config;
        let (output, shared) = (Arc::clone(&self.output), Arc::clone(&self.shared));
        let started = Encoder { codec, size: made, rate }.start(move |mut frame| {
            let known = lock(&shared).capture;
            frame.capture = known.map(|(at, capture)| {
                capture.plus_micros(time::ticks_to_micros(frame.pts - at, 90_000))
            });
            output(Made::Frame(index as u8, frame));
        });
        match started {
            Ok((pipeline, source)) => {
                lock(&self.shared).lanes[index].install(size, Some(source.clone()));
                self.encoders[index] = Some(Encode { pipeline, source });
            }
            Err(error) => {
                tracing::warn!(%error, "an encoder does not start");
                self.failed = Some(Instant::now());
            }
        }
    }

    /// Decoded pictures go on to the encoders in the decoder's own thread.
    fn start_decoder(&self, codec: media::Codec) -> Result<Decode, Error> {
        let pipeline = Pipeline::launch(&decoder::description(codec)?)?;
        let source = pipeline.source("in")?;
        let generation = {
            let mut shared = lock(&self.shared);
            shared.decoder += 1;
            shared.unread = 0;
            shared.decoder
        };
        let (decoded, rate) = (Arc::clone(&self.shared), self.config.rate);
        pipeline.each_sample("out", move |sample| {
            let Some((at, picture)) = picture(sample, rate) else { return };
            let mut shared = lock(&decoded);
            if shared.decoder == generation {
                shared.unread = 0;
                shared.picture(at, picture);
            }
        })?;
        let Some(pad) = source.static_pad("src") else {
            return Err(Error::Pipeline("the source has no pad".into()));
        };
        let coming = Arc::clone(&self.shared);
        let both = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
        pad.add_probe(both, move |_, info| {
            let until = info.event().and_then(|event| event.structure()?.get::<i64>(STILL).ok());
            let mut shared = lock(&coming);
            if shared.decoder == generation {
                if info.buffer().is_some() {
                    // The one before had its turn.
                    shared.undecoded += u64::from(shared.unread > 0);
                    shared.unread += 1;
                }
                if let Some(until) = until {
                    shared.still_until(until);
                }
            }
            // A decoder keeps what it does not know until it has something to send.
            if until.is_some() { gst::PadProbeReturn::Handled } else { gst::PadProbeReturn::Ok }
        });
        pipeline.play()?;
        Ok(Decode { codec, pipeline, source })
    }
}

/// A decoded picture and where it belongs.
fn picture(sample: &gst::SampleRef, rate: u32) -> Option<(i64, Picture)> {
    let buffer = sample.buffer_owned()?;
    let at = stamps::ticks(buffer.pts()?)?;
    let mut caps = sample.caps_owned()?;
    let structure = caps.make_mut().structure_mut(0)?;
    structure.set("framerate", gst::Fraction::new(i32::try_from(rate).ok()?, 1));
    let length = |name| structure.get::<i32>(name).ok().and_then(|n| u16::try_from(n).ok());
    let size = (length("width")?, length("height")?);
    Some((at, Picture { buffer, caps, size }))
}

/// The event that carries a still picture's end through the decoder's queue.
const STILL: &str = "whitewater-still";

/// Frames that may wait before the decoder.
const MAX_QUEUED: u64 = 8;

/// The machine is too slow for what was gathered if that takes longer.
const MAX_CATCH_UP: Duration = Duration::from_secs(3);

/// Ticks after which a frame that nobody waits for any more is not decoded: 0.3 s.
const LATE: i64 = 27_000;

/// Frames in a row without a picture after which a keyframe is asked for.
const FEW_UNREAD: u64 = 3;

/// A decoder that makes nothing of so many frames in a row is replaced.
const MAX_UNREAD: u64 = 150;

/// How often pipelines are looked after while nothing comes.
const LOOK_AFTER: Duration = Duration::from_millis(20);

const DRAIN: Duration = Duration::from_millis(500);

const MAX_WAIT: Duration = Duration::from_secs(2);

const ASK_AFTER: Duration = Duration::from_secs(1);

const REBUILD_AFTER: Duration = Duration::from_millis(500);
