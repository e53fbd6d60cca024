//! A stream as one shard knows it: its tracks, who feeds them and who listens.

use std::time::{Duration, Instant};

use super::command::{LayerReport, SessionKey, ShardId, StreamId, StreamReport, TrackReport};
use super::layer_news::LayerNews;
use super::link::{LinkMessage, TrackHead};
use crate::forward::Layers;
use crate::hub::{Anchor, Layer, PublisherClock, Track};
use crate::media::{Arrived, Kind, Rid};

/// Where a stream's packets come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A session of this shard.
    Publisher(SessionKey),
    /// Nobody at present; its window runs.
    Absent,
    /// Another shard.
    Mirror(ShardId),
}

/// One stream in one shard.
#[derive(Debug)]
pub(super) struct Stream {
    /// Which one.
    pub id: StreamId,
    /// Who feeds it.
    pub source: Source,
    /// Its sound.
    pub audio: Option<Track>,
    /// Its picture.
    pub video: Option<Track>,
    /// Its publisher's clock.
    pub clock: PublisherClock,
    /// Viewers of its sound in this shard.
    pub audio_listeners: Vec<SessionKey>,
    /// Viewers of its picture in this shard.
    pub video_listeners: Vec<SessionKey>,
    /// Shards that have viewers of it.
    pub mirrors: Vec<ShardId>,
    /// How long viewers wait for its publisher.
    pub window: Duration,
    /// When the last packet of its publisher came, while it is lost.
    pub lost_at: Option<Instant>,
    /// When its publisher will have been silent for too long, as far as it is known.
    pub silent_at: Option<Instant>,
    /// Counts its publishers.
    pub generation: u32,
    /// Its timer.
    pub armed: Option<Instant>,
    /// When its layers are looked at next.
    pub next_refresh: Instant,
    /// What was told of its picture's layers.
    pub layer_news: LayerNews,
    /// Until when the fan-out of its picture waits for the rest of a frame.
    pub held: Option<Instant>,
    audio_touched: bool,
    video_touched: bool,
}

// === impl Stream ===

impl Stream {
    /// A stream without tracks.
    pub(super) fn new(now: Instant, id: StreamId, source: Source, window: Duration) -> Self {
        Self {
            id,
            source,
            audio: None,
            video: None,
            clock: PublisherClock::default(),
            audio_listeners: Vec::new(),
            video_listeners: Vec::new(),
            mirrors: Vec::new(),
            window,
            lost_at: None,
            silent_at: None,
            generation: 0,
            armed: None,
            next_refresh: now + REFRESH_INTERVAL,
            layer_news: LayerNews::default(),
            held: None,
            audio_touched: false,
            video_touched: false,
        }
    }

    /// Replaces the tracks by those of a new publisher.
    pub(super) fn set_tracks(&mut self, heads: &[TrackHead]) {
        self.audio = None;
        self.video = None;
        self.clock = PublisherClock::default();
        for head in heads {
            self.generation = head.generation;
            let track =
                Track::new(head.generation, head.mid.clone(), head.format.clone(), &head.rids);
            match head.format.codec.kind() {
                Kind::Audio => self.audio = Some(track),
                Kind::Video => self.video = Some(track),
            }
        }
    }

    /// One of its tracks.
    pub(super) fn track(&self, kind: Kind) -> Option<&Track> {
        match kind {
            Kind::Audio => self.audio.as_ref(),
            Kind::Video => self.video.as_ref(),
        }
    }

    /// One of its tracks.
    pub(super) fn track_mut(&mut self, kind: Kind) -> Option<&mut Track> {
        match kind {
            Kind::Audio => self.audio.as_mut(),
            Kind::Video => self.video.as_mut(),
        }
    }

    /// One of its tracks, and the clock that they share.
    pub(super) fn track_and_clock(&mut self, kind: Kind) -> (Option<&mut Track>, &PublisherClock) {
        let track = match kind {
            Kind::Audio => self.audio.as_mut(),
            Kind::Video => self.video.as_mut(),
        };
        (track, &self.clock)
    }

    /// Its tracks.
    pub(super) fn tracks(&self) -> impl Iterator<Item = &Track> {
        self.audio.iter().chain(self.video.iter())
    }

    /// The viewers of a track in this shard.
    pub(super) fn listeners(&self, kind: Kind) -> &[SessionKey] {
        match kind {
            Kind::Audio => &self.audio_listeners,
            Kind::Video => &self.video_listeners,
        }
    }

    /// Adds a viewer to a track.
    pub(super) fn listen(&mut self, kind: Kind, key: SessionKey) {
        match kind {
            Kind::Audio => self.audio_listeners.push(key),
            Kind::Video => self.video_listeners.push(key),
        }
    }

    /// Takes a viewer out; returns whether it was the last.
    pub(super) fn unlisten(&mut self, key: SessionKey) -> bool {
        self.audio_listeners.retain(|listener| *listener != key);
        self.video_listeners.retain(|listener| *listener != key);
        self.audio_listeners.is_empty() && self.video_listeners.is_empty()
    }

    /// Marks a track as having news; returns whether it had none before.
    pub(super) fn touch(&mut self, kind: Kind) -> bool {
        let touched = match kind {
            Kind::Audio => &mut self.audio_touched,
            Kind::Video => &mut self.video_touched,
        };
        !std::mem::replace(touched, true)
    }

    /// Whether a track is marked.
    pub(super) fn is_touched(&self, kind: Kind) -> bool {
        match kind {
            Kind::Audio => self.audio_touched,
            Kind::Video => self.video_touched,
        }
    }

    /// Takes a track's mark away.
    pub(super) fn untouch(&mut self, kind: Kind) {
        match kind {
            Kind::Audio => self.audio_touched = false,
            Kind::Video => self.video_touched = false,
        }
    }

