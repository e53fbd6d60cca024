//! The shard's side of links and of stream timers: mirrors, keyframe requests, windows.

use std::time::Instant;

use super::Shard;
use super::command::{Event, ShardId, StreamId};
use super::link::LinkMessage;
use super::session::Role;
use super::stream::{REFRESH_INTERVAL, Source};
use super::timers::Reason;
use crate::media::Kind;
use crate::media::rtcp;

impl Shard {
    /// Takes in a message of another shard.
    pub fn handle_link(&mut self, now: Instant, message: LinkMessage) {
        match message {
            LinkMessage::Datagram { from, transport, bytes } => {
                self.handle_handed_over(now, from, transport, &bytes);
            }
            LinkMessage::Proved { remote, home } => self.remember_elsewhere(remote, home),
            LinkMessage::Listen { stream, from } => self.add_mirror(now, stream, from),
            LinkMessage::Unlisten { stream, from } => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    stream.mirrors.retain(|mirror| *mirror != from);
                }
            }
            LinkMessage::Tracks { stream, tracks } => {
                // Told again, they are the same tracks: forwarders know the places of their packets.
                let is_known = |mirror: &super::stream::Stream| {
                    mirror.tracks().next().is_some()
                        && tracks.first().is_some_and(|head| head.generation == mirror.generation)
                };
                let mirror = self.streams.get_mut(&stream);
                if let Some(mirror) = mirror.filter(|mirror| !is_known(mirror)) {
                    mirror.set_tracks(&tracks);
                }
            }
            LinkMessage::Packet { stream, kind, layer, arrived } => {
                let Some(mirror) = self.streams.get_mut(&stream) else { return };
                let Some(track) = mirror.track_mut(kind) else { return };
                let Some(this) = track.layers.get_mut(usize::from(layer)) else { return };
                let received = arrived.received;
                if this.mirror(*arrived).is_err() {
                    self.gauges.dropped_duplicate += 1;
                    return;
                }
                track.note_mirrored(now, layer);
                self.note_packet(now, stream, kind, received);
            }
            LinkMessage::Clocks { stream, kind, layer, shift, report, arrival, clock } => {
                if let Some(mirror) = self.streams.get_mut(&stream) {
                    mirror.set_clocks((kind, layer), shift, (report, arrival), clock);
                }
            }
            LinkMessage::Want { stream, layer } => self.want_keyframe(now, stream, layer),
            LinkMessage::WantAll { stream } => self.want_keyframes(now, stream),
            LinkMessage::Gone { stream, ended } => {
                if ended {
                    self.end_stream(now, stream);
                }
            }
        }
    }

    /// Somebody needs a keyframe of a video layer.
    pub(super) fn want_keyframe(&mut self, now: Instant, id: StreamId, layer: u8) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(track) = &mut stream.video else { return };
        let Some(this) = track.layers.get_mut(usize::from(layer)) else { return };
        this.arbiter.want();
        self.ask_keyframes(now, id);
        self.rearm_stream(now, id);
    }

    /// Somebody needs a keyframe of every video layer that arrives.
    pub(super) fn want_keyframes(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(track) = &mut stream.video else { return };
        for layer in track.layers.iter_mut().filter(|layer| layer.active) {
            layer.arbiter.want();
        }
        self.ask_keyframes(now, id);
        self.rearm_stream(now, id);
    }

    /// Sends the keyframe requests that are due: to a publisher in one datagram, so that its layers
    /// start from one picture if it can make them.
    fn ask_keyframes(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let source = stream.source;
        let Some(track) = &mut stream.video else { return };
        let due = track.layers.iter_mut().zip(0_u8..);
        let due = due.filter_map(|(layer, index)| layer.arbiter.poll(now).then_some(index));
        let layers: Vec<u8> = due.collect();
        if layers.is_empty() {
            return;
        }
        match source {
            Source::Publisher(key) => {
                let Some(session) = self.sessions.get_mut(key) else { return };
                let Role::Publisher(ingress) = &session.role else { return };
                let (mut plain, mut requests) = (Vec::new(), 0);
                for media in layers.iter().filter_map(|ix| ingress.ssrc_of(Kind::Video, *ix)) {
                    rtcp::write_pli(&mut plain, crate::media::Ssrc(ingress.ssrc()), media);
                    requests += 1;
                }
                if requests > 0
                    && let (Some(sealed), Some(path)) =
                        (session.connection.protect_rtcp(&plain), session.connection.path())
                {
                    self.gauges.keyframe_requests += requests;
                    self.out.push_back((path, sealed));
                }
            }
            Source::Mirror(home) => {
                let wants = layers.into_iter().map(|layer| LinkMessage::Want { stream: id, layer });
                self.links.extend(wants.map(|want| (home, want)));
            }
            Source::Absent => {}
        }
    }

    pub(super) fn stream_timeout(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.armed = None;
        self.judge_silence(now, id);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.window_end().is_some_and(|end| now >= end) {
            self.end_stream(now, id);
            return;
        }
        if now >= stream.next_refresh {
            stream.next_refresh = now + REFRESH_INTERVAL;
            for kind in [Kind::Audio, Kind::Video] {
                let changed = stream.track_mut(kind).is_some_and(|track| track.refresh(now));
                if changed && stream.touch(kind) {
                    self.fan_out.touched.push_back((id, kind));
                }
            }
            if matches!(stream.source, Source::Publisher(_))
                && let Some(video) = &stream.video
                && stream.layer_news.is_due(now, &video.layers)
            {
                self.events.push_back(Event::LayersChanged { stream: id });
            }
        }
        self.ask_keyframes(now, id);
        self.rearm_stream(now, id);
    }

    pub(super) fn rearm_stream(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let wanted = stream.poll_timeout(now);
        self.timers.arm(&mut stream.armed, wanted, Reason::Stream(id));
    }

    fn add_mirror(&mut self, now: Instant, id: StreamId, from: ShardId) {
        let Some(stream) = self.streams.get_mut(&id) else {
            self.links.push_back((from, LinkMessage::Gone { stream: id, ended: true }));
            return;
        };
        if !stream.mirrors.contains(&from) {
            stream.mirrors.push(from);
        }
        for message in stream.introduction(now) {
            self.links.push_back((from, message));
        }
    }

    /// Ends a stream and the sessions of its viewers.
    fn end_stream(&mut self, now: Instant, id: StreamId) {
        let Some(mut stream) = self.streams.remove(&id) else { return };
        self.timers.arm(&mut stream.armed, None, Reason::Stream(id));
        self.timers.arm(&mut stream.held, None, Reason::Hold(id));
        for shard in &stream.mirrors {
            self.links.push_back((*shard, LinkMessage::Gone { stream: id, ended: true }));
        }
        if let Source::Publisher(key) = stream.source {
            self.close(now, key, true);
        }
        if !matches!(stream.source, Source::Mirror(_)) {
            // After its publisher's end, so that who keeps a book finds nobody there.
            self.events.push_back(Event::StreamEnded { stream: id });
        }
        let mut viewers = stream.video_listeners;
        viewers.extend(stream.audio_listeners);
        for key in viewers {
            self.close(now, key, true);
        }
    }
}
