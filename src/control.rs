//! The control: answers the HTTP half's port by asking shards, and keeps the book of streams and
//! sessions.
//!
//! Negotiation happens here, on ordinary tasks; a shard is handed what was agreed. The registry is
//! changed under a short lock, never across an await.

mod info;

mod registry;

mod secrets;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::{debug, info};
use whitewater_core::forward::Wish;
use whitewater_core::media::{Kind, Mid, Rid, Ssrc};
use whitewater_core::rtc::sdp::{self, SdpError};
use whitewater_core::rtc::{Credentials, IceRole, Identity, connection};
use whitewater_core::shard::command::{Publish, StreamReport, Subscribe};
use whitewater_core::shard::{Command, Event, Reply, ShardId};
use whitewater_signaling::control::{
    Answer, Control as Port, Fragment, IfMatch, LayerChoice, Open, Opened, Patched, Refusal,
    ServerInfo, SessionPath, Side, StreamInfo, StreamName,
};

use crate::engine;
use registry::{Registry, SessionEntry, StreamEntry};
pub use secrets::Secrets;

/// What control needs to know.
pub struct Config {
    /// Media addresses to offer, best first.
    pub candidates: Vec<SocketAddr>,
    /// Live streams allowed; 0 is no limit.
    pub max_streams: usize,
    /// Viewers allowed; 0 is no limit.
    pub max_viewers: usize,
    /// What holds for a stream of a name.
    pub policy: Box<dyn Fn(&str) -> Policy + Send + Sync>,
}

/// What holds for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long viewers wait for a lost publisher.
    pub reconnect_window: Duration,
    /// Bits per second of its publisher; 0 is no limit.
    pub max_bitrate_bps: u64,
}

/// The control of one server.
pub struct Control {
    engine: engine::Handle,
    config: Config,
    secrets: Secrets,
    identity: Arc<Identity>,
    registry: Mutex<Registry>,
}

// === impl Control ===

impl Control {
    /// Takes the engine's reins. What happens in the shards is read by a task of its own.
    pub fn new(
        engine: engine::Handle,
        events: mpsc::Receiver<(ShardId, Event)>,
        config: Config,
    ) -> anyhow::Result<Arc<Self>> {
        let secrets = Secrets::new();
        let identity = Identity::generate(secrets.provider())?;
        let registry = Mutex::new(Registry::new(engine.shards()));
        let control = Arc::new(Self { engine, config, secrets, identity, registry });
        tokio::spawn(read_events(Arc::downgrade(&control), events));
        Ok(control)
    }

    /// The engine below.
    pub fn engine(&self) -> &engine::Handle {
        &self.engine
    }

    /// Ends every session, telling the other sides.
    pub async fn shutdown(&self) {
        for shard in 0..self.engine.shards() {
            self.engine.ask(ShardId(shard as u8), Command::Shutdown).await;
        }
    }

