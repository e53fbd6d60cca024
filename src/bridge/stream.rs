//! The task of one stream: it drives its bridge and fills its epochs.

mod making;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, watch};
use tracing::{debug, info, trace, warn};
use whitewater_core::bridge::{self, Announced, Bridge, Opened, Output, RenditionId};
use whitewater_core::media::{Kind, Packaged};
use whitewater_core::package;
use whitewater_core::playlist::{self, Bandwidth, Name};
use whitewater_core::shard::{LinkMessage, ShardId, StreamId};
use whitewater_signaling::control::StreamName;

use super::picture::{Made, Picture};
use super::sound::Sound;
use super::{Bridges, Codec, Stage, Timing, When};
use crate::origin::{EpochId, Offered, Writer};
use making::Making;

/// What a stream's task works with.
pub(super) struct Task {
    bridges: Arc<Bridges>,
    name: StreamName,
    id: StreamId,
    home: ShardId,
    stage: watch::Sender<Stage>,
    timing: Timing,
    bridge: Bridge,
    epoch: Option<Writer>,
    /// Since when there has been none.
    without: Instant,
    /// Parts of one rendition that are told of together.
    batch: Option<(RenditionId, Vec<Packaged>)>,
    has_parts: bool,
    has_opened: bool,
    /// Whether sound is packaged as AAC.
    has_aac_too: bool,
    /// When the oldest packet arrived of those that are being handled; `None` of a timer or of sound.
    arrived: Option<Instant>,
    /// When the picture arrived that is handled as it comes back.
    shown: Option<Instant>,
    /// Where sound becomes AAC; `None` where the system cannot.
    sound: Option<Sound>,
    /// What the picture becomes where it is transcoded.
    codec: Codec,
    picture: Option<Picture>,
    /// What the epoch that is open began with.
    opened: Option<Opened>,
    /// Whether players have asked for it.
    is_played: Arc<AtomicBool>,
    /// What is made for them.
    making: Making,
}

// === impl Task ===

impl Task {
    pub(super) fn new(
        bridges: Arc<Bridges>,
        name: StreamName,
        (id, home): (StreamId, ShardId),
        stage: watch::Sender<Stage>,
        is_played: Arc<AtomicBool>,
    ) -> Self {
        let wanted = (bridges.config.sound)(name.as_str());
        let recorded = (bridges.config.recorded)(&name);
        let sound = wanted.aac.then(Sound::start).transpose().unwrap_or_else(|error| {
            warn!(stream = %name, %error, "sound stays Opus, which not every player takes");
            None
        });
        // It is recorded as it comes, even where players get it as AAC.
        let is_kept = recorded.is_some_and(|recorded| !recorded.aac);
        let (opus, aac) = (wanted.opus || sound.is_none() || is_kept, sound.is_some());
        let super::Picture { ladder, codec } = (bridges.config.picture)(name.as_str());
        let timing = (bridges.config.timing)(name.as_str());
        let segment = timing.segment;
        let bridge = Bridge::new(bridge::Config { segment, opus, aac, ladder });
        Self {
            bridges,
            name,
            id,
            home,
            stage,
            timing,
            bridge,
            epoch: None,
            without: Instant::now(),
            batch: None,
            has_parts: false,
            has_opened: false,
            has_aac_too: aac,
            arrived: None,
            shown: None,
            sound,
            codec,
            picture: None,
            opened: None,
            is_played,
            making: Making::All,
        }
    }

