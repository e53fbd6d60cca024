//! Metrics for Prometheus (OpenMetrics text, version 1.0.0): what is counted, under stable names.
//!
//! What the shards count is read when somebody asks. What the HLS side, webhooks and players count is kept here,
//! in handles that are cheap to clone.

mod audience;
mod cpu;
mod media;
mod recording;
mod webhooks;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use whitewater_signaling::auth::{Ask, Authority, bearer_token, client};
use whitewater_signaling::control::{Action, ServerInfo, StreamInfo};

pub use audience::Audience;
use cpu::Cpu;
pub use recording::Recording;
pub use webhooks::Webhooks;

/// What is counted as it happens. Its clones count together.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    /// By the HLS side.
    pub hls: Hls,
    /// By webhooks.
    pub webhooks: Webhooks,
    /// By recording.
    pub recording: Recording,
    /// Of what players say.
    pub audience: Audience,
    /// By threads.
    cpu: Cpu,
}

/// What the HLS side counts.
#[derive(Clone, Debug)]
pub struct Hls {
    requests: Family<Asked, Counter>,
    epochs: Counter,
    exceeded: Counter,
    parts: Counter,
    gaps: Counter,
    dropped_pictures: Counter,
    repeated_pictures: Counter,
    rebuilt_pipelines: Counter,
    part_latency: Histogram,
    skew: Histogram,
}

/// A kind of request of players, and how it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    kind: &'static str,
    code: u16,
}

/// What is read when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// What the media half counts.
    pub server: ServerInfo,
    /// The live streams.
    pub streams: Vec<StreamInfo>,
    /// Requests of players that are held.
    pub held: usize,
    /// Requests that were refused because their client sent too many.
    pub refused: u64,
}

/// The future of a [`Snapshot`]; `None` where the server ends.
pub type Reading = Pin<Box<dyn Future<Output = Option<Snapshot>> + Send>>;

struct Scraped {
    counted: Counted,
    authority: Arc<dyn Authority>,
    read: Box<dyn Fn() -> Reading + Send + Sync>,
}

// === impl Hls ===

impl Default for Hls {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            epochs: Counter::default(),
            exceeded: Counter::default(),
            parts: Counter::default(),
            gaps: Counter::default(),
            dropped_pictures: Counter::default(),
            repeated_pictures: Counter::default(),
            rebuilt_pipelines: Counter::default(),
            part_latency: Histogram::new(PART_LATENCY_S),
            skew: Histogram::new(SKEW_S),
        }
    }
}

impl Hls {
    /// A player's request was answered.
    pub fn answered(&self, kind: &'static str, code: u16) {
        self.requests.get_or_create(&Asked { kind, code }).inc();
    }

    /// An epoch begins.
    pub fn opened(&self) {
        self.epochs.inc();
    }

    /// An epoch ended, as a segment became too long.
    pub fn exceeded(&self) {
        self.exceeded.inc();
    }

    /// Parts can be asked for, so long after the packet that completed the last of them, where one did;
    /// and so many stand for what did not come.
    pub fn packaged(&self, parts: usize, gaps: usize, waited: Option<Duration>) {
        self.parts.inc_by(parts as u64);
        self.gaps.inc_by(gaps as u64);
        if let Some(waited) = waited.filter(|_| parts > 0) {
            self.part_latency.observe(waited.as_secs_f64());
        }
    }

    /// Of the pictures that are transcoded so many more were left out as the machine does not keep up, and
    /// so many shown once more; so many pipelines failed.
    pub fn transcoded(&self, dropped: u64, repeated: u64, rebuilt: u64) {
        self.dropped_pictures.inc_by(dropped);
        self.repeated_pictures.inc_by(repeated);
        self.rebuilt_pipelines.inc_by(rebuilt);
    }

    /// Layers began a segment so far apart.
    pub fn skew(&self, apart: Duration) {
        self.skew.observe(apart.as_secs_f64());
    }