    async fn open_publisher(&self, request: Open) -> Result<Opened, Refusal> {
        let id = self.session_id();
        let path =
            SessionPath { side: Side::Publish, stream: request.stream.clone(), id: id.clone() };
        let policy = (self.config.policy)(request.stream.as_str());
        let (stream, home, command, opened) = {
            let mut registry = self.registry();
            let known = registry.streams.get(&request.stream).cloned();
            let present = known.as_ref().and_then(|stream| stream.publisher.clone());
            if let Some(present) = &present
                && request.replaces.as_ref().is_none_or(|old| old.id != *present)
            {
                return Err(Refusal::Taken(request.stream));
            }
            let max = self.config.max_streams;
            if known.is_none() && max > 0 && registry.streams.len() >= max {
                return Err(Refusal::Full(format!("the server has its {max} streams")));
            }
            let home = known.as_ref().map_or_else(|| registry.least_loaded(), |stream| stream.home);
            let local = self.secrets.credentials(home);
            let policy_sdp = sdp::PublishPolicy { max_bitrate_bps: policy.max_bitrate_bps };
            let agreed = self
                .negotiate(&local, |side| sdp::answer_publish(&request.offer, side, &policy_sdp))?;
            let stream = known.map_or_else(|| registry.next_stream(), |stream| stream.id);
            if let Some(present) = &present {
                registry.remove(present);
            }
            let (published, rids) = what_is_published(&agreed.sections);
            let entry =
                registry.streams.entry(request.stream.clone()).or_insert_with(|| StreamEntry {
                    id: stream,
                    home,
                    publisher: None,
                    published: published.clone(),
                    rids: rids.clone(),
                    since: std::time::Instant::now(),
                    viewers: 0,
                });
            entry.publisher = Some(id.clone());
            (entry.published, entry.rids) = (published, rids);
            let opened = opened(&id, &local, &agreed);
            registry.reserve(id.clone(), entry_of(&path, stream, home, &opened, &agreed));
            let command = Command::Publish(Box::new(Publish {
                stream,
                connection: self.connection(local, &agreed).into(),
                sections: agreed.sections,
                window: policy.reconnect_window,
                // The publisher is asked to stay below its limit; a quarter more is still taken.
                max_bitrate_bps: policy.max_bitrate_bps + policy.max_bitrate_bps / 4,
            }));
            (stream, home, command, opened)
        };
        info!(stream = %request.stream, "a publisher opens a session");
        let done = self.open(&id, home, command, opened).await;
        if done.is_err() {
            self.registry().end_stream(stream);
        }
        done
    }

    async fn open_viewer(&self, request: Open) -> Result<Opened, Refusal> {
        let id = self.session_id();
        let path =
            SessionPath { side: Side::Watch, stream: request.stream.clone(), id: id.clone() };
        if let Some(old) = request.replaces {
            // What is replaced may have ended by itself.
            let _ = self.end(&old).await;
        }
        let (shard, command, opened) = {
            let mut registry = self.registry();
            let Some(stream) = registry.streams.get(&request.stream).cloned() else {
                return Err(Refusal::NotLive(request.stream));
            };
            let max = self.config.max_viewers;
            if max > 0 && registry.viewers() >= max {
                return Err(Refusal::Full(format!("the server has its {max} viewers")));
            }
            let shard = registry.least_loaded();
            let local = self.secrets.credentials(shard);
            let ssrc = || Ssrc((self.secrets.number() as u32).max(1));
            let ssrcs = sdp::WatchSsrcs { audio: ssrc(), video: ssrc(), video_rtx: ssrc() };
            let cname = self.secrets.text(16);
            let agreed = self.negotiate(&local, |side| {
                let side = sdp::Local { cname: &cname, ..*side };
                sdp::answer_watch(&request.offer, &side, &stream.published, &ssrcs)
            })?;
            let opened = opened(&id, &local, &agreed);
            registry.reserve(id.clone(), entry_of(&path, stream.id, shard, &opened, &agreed));
            let command = Command::Subscribe(Box::new(Subscribe {
                stream: stream.id,
                home: stream.home,
                connection: self.connection(local, &agreed).into(),
                sections: agreed.sections,
                audio: ssrcs.audio,
                video: ssrcs.video,
                video_rtx: ssrcs.video_rtx,
                cname,
            }));
            (shard, command, opened)
        };
        debug!(stream = %request.stream, "a viewer opens a session");
        self.open(&id, shard, command, opened).await
    }

    /// Has a reserved session opened by its shard, or strikes it out again.
    async fn open(
        &self,
        id: &whitewater_signaling::control::SessionId,
        shard: ShardId,
        command: Command,
        opened: Opened,
    ) -> Result<Opened, Refusal> {
        let refusal = match self.engine.ask(shard, command).await {
            Some(Reply::Opened(key)) => {
                if self.registry().confirm(id, key) {
                    return Ok(opened);
                }
                // It was replaced or deleted while it opened.
                self.engine.ask(shard, Command::Close(key)).await;
                return Err(Refusal::NoSession);
            }
            Some(Reply::Failed(why)) => Refusal::Unprocessable(why),
            Some(Reply::Unknown) => Refusal::Full("the stream is just ending".into()),
            Some(Reply::Done | Reply::Stream(_) | Reply::Gauges(_)) | None => Refusal::Closing,
        };
        self.registry().remove(id);
        Err(refusal)
    }

