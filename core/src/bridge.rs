//! The bridge of one stream: the composition of the frame world, from packets to parts.
//!
//! **The contract** is that of a shard: feed it with `handle_` methods, drain `poll` until it gives
//! nothing, wake it when `poll_timeout` says. It reads no clock and owns no store.
//!
//! It gathers frames for two seconds first, to learn which layers there are, how many frames a second
//! they have, and whether keyframes come when they are asked for; then an **epoch** opens (`epoch.rs`),
//! whose timeline and part target stay.

mod epoch;

mod gathering;

mod ladder;

mod length;

mod pictures;

mod rendition;

mod schedule;

mod skew;

mod source;

mod timeline;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::media::time::{micros_to_ticks, ticks_to_micros};
use crate::media::{Frame, Kind, Ntp, Packaged};
use crate::package;
use crate::shard::LinkMessage;
use epoch::Epoch;
use gathering::{Gathering, Needs};
use ladder::Plan;
pub use ladder::{Ladder, Rung};
use length::Length;
use pictures::Pictures;
use rendition::Rendition;
pub use rendition::RenditionId;
use schedule::Schedule;
use skew::Skew;
use source::{Found, Sources};
use timeline::Timeline;

/// What a bridge is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// What segments last, where the publisher's keyframes allow it.
    pub segment: Duration,
    /// Whether sound is packaged as it comes.
    pub opus: bool,
    /// Whether sound comes back as AAC by [`Bridge::handle_frame`].
    pub aac: bool,
    /// What the picture is transcoded to; it comes back by [`Bridge::handle_frame`].
    pub ladder: Ladder,
}

/// What a bridge puts out.
#[derive(Clone, Debug)]
pub enum Output {
    /// An epoch begins. What was open before is over.
    Opened(Opened),
    /// Whether frames of a rendition come, so that it is offered.
    Offered(RenditionId, bool),
    /// What a rendition's packager put out.
    Packaged(RenditionId, Packaged),
    /// Sound on the epoch's timeline, to be transcoded.
    Sound(Frame),
    /// A picture on the epoch's timeline, to be transcoded; whether it is the first of another publisher,
    /// and so to come back as a keyframe.
    Picture(Frame, bool),
    /// For what lies before this tick no picture is waited for any more: the last one stands for it.
    Still(i64),
    /// So far apart were the keyframes that layers began the same segment with.
    Skew(Duration),
    /// Keyframes of all layers are needed.
    WantAll,
    /// A keyframe of a layer is needed.
    Want(u8),
    /// The epoch is over; of one that is given up, the rendition whose segment became too long.
    Ended(Option<RenditionId>),
}

/// An epoch as it begins.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The wall-clock time of its zero, in the server's clock.
    pub zero: Ntp,
    /// What its parts last at most.
    pub part_target: Duration,
    /// What its segments last; none is a second longer.
    pub segment: Duration,
    /// Its renditions, whether or not anything of them has come.
    pub renditions: Vec<Announced>,
    /// What its picture is transcoded to: [`RenditionId::Rung`] counts them.
    pub rungs: Vec<Rung>,
    /// Pictures per second of all rungs.
    pub rate: u32,
    /// How much of it was gathered before it opened, and comes all at once.
    pub gathered: Duration,
}

/// A rendition as it is known when its epoch begins.
#[derive(Clone, Copy, Debug)]
pub struct Announced {
    /// Which one.
    pub id: RenditionId,
    /// Bits per second, where its source came.
    pub bits_per_second: Option<u64>,
    /// Frames per second, where its source came.
    pub frame_rate: Option<f64>,
    /// Whether its source came, so that it is to be had at once.
    pub due: bool,
}

/// The bridge of one stream.
#[derive(Debug)]
pub struct Bridge {
    config: Config,
    sources: Sources,
    length: Length,
    stage: Stage,
    outputs: VecDeque<Output>,
}

#[derive(Debug)]
enum Stage {
    Gathering(Box<Gathering>),
    Open(Box<Epoch>),
    Ended,
}

// === impl Bridge ===

impl Bridge {
    /// A bridge that has heard of nothing yet.
    pub fn new(config: Config) -> Self {
        Self {
            length: Length::new(config.segment),
            config,
            sources: Sources::default(),
            stage: Stage::Gathering(Box::default()),
            outputs: VecDeque::new(),
        }
    }

