//! Sessions of a shard: how they open, what their feedback does, how they end.

use std::time::Instant;

use super::allowance::Allowance;
use super::command::{EndReason, Event, Publish, Reply, SessionKey, ShardId, StreamId, Subscribe};
use super::egress::Egress;
use super::ingress::Ingress;
use super::link::{LinkMessage, TrackHead};
use super::stream::{REFRESH_INTERVAL, Source, Stream};
use super::timers::Reason;
use super::{Shard, liveness, sender_report};
use crate::hub::Anchor;
use crate::media::Kind;
use crate::media::rtcp::{self, Rtcp, SenderReport};
use crate::rtc::connection::{self, CloseReason, Connection, Opening};
use crate::rtc::transport::{Origin, Transport};

/// One WebRTC connection and what it is for.
pub(super) struct Session {
    pub(super) connection: Connection,
    pub(super) role: Role,
    pub(super) ufrags: Vec<String>,
    pub(super) remotes: Vec<Origin>,
    pub(super) opened: Instant,
    /// Of a publisher that counts as lost, when its last packet came.
    pub(super) silent_since: Option<Instant>,
    pub(super) armed: Option<Instant>,
    /// Refused checks from addresses that were once right: looking at one costs what a hundred
    /// strangers' datagrams cost.
    pub(super) wrong_checks: Allowance,
    /// Refused checks from elsewhere, apart, so that they do not keep the session's own away.
    pub(super) strangers_checks: Allowance,
}

/// Which way a session's media goes.
pub(super) enum Role {
    Publisher(Box<Ingress>),
    Viewer(Box<Egress>),
}

// === impl Role ===

impl Role {
    pub(super) fn stream(&self) -> StreamId {
        match self {
            Self::Publisher(ingress) => ingress.stream,
            Self::Viewer(egress) => egress.stream,
        }
    }
}

impl Shard {
    pub(super) fn publish(&mut self, now: Instant, request: Publish) -> Reply {
        let ssrc = self.next_random() as u32;
        let ingress =
            Ingress::new(now, request.stream, request.sections, request.max_bitrate_bps, ssrc);
        let id = request.stream;
        if request.resumes && !self.streams.contains_key(&id) {
            return Reply::Unknown;
        }
        let generation = self.streams.get(&id).map_or(1, |stream| stream.generation + 1);
        let heads: Vec<TrackHead> = ingress
            .sections()
            .iter()
            .map(|section| TrackHead {
                generation,
                mid: section.mid.clone(),
                format: section.formats[0].format.clone(),
                rids: section.rids.clone(),
            })
            .collect();
        let opened = self.open(now, request.connection, Role::Publisher(Box::new(ingress)));
        let Reply::Opened(key) = opened else { return opened };
        let stream = self
            .streams
            .entry(id)
            .or_insert_with(|| Stream::new(now, id, Source::Absent, request.window));
        let previous = stream.source;
        let resumes = stream.generation > 0;
        let changed = resumes && liveness::has_changed(&stream.heads(), &heads);
        stream.set_tracks(&heads);
        stream.source = Source::Publisher(key);
        (stream.lost_at, stream.silent_at) = (None, None);
        stream.window = request.window;
        stream.next_refresh = now + REFRESH_INTERVAL;
        for shard in &stream.mirrors {
            let tracks = heads.clone();
            self.links.push_back((*shard, LinkMessage::Tracks { stream: id, tracks }));
        }
        if let Source::Publisher(old) = previous {
            self.close(now, old, true);
        }
        if resumes {
            self.events.push_back(Event::PublisherBack { stream: id, changed });
        }
        self.rearm_stream(now, id);
        self.settle(now, key);
        opened
    }

    pub(super) fn subscribe(&mut self, now: Instant, request: Subscribe) -> Reply {
        let (id, home) = (request.stream, request.home);
        let kinds: Vec<Kind> = request.sections.iter().map(|section| section.kind).collect();
        let here = home == self.config.id;
        if here && !self.streams.contains_key(&id) {
            return Reply::Unknown;
        }
        let seed = self.next_random();
        let (connection, egress) = Egress::new(now, request, seed);
        let opened = self.open(now, connection, Role::Viewer(Box::new(egress)));
        let Reply::Opened(key) = opened else { return opened };
        let mut new_mirror = false;
        let stream = self.streams.entry(id).or_insert_with(|| {
            new_mirror = true;
            Stream::new(now, id, Source::Mirror(home), MIRROR_WINDOW)
        });
        for kind in kinds {
            stream.listen(kind, key);
        }
        if new_mirror {
            let from = self.config.id;
            self.links.push_back((home, LinkMessage::Listen { stream: id, from }));
            self.rearm_stream(now, id);
        }
        self.settle(now, key);
        opened
    }