    fn register(&self, registry: &mut Registry) {
        let requests =
            "Requests of HLS players, by what was asked for and the status of the answer";
        registry.register("hls_requests", requests, self.requests.clone());
        registry.register("hls_epochs", "HLS playlists that were begun", self.epochs.clone());
        let exceeded = "HLS playlists that ended because a segment had no keyframe in time";
        registry.register("hls_epochs_exceeded", exceeded, self.exceeded.clone());
        registry.register("hls_parts", "Parts that were packaged", self.parts.clone());
        registry.register("hls_gap_parts", "Parts for which nothing came", self.gaps.clone());
        for (name, help, counter) in [
            (
                "dropped_pictures",
                "Pictures left out before they were encoded",
                &self.dropped_pictures,
            ),
            (
                "repeated_pictures",
                "Pictures shown again for want of another",
                &self.repeated_pictures,
            ),
            ("rebuilt_pipelines", "Pipelines of pictures that failed", &self.rebuilt_pipelines),
        ] {
            registry.register(format!("transcoder_{name}"), help, counter.clone());
        }
        let latency = "From the packet that completes a part to its being there for players";
        let histogram = self.part_latency.clone();
        registry.register_with_unit("hls_part_latency", latency, Unit::Seconds, histogram);
        let skew = "How far apart the keyframes are that layers begin the same segment with";
        registry.register_with_unit("layer_keyframe_skew", skew, Unit::Seconds, self.skew.clone());
    }
}

/// The route `/metrics`.
///
/// Where tokens or a hook guard the server, it is for administrators.
pub fn router(
    counted: Counted,
    authority: Arc<dyn Authority>,
    read: impl Fn() -> Reading + Send + Sync + 'static,
) -> Router {
    let scraped = Arc::new(Scraped { counted, authority, read: Box::new(read) });
    Router::new().route("/metrics", get(scrape)).with_state(scraped)
}

/// Counts a request of a player, as a layer around the origin.
pub async fn count(State(hls): State<Hls>, request: Request, next: Next) -> Response {
    let kind = kind_of(request.uri().path());
    let response = next.run(request).await;
    hls.answered(kind, response.status().as_u16());
    response
}

fn kind_of(path: &str) -> &'static str {
    let file = path.rsplit('/').next().unwrap_or_default();
    match file.rsplit_once('.') {
        Some(("index", "m3u8")) => "index",
        Some((_, "m3u8")) => "playlist",
        Some((number, "m4s")) if number.contains('.') => "part",
        Some((_, "m4s")) => "segment",
        Some(("download", "mp4")) => "download",
        Some((_, "mp4")) => "init",
        Some(_) | None => "other",
    }
}

async fn scrape(State(scraped): State<Arc<Scraped>>, request: Request) -> Response {
    let token = bearer_token(request.headers()).map(str::to_owned);
    let client = client(request.extensions());
    let ask = Ask { action: Action::Admin, stream: None, token, client };
    if let Err(denied) = scraped.authority.authorize(ask).await {
        let (status, challenge) = denied.over_http();
        let mut response = (status, denied.to_string()).into_response();
        response.headers_mut().extend(challenge.map(|value| (header::WWW_AUTHENTICATE, value)));
        return response;
    }
    let Some(snapshot) = (scraped.read)().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    match text(&scraped.counted, snapshot) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn text(counted: &Counted, snapshot: Snapshot) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("whitewater");
    counted.hls.register(&mut registry);
    counted.webhooks.register(&mut registry);
    counted.recording.register(&mut registry);
    counted.audience.register(&mut registry);
    let held = ConstGauge::new(i64::try_from(snapshot.held).unwrap_or(i64::MAX));
    registry.register("hls_held_requests", "Requests of HLS players that wait", held);
    let refused = ConstCounter::new(snapshot.refused);
    let help = "Requests refused because one address or token sent more than [limits] allows";
    registry.register("http_requests_refused", help, refused);
    counted.cpu.look();
    registry.register_collector(Box::new(counted.cpu.clone()));
    registry.register_collector(Box::new(media::Media::of(&snapshot)));
    let mut out = String::new();
    encode(&mut out, &registry)?;
    Ok(out)
}

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

const PART_LATENCY_S: [f64; 10] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0];
const SKEW_S: [f64; 9] = [0.001, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 1.0];

#[cfg(test)]
mod tests;
