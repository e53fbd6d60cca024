//! An API that shows what is live, and lets administrators see and change it.
//!
//! A route is a handler with `#[utoipa::path]`, named in [`described`]: so the document at
//! `/api/v1/openapi.json` has it without being told.

mod deliveries;
mod document;
mod recordings;
mod sessions;
mod streams;

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::{get, options};
use axum::{Json, Router, middleware};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::control::{History, Refusal, ServerInfo};
use crate::problem::Problem;
use crate::router::Shared;
use crate::{auth, beacon, cors, follow, operator};

/// The API's paths.
pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    let (mut router, document) = described(shared).split_for_parts();
    for path in document.paths.paths.keys() {
        router = router.route(path, options(cors::options));
    }
    let text = document::text(document);
    let serve = move || {
        let text = text.clone();
        async move { ([(header::CONTENT_TYPE, "application/json")], text).into_response() }
    };
    router.route("/v1/openapi.json", get(serve).options(cors::options))
}

/// Every route with its description. What is for administrators stands in the second list.
fn described(shared: &Shared) -> OpenApiRouter<Shared> {
    let admin = OpenApiRouter::new()
        .routes(routes!(version))
        .routes(routes!(server))
        .routes(routes!(history))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::show, sessions::kick))
        .routes(routes!(sessions::choose, sessions::unchoose))
        .routes(routes!(streams::want_keyframe))
        .routes(routes!(streams::end))
        .routes(routes!(deliveries::list))
        .routes(routes!(recordings::delete))
        .routes(routes!(recordings::start, recordings::stop))
        .routes(routes!(operator::show))
        .routes(routes!(operator::reload))
        .route_layer(middleware::from_fn_with_state(Arc::clone(shared), auth::admin));
    OpenApiRouter::with_openapi(document::beginning())
        .routes(routes!(follow::open))
        .routes(routes!(streams::list))
        .routes(routes!(streams::show))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::show))
        .routes(routes!(beacon::hear))
        .merge(document::for_administrators(admin))
}

/// The server's version.
#[derive(Serialize, ToSchema)]
struct Version {
    /// As in `whitewater --version`.
    version: &'static str,
    /// The revisions of the API that it speaks.
    #[schema(inline)]
    api: [&'static str; 1],
}

/// Which version the server has.
#[utoipa::path(get, path = "/v1/version", tag = "server",
    responses((status = 200, description = "the version", body = Version)))]
async fn version() -> Json<Version> {
    std::future::ready(Json(Version { version: env!("CARGO_PKG_VERSION"), api: ["v1"] })).await
}

/// What the server counts.
#[utoipa::path(get, path = "/v1/server", tag = "server",
    responses((status = 200, description = "counters since the start", body = ServerInfo)))]
async fn server(State(shared): State<Shared>) -> Result<Json<ServerInfo>, Problem> {
    let server = shared.control.server().await;
    server.map(Json).map_err(|refusal| shared.refused(&refusal))
}

/// The last quarter of an hour in numbers.
#[utoipa::path(get, path = "/v1/history", tag = "server",
    responses((status = 200, description = "a sample every few seconds", body = History)))]
async fn history(State(shared): State<Shared>) -> Result<Json<History>, Problem> {
    let history = shared.control.history().await;
    history.map(Json).map_err(|refusal| shared.refused(&refusal))
}

/// What a refusal is in the API, where a stream that is not live is one that does not exist.
pub(crate) fn not_live(shared: &Shared, refusal: &Refusal) -> Problem {
    if let Refusal::NotLive(_) = refusal {
        // A list that is polled anyway needs no Retry-After.
        return Problem::new(axum::http::StatusCode::NOT_FOUND, refusal.to_string());
    }
    shared.refused(refusal)
}
