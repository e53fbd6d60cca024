//! The application: it composes media, signaling and pages, and serves them.
//!
//! The only place where edges meet.

mod recording;
mod reload;
mod translate;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use anyhow::Context;
use axum::middleware;
use whitewater_core::shard::{LinkMessage, ShardId, StreamId};
use whitewater_signaling as signaling;
use whitewater_signaling::control::{Control as _, StreamName};
use whitewater_signaling::{Operator, Switch};

use crate::auth::Gate;
use crate::bridge::{self, Bridges};
use crate::config::{Config, Live};
use crate::control::Control;
use crate::webhooks::{self, Ledger, Webhooks};
use crate::{addresses, engine, http, metrics, origin, replay, web};
use recording::Recording;
use reload::Reloading;
pub use reload::Source;

/// A server that runs until it is stopped.
pub struct Running {
    http: http::Serving,
    redirect: Option<http::Serving>,
    control: Arc<Control>,
    bridges: Arc<Bridges>,
    webhooks: webhooks::Running,
    recording: Option<Recording>,
    operator: Arc<dyn Operator>,
    live: Live,
}

/// Starts everything. Call it within a tokio runtime.
///
/// Either all of it runs afterwards or nothing does.
pub fn start(config: &Config) -> anyhow::Result<Running> {
    let again = config.clone();
    start_from(config, Box::new(move || Ok(again.clone())))
}

/// As [`start`], with what reads the configuration again when somebody asks for that.
pub fn start_from(config: &Config, source: Source) -> anyhow::Result<Running> {
    // Whoever asks rustls for its default gets this, whatever features other crates switched on.
    // It answers `Err` to the second server of one process, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    let live = Live::new(config.clone());
    let signaling = translate::signaling_config(config);
    signaling.check()?;
    let (counted, ledger) = (metrics::Counted::default(), Ledger::default());
    let webhooks = Webhooks::new(&config.webhooks, &ledger, &counted.webhooks)?;
    let listener = http::bind(config.http, config.tls.as_ref())?;
    let redirect = config.http_redirect.map(|address| http::bind(address, None)).transpose()?;
    let interfaces = addresses::interfaces().context("the network interfaces cannot be listed")?;
    let advertised = |bound| addresses::advertised(bound, &interfaces, &config.public_ips);

    let (engine, outputs) = engine::start(&translate::engine_config(config))?;
    let candidates = advertised(engine.udp_addr());
    let control_config =
        translate::control_config(&live, candidates, ledger, counted.audience.clone());
    let control = Control::new(engine, outputs.events, control_config)?;
    let webhooks = webhooks.start(counted.webhooks.clone(), || control.read_journal())?;
    let port = Arc::clone(&control);
    let gate = Gate::new(config)?;
    let (router, switch) = signaling::router_and_switch(signaling, port, Arc::new(gate.clone()));
    let operator: Arc<dyn Operator> = Arc::new(Reloading {
        live: live.clone(),
        source,
        gate: gate.clone(),
        switch: switch.clone(),
        certificate: listener.certificate(),
        turn: Mutex::default(),
    });
    switch.set_operator(Arc::clone(&operator));
    let store = origin::Store::new(origin::Limits::default());
    let recording = recording::open(config, &live, &control, counted.recording.clone())?;
    let library = recording.as_ref().map(|recording| recording.library.clone());
    if let Some(library) = &library {
        store.set_keeper(Arc::new(library.clone()));
        switch.set_archive(Arc::new(library.clone()));
    }
    let packets = Arc::new(Packets(Arc::downgrade(&control)));
    let bridge_config = translate::bridge_config(&live, library.clone(), counted.hls.clone());
    let bridges = bridge::start(packets, outputs.tap, store.clone(), bridge_config);
    let read = reading(&control, &store, switch);
    let metrics = metrics::router(counted.clone(), Arc::new(gate.clone()), read);
    let wanted = Arc::clone(&bridges);
    let mut hls =
        origin::router(store, move |stream| Arc::clone(&wanted).want(stream), gate.clone());
    if let Some(library) = library {
        hls = hls.merge(replay::router(library, gate));
    }
    let hls = hls.layer(middleware::from_fn_with_state(counted.hls, metrics::count));
    let max_connections = config.limits.max_http_connections;
    let router = router.merge(hls).merge(metrics).merge(web::router());
    let clients = live.clone();
    let allowance: http::Allowance = Arc::new(move || translate::allowed(&clients.get()));
    let http = listener.serve(router, max_connections, Arc::clone(&allowance))?;

    let redirect =
        redirect.map(|plain| plain.redirect_to(http.local_addr(), max_connections, allowance));
    let redirect = redirect.transpose()?;

    Ok(Running { http, redirect, control, bridges, webhooks, recording, operator, live })
}

