//! An API that shows the live streams.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use serde::Deserialize;

use crate::auth::{self, Seen};
use crate::control::{DeliveryInfo, InvalidName, Refusal, ServerInfo, SessionInfo, StreamInfo};
use crate::endpoint::Target;
use crate::problem::Problem;
use crate::router::Shared;
use crate::{beacon, cors, follow, operator};

/// The API's paths.
pub(crate) fn routes(shared: &Shared) -> Router<Shared> {
    let admin = Router::new()
        .route("/v1/server", get(server).options(cors::options))
        .route("/v1/sessions", get(sessions).options(cors::options))
        .route("/v1/sessions/{session}", delete(kick).options(cors::options))
        .route("/v1/webhooks/deliveries", get(deliveries).options(cors::options))
        .route("/v1/streams/{stream}/publisher", delete(end).options(cors::options))
        .merge(operator::routes())
        .route_layer(middleware::from_fn_with_state(Arc::clone(shared), auth::admin));
    Router::new()
        .route("/v1/events", get(follow::open).options(cors::options))
        .route("/v1/streams", get(list).options(cors::options))
        .route("/v1/streams/{stream}", get(show).options(cors::options))
        .route("/v1/beacon", post(beacon::hear).options(cors::options))
        .merge(admin)
}

/// The streams that whoever asks may watch.
async fn list(State(shared): State<Shared>, seen: Seen) -> Result<Json<Vec<StreamInfo>>, Problem> {
    let streams = shared.control.streams().await.map_err(|refusal| shared.refused(&refusal))?;
    let is_seen = |stream: &StreamInfo| stream.name.parse().is_ok_and(|name| seen.has(&name));
    Ok(Json(streams.into_iter().filter(is_seen).collect()))
}

async fn server(State(shared): State<Shared>) -> Result<Json<ServerInfo>, Problem> {
    let server = shared.control.server().await;
    server.map(Json).map_err(|refusal| shared.refused(&refusal))
}

/// Which sessions are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Of {
    stream: Option<String>,
}

async fn sessions(
    State(shared): State<Shared>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<Vec<SessionInfo>>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Query(of) = of.map_err(|_| bad("the query may be stream=NAME only".into()))?;
    let stream = of.stream.map(|name| name.parse()).transpose();
    let stream = stream.map_err(|no: InvalidName| bad(no.to_string()))?;
    let sessions = shared.control.sessions(stream).await;
    sessions.map(Json).map_err(|refusal| shared.refused(&refusal))
}

/// How many deliveries are asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Latest {
    limit: Option<usize>,
}

/// What became of the latest events that webhooks were sent, the newest first.
async fn deliveries(
    State(shared): State<Shared>,
    latest: Result<Query<Latest>, QueryRejection>,
) -> Result<Json<Vec<DeliveryInfo>>, Problem> {
    let bad = |_| Problem::new(StatusCode::BAD_REQUEST, "the query may be limit=NUMBER only");
    let Query(Latest { limit }) = latest.map_err(bad)?;
    Ok(Json(shared.control.deliveries(limit.unwrap_or(USUAL_DELIVERIES))))
}

async fn kick(
    State(shared): State<Shared>,
    Path(session): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.control.kick(session).await.map_err(|refusal| shared.refused(&refusal))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends a publisher's session. Its viewers hear of it as if it had left.
async fn end(State(shared): State<Shared>, Target(name): Target) -> Result<StatusCode, Problem> {
    shared.control.end_stream(name).await.map_err(|refusal| not_live(&shared, &refusal))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn show(
    State(shared): State<Shared>,
    Target(name): Target,
    seen: Seen,
) -> Result<Json<StreamInfo>, Problem> {
    seen.check(&shared, &name)?;
    let stream = shared.control.stream(name).await;
    stream.map(Json).map_err(|refusal| not_live(&shared, &refusal))
}

pub(crate) fn not_live(shared: &Shared, refusal: &Refusal) -> Problem {
    match refusal {
        // Nothing exists under the name, and a list that is polled anyway needs no Retry-After.
        Refusal::NotLive(_) => Problem::new(StatusCode::NOT_FOUND, refusal.to_string()),
        Refusal::Malformed(_)
        | Refusal::Unprocessable(_)
        | Refusal::Taken(_)
        | Refusal::Kept { .. }
        | Refusal::NoSession
        | Refusal::NoEvents
        | Refusal::StaleTag
        | Refusal::TooMany(_)
        | Refusal::Full(_)
        | Refusal::Closing => shared.refused(refusal),
    }
}

/// Deliveries that are shown to who does not say how many.
const USUAL_DELIVERIES: usize = 100;