    /// Takes in a word or a packet of the shard that it listens to.
    pub fn handle_link(&mut self, now: Instant, message: LinkMessage) {
        match message {
            LinkMessage::Tracks { tracks, .. } => {
                let changed = self.sources.set_tracks(now, &tracks);
                if changed {
                    self.length = Length::new(self.config.segment);
                }
                match &mut self.stage {
                    Stage::Open(_) if changed => self.begin_again(None),
                    Stage::Open(epoch) => epoch.returns = true,
                    Stage::Gathering(gathering) => **gathering = Gathering::default(),
                    Stage::Ended => {}
                }
                self.outputs.push_back(Output::WantAll);
            }
            LinkMessage::Clocks { kind: Kind::Video, layer, shift, .. } => {
                self.sources.set_shift(layer, shift);
            }
            LinkMessage::Packet { kind, layer, arrived, .. } => {
                self.sources.handle_packet(now, kind, layer, &arrived);
                self.drain_sources(now);
            }
            LinkMessage::Gone { ended: true, .. } => self.end(),
            LinkMessage::Gone { ended: false, .. }
            | LinkMessage::Clocks { .. }
            | LinkMessage::Datagram { .. }
            | LinkMessage::Proved { .. }
            | LinkMessage::Listen { .. }
            | LinkMessage::Unlisten { .. }
            | LinkMessage::Want { .. }
            | LinkMessage::WantAll { .. } => {}
        }
    }

    /// Takes in a transcoded frame on the epoch's timeline.
    pub fn handle_frame(&mut self, now: Instant, id: RenditionId, frame: Frame) {
        self.package(now, id, frame);
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.sources.handle_timeout(now);
        self.drain_sources(now);
        self.ask_if_due(now);
        self.open_if_ready(now);
        let Stage::Open(epoch) = &mut self.stage else { return };
        if !epoch.has_layers() {
            // Sound alone needs no keyframes, and rungs make their own.
        } else if epoch.schedule.poll(epoch.begun, now) {
            self.outputs.push_back(Output::WantAll);
        }
        if now >= epoch.filled + FILL_INTERVAL {
            epoch.filled = now;
            let since = now.saturating_duration_since(epoch.begun);
            epoch.hold_picture(now, since, &mut self.outputs);
            let fill =
                |rendition: &mut Rendition| rendition.fill(since).err().map(|_| rendition.id);
            let exceeded = epoch.renditions.iter_mut().find_map(fill);
            epoch.tell_wall(since, &mut self.outputs);
            epoch.tell_offers(&mut self.outputs);
            epoch.drain(&mut self.outputs);
            if exceeded.is_some() {
                self.begin_again(exceeded);
            }
        }
    }

