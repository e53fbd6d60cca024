//! An edge that serves recordings over HTTP: as playlists, as a manifest, and as one file.
//!
//! | path | what |
//! |---|---|
//! | `/replay/{stream}/{id}/index.m3u8` | the multivariant playlist: VOD, or EVENT while it is recorded |
//! | `/replay/{stream}/{id}/{rendition}.m3u8` | a rendition's media playlist |
//! | `/replay/{stream}/{id}/{rendition}/init-{version}.mp4` | an initialization section |
//! | `/replay/{stream}/{id}/{rendition}/{msn}.m4s` | a segment, as live players got it |
//! | `/replay/{stream}/{id}/manifest.mpd` | the manifest for DASH |
//! | `/replay/{stream}/{id}/download.mp4` | all of it as one MP4 |
//!
//! Who may watch the stream may watch its recordings; streams that are not for everybody have a pass
//! before the rendition, as live ones do (`src/origin/door.rs`).

mod download;
mod path;
mod told;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, request};
use axum::middleware;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use moka::future::Cache;
use tokio::sync::Semaphore;
use whitewater_core::media::Kind;
use whitewater_core::playlist::recorded::Growth;

use crate::origin::answer::{self, Age, Media};
use crate::origin::door::{self, Entered};
use crate::origin::{Doors, Pass};
use crate::record::{Extent, Library, Refused};
use crate::storage::Error;
use path::{File, Path, What};
use told::Told;

/// What handlers share.
struct Replay {
    library: Library,
    doors: Box<dyn Doors>,
    /// What is told of recordings, by their names and what there is of them.
    told: Cache<(String, Extent), Arc<Told>>,
    /// Objects that many ask for.
    objects: Cache<crate::storage::Path, Bytes>,
    /// Downloads that may still begin.
    downloads: Arc<Semaphore>,
}

/// Routes below `/replay/`.
pub fn router(library: Library, doors: impl Doors) -> Router {
    Router::new()
        .route("/replay/{*path}", get(serve).options(answer::preflight))
        .layer(middleware::map_response(answer::share))
        .with_state(Arc::new(Replay::new(library, doors)))
}

async fn serve(State(replay): State<Arc<Replay>>, request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let Some(path) = path::parse(parts.uri.path()) else { return answer::nowhere(Age::NONE) };
    let is_first = matches!(path.what, What::Index | What::Manifest | What::Download);
    match door::enter(&*replay.doors, &path.stream, path.pass, is_first, &parts).await {
        Ok(Entered::Openly) => replay.find(path, &parts, None).await,
        Ok(Entered::WithToken(pass)) => {
            let mut response = replay.find(path, &parts, Some(&pass)).await;
            door::keep_private(&mut response);
            response
        }
        Err(response) => response,
    }
}

// === impl Replay ===

impl Replay {
    fn new(library: Library, doors: impl Doors) -> Self {
        let told = Cache::builder()
            .weigher(|_: &(String, Extent), told: &Arc<Told>| told.weight())
            .max_capacity(TOLD_BYTES)
            .time_to_idle(Duration::from_secs(600));
        let objects = Cache::builder()
            .weigher(|_: &crate::storage::Path, bytes: &Bytes| {
                u32::try_from(bytes.len()).unwrap_or(u32::MAX)
            })
            .max_capacity(OBJECTS_BYTES)
            .time_to_live(Duration::from_secs(60));
        let doors = Box::new(doors);
        let downloads = Arc::new(Semaphore::new(DOWNLOADS));
        Self { library, doors, told: told.build(), objects: objects.build(), downloads }
    }