// === impl Running ===

impl Running {
    /// Where HTTP is served.
    pub fn http_addr(&self) -> SocketAddr {
        self.http.local_addr()
    }

    /// Where media arrives.
    pub fn udp_addr(&self) -> SocketAddr {
        self.control.engine().udp_addr()
    }

    /// The URL under which this machine reaches the pages, without a slash at its end.
    pub fn url(&self) -> String {
        let scheme = if self.http.is_secure() { "https" } else { "http" };
        let mut address = self.http_addr();
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("{scheme}://{address}")
    }

    /// Where plain HTTP is sent to HTTPS, if anywhere.
    pub fn redirect_addr(&self) -> Option<SocketAddr> {
        self.redirect.as_ref().map(http::Serving::local_addr)
    }

    /// What holds now.
    pub fn config(&self) -> Arc<Config> {
        self.live.get()
    }

    /// What reads the configuration again. The log tells what came of it.
    pub fn operator(&self) -> Arc<dyn Operator> {
        Arc::clone(&self.operator)
    }

    /// Takes no more sessions, sends viewers away, ends sessions and playlists, lets requests under way
    /// finish.
    pub async fn stop(self) -> anyhow::Result<()> {
        let (began, drain) = (Instant::now(), self.live.get().drain);
        self.control.drain();
        let lead = RECONNECT_LEAD.min(drain.delay / 2);
        tokio::time::sleep(drain.delay - lead).await;
        // Who looks for another server now loses nothing.
        self.control.send_away();
        tokio::time::sleep(lead).await;
        self.control.shutdown().await;
        let was_played = self.bridges.finish().await;
        if let Some(recording) = &self.recording {
            recording.library.finish(LAST_RECORDINGS).await;
        }
        // They would never finish by themselves.
        self.control.end_events();
        let left = drain.timeout.saturating_sub(began.elapsed());
        if let Some(redirect) = self.redirect {
            let _ = redirect.stop(Duration::ZERO).await;
        }
        let delivered = self.webhooks.finish(LAST_DELIVERIES.min(left / 2));
        let stopped = async {
            if was_played {
                // Players come once more, and see that it is over.
                tokio::time::sleep(LAST_PLAYLISTS.min(left / 3)).await;
            }
            let left = drain.timeout.saturating_sub(began.elapsed());
            self.http.stop(left).await.context("HTTP did not stop cleanly")
        };
        let (stopped, ()) = tokio::join!(stopped, delivered);
        stopped?;
        // A request that was under way may have opened another session.
        self.control.shutdown().await;
        Ok(())
    }
}

/// The live streams, as the bridge sees them. It does not keep the engine running: it ends with it.
struct Packets(Weak<Control>);

impl bridge::Packets for Packets {
    fn place(&self, stream: &StreamName) -> Option<(StreamId, ShardId)> {
        self.0.upgrade()?.place(stream)
    }

    fn streams(&self) -> Vec<StreamName> {
        self.0.upgrade().map(|control| control.names()).unwrap_or_default()
    }

    fn tell(&self, shard: ShardId, message: LinkMessage) -> bool {
        self.0.upgrade().is_some_and(|control| control.engine().tell(shard, message))
    }
}

/// What is read of the media half and the origin when somebody asks for metrics.
fn reading(
    control: &Arc<Control>,
    store: &origin::Store,
    switch: Switch,
) -> impl Fn() -> metrics::Reading + use<> {
    let (control, store) = (Arc::downgrade(control), store.clone());
    move || {
        let (control, held) = (control.clone(), store.held_requests());
        let refused = switch.refused();
        Box::pin(async move {
            let control = control.upgrade()?;
            let (server, streams) = (control.server().await.ok()?, control.streams().await.ok()?);
            Some(metrics::Snapshot { server, streams, held, refused })
        })
    }
}

/// How long the last events for webhooks are tried to be delivered while the server stops.
const LAST_DELIVERIES: Duration = Duration::from_secs(3);

/// How long recordings may take to be closed.
const LAST_RECORDINGS: Duration = Duration::from_secs(3);

/// How long viewers have who were told to look for another server.
const RECONNECT_LEAD: Duration = Duration::from_secs(1);

/// How long playlists that have ended can be read: players ask every two seconds at least.
const LAST_PLAYLISTS: Duration = Duration::from_secs(3);