    async fn end(&self, path: &SessionPath) -> Result<(), Refusal> {
        let session = {
            let mut registry = self.registry();
            registry.session(path).ok_or(Refusal::NoSession)?;
            registry.remove(&path.id).ok_or(Refusal::NoSession)?
        };
        if let Some(key) = session.key {
            self.engine.ask(session.shard, Command::Close(key)).await;
        }
        info!(stream = %path.stream, side = ?path.side, "a session was ended by its client");
        Ok(())
    }

    async fn patch_ice(
        &self,
        path: SessionPath,
        if_match: IfMatch,
        fragment: Fragment,
    ) -> Result<Patched, Refusal> {
        let session = self.registry().session(&path).cloned().ok_or(Refusal::NoSession)?;
        match &if_match {
            IfMatch::Any => {}
            IfMatch::Tags(tags) if tags.contains(&session.etag) => {}
            IfMatch::Tags(_) => return Err(Refusal::StaleTag),
        }
        let same = fragment.ufrag == session.remote.ufrag && fragment.pwd == session.remote.pwd;
        if same || fragment.ufrag.is_empty() {
            // We are ICE-lite: remote candidates are learned from their checks.
            return Ok(Patched::Trickled);
        }
        let key = session.key.ok_or(Refusal::NoSession)?;
        let local = self.secrets.credentials(session.shard);
        let remote = Credentials { ufrag: fragment.ufrag, pwd: fragment.pwd };
        remote.check().map_err(|why| Refusal::Malformed(why.into()))?;
        let command = Command::RestartIce { key, local: local.clone(), remote: remote.clone() };
        let Some(Reply::Done) = self.engine.ask(session.shard, command).await else {
            return Err(Refusal::NoSession);
        };
        let etag = local.ufrag.clone();
        let (mid, kind) = &session.tagged;
        let fragment = sdp::ice_fragment(&local, &self.config.candidates, mid, *kind);
        if let Some(session) = self.registry().sessions.get_mut(&path.id) {
            (session.etag, session.remote) = (etag.clone(), remote);
        }
        Ok(Patched::Restarted { fragment, etag })
    }

    async fn choose(&self, path: SessionPath, choice: LayerChoice) -> Result<(), Refusal> {
        let (session, stream) = {
            let registry = self.registry();
            let session = registry.session(&path).cloned().ok_or(Refusal::NoSession)?;
            let stream = registry.streams.get(&path.stream).cloned();
            (session, stream.ok_or(Refusal::NoSession)?)
        };
        let refused = |why: String| Err(Refusal::Unprocessable(why));
        if let Some(media) = &choice.media_id
            && session.video.as_ref().map(Mid::as_str) != Some(media)
        {
            return refused(format!("the session has no video section {media}"));
        }
        if choice.spatial_layer_id.is_some_and(|id| id > 0) || choice.temporal_layer_id.is_some() {
            return refused("the stream has no spatial or temporal layers to choose from".into());
        }
        let wish = match &choice.rid {
            Some(rid) if stream.rids.iter().any(|known| known.as_str() == rid) => {
                Wish::Rid(Rid::new(rid.as_str()))
            }
            Some(rid) => {
                let known: Vec<_> = stream.rids.iter().map(Rid::as_str).collect();
                return refused(match known.as_slice() {
                    [] => "the stream has a single layer".into(),
                    known => format!("the stream has no layer {rid}: {}", known.join(", ")),
                });
            }
            None if choice.max_width.is_some() || choice.max_height.is_some() => {
                self.largest_within(&stream, &choice).await
            }
            None => Wish::Highest,
        };
        let key = session.key.ok_or(Refusal::NoSession)?;
        match self.engine.ask(session.shard, Command::Choose { key, wish }).await {
            Some(Reply::Done) => Ok(()),
            _ => Err(Refusal::NoSession),
        }
    }

