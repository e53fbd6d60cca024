//! A transcoder that turns Opus into AAC-LC, stereo at 48 kHz.
//!
//! Opus is decoded by one pipeline, AAC encoded by another; between them a `Weaver` puts each sample
//! where its time says. **Frames come out at multiples of 1,024 ticks of 48 kHz, each where the one
//! before ended**, with the encoder's delay taken off: holes are silence, and a pipeline that fails is
//! made anew without a gap.

mod encoding;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use whitewater_core::media::{Frame, Setup};

use super::Error;
use super::pipeline::{self, Pipeline};
use super::weave::{BLOCK, Weaver};
use crate::priority::Behind;
use encoding::{Encoder, Encoding};

/// How to encode.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bits per second; by default 128,000.
    pub bitrate_bps: u32,
}

/// A running transcoder. It ends when this is dropped.
pub struct Handle {
    inputs: SyncSender<Input>,
    sound: Arc<Mutex<Sound>>,
    dropped: AtomicU64,
}

/// What a transcoder went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Inputs dropped because the queue was full.
    pub dropped_full: u64,
    /// Samples of silence put in.
    pub silence: u64,
    /// Samples left out, because their place was taken or their time nonsense.
    pub trimmed: u64,
    /// Pipelines made anew after a failure.
    pub rebuilt: u64,
}

enum Input {
    Frame(Frame),
    GapUntil(i64),
    Fail,
}

/// What the pipelines' threads share.
struct Sound {
    weaver: Weaver,
    encoding: Encoding,
    /// Which decoder is heard: samples of its predecessors are late.
    decoder: u64,
    /// Where the packet belongs that is being decoded.
    decoding: Option<i64>,
    /// Packets that this decoder made nothing of.
    unread: u64,
    rebuilt: u64,
}

/// Starts a transcoder. `output` is called by one of its threads and must not block.
pub fn start(config: Config, output: impl FnMut(Frame) + Send + 'static) -> Result<Handle, Error> {
    pipeline::init()?;
    if !pipeline::exists("opusdec") {
        return Err(Error::Missing { element: "opusdec", package: "gstreamer1.0-plugins-base" });
    }
    let encoder = Encoder::choose(config.bitrate_bps)?;
    let sound = Arc::new(Mutex::new(Sound {
        weaver: Weaver::new(encoder.delay()),
        encoding: Encoding::new(encoder.delay(), Box::new(output)),
        decoder: 0,
        decoding: None,
        unread: 0,
        rebuilt: 0,
    }));
    let (inputs, received) = sync_channel(MAX_INPUTS);
    let mut worker = Worker::new(encoder, sound.clone())?;
    thread::Builder::new().name("transcode-audio".into()).spawn(move || {
        Behind::Transcoding.stand();
        worker.run(&received)
    })?;
    Ok(Handle { inputs, sound, dropped: AtomicU64::new(0) })
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self { bitrate_bps: 128_000 }
    }
}

// === impl Handle ===

impl Handle {
    /// Takes a frame of Opus, whose times are ticks of 48 kHz since the epoch. Never waits; says
    /// whether there was room.
    pub fn push(&self, frame: Frame) -> bool {
        self.put(Input::Frame(frame))
    }

    /// Says that nothing will come for what lies before `ticks`: it becomes silence. Never waits; says
    /// whether there was room.
    pub fn gap_until(&self, ticks: i64) -> bool {
        self.put(Input::GapUntil(ticks))
    }

    /// What it went through so far.
    pub fn counters(&self) -> Counters {
        let sound = lock(&self.sound);
        let woven = sound.weaver.counters();
        Counters {
            dropped_full: self.dropped.load(Ordering::Relaxed),
            silence: woven.silence,
            trimmed: woven.trimmed,
            rebuilt: sound.rebuilt,
        }
    }

    /// Makes both pipelines fail, for tests.
    #[doc(hidden)]
    pub fn inject_failure(&self) {
        self.put(Input::Fail);
    }

    fn put(&self, input: Input) -> bool {
        let taken = self.inputs.try_send(input).is_ok();
        if !taken {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        taken
    }
}

/// Owns the pipelines and makes them anew.
struct Worker {
    encoder: Encoder,
    sound: Arc<Mutex<Sound>>,
    decode: Pipeline,
    opus: AppSrc,
    encode: Pipeline,
    failed_at: Option<Instant>,
}

// === impl Worker ===

impl Worker {
    fn new(encoder: Encoder, sound: Arc<Mutex<Sound>>) -> Result<Self, Error> {
        let encode = start_encoder(&encoder, &sound)?;
        let (decode, opus) = start_decoder(&sound)?;
        Ok(Self { encoder, sound, decode, opus, encode, failed_at: None })
    }