    /// When its window ends, while its publisher is lost.
    pub(super) fn window_end(&self) -> Option<Instant> {
        self.lost_at.map(|lost| lost + self.window)
    }

    /// When something of the stream is due.
    pub(super) fn poll_timeout(&self, now: Instant) -> Option<Instant> {
        let expiry = self.window_end();
        let arbiters = self
            .tracks()
            .flat_map(|track| &track.layers)
            .filter_map(|layer| layer.arbiter.poll_timeout(now))
            .min();
        let refresh = (self.source != Source::Absent).then_some(self.next_refresh);
        [expiry, self.silent_at, arbiters, refresh].into_iter().flatten().min()
    }

    /// What a shard that begins to listen has to know, oldest first.
    pub(super) fn introduction(&self, now: Instant) -> Vec<LinkMessage> {
        let mut messages = vec![LinkMessage::Tracks { stream: self.id, tracks: self.heads() }];
        for track in self.tracks() {
            for (index, layer) in track.layers.iter().enumerate() {
                let index = index as u8;
                messages.extend(self.clocks(track.kind(), index));
                let Some(start) = layer.ring.keyframe() else { continue };
                let fresh = layer.ring.get(start).is_some_and(|first| {
                    now.saturating_duration_since(first.at) < layer.longest_reach(now)
                });
                let packets = (start..layer.ring.end()).filter(|_| fresh);
                messages.extend(packets.filter_map(|position| {
                    Some(LinkMessage::Packet {
                        stream: self.id,
                        kind: track.kind(),
                        layer: index,
                        arrived: Box::new(layer.ring.get(position)?.clone()),
                    })
                }));
            }
        }
        messages
    }

    /// How a layer's clock stands, for mirrors.
    pub(super) fn clocks(&self, kind: Kind, layer: u8) -> Option<LinkMessage> {
        let this = self.track(kind)?.layers.get(usize::from(layer))?;
        Some(LinkMessage::Clocks {
            stream: self.id,
            kind,
            layer,
            shift: this.shift,
            report: this.report,
            arrival: this.arrival,
            clock: self.clock.clone(),
        })
    }

    /// The tracks without their packets.
    pub(super) fn heads(&self) -> Vec<TrackHead> {
        self.tracks()
            .map(|track| TrackHead {
                generation: track.generation,
                mid: track.mid.clone(),
                format: track.format.clone(),
                rids: track.layers.iter().filter_map(|layer| layer.rid.clone()).collect(),
            })
            .collect()
    }

    /// Takes in what the home shard says of a layer's clock.
    pub(super) fn set_clocks(
        &mut self,
        (kind, layer): (Kind, u8),
        shift: Option<i64>,
        anchors: (Option<Anchor>, Option<Anchor>),
        clock: PublisherClock,
    ) {
        self.clock = clock;
        let Some(track) = self.track_mut(kind) else { return };
        let Some(layer) = track.layers.get_mut(usize::from(layer)) else { return };
        layer.shift = shift;
        (layer.report, layer.arrival) = anchors;
    }

    /// The stream as the API shows it.
    pub(super) fn report(&self, now: Instant) -> StreamReport {
        let tracks = self.tracks().map(|track| TrackReport {
            mid: track.mid.clone(),
            format: track.format.clone(),
            layers: track.layers.iter().map(|layer| layer_report(now, track, layer)).collect(),
        });
        StreamReport {
            live: self.source != Source::Absent && self.lost_at.is_none(),
            window: self.window_end().map(|end| end.saturating_duration_since(now)),
            tracks: tracks.collect(),
        }
    }
}

fn layer_report(now: Instant, track: &Track, layer: &Layer) -> LayerReport {
    let is_picture = track.kind() == Kind::Video;
    LayerReport {
        rid: layer.rid.clone(),
        active: layer.active,
        bitrate_bps: layer.bitrate_bps(),
        fps: layer.fps(),
        size: layer.size(),
        keyframes: layer.totals().keyframes,
        keyframe_requests: layer.arbiter.sent(),
        packets_lost: layer.lost(),
        gop: layer.gop(now, track.format.clock_rate).filter(|_| is_picture),
        habit: layer.arbiter.habit(now),
    }
}

impl Layers for Track {
    fn generation(&self) -> u32 {
        self.generation
    }

    fn best(&self) -> Option<u8> {
        Self::best(self)
    }

    fn is_active(&self, layer: u8) -> bool {
        self.layers.get(usize::from(layer)).is_some_and(|layer| layer.active)
    }

    fn find(&self, rid: &Rid) -> Option<(u8, bool)> {
        let layer = Self::find(self, rid)?;
        Some((layer, self.layers[usize::from(layer)].active))
    }

    fn packet(&self, layer: u8, position: u64) -> Option<&Arrived> {
        self.layers.get(usize::from(layer))?.ring.get(position)
    }

    fn bounds(&self, layer: u8) -> Option<(u64, u64)> {
        let ring = &self.layers.get(usize::from(layer))?.ring;
        Some((ring.start(), ring.end()))
    }

    fn era(&self, layer: u8) -> u32 {
        self.layers.get(usize::from(layer)).map_or(0, Layer::era)
    }

    fn keyframe(&self, layer: u8) -> Option<u64> {
        self.layers.get(usize::from(layer))?.ring.keyframe()
    }

    fn reach(&self, layer: u8, now: Instant) -> Duration {
        let layer = self.layers.get(usize::from(layer));
        layer.map_or(Duration::ZERO, |layer| layer.reach(now))
    }

    fn shift(&self, layer: u8, now: Instant) -> i64 {
        Self::shift(self, layer, now)
    }
}

/// Layers are looked at this often.
pub(super) const REFRESH_INTERVAL: Duration = Duration::from_millis(100);