    /// The largest layer within the viewer's bounds, or the smallest there is.
    async fn largest_within(&self, stream: &StreamEntry, choice: &LayerChoice) -> Wish {
        let report = self.describe(stream).await;
        let video = report.tracks.iter().find(|track| track.format.codec.kind() == Kind::Video);
        let mut layers: Vec<_> = video
            .into_iter()
            .flat_map(|track| &track.layers)
            .filter_map(|layer| Some((layer.size?, layer.rid.clone()?)))
            .collect();
        layers.sort_by_key(|((width, height), _)| u32::from(*width) * u32::from(*height));
        let fits = |(width, height): (u16, u16)| {
            choice.max_width.is_none_or(|max| u32::from(width) <= max)
                && choice.max_height.is_none_or(|max| u32::from(height) <= max)
        };
        let chosen = layers.iter().rev().find(|(size, _)| fits(*size)).or(layers.first());
        chosen.map_or(Wish::Highest, |(_, rid)| Wish::Rid(rid.clone()))
    }

    async fn describe(&self, stream: &StreamEntry) -> StreamReport {
        match self.engine.ask(stream.home, Command::Describe(stream.id)).await {
            Some(Reply::Stream(report)) => *report,
            _ => StreamReport::default(),
        }
    }

    async fn describe_server(&self) -> Result<ServerInfo, Refusal> {
        let mut shards = Vec::with_capacity(self.engine.shards());
        for shard in (0..self.engine.shards()).map(|index| ShardId(index as u8)) {
            let Some(Reply::Gauges(gauges)) = self.engine.ask(shard, Command::Gauges).await else {
                return Err(Refusal::Closing);
            };
            let counters = self.engine.counters(shard).ok_or(Refusal::Closing)?;
            shards.push(info::shard(&gauges, counters));
        }
        Ok(ServerInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            forwarding_delay: info::delay(self.engine.forwarding_delay()),
            shards,
        })
    }

    async fn info(&self, name: StreamName, stream: StreamEntry) -> StreamInfo {
        let report = self.describe(&stream).await;
        StreamInfo {
            name: name.into(),
            live: report.live,
            uptime_ms: stream.since.elapsed().as_millis() as u64,
            viewers: stream.viewers,
            tracks: report.tracks.iter().map(info::track).collect(),
        }
    }

    fn negotiate(
        &self,
        local: &Credentials,
        answer: impl FnOnce(&sdp::Local<'_>) -> Result<sdp::Agreed, SdpError>,
    ) -> Result<sdp::Agreed, Refusal> {
        let fingerprint = sdp::Fingerprint {
            algorithm: "sha-256".into(),
            value: self.identity.fingerprint().to_vec(),
        };
        let side = sdp::Local {
            ice: local,
            fingerprint: &fingerprint,
            candidates: &self.config.candidates,
            session_id: self.secrets.number() >> 2,
            cname: "whitewater",
        };
        let agreed = answer(&side).map_err(|error| match error {
            SdpError::Malformed(why) => Refusal::Malformed(why),
            SdpError::Unacceptable(why) => Refusal::Unprocessable(why),
        })?;
        for note in &agreed.notes {
            info!(?note, "an answer is not an exact match");
        }
        Ok(agreed)
    }

    fn connection(&self, local: Credentials, agreed: &sdp::Agreed) -> connection::Config {
        connection::Config {
            ice: IceRole::Lite,
            local,
            remote: agreed.remote.ice.clone(),
            remote_fingerprint: agreed.remote.fingerprint.value.clone(),
            dtls_client: agreed.dtls_client,
            identity: Arc::clone(&self.identity),
            crypto: Arc::clone(self.secrets.provider()),
            remote_candidates: Vec::new(),
            seed: self.secrets.number(),
        }
    }

    /// 24 letters are worth 142 bits.
    fn session_id(&self) -> whitewater_signaling::control::SessionId {
        whitewater_signaling::control::SessionId(self.secrets.text(24).into())
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_in(&self, shard: ShardId, event: &Event) {
        let mut registry = self.registry();
        match event {
            Event::Connected { key, profile, after } => {
                if let Some(session) = registry.by_key(shard, *key) {
                    info!(stream = %session.path.stream, side = ?session.path.side, profile,
                        after_ms = after.as_millis() as u64, "a session is connected");
                }
            }
            Event::Closed { key, reason } => {
                if let Some(session) = registry.remove_key(shard, *key) {
                    info!(stream = %session.path.stream, side = ?session.path.side, ?reason,
                        "a session ended");
                }
            }
            Event::StreamEnded { stream } => {
                if let Some(name) = registry.end_stream(*stream) {
                    info!(stream = %name, "a stream ended");
                }
            }
            Event::MediaStarted { stream, kind } => debug!(?stream, %kind, "media arrives"),
            Event::PublisherLost { stream } => debug!(?stream, "the publisher is gone"),
        }
    }
}

impl Port for Control {
    fn publish(&self, request: Open) -> Answer<'_, Opened> {
        Box::pin(self.open_publisher(request))
    }

    fn subscribe(&self, request: Open) -> Answer<'_, Opened> {
        Box::pin(self.open_viewer(request))
    }

    fn patch(
        &self,
        path: SessionPath,
        if_match: IfMatch,
        fragment: Fragment,
    ) -> Answer<'_, Patched> {
        Box::pin(self.patch_ice(path, if_match, fragment))
    }

    fn delete(&self, path: SessionPath) -> Answer<'_, ()> {
        Box::pin(async move { self.end(&path).await })
    }

    fn probe(&self, path: SessionPath) -> Answer<'_, ()> {
        let known = self.registry().session(&path).is_some();
        Box::pin(std::future::ready(if known { Ok(()) } else { Err(Refusal::NoSession) }))
    }

    fn select_layer(&self, path: SessionPath, choice: LayerChoice) -> Answer<'_, ()> {
        Box::pin(self.choose(path, choice))
    }

    fn streams(&self) -> Answer<'_, Vec<StreamInfo>> {
        Box::pin(async move {
            let mut streams: Vec<_> = {
                let registry = self.registry();
                registry.streams.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect()
            };
            streams.sort_by(|a, b| a.0.cmp(&b.0));
            let mut infos = Vec::with_capacity(streams.len());
            for (name, stream) in streams {
                infos.push(self.info(name, stream).await);
            }
            Ok(infos)
        })
    }

    fn server(&self) -> Answer<'_, ServerInfo> {
        Box::pin(self.describe_server())
    }

    fn stream(&self, name: StreamName) -> Answer<'_, StreamInfo> {
        Box::pin(async move {
            let stream = self.registry().streams.get(&name).cloned();
            match stream {
                Some(stream) => Ok(self.info(name, stream).await),
                None => Err(Refusal::NotLive(name)),
            }
        })
    }
}

