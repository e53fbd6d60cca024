//! The control: answers the HTTP half's port by asking shards, and keeps the book of streams and
//! sessions.
//!
//! Negotiation happens here, on ordinary tasks; a shard is handed what was agreed. The registry is
//! changed under a short lock, never across an await.

mod audience;

mod claim;

mod event_streams;

mod events;

mod follow;

mod history;

mod info;

mod journal;

mod layers;

mod log;

mod registry;

mod roster;

mod secrets;

mod sessions;

mod standing;

mod tally;

mod traffic;

mod warnings;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tracing::{Instrument, debug, info};
use whitewater_core::rtc::connection::CloseReason;
use whitewater_core::rtc::sdp::{self, SdpError};
use whitewater_core::rtc::{Credentials, IceRole, Identity, connection};
use whitewater_core::shard::command::EndReason;
use whitewater_core::shard::{Command, Event, ShardId, StreamId};
use whitewater_signaling::control::{
    Answer, Beacon, Control as Port, DeliveryInfo, EventType, Events, EventsId, EventsPath, Follow,
    Fragment, Grant, Heard, History, IfMatch, Interest, Journal, LayerChoice, Listing, Open,
    Opened, Patched, PlayerProtocol, Refusal, ServerInfo, SessionInfo, SessionPage, SessionPath,
    StreamInfo, StreamName, StreamPage, Which,
};

use crate::engine;
use audience::Audience;
pub use audience::Believed;
use history::Ring;
use log::Change;
pub use log::Recorded;
use registry::Registry;
pub use secrets::Secrets;
use traffic::Traffic;

/// Who counts what players say.
pub type Hear = Box<dyn Fn(PlayerProtocol, Heard, &Believed) + Send + Sync>;

/// What control needs to know.
pub struct Config {
    /// Media addresses to offer, best first.
    pub candidates: Vec<SocketAddr>,
    /// Whether they take TCP connections too.
    pub tcp: bool,
    /// What is refused beyond, at the moment.
    pub limits: Box<dyn Fn() -> Limits + Send + Sync>,
    /// What holds for a stream of a name.
    pub policy: Box<dyn Fn(&str) -> Policy + Send + Sync>,
    /// Where it is counted what players say of themselves.
    pub heard: Hear,
    /// What became of the latest events that webhooks were sent; so many at most.
    pub deliveries: Box<dyn Fn(usize) -> Vec<DeliveryInfo> + Send + Sync>,
}

/// What is refused beyond; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Live streams.
    pub max_streams: usize,
    /// Viewers.
    pub max_viewers: usize,
    /// Bits per second to all viewers together, above which no more are let in.
    pub max_total_bitrate_bps: u64,
    /// Sessions of one address, or IPv6 /64.
    pub address_sessions: u32,
    /// Sessions of one holder of a permission.
    pub token_sessions: u32,
    /// How long a session goes on after its permission has ended.
    pub grace: Duration,
}

/// What holds for one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long viewers wait for a lost publisher.
    pub reconnect_window: Duration,
    /// Bits per second of its publisher; 0 is no limit.
    pub max_bitrate_bps: u64,
    /// Whether anybody may take it over from its publisher.
    pub takeover: bool,
}

