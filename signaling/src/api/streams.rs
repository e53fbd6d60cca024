//! Streams in the API: seen by who may watch them, ended by administrators.

#![allow(unused_qualifications, reason = "the macros of utoipa write them")]

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::document::Stream;
use super::{not_live, paging};
use crate::auth::Seen;
use crate::control::{InvalidName, Listing, StreamInfo, StreamName};
use crate::endpoint::Target;
use crate::problem::Problem;
use crate::router::Shared;

/// Which streams are asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// So many at most; all if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// After the stream of this name.
    #[param(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    after: Option<String>,
}

/// The live streams that the bearer may watch, by name.
///
/// With `limit` there may be more of them; `Link: <...>; rel="next"` then leads to these.
#[utoipa::path(get, path = "/v1/streams", tag = "streams", params(Which),
    responses((status = 200, description = "by name", body = Vec<StreamInfo>,
        headers(("Link" = String, description = "where more of them are, if there are")))))]
pub(super) async fn list(
    State(shared): State<Shared>,
    seen: Seen,
    which: Result<Query<Which>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let which = which.map_err(|_| bad("limit must be a number, and after a name".into()));
    let Query(Which { limit, after }) = which?;
    let limit = limit.map(paging::limit).transpose()?;
    let after = after.map(|name| name.parse::<StreamName>()).transpose();
    let after = after.map_err(|no: InvalidName| bad(format!("after: {no}")))?;
    let listing = Listing { after, limit: limit.unwrap_or(usize::MAX), seen: seen.sight() };
    let page = shared.control.stream_page(listing).await.map_err(|no| shared.refused(&no))?;
    let next = page.next.zip(limit);
    let next = next.map(|(after, limit)| format!("/api/v1/streams?limit={limit}&after={after}"));
    paging::page(page.streams, next)
}

/// One live stream.
#[utoipa::path(get, path = "/v1/streams/{stream}", tag = "streams", params(Stream),
    responses((status = 200, description = "it is live", body = StreamInfo)))]
pub(super) async fn show(
    State(shared): State<Shared>,
    Target(name): Target,
    seen: Seen,
) -> Result<Json<StreamInfo>, Problem> {
    seen.check(&shared, &name).await?;
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