    /// Carries on what a session's input set going: datagrams, events, timers.
    pub(super) fn settle(&mut self, now: Instant, key: SessionKey) {
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return };
            while let Some(transmit) = session.connection.poll_transmit() {
                self.out.push_back(transmit);
            }
            match session.connection.poll_event() {
                Some(connection::Event::Connected { profile }) => {
                    if let Role::Viewer(egress) = &mut session.role
                        && let Some(sender) = session.connection.sender()
                    {
                        egress.connected(sender);
                        self.fan_out.make_ready(key);
                    }
                    let after = now.saturating_duration_since(session.opened);
                    let profile = format!("{profile:?}");
                    self.events.push_back(Event::Connected { key, profile, after });
                    if let Role::Publisher(ingress) = &session.role {
                        let id = ingress.stream;
                        self.begin_listening(now, id, key);
                    }
                }
                Some(connection::Event::Closed(reason)) => {
                    self.remove(now, key, EndReason::Connection(reason));
                    return;
                }
                Some(connection::Event::Path(_)) => {}
                None => {
                    let heard = session.connection.last_authenticated();
                    if session.silent_since.is_some_and(|since| heard > since) {
                        self.hear_again(now, key);
                    }
                    break;
                }
            }
        }
        self.rearm_session(key);
    }

    /// Ends a session from our side, telling the other.
    pub(super) fn close(&mut self, now: Instant, key: SessionKey, say_goodbye: bool) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Role::Viewer(egress) = &session.role
            && say_goodbye
        {
            let ssrcs = egress.ssrcs();
            let mut plain = Vec::new();
            rtcp::write_bye(&mut plain, &ssrcs);
            if let (Some(sealed), Some(path)) =
                (session.connection.protect_rtcp(&plain), session.connection.path())
            {
                self.out.push_back((path, sealed));
            }
        }
        session.connection.close(now);
        while let Some(transmit) = session.connection.poll_transmit() {
            self.out.push_back(transmit);
        }
        self.remove(now, key, EndReason::Here);
    }

    fn open(&mut self, now: Instant, opening: Opening, role: Role) -> Reply {
        let (ufrag, remote) = match &opening {
            Opening::Handshake(config) => (Some(config.local.ufrag.clone()), None),
            Opening::Preset(preset) => (None, Some(preset.path.origin())),
        };
        let connection = match Connection::open(now, opening) {
            Ok(connection) => connection,
            Err(error) => return Reply::Failed(error.to_string()),
        };
        let key = self.sessions.insert(Session {
            connection,
            role,
            ufrags: ufrag.iter().cloned().collect(),
            remotes: remote.into_iter().collect(),
            opened: now,
            silent_since: None,
            armed: None,
            wrong_checks: WRONG_CHECKS,
            strangers_checks: WRONG_CHECKS,
        });
        self.by_ufrag.extend(ufrag.map(|ufrag| (ufrag, key)));
        self.by_remote.extend(remote.map(|remote| (remote, key)));
        Reply::Opened(key)
    }

    fn remove(&mut self, now: Instant, key: SessionKey, reason: EndReason) {
        let Some(mut session) = self.sessions.remove(key) else { return };
        self.timers.arm(&mut session.armed, None, Reason::Session(key));
        for ufrag in &session.ufrags {
            self.by_ufrag.remove(ufrag);
        }
        for remote in &session.remotes {
            self.forget(*remote, key);
        }
        let last_heard = match &reason {
            // The goodbye itself was heard, and what we end was not silent.
            EndReason::Here | EndReason::Connection(CloseReason::PeerClosed) => now,
            EndReason::Connection(_) => session.connection.last_authenticated(),
        };
        self.events.push_back(Event::Closed { key, reason });
        let id = session.role.stream();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        match session.role {
            Role::Publisher(_) if stream.source == Source::Publisher(key) => {
                stream.source = Source::Absent;
                stream.silent_at = None;
                if stream.lost_at.is_none() {
                    self.lose_publisher(now, id, last_heard);
                } else {
                    self.rearm_stream(now, id);
                }
            }
            Role::Publisher(_) => {}
            Role::Viewer(_) => {
                let last = stream.unlisten(key);
                if let Source::Mirror(home) = stream.source
                    && last
                {
                    self.drop_mirror(id, home);
                }
            }
        }
    }

    fn drop_mirror(&mut self, id: StreamId, home: ShardId) {
        let from = self.config.id;
        self.links.push_back((home, LinkMessage::Unlisten { stream: id, from }));
        if let Some(mut stream) = self.streams.remove(&id) {
            self.timers.arm(&mut stream.armed, None, Reason::Stream(id));
            self.timers.arm(&mut stream.held, None, Reason::Hold(id));
        }
    }

    pub(super) fn session_timeout(&mut self, now: Instant, key: SessionKey) {
        let wall = self.wall(now);
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.armed = None;
        session.connection.handle_timeout(now);
        let mut compounds = std::mem::take(&mut self.scratch);
        match &mut session.role {
            Role::Publisher(ingress) => ingress.handle_timeout(now, &mut compounds),
            Role::Viewer(egress) => {
                if egress.takes_due(now) {
                    self.fan_out.make_ready(key);
                }
                if egress.takes_report(now)
                    && let Some(stream) = self.streams.get(&egress.stream)
                {
                    compounds.extend(sender_report::compound(now, wall, egress, stream));
                }
            }
        }
        let path = session.connection.path();
        for plain in compounds.drain(..) {
            if let (Some(sealed), Some(path)) = (session.connection.protect_rtcp(&plain), path) {
                self.out.push_back((path, sealed));
            }
        }
        self.scratch = compounds;
        self.settle(now, key);
    }

    pub(super) fn rearm_session(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let role = match &mut session.role {
            Role::Publisher(ingress) => ingress.poll_timeout(),
            Role::Viewer(egress) => egress.poll_timeout(),
        };
        let wanted = [session.connection.poll_timeout(), role].into_iter().flatten().min();
        // A timer that fires early finds nothing due and is cheaper than moving it with each packet.
        if session.armed.is_none_or(|armed| wanted.is_some_and(|wanted| wanted < armed)) {
            self.timers.arm(&mut session.armed, wanted, Reason::Session(key));
        }
    }

    pub(super) fn deliver_rtcp(
        &mut self,
        now: Instant,
        key: SessionKey,
        transport: Transport,
        datagram: &[u8],
    ) -> bool {
        self.prepare_allocation(key);
        let wall = self.wall(now);
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let Ok(plain) = session.connection.unprotect_rtcp(now, &transport, datagram) else {
            self.gauges.dropped_unauthentic += 1;
            return false;
        };
        match &mut session.role {
            Role::Publisher(_) => self.read_publisher_rtcp(now, key, &plain),
            Role::Viewer(egress) => {
                let (mut wants_keyframe, mut has_news) = (false, false);
                let (mut delivered, mut lost, mut nacked, mut wanted) = (0, 0, 0, 0);
                rtcp::parse(&plain, |packet| match packet {
                    Rtcp::Nack(nack) => {
                        nacked += nack.seqs().count() as u64;
                        egress.handle_nack(now, nack.seqs());
                    }
                    Rtcp::Pli { .. } | Rtcp::Fir { .. } => {
                        wanted += 1;
                        wants_keyframe |= !egress.puts_off_keyframe(now);
                    }
                    Rtcp::TransportWide(feedback) => {
                        let settled = egress.handle_transport_wide(now, &feedback);
                        delivered += settled.delivered;
                        lost += settled.lost;
                        has_news = true;
                    }
                    Rtcp::Report { block, .. } => {
                        egress.handle_report(wall, &block);
                        egress.note_picture_report(now, &block);
                        has_news = true;
                    }
                    Rtcp::SenderReport(_) | Rtcp::Bye { .. } => {}
                });
                self.gauges.delivered += delivered;
                self.gauges.reported_lost += lost;
                self.gauges.nacked += nacked;
                self.gauges.keyframes_wanted += wanted;
                let waiting = !egress.resend.is_empty();
                let stream = egress.stream;
                let layer = egress.video.as_ref().and_then(|video| video.forwarder.layer());
                if waiting {
                    self.fan_out.make_ready(key);
                }
                if let Some(layer) = layer.filter(|_| wants_keyframe)
                    && !self.start_again(now, key)
                {
                    self.want_keyframe(now, stream, layer);
                }
                if has_news {
                    self.allocate(now, key);
                }
            }
        }
        true
    }

    fn read_publisher_rtcp(&mut self, now: Instant, key: SessionKey, plain: &[u8]) {
        let mut reports: Vec<SenderReport> = Vec::new();
        rtcp::parse(plain, |packet| {
            if let Rtcp::SenderReport(report) = packet {
                reports.push(report);
            }
        });
        for report in reports {
            let Some(session) = self.sessions.get_mut(key) else { return };
            let Role::Publisher(ingress) = &mut session.role else { return };
            let id = ingress.stream;
            let Some((kind, layer)) = ingress.handle_report(now, &report) else { continue };
            self.take_in_report(now, id, (kind, layer), &report);
        }
    }

    fn take_in_report(
        &mut self,
        now: Instant,
        id: StreamId,
        (kind, layer): (Kind, u8),
        report: &SenderReport,
    ) {
        let wall = self.wall(now);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(track) = stream.track_mut(kind) else { return };
        let clock_rate = track.format.clock_rate;
        let Some(this) = track.layers.get_mut(usize::from(layer)) else { return };
        let timestamp = this.unwrap_timestamp(report.rtp_timestamp);
        let Some(newest) = this.ring.last().map(|arrived| arrived.timestamp) else { return };
        // Some encoders start with a report about nothing.
        if (timestamp - newest).abs() > MAX_REPORT_DISTANCE_S * i64::from(clock_rate) {
            return;
        }
        track.note_report(layer, Anchor { timestamp, ntp: report.ntp });
        stream.clock.report(report.ntp, wall);
        if let Some(clocks) = stream.clocks(kind, layer) {
            for shard in &stream.mirrors {
                self.links.push_back((*shard, clocks.clone()));
            }
        }
    }
}

/// A mirror has no window of its own: the home shard says when the stream ends.
const MIRROR_WINDOW: std::time::Duration = std::time::Duration::from_secs(3600);

/// Checks that may be refused per session.
const WRONG_CHECKS: Allowance = Allowance::new(100, std::time::Duration::from_secs(1));

const MAX_REPORT_DISTANCE_S: i64 = 10;
