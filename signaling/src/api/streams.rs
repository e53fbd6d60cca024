//! Streams in the API: seen by who may watch them, ended by administrators.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use super::document::Stream;
use super::not_live;
use crate::auth::Seen;
use crate::control::StreamInfo;
use crate::endpoint::Target;
use crate::problem::Problem;
use crate::router::Shared;

/// The live streams that the bearer may watch.
#[utoipa::path(get, path = "/v1/streams", tag = "streams",
    responses((status = 200, description = "by name", body = Vec<StreamInfo>)))]
pub(super) async fn list(
    State(shared): State<Shared>,
    seen: Seen,
) -> Result<Json<Vec<StreamInfo>>, Problem> {
    let streams = shared.control.streams().await.map_err(|refusal| shared.refused(&refusal))?;
    let is_seen = |stream: &StreamInfo| stream.name.parse().is_ok_and(|name| seen.has(&name));
    Ok(Json(streams.into_iter().filter(is_seen).collect()))
}

/// One live stream.
#[utoipa::path(get, path = "/v1/streams/{stream}", tag = "streams", params(Stream),
    responses((status = 200, description = "it is live", body = StreamInfo)))]
pub(super) async fn show(
    State(shared): State<Shared>,
    Target(name): Target,
    seen: Seen,
) -> Result<Json<StreamInfo>, Problem> {
    seen.check(&shared, &name)?;
    let stream = shared.control.stream(name).await;
    stream.map(Json).map_err(|refusal| not_live(&shared, &refusal))
}

/// Ends a publisher's session. Its viewers hear of it as if it had left.
#[utoipa::path(delete, path = "/v1/streams/{stream}/publisher", tag = "streams",
    params(Stream),
    responses((status = 204, description = "it has ended")))]
pub(super) async fn end(
    State(shared): State<Shared>,
    Target(name): Target,
) -> Result<StatusCode, Problem> {
    shared.control.end_stream(name).await.map_err(|refusal| not_live(&shared, &refusal))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Wants keyframes of all layers of a stream.
///
/// The publisher is asked as soon as it may be: wishes of many are one request.
#[utoipa::path(post, path = "/v1/streams/{stream}/keyframe", tag = "streams",
    params(Stream),
    responses((status = 202, description = "the publisher is asked as soon as it may be")))]
pub(super) async fn want_keyframe(
    State(shared): State<Shared>,
    Target(name): Target,
) -> Result<StatusCode, Problem> {
    shared.control.want_keyframe(name).await.map_err(|refusal| not_live(&shared, &refusal))?;
    Ok(StatusCode::ACCEPTED)
}
