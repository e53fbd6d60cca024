//! An API that shows the live streams.

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};

use crate::control::{Refusal, ServerInfo, StreamInfo};
use crate::endpoint::Target;
use crate::problem::Problem;
use crate::router::Shared;
use crate::{cors, follow};

/// The API's paths.
pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/v1/events", get(follow::open).options(cors::options))
        .route("/v1/streams", get(list).options(cors::options))
        .route("/v1/server", get(server).options(cors::options))
        .route("/v1/streams/{stream}", get(show).options(cors::options))
}

async fn list(State(shared): State<Shared>) -> Result<Json<Vec<StreamInfo>>, Problem> {
    let streams = shared.control.streams().await;
    streams.map(Json).map_err(|refusal| shared.refused(&refusal))
}

async fn server(State(shared): State<Shared>) -> Result<Json<ServerInfo>, Problem> {
    let server = shared.control.server().await;
    server.map(Json).map_err(|refusal| shared.refused(&refusal))
}

async fn show(
    State(shared): State<Shared>,
    Target(name): Target,
) -> Result<Json<StreamInfo>, Problem> {
    let stream = shared.control.stream(name).await;
    stream.map(Json).map_err(|refusal| match refusal {
        // Nothing exists under the name, and a list that is polled anyway needs no Retry-After.
        Refusal::NotLive(_) => Problem::new(StatusCode::NOT_FOUND, refusal.to_string()),
        Refusal::Malformed(_)
        | Refusal::Unprocessable(_)
        | Refusal::Taken(_)
        | Refusal::Kept { .. }
        | Refusal::NoSession
        | Refusal::NoEvents
        | Refusal::StaleTag
        | Refusal::Full(_)
        | Refusal::Closing => shared.refused(&refusal),
    })
}