    fn run(&mut self, inputs: &Receiver<Input>) {
        loop {
            match inputs.recv_timeout(LOOK_AFTER) {
                Ok(Input::Frame(frame)) => self.decode(frame),
                Ok(Input::GapUntil(ticks)) => self.fill(ticks),
                Ok(Input::Fail) => {
                    self.decode.inject_failure();
                    self.encode.inject_failure();
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.mend();
        }
    }

    fn decode(&mut self, frame: Frame) {
        // Whoever feeds faster than this encodes finds the queue of inputs full.
        self.wait_while(|worker| worker.is_behind());
        let Ok(dts) = u64::try_from(frame.dts) else { return };
        if dts > MAX_TICKS {
            return;
        }
        if let Some(capture) = frame.capture {
            lock(&self.sound).encoding.note_capture(frame.dts, capture);
        }
        let mut buffer = gst::Buffer::from_slice(frame.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(gst::ClockTime::from_nseconds(dts * 62_500 / 3));
        }
        // A pipeline that takes nothing says on its bus why.
        let _ = self.opus.push_buffer(buffer);
    }

    /// Silence goes through the decoder's queue, behind the frames that came before; a second at a
    /// time, so that the encoder's queue stays short.
    fn fill(&mut self, until: i64) {
        let until = until.min(MAX_TICKS as i64);
        loop {
            let end = lock(&self.sound).weaver.end();
            let step = end.map_or(until, |end| until.min(end + MAX_FILL));
            let structure = gst::Structure::builder(GAP).field(GAP, step).build();
            let _ = self.opus.send_event(gst::event::CustomDownstream::new(structure));
            if step >= until {
                return;
            }
            self.wait_while(|worker| {
                worker.is_behind() || lock(&worker.sound).weaver.end().is_none_or(|end| end < step)
            });
        }
    }

    fn is_behind(&self) -> bool {
        self.opus.current_level_buffers() > MAX_QUEUED
            || lock(&self.sound).encoding.queued() > MAX_QUEUED
    }

    /// Waits, but not for a pipeline that stands still.
    fn wait_while(&mut self, condition: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while condition(self) && since.elapsed() < MAX_WAIT {
            thread::sleep(Duration::from_millis(2));
            self.mend();
        }
    }

    /// Makes anew what failed, at most every [`REBUILD_AFTER`].
    fn mend(&mut self) {
        if lock(&self.sound).unread > MAX_UNREAD {
            self.decode.inject_failure();
        }
        let (decode, encode) = (self.decode.failure(), self.encode.failure());
        let Some(why) = decode.as_ref().or(encode.as_ref()) else { return };
        tracing::warn!(why, "making the sound's pipelines anew");
        if let Some(failed_at) = self.failed_at {
            thread::sleep(REBUILD_AFTER.saturating_sub(failed_at.elapsed()));
        }
        self.failed_at = Some(Instant::now());
        if encode.is_some() {
            match start_encoder(&self.encoder, &self.sound) {
                Ok(pipeline) => self.encode = pipeline,
                Err(error) => {
                    tracing::warn!(%error, "the encoder does not start");
                    // It is tried again for as long as this one counts as failed.
                    self.encode.inject_failure();
                }
            }
        }
        if decode.is_some() {
            match start_decoder(&self.sound) {
                Ok((pipeline, source)) => (self.decode, self.opus) = (pipeline, source),
                Err(error) => {
                    tracing::warn!(%error, "the decoder does not start");
                    self.decode.inject_failure();
                }
            }
        }
        lock(&self.sound).rebuilt += 1;
    }
}

/// Decoded sound goes on to the encoder in the decoder's own thread.
///
/// The decoder makes of each packet what it makes before it takes the next. So the packet that went in
/// last says when: the decoder's own stamps stay behind by one for each packet that it cannot read.
fn start_decoder(sound: &Arc<Mutex<Sound>>) -> Result<(Pipeline, AppSrc), Error> {
    let pipeline = Pipeline::launch(DECODE)?;
    let source = pipeline.source("in")?;
    let generation = {
        let mut sound = lock(sound);
        sound.decoder += 1;
        sound.decoding = None;
        sound.unread = 0;
        sound.decoder
    };
    let decoded = sound.clone();
    pipeline.each_sample("out", move |sample| {
        let Some(pcm) = sample.buffer().and_then(|buffer| buffer.map_readable().ok()) else {
            return;
        };
        let mut sound = lock(&decoded);
        let Sound { weaver, encoding, decoder, decoding, .. } = &mut *sound;
        if *decoder == generation
            && let Some(dts) = decoding.take()
        {
            weaver.frame(dts, &pcm, &mut |block| encoding.feed(block));
        }
    })?;
    let Some(pad) = source.static_pad("src") else {
        return Err(Error::Pipeline("the source has no pad".into()));
    };
    let coming = sound.clone();
    let both = gst::PadProbeType::EVENT_DOWNSTREAM | gst::PadProbeType::BUFFER;
    pad.add_probe(both, move |_, info| {
        let until = info.event().and_then(|event| event.structure()?.get::<i64>(GAP).ok());
        let mut sound = lock(&coming);
        let Sound { weaver, encoding, decoder, decoding, unread, .. } = &mut *sound;
        if *decoder == generation {
            if let Some(dts) = info.buffer().and_then(|buffer| ticks(buffer.pts()?)) {
                *unread += u64::from(decoding.replace(dts).is_some());
            }
            if let Some(until) = until {
                weaver.gap_until(until, &mut |block| encoding.feed(block));
            }
        }
        // A decoder keeps what it does not know until it has something to send.
        if until.is_some() { gst::PadProbeReturn::Handled } else { gst::PadProbeReturn::Ok }
    });
    pipeline.play()?;
    Ok((pipeline, source))
}

fn start_encoder(encoder: &Encoder, sound: &Arc<Mutex<Sound>>) -> Result<Pipeline, Error> {
    let pipeline = Pipeline::launch(&encoder.description())?;
    let source = pipeline.source("in")?;
    let generation = lock(sound).encoding.next_generation();
    let encoded = sound.clone();
    pipeline.each_sample("out", move |sample| {
        let Some(buffer) = sample.buffer().and_then(|buffer| buffer.map_readable().ok()) else {
            return;
        };
        let config = sample.caps().and_then(|caps| {
            let data = caps.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
            Some(Bytes::copy_from_slice(&data.map_readable().ok()?))
        });
        let setup =
            || Setup::Aac { sample_rate: 48_000, channels: 2, config: config.unwrap_or(AAC) };
        lock(&encoded).encoding.take(generation, Bytes::copy_from_slice(&buffer), setup);
    })?;
    pipeline.play()?;
    lock(sound).encoding.restart(source);
    Ok(pipeline)
}

/// The tick of a stamp that was made of a tick.
fn ticks(stamp: gst::ClockTime) -> Option<i64> {
    i64::try_from((stamp.nseconds() * 3 + 31_250) / 62_500).ok()
}

fn lock(sound: &Mutex<Sound>) -> MutexGuard<'_, Sound> {
    sound.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A decoder with two channels decodes mono to both. It may meet any number of damaged frames.
const DECODE: &str = "appsrc name=in format=time max-bytes=0 \
    caps=\"audio/x-opus,rate=48000,channels=2,channel-mapping-family=0\" \
    ! opusdec max-errors=-1 ! audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved \
    ! appsink name=out sync=false async=false";

/// AAC-LC, 48 kHz, two channels (ISO/IEC 14496-3), where the encoder does not say it.
const AAC: Bytes = Bytes::from_static(&[0x11, 0x90]);

/// The event that carries a gap through the decoder's queue.
const GAP: &str = "whitewater-gap";

/// Five seconds of packets of 20 ms.
const MAX_INPUTS: usize = 256;

/// Buffers that may wait before a pipeline.
const MAX_QUEUED: u64 = 32;

/// A decoder keeps each packet that it made nothing of: it is replaced before they are many.
const MAX_UNREAD: u64 = 1000;

/// Ticks that are filled at once.
const MAX_FILL: i64 = 16 * BLOCK;

/// Half a year; nanoseconds of it are far from their end.
const MAX_TICKS: u64 = 48_000 * 86_400 * 183;

/// How often a pipeline is looked after while nothing comes.
const LOOK_AFTER: Duration = Duration::from_millis(50);

const MAX_WAIT: Duration = Duration::from_secs(2);

const REBUILD_AFTER: Duration = Duration::from_millis(500);