    pub(super) async fn run(mut self, mut messages: mpsc::Receiver<LinkMessage>) {
        // Who is not listened to is as good as given up: what begins next tells it again.
        let listens = self.try_tell(LinkMessage::Listen { stream: self.id, from: ShardId::TAP });
        let mut end = if listens { Stage::Over } else { Stage::GivenUp };
        let mut idle = tokio::time::interval(IDLE_INTERVAL);
        while listens && *self.stage.borrow() != Stage::Over {
            let due = self.bridge.poll_timeout();
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            let sound = async {
                match &mut self.sound {
                    Some(sound) => sound.next().await,
                    None => std::future::pending().await,
                }
            };
            let picture = async {
                match &mut self.picture {
                    Some(picture) => picture.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                Some(made) = picture => self.take_picture(made),
                Some(frame) = sound => {
                    self.making.comes(Kind::Audio);
                    self.bridge.handle_frame(Instant::now(), RenditionId::Aac, frame);
                }
                message = messages.recv() => {
                    let Some(message) = message else {
                        end = Stage::GivenUp;
                        break;
                    };
                    let now = Instant::now();
                    self.arrived = arrival(&message);
                    self.bridge.handle_link(now, message);
                    while let Ok(message) = messages.try_recv() {
                        self.arrived = self.arrived.or_else(|| arrival(&message));
                        self.bridge.handle_link(now, message);
                    }
                }
                () = timer => self.bridge.handle_timeout(Instant::now()),
                _ = idle.tick() => {
                    self.doze();
                    if self.is_idle() {
                        debug!(stream = %self.name, "nobody plays it: packaging ends");
                        break;
                    }
                }
            }
            self.drain();
            self.wake();
            (self.arrived, self.shown) = (None, None);
        }
        let unlisten = LinkMessage::Unlisten { stream: self.id, from: ShardId::TAP };
        if !self.bridges.packets.tell(self.home, unlisten) {
            debug!(stream = %self.name, "its shard is not told: it ends too, or is busy");
        }
        drop(messages);
        self.bridges.forget(self.id);
        self.stage.send_replace(end);
    }

    fn tell(&self, message: LinkMessage) {
        self.try_tell(message);
    }

    /// Tells the stream's shard something. Gives whether it is not lost.
    fn try_tell(&self, message: LinkMessage) -> bool {
        let is_told = self.bridges.packets.tell(self.home, message);
        if !is_told {
            warn!(stream = %self.name, "a shard's queue is full: a word of the bridge is lost");
        }
        is_told
    }

    fn take_picture(&mut self, made: Made) {
        match made {
            Made::Frame(rung, frame) => {
                self.making.comes(Kind::Video);
                self.shown = self.picture.as_ref().and_then(|picture| picture.arrival_of(&frame));
                self.bridge.handle_frame(Instant::now(), RenditionId::Rung(rung), frame);
            }
            Made::WantKeyframe => self.tell(LinkMessage::WantAll { stream: self.id }),
            Made::Failed(error) => {
                warn!(stream = %self.name, %error, "the picture is not transcoded");
                self.withdraw_rungs();
            }
        }
    }

    fn is_idle(&self) -> bool {
        let config = &self.bridges.config;
        (config.when)(self.name.as_str()) != When::Always
            && (config.recorded)(&self.name).is_none()
            && self.epoch.as_ref().map_or_else(|| self.without.elapsed(), Writer::idle)
                > config.idle
    }

    fn drain(&mut self) {
        while let Some(output) = self.bridge.poll() {
            match output {
                Output::Packaged(id, packaged) => self.take(id, packaged),
                Output::Opened(opened) => self.open(&opened),
                Output::Offered(id, offered) => self.offer(id, offered),
                Output::WantAll => {
                    trace!(stream = %self.name, "keyframes are asked for");
                    self.tell(LinkMessage::WantAll { stream: self.id });
                }
                Output::Want(layer) => self.tell(LinkMessage::Want { stream: self.id, layer }),
                Output::Skew(apart) => self.bridges.config.metrics.skew(apart),
                Output::Sound(frame) => {
                    if let Some(sound) = &mut self.sound {
                        sound.push(frame);
                    }
                }
                Output::Picture(frame, cut) => {
                    if let Some(picture) = &mut self.picture {
                        picture.push(frame, cut, self.arrived);
                    }
                }
                Output::Still(ticks) => {
                    if let Some(picture) = &self.picture {
                        picture.still_until(ticks);
                    }
                }
                Output::Ended(exceeded) => {
                    if let Some(id) = exceeded {
                        self.bridges.config.metrics.exceeded();
                        let rendition = id.name();
                        warn!(stream = %self.name, rendition, "a segment became too long for want of a \
                            keyframe: HLS begins anew");
                    }
                    self.end();
                }
            }
        }
        self.push();
        let stage = *self.stage.borrow();
        // Only now: who asks finds all renditions.
        if self.has_parts && matches!(stage, Stage::Starting | Stage::Learning) {
            self.stage.send_replace(Stage::Open);
        } else if stage == Stage::Starting && self.bridge.is_learning(Instant::now()) {
            self.stage.send_replace(Stage::Learning);
        }
    }

    fn take(&mut self, id: RenditionId, packaged: Packaged) {
        match &mut self.batch {
            Some((open, items)) if *open == id => items.push(packaged),
            _ => {
                self.push();
                self.batch = Some((id, vec![packaged]));
            }
        }
    }

    fn push(&mut self) {
        let Some((id, items)) = self.batch.take() else { return };
        let Some(epoch) = &self.epoch else { return };
        let last = items.iter().rev().find_map(|item| match item {
            Packaged::Part(part) => Some((part.segment, part.index)),
            Packaged::Init(_)
            | Packaged::SegmentEnd { .. }
            | Packaged::Discontinuity
            | Packaged::Wall { .. } => None,
        });
        let count = |has_bytes: bool| {
            let is = |item: &&Packaged| matches!(item, Packaged::Part(part) if part.bytes.is_some() == has_bytes);
            items.iter().filter(is).count()
        };
        let (parts, gaps) = (count(true), count(false));
        self.has_parts |= last.is_some();
        if let Err(error) = epoch.push(&name_of(id), items) {
            warn!(stream = %self.name, rendition = %name_of(id), %error, "a part is not taken");
        }
        let waited = self.arrived.map(|arrived| arrived.elapsed());
        self.bridges.config.metrics.packaged(parts, gaps, waited);
        let waited = waited.or_else(|| self.shown.map(|shown| shown.elapsed()));
        if let Some((segment, part)) = last {
            let waited_us = waited.map(|waited| waited.as_micros() as u64);
            trace!(stream = %self.name, rendition = %name_of(id), segment, part, waited_us, "a part is there");
        }
    }

    fn open(&mut self, opened: &Opened) {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let id = EpochId::new(since_epoch.as_millis() as u64, fastrand::u64(..));
        let offered = opened.renditions.iter().map(|one| self.offered(one, opened)).collect();
        match self.bridges.store.open(self.name.clone(), id.clone(), offered) {
            Ok(writer) => {
                info!(stream = %self.name, epoch = %id, "HLS begins");
                if opened.segment > self.timing.segment {
                    warn!(stream = %self.name, segment = ?opened.segment, "the publisher's keyframes are far \
                        apart and do not come when asked for, so HLS begins late and switches slowly: a \
                        keyframe interval of 2 s or less is better");
                }
                self.bridges.config.metrics.opened();
                self.epoch = Some(writer);
                // A layer that may never come is not waited for.
                let absent = opened.renditions.iter().filter(|one| !one.due);
                absent.for_each(|one| self.offer(one.id, false));
                self.hide(opened);
            }
            Err(error) => warn!(stream = %self.name, %error, "HLS cannot begin"),
        }
        self.opened = Some(opened.clone());
        // Its predecessor's times count from another zero.
        (self.picture, self.making) = (None, Making::All);
        if std::mem::replace(&mut self.has_opened, true) && self.sound.is_some() {
            self.starts_sound();
        }
        self.leave_to_players();
        let needs = self.needs();
        if needs.sound && self.sound.is_none() {
            self.starts_sound();
        }
        if needs.picture {
            self.starts_picture();
        }
    }

    /// Hides from players what is only recorded.
    fn hide(&self, opened: &Opened) {
        let Some(epoch) = &self.epoch else { return };
        if (self.bridges.config.when)(self.name.as_str()) == When::Never {
            epoch.hide();
        }
        let has_opus = opened.renditions.iter().any(|one| one.id == RenditionId::Opus);
        if has_opus && self.hides_opus() {
            self.offer_now(RenditionId::Opus, false);
        }
    }

    /// Whether sound as it comes is there to be recorded only.
    fn hides_opus(&self) -> bool {
        self.has_aac_too && !(self.bridges.config.sound)(self.name.as_str()).opus
    }

    /// What the origin is told of a rendition.
    fn offered(&self, announced: &Announced, opened: &Opened) -> Offered {
        let Announced { id, bits_per_second, frame_rate, .. } = *announced;
        let timescale = if id.kind() == Kind::Video { 90_000 } else { 48_000 };
        let mut config = playlist::Config::new(name_of(id), timescale, opened.zero);
        config.part_target = opened.part_target;
        config.target_duration_s = package::target_duration(opened.segment).as_secs() as u32;
        config.dvr = self.timing.window;
        config.memory = self.timing.memory;
        config.segment = opened.segment;
        let guess = if id.kind() == Kind::Video { 1_000_000 } else { 128_000 };
        let average_bps = bits_per_second.unwrap_or(guess);
        let nominal = Bandwidth { peak_bps: average_bps + average_bps / 4, average_bps };
        let channels = (id.kind() == Kind::Audio).then_some(2);
        let frame_rate = frame_rate.filter(|_| id.kind() == Kind::Video);
        Offered { config, kind: id.kind(), nominal, frame_rate, channels }
    }

    fn withdraw_rungs(&mut self) {
        self.picture = None;
        let rungs = self.opened.as_ref().map_or(0, |opened| opened.rungs.len());
        for rung in 0..rungs {
            self.offer(RenditionId::Rung(rung as u8), false);
        }
    }

    fn offer(&mut self, id: RenditionId, offered: bool) {
        self.push();
        self.offer_now(id, offered && !(id == RenditionId::Opus && self.hides_opus()));
    }

    fn offer_now(&self, id: RenditionId, offered: bool) {
        let Some(epoch) = &self.epoch else { return };
        if let Err(error) = epoch.offer(&name_of(id), offered) {
            warn!(stream = %self.name, %error, "a rendition cannot be offered");
        }
    }

    fn end(&mut self) {
        self.push();
        (self.picture, self.making) = (None, Making::All);
        if let Some(epoch) = self.epoch.take() {
            info!(stream = %self.name, epoch = %epoch.id(), "HLS ends");
            epoch.end();
            self.without = Instant::now();
        }
        if self.bridge.is_over() {
            self.stage.send_replace(Stage::Over);
        }
    }
}

/// When the machine received a packet.
fn arrival(message: &LinkMessage) -> Option<Instant> {
    let LinkMessage::Packet { arrived, .. } = message else { return None };
    Some(arrived.received)
}

fn name_of(id: RenditionId) -> Name {
    id.name().parse().expect("names of renditions are letters and digits")
}

const IDLE_INTERVAL: Duration = Duration::from_secs(5);
