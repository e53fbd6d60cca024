//! An origin that serves Low-Latency HLS and DASH over HTTP, from memory.
//!
//! Whoever packages a stream writes into a [`Store`]; players and caches read through the router. A
//! playlist is rendered once for all who ask, media is never copied. Requests for what comes next are
//! held, each with one deadline and without a thread; their number is bounded.
//!
//! | path | what |
//! |---|---|
//! | `/hls/{stream}/index.m3u8` | the multivariant playlist of the epoch that is going on |
//! | `/hls/{stream}/{epoch}/{rendition}.m3u8` | a rendition's media playlist |
//! | `/hls/{stream}/{epoch}/{rendition}/init-{version}.mp4` | an initialization section |
//! | `/hls/{stream}/{epoch}/{rendition}/{msn}.m4s` | a segment: its parts, one after the other, the open one's as they come |
//! | `/hls/{stream}/{epoch}/{rendition}/{msn}.{part}.m4s` | a part |
//! | `/dash/{stream}/manifest.mpd` | the manifest of the epoch, which names the same files |
//!
//! Streams that are not for everybody have a pass before the epoch (`door.rs`).
//!
//! Everything below an epoch never changes its meaning, not even across a restart.

pub(crate) mod answer;
mod dash;
pub(crate) mod door;
mod epoch;
mod hold;
mod index;
mod media;
mod path;
mod playlist;
mod rendition;
mod store;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request;
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use whitewater_signaling::control::StreamName;

use door::Entered;
pub use door::{Doors, OpenDoors, Pass};
pub use epoch::{EpochId, InvalidEpoch, Offered};
pub use store::{Keeper, OpenError, PushError, Receipt, Store, Writer};

/// What the store allows itself.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests that are held at once. More are answered with 503. Default 16,384.
    pub max_held: usize,
    /// How long an epoch that has ended may be read. Default 150 s: what a viewer two minutes behind
    /// needs to see the end.
    pub linger: Duration,
    /// How long a request for a stream that nobody has packaged yet waits at most. Default 12 s.
    pub max_wait: Duration,
}

/// What became of the wish for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Its epoch is in the store.
    Ready,
    /// Nobody publishes it.
    NotLive,
    /// It is published, and there is nothing to play yet.
    NotReady,
    /// It is never packaged, whoever publishes it.
    Off,
}

/// The future of a [`Wanted`].
pub type Wish = Pin<Box<dyn Future<Output = Wanted> + Send>>;

/// Who makes what is asked for.
pub trait Hooks: Send + Sync + 'static {
    /// Somebody asks for a stream of which the store has nothing. Many may ask at the same time.
    fn want(&self, stream: StreamName) -> Wish;
}

/// What handlers share.
struct Origin {
    store: Store,
    hooks: Box<dyn Hooks>,
    doors: Box<dyn Doors>,
}

/// Routes below `/hls/` and `/dash/`.
pub fn router(store: Store, hooks: impl Hooks, doors: impl Doors) -> Router {
    let origin = Arc::new(Origin { store, hooks: Box::new(hooks), doors: Box::new(doors) });
    Router::new()
        .route("/hls/{*path}", get(serve).options(answer::preflight))
        .route("/dash/{*path}", get(serve).options(answer::preflight))
        .layer(middleware::map_response(answer::share))
        .with_state(origin)
}

async fn serve(State(origin): State<Arc<Origin>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Some(path) = path::parse(parts.uri.path()) else {
        return answer::nowhere(answer::Age::NONE);
    };
    let is_first = matches!(path.what, path::What::Index | path::What::Manifest);
    match door::enter(&*origin.doors, &path.stream, path.pass, is_first, &parts).await {
        Ok(Entered::Openly) => find(&origin, path, &parts, None).await,
        Ok(Entered::WithToken(pass)) => {
            let mut response = find(&origin, path, &parts, Some(&pass)).await;
            door::keep_private(&mut response);
            response
        }
        Err(response) => response,
    }
}

/// Answers who has been let in. What is below the multivariant playlist lies under the pass.
async fn find(
    origin: &Origin,
    path: path::Path<'_>,
    request::Parts { uri, headers, .. }: &request::Parts,
    pass: Option<&Pass>,
) -> Response {
    let (epoch, rendition, file) = match path.what {
        path::What::Index => return index::serve(origin, path.stream, pass, headers).await,
        path::What::Manifest => return dash::serve(origin, path.stream, pass, headers).await,
        path::What::Below { epoch, rendition, file } => (epoch, rendition, file),
    };
    // Unknown is unknown for ever: an epoch is there before anybody can know its name.
    let Some(epoch) = origin.store.find(&path.stream, epoch) else {
        return answer::nowhere(answer::Age::SHORT);
    };
    epoch.touch();
    let Some(rendition) = epoch.rendition(rendition) else {
        return answer::nowhere(answer::Age::SHORT);
    };
    let held = origin.store.held();
    match file {
        path::File::Playlist => {
            let query = uri.query().unwrap_or_default();
            playlist::serve(&epoch, rendition, held, query, headers).await
        }
        path::File::Init(version) => media::init(rendition, version, headers),
        path::File::Segment(msn) => {
            media::segment(origin, (&path.stream, &epoch), rendition, msn, headers).await
        }
        path::File::Part(at) => media::part(rendition, held, at, headers).await,
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_held: 16_384,
            linger: Duration::from_secs(150),
            max_wait: Duration::from_secs(12),
        }
    }
}

impl<F, Fut> Hooks for F
where
    F: Fn(StreamName) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Wanted> + Send + 'static,
{
    fn want(&self, stream: StreamName) -> Wish {
        Box::pin(self(stream))
    }
}