    async fn find(&self, path: Path<'_>, parts: &request::Parts, pass: Option<&Pass>) -> Response {
        let headers = &parts.headers;
        if let What::File { rendition, file } = path.what {
            return self.file(&path, rendition, file, headers).await;
        }
        let slot = match path.what {
            What::Download => match Arc::clone(&self.downloads).try_acquire_owned() {
                Ok(slot) => Some(slot),
                Err(_) => return too_many_downloads(),
            },
            What::Index | What::Manifest | What::Playlist(_) | What::File { .. } => None,
        };
        let view = match self.library.view(&path.stream, path.id).await {
            Ok(view) => view,
            Err(refused) => return refuse(&refused),
        };
        if let Some(slot) = slot {
            return download::serve(self, &view, parts, slot).await;
        }
        let told = async { Arc::new(Told::new(&view)) };
        let told = self.told.get_with((path.id.to_owned(), view.extent()), told).await;
        let age = match view.growth {
            Growth::Complete => Age::of(COMPLETE_AGE),
            Growth::Growing | Growth::Moving => Age::MOMENT,
        };
        let text = match path.what {
            What::Index => told.index(pass),
            What::Manifest => told.manifest(pass),
            What::Playlist(rendition) => match told.playlist(rendition) {
                Some(text) => text,
                None => return answer::nowhere(Age::SHORT),
            },
            What::Download | What::File { .. } => return answer::nowhere(Age::SHORT),
        };
        match text {
            Some(text) => text.answer(headers, age),
            None => {
                answer::problem_later(StatusCode::NOT_FOUND, "nothing is recorded yet", Age::MOMENT)
            }
        }
    }

    /// A file that lies in the store under the very name it has here.
    async fn file(
        &self,
        path: &Path<'_>,
        rendition: &str,
        file: File,
        headers: &axum::http::HeaderMap,
    ) -> Response {
        let Some((header, layout)) = self.library.place(&path.stream, path.id) else {
            return refuse(&Refused::Missing);
        };
        let Some(rendition) = header.renditions.iter().find(|one| one.name == rendition) else {
            return answer::nowhere(Age::SHORT);
        };
        let object = match file {
            File::Init(version) => layout.init(&rendition.name, version),
            File::Segment(msn) => layout.segment(&rendition.name, msn),
        };
        let bytes = match self.object(&object).await {
            Ok(bytes) => bytes,
            Err(Error::Missing(_)) => return answer::nowhere(Age::SHORT),
            Err(error) => return refuse(&Refused::Store(error.to_string())),
        };
        let kind = match rendition.kind.into() {
            Kind::Audio => "audio/mp4",
            Kind::Video => "video/mp4",
        };
        Media { bytes, kind, urgency: 4, age: Age::of(MEDIA_AGE) }.answer(headers)
    }

    async fn object(&self, path: &crate::storage::Path) -> Result<Bytes, Error> {
        let read = self.library.object(path);
        self.objects.try_get_with(path.clone(), read).await.map_err(|error| (*error).clone())
    }
}

fn refuse(refused: &Refused) -> Response {
    match refused {
        Refused::Missing | Refused::NotLive => {
            answer::problem(StatusCode::NOT_FOUND, &Refused::Missing.to_string(), Age::SHORT)
        }
        Refused::Going => answer::problem(StatusCode::CONFLICT, &refused.to_string(), Age::NONE),
        Refused::Store(error) => {
            tracing::warn!(error, "the store of recordings cannot be read");
            let detail = "the store of recordings does not answer";
            answer::problem_later(StatusCode::SERVICE_UNAVAILABLE, detail, Age::MOMENT)
        }
    }
}

fn too_many_downloads() -> Response {
    let detail = "too many recordings are being downloaded";
    answer::problem_later(StatusCode::SERVICE_UNAVAILABLE, detail, Age::NONE)
}

/// Downloads at once. Each has a plan of all its segments, and reads ahead.
const DOWNLOADS: usize = 64;

/// What is told of recordings is remembered up to so many bytes.
const TOLD_BYTES: u64 = 64 * 1024 * 1024;

/// Objects are remembered up to so many bytes.
const OBJECTS_BYTES: u64 = 64 * 1024 * 1024;

/// A recording that is complete may still be deleted.
const COMPLETE_AGE: Duration = Duration::from_secs(60);

/// Media never changes under its name.
const MEDIA_AGE: Duration = Duration::from_secs(86_400);