async fn read_events(
    control: std::sync::Weak<Control>,
    mut events: mpsc::Receiver<(ShardId, Event)>,
) {
    while let Some((shard, event)) = events.recv().await {
        let Some(control) = control.upgrade() else { return };
        control.take_in(shard, &event);
    }
}

fn opened(
    id: &whitewater_signaling::control::SessionId,
    local: &Credentials,
    agreed: &sdp::Agreed,
) -> Opened {
    Opened { id: id.clone(), answer: agreed.answer.clone(), etag: local.ufrag.clone() }
}

fn entry_of(
    path: &SessionPath,
    stream: whitewater_core::shard::StreamId,
    shard: ShardId,
    opened: &Opened,
    agreed: &sdp::Agreed,
) -> SessionEntry {
    let first = agreed.sections.first();
    let video = agreed.sections.iter().find(|section| section.kind == Kind::Video);
    SessionEntry {
        path: path.clone(),
        stream,
        shard,
        key: None,
        remote: agreed.remote.ice.clone(),
        etag: opened.etag.clone(),
        tagged: first
            .map_or_else(|| (Mid::new("0"), Kind::Video), |first| (first.mid.clone(), first.kind)),
        video: video.map(|video| video.mid.clone()),
    }
}

fn what_is_published(sections: &[whitewater_core::rtc::Section]) -> (sdp::Published, Vec<Rid>) {
    let of = |kind: Kind| sections.iter().find(|section| section.kind == kind);
    let format = |kind: Kind| of(kind).map(|section| section.formats[0].format.clone());
    let published = sdp::Published { audio: format(Kind::Audio), video: format(Kind::Video) };
    (published, of(Kind::Video).map(|video| video.rids.clone()).unwrap_or_default())
}