    /// When `handle_timeout` is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Gathering(gathering) => gathering.poll_timeout(self.needs()),
            Stage::Open(epoch) => {
                let keyframes = epoch.schedule.poll_timeout(epoch.begun);
                let keyframes = Some(keyframes).filter(|_| epoch.has_layers());
                keyframes.into_iter().chain([epoch.filled + FILL_INTERVAL]).min()
            }
            Stage::Ended => return None,
        };
        own.into_iter().chain(self.sources.poll_timeout()).min()
    }

    /// What comes out next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whether nothing follows any more.
    pub fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Ended)
    }

    /// Whether an epoch would be open by now, but for the publisher's keyframes, which come seldom.
    pub fn is_learning(&self, now: Instant) -> bool {
        let needs_keyframes = self.needs() == Needs::Keyframes;
        needs_keyframes && matches!(&self.stage, Stage::Gathering(g) if g.is_learning(now))
    }

    /// Ends the epoch, for good.
    pub fn end(&mut self) {
        if let Stage::Open(epoch) = &mut self.stage {
            epoch.finish(None, &mut self.outputs);
        }
        self.stage = Stage::Ended;
    }

    /// Ends the epoch; another one follows.
    fn begin_again(&mut self, exceeded: Option<RenditionId>) {
        if let Stage::Open(epoch) = &mut self.stage {
            epoch.finish(exceeded, &mut self.outputs);
        }
        if exceeded.is_some() {
            self.length.exceeded();
        }
        self.stage = Stage::Gathering(Box::default());
        self.outputs.push_back(Output::WantAll);
    }

    fn drain_sources(&mut self, now: Instant) {
        while let Some((kind, layer, found)) = self.sources.poll() {
            match found {
                Found::Frame(frame, before) => self.take(now, kind, layer, frame, before),
                Found::WantKeyframe => self.outputs.push_back(Output::Want(layer)),
            }
        }
    }

    /// Takes in a frame on its track's timeline.
    fn take(&mut self, now: Instant, kind: Kind, layer: u8, frame: Frame, before: bool) {
        match &mut self.stage {
            Stage::Gathering(gathering) => {
                gathering.push(now, kind, layer, frame, before);
                self.open_if_ready(now);
            }
            Stage::Open(epoch) => {
                if epoch.returns && (kind == Kind::Video || !self.sources.has_video()) {
                    epoch.returns = false;
                    epoch.timeline.restart();
                    epoch.renditions.iter_mut().for_each(Rendition::discontinue);
                    epoch.pictures.iter_mut().for_each(|pictures| pictures.restart(now));
                }
                let Some(frame) = epoch.place(kind, frame) else { return };
                self.put(now, kind, layer, frame);
            }
            Stage::Ended => {}
        }
    }

    fn put(&mut self, now: Instant, kind: Kind, layer: u8, frame: Frame) {
        if kind == Kind::Audio && self.config.aac {
            self.outputs.push_back(Output::Sound(frame.clone()));
        }
        if kind == Kind::Video
            && let Stage::Open(epoch) = &mut self.stage
            && let Some(cut) = epoch.pictures.as_mut().and_then(|p| p.take(now, layer, &frame))
        {
            if cut {
                epoch.renditions.iter_mut().for_each(|r| r.discontinue_at(frame.dts));
            }
            self.outputs.push_back(Output::Picture(frame.clone(), cut));
        }
        if kind == Kind::Video || self.config.opus {
            self.package(now, id_of(kind, layer), frame);
        }
    }

    fn package(&mut self, now: Instant, id: RenditionId, mut frame: Frame) {
        let Stage::Open(epoch) = &mut self.stage else { return };
        let rate = if id.kind() == Kind::Video { VIDEO_RATE } else { AUDIO_RATE };
        let wall = |pts: i64| epoch.timeline.wall(ticks_to_micros(pts, rate));
        frame.capture = frame.capture.or_else(|| Some(wall(frame.pts)));
        if let RenditionId::Layer(layer) = id
            && frame.keyframe
        {
            self.outputs.extend(epoch.skew.keyframe(layer, frame.dts).map(Output::Skew));
            let us = ticks_to_micros(frame.dts, VIDEO_RATE);
            epoch.schedule.keyframe(now, Duration::from_micros(us.max(0) as u64));
        }
        let siblings = epoch.renditions.iter().filter(|r| r.id.kind() == id.kind());
        let lag = siblings.filter_map(Rendition::lag).next();
        let Some(rendition) = epoch.renditions.iter_mut().find(|r| r.id == id) else { return };
        if let Some(lag) = lag.filter(|_| !rendition.has_begun()) {
            rendition.count_like(lag);
        }
        let pushed = rendition.push(&frame);
        if let RenditionId::Layer(layer) = id
            && rendition.wants_keyframe()
            && !epoch.schedule.is_ignored()
        {
            // A still picture that moves again, for one.
            self.outputs.push_back(Output::Want(layer));
        }
        epoch.tell_offers(&mut self.outputs);
        epoch.drain(&mut self.outputs);
        if pushed.is_err() {
            self.begin_again(Some(id));
        }
    }

    /// What the present tracks can be had as, whether or not anything of it has come.
    fn renditions(&self, rungs: usize) -> Vec<RenditionId> {
        let layers = (0..self.sources.layers()).map(RenditionId::Layer);
        let sound = [(RenditionId::Aac, self.config.aac), (RenditionId::Opus, self.config.opus)];
        let sound = sound.into_iter().filter(|(_, wanted)| *wanted && self.sources.has_audio());
        let rungs = (0..rungs.min(usize::from(u8::MAX)) as u8).map(RenditionId::Rung);
        layers.chain(rungs).chain(sound.map(|(id, _)| id)).collect()
    }

    fn needs(&self) -> Needs {
        match (self.sources.has_video(), self.sources.layers()) {
            (false, _) => Needs::Sound,
            (true, 0) => Needs::Picture,
            (true, _) => Needs::Keyframes,
        }
    }

    fn ask_if_due(&mut self, now: Instant) {
        let needs = self.needs();
        let Stage::Gathering(gathering) = &mut self.stage else { return };
        if gathering.asks(now, needs) {
            self.outputs.push_back(Output::WantAll);
        }
    }

    fn open_if_ready(&mut self, now: Instant) {
        let needs = self.needs();
        let Stage::Gathering(gathering) = &mut self.stage else { return };
        if !gathering.is_ready(now, needs) {
            return;
        }
        let gathered = std::mem::take(gathering);
        let Some(start) = gathered.start() else { return };
        let (segment, gop) = match needs {
            Needs::Keyframes => self.length.choose(gathered.gop()),
            Needs::Sound | Needs::Picture => (self.config.segment, None),
        };
        let mut timeline = Timeline::new(start.wall, VIDEO_RATE, self.sources.audio_rate());
        if let Some(ticks) = start.video {
            timeline.begin_video(ticks);
        }
        let intervals = gathered.intervals(VIDEO_RATE);
        let plan = match self.sources.has_video() {
            true => Plan::new(&self.config.ladder, &gathered, self.sources.layers() > 0),
            false => Plan::default(),
        };
        let ids = self.renditions(plan.rungs.len());
        let renditions = ids.iter().map(|id| {
            let rate = match *id {
                RenditionId::Layer(layer) => gathered.rate(Kind::Video, layer, VIDEO_RATE),
                RenditionId::Opus => gathered.rate(Kind::Audio, 0, AUDIO_RATE),
                RenditionId::Rung(index) => plan.takes(index),
                RenditionId::Aac => None,
            };
            let due = id.kind() == Kind::Audio || rate.is_some();
            let (bits_per_second, frame_rate) = rate.unzip();
            Announced { id: *id, bits_per_second, frame_rate, due }
        });
        let renditions = renditions.collect();
        let part_target = package::part_target(match self.sources.layers() {
            // What is transcoded comes at a rate of its own.
            0 if !plan.rungs.is_empty() => &[],
            _ => &intervals,
        });
        let pictures = (!plan.rungs.is_empty()).then(|| Pictures::new(now, plan.layer));
        let mut epoch = Box::new(Epoch {
            timeline,
            begun: now,
            part_target,
            schedule: Schedule::new(segment),
            skew: Skew::new(micros_to_ticks(segment.as_micros() as i64, VIDEO_RATE)),
            renditions: Vec::new(),
            offered: Vec::new(),
            filled: now,
            returns: false,
            pictures,
        });
        let mut frames = Vec::new();
        for (at, kind, layer, frame) in gathered.into_frames() {
            let Some(frame) = epoch.place(kind, frame).filter(|frame| frame.dts >= 0) else {
                continue;
            };
            let rate = if kind == Kind::Video { VIDEO_RATE } else { self.sources.audio_rate() };
            let us = ticks_to_micros(frame.dts, rate);
            let begun = at.checked_sub(Duration::from_micros(us.max(0) as u64)).unwrap_or(at);
            epoch.begun = epoch.begun.min(begun);
            frames.push((kind, layer, frame));
        }
        let opens = now.saturating_duration_since(epoch.begun);
        self.outputs.push_back(Output::Opened(Opened {
            zero: epoch.timeline.zero(),
            part_target,
            segment,
            renditions,
            rungs: plan.rungs,
            rate: plan.rate,
            gathered: opens,
        }));
        epoch.begin(&ids, segment, gop, opens);
        self.stage = Stage::Open(epoch);
        for (kind, layer, frame) in frames {
            self.put(now, kind, layer, frame);
        }
    }
}

fn id_of(kind: Kind, layer: u8) -> RenditionId {
    match kind {
        Kind::Video => RenditionId::Layer(layer),
        Kind::Audio => RenditionId::Opus,
    }
}

const VIDEO_RATE: u32 = 90_000;
const AUDIO_RATE: u32 = 48_000;

/// Gaps are filled, and late parts closed, this often.
const FILL_INTERVAL: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