/// The control of one server.
pub struct Control {
    engine: engine::Handle,
    config: Config,
    secrets: Secrets,
    identity: Arc<Identity>,
    registry: Arc<Mutex<Registry>>,
    history: Ring,
    audience: Mutex<Audience>,
    traffic: Traffic,
    draining: AtomicBool,
    me: Weak<Self>,
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
        let registry = Arc::new(Mutex::new(Registry::new(engine.shards())));
        let control = Arc::new_cyclic(|me| Self {
            engine,
            config,
            secrets,
            identity,
            registry,
            history: Ring::default(),
            audience: Mutex::default(),
            traffic: Traffic::default(),
            draining: AtomicBool::new(false),
            me: Weak::clone(me),
        });
        tokio::spawn(read_events(Arc::downgrade(&control), events));
        tokio::spawn(history::sample(Arc::downgrade(&control)));
        tokio::spawn(tidy_audience(Arc::downgrade(&control)));
        tokio::spawn(traffic::measure(Arc::downgrade(&control)));
        Ok(control)
    }

    /// The engine below.
    pub fn engine(&self) -> &engine::Handle {
        &self.engine
    }

    /// Where the packets of a live stream are.
    pub fn place(&self, stream: &StreamName) -> Option<(StreamId, ShardId)> {
        self.registry().streams.get(stream).map(|stream| (stream.id, stream.home))
    }

    /// Tells who follows that a recording can be replayed.
    pub fn note_recorded(&self, stream: &StreamName, recorded: Recorded) {
        self.registry().note_recorded(stream, recorded);
    }

    /// The names of the streams that are live or within their window.
    pub fn names(&self) -> Vec<StreamName> {
        self.registry().streams.keys().cloned().collect()
    }

    /// Takes no more sessions from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Ends every session, telling the other sides.
    pub async fn shutdown(&self) {
        for shard in 0..self.engine.shards() {
            self.engine.ask(ShardId(shard as u8), Command::Shutdown).await;
        }
        self.engine.drained().await;
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Does a work of several steps to its end, even if whoever asked for it goes away meanwhile.
    fn see_through<T, F>(&self, work: impl FnOnce(Arc<Self>) -> F) -> Answer<'static, T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Refusal>> + Send + 'static,
    {
        let Some(me) = self.me.upgrade() else {
            return Box::pin(std::future::ready(Err(Refusal::Closing)));
        };
        let task = tokio::spawn(work(me).in_current_span());
        Box::pin(async move { task.await.unwrap_or(Err(Refusal::Closing)) })
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
            tcp: self.config.tcp,
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

    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear_player(&self, beacon: &Beacon) -> Result<Heard, Refusal> {
        let stream = self.registry().streams.get(&beacon.stream).map(|stream| stream.id);
        let Some(stream) = stream else {
            // Who stops because the stream is over has nothing to be told.
            let gone = Refusal::NotLive(beacon.stream.clone());
            return if beacon.ended { Ok(Heard::Taken) } else { Err(gone) };
        };
        let (heard, believed) = self.audience().hear(Instant::now(), stream, beacon);
        (self.config.heard)(beacon.protocol, heard, &believed);
        Ok(heard)
    }

    /// Lets players go that have fallen silent, and notes what changed.
    fn tidy_audience(&self) {
        let live: HashSet<_> = self.registry().streams.values().map(|stream| stream.id).collect();
        let changed = self.audience().tidy(Instant::now(), |stream| live.contains(&stream));
        let mut registry = self.registry();
        for (stream, viewers) in changed {
            registry.note_segmented(stream, viewers);
        }
    }

    fn take_in(&self, shard: ShardId, event: &Event) {
        let mut registry = self.registry();
        match event {
            Event::Connected { key, profile, after } => {
                if let Some(session) = registry.connected(shard, *key) {
                    info!(stream = %session.path.stream, side = ?session.path.side,
                        session = &*session.name, profile,
                        after_ms = after.as_millis() as u64, "a session is connected");
                }
            }
            Event::Closed { key, reason } => {
                if let Some(session) = registry.remove_key(shard, *key) {
                    if *reason == EndReason::Connection(CloseReason::PeerClosed) {
                        registry.leave(&session.path);
                    }
                    info!(stream = %session.path.stream, side = ?session.path.side,
                        session = &*session.name, ?reason, "a session ended");
                }
            }
            Event::StreamEnded { stream } => {
                if let Some(name) = registry.end_stream(*stream) {
                    info!(stream = %name, "a stream ended");
                }
            }
            Event::MediaStarted { stream, kind } => {
                debug!(?stream, %kind, "media arrives");
                registry.note_media(*stream);
            }
            Event::PublisherLost { stream } => {
                if let Some(name) = registry.set_lost(*stream, true) {
                    info!(stream = %name, "a stream lost its publisher");
                }
                registry.note(*stream, Change::Lost);
            }
            Event::PublisherBack { stream, changed } => {
                if let Some(name) = registry.set_lost(*stream, false) {
                    info!(stream = %name, changed, "a stream has its publisher back");
                }
                registry.note(*stream, Change::Back { changed: *changed });
            }
            // The task that reads events asks the shard what they are now.
            Event::LayersChanged { .. } => {}
        }
    }
}

impl Port for Control {
    fn publish(&self, request: Open) -> Answer<'_, Opened> {
        self.see_through(|me| async move { me.open_publisher(request).await })
    }

    fn subscribe(&self, request: Open) -> Answer<'_, Opened> {
        self.see_through(|me| async move { me.open_viewer(request).await })
    }

    fn patch(
        &self,
        path: SessionPath,
        if_match: IfMatch,
        fragment: Fragment,
    ) -> Answer<'_, Patched> {
        self.see_through(|me| async move { me.patch_ice(path, if_match, fragment).await })
    }

    fn renew(&self, path: SessionPath, grant: Grant) -> Answer<'_, ()> {
        let renewed = self.registry().renew(&path, &grant).ok_or(Refusal::NoSession);
        Box::pin(std::future::ready(renewed))
    }

    fn delete(&self, path: SessionPath) -> Answer<'_, ()> {
        self.see_through(|me| async move { me.end(&path, "by its client").await })
    }

    fn probe(&self, path: SessionPath) -> Answer<'_, ()> {
        let known = self.registry().session(&path).is_some();
        Box::pin(std::future::ready(if known { Ok(()) } else { Err(Refusal::NoSession) }))
    }

    fn select_layer(&self, path: SessionPath, choice: LayerChoice) -> Answer<'_, ()> {
        Box::pin(self.choose(path, choice))
    }

    fn is_ready(&self) -> bool {
        !self.is_draining()
    }

    fn stream_page(&self, listing: Listing) -> Answer<'_, StreamPage> {
        Box::pin(async move { Ok(self.list_streams(&listing).await) })
    }

    fn sessions(&self, which: Which) -> Answer<'_, SessionPage> {
        Box::pin(self.page(which))
    }

    fn session(&self, id: String) -> Answer<'_, SessionInfo> {
        Box::pin(async move { self.show(&id).await })
    }

    fn select_layer_of(&self, id: String, choice: LayerChoice) -> Answer<'_, ()> {
        Box::pin(async move { self.choose_for(&id, choice).await })
    }

    fn want_keyframe(&self, name: StreamName) -> Answer<'_, ()> {
        Box::pin(self.want_keyframes(name))
    }

    fn history(&self) -> Answer<'_, History> {
        Box::pin(std::future::ready(Ok(self.history.read())))
    }

    fn kick(&self, id: String) -> Answer<'_, ()> {
        self.see_through(|me| async move {
            let path = me.named(&id).ok_or(Refusal::NoSession)?;
            me.end(&path, "by an administrator").await
        })
    }

    fn end_stream(&self, name: StreamName) -> Answer<'_, ()> {
        self.see_through(|me| async move {
            let path = me.publisher_of(&name).ok_or(Refusal::NotLive(name))?;
            me.end(&path, "by an administrator").await
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

    fn follow(&self, interest: Interest) -> Answer<'_, Box<dyn Follow>> {
        Box::pin(std::future::ready(self.follow_streams(interest)))
    }

    fn journal(&self) -> Answer<'_, Box<dyn Journal>> {
        Box::pin(std::future::ready(self.read_journal()))
    }

    fn deliveries(&self, most: usize) -> Vec<DeliveryInfo> {
        (self.config.deliveries)(most)
    }

    fn hear(&self, beacon: Beacon) -> Result<Heard, Refusal> {
        self.hear_player(&beacon)
    }

    fn open_events(&self, session: SessionPath, types: Vec<EventType>) -> Answer<'_, EventsId> {
        Box::pin(std::future::ready(self.open_event_stream(&session, types)))
    }

    fn read_events(&self, events: EventsPath) -> Answer<'_, Events> {
        Box::pin(std::future::ready(self.read_event_stream(&events)))
    }

    fn close_events(&self, events: EventsPath) -> Answer<'_, ()> {
        Box::pin(std::future::ready(self.close_event_stream(&events)))
    }
}

async fn read_events(control: Weak<Control>, mut events: mpsc::Receiver<(ShardId, Event)>) {
    while let Some((shard, event)) = events.recv().await {
        let Some(control) = control.upgrade() else { return };
        control.take_in(shard, &event);
        if let Event::LayersChanged { stream } = event {
            tokio::spawn(async move { control.tell_layers(stream).await });
        }
    }
}

async fn tidy_audience(control: Weak<Control>) {
    let mut due = tokio::time::interval(TIDY_INTERVAL);
    loop {
        due.tick().await;
        let Some(control) = control.upgrade() else { return };
        control.tidy_audience();
    }
}

/// How often it is looked who still plays, and told how many do.
const TIDY_INTERVAL: Duration = Duration::from_secs(1);
