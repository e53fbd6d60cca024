//! Recordings in the API: seen by who may watch their streams, started, stopped and deleted by
//! administrators.

#![allow(unused_qualifications, reason = "the macros of utoipa write them")]

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::document::Stream;
use crate::archive::{Archive, NoArchive, RecordingInfo, RecordingPage, WhichRecordings};
use crate::auth::Seen;
use crate::control::{InvalidName, StreamName};
use crate::endpoint::Target;
use crate::problem::Problem;
use crate::router::Shared;

/// Which recordings are asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// Recordings of this stream only.
    #[param(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    stream: Option<String>,
    /// Those that began at this time or later (RFC 3339, in UTC).
    #[param(
        pattern = "^[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?Z$"
    )]
    from: Option<String>,
    /// Those that began before this time (RFC 3339, in UTC).
    #[param(
        pattern = "^[12][0-9]{3}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?Z$"
    )]
    until: Option<String>,
    /// So many at most; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// Those that follow the page which says `next` of this one.
    #[param(pattern = "^[A-Za-z0-9-]{1,64}$")]
    after: Option<String>,
    /// A token, for who can send no header.
    #[param(ignore)]
    #[serde(rename = "token")]
    _token: Option<String>,
}

/// The recording that a path names.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[allow(dead_code, reason = "it is described, and read by the handlers as text")]
pub(super) struct Recording {
    /// A recording's `id`, as the list has it.
    #[param(pattern = "^[A-Za-z0-9-]{1,64}$")]
    recording: String,
}

/// The recordings of streams that the bearer may watch, the newest first.
#[utoipa::path(get, path = "/v1/recordings", tag = "recordings", params(Of),
    responses((status = 200, description = "a page of them", body = RecordingPage)))]
pub(super) async fn list(
    State(shared): State<Shared>,
    seen: Seen,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Json<RecordingPage>, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Query(of) = of.map_err(|_| {
        bad("the query may be stream=NAME, from=TIME, until=TIME, limit=NUMBER and after=ID only".into())
    })?;
    let limit = of.limit.unwrap_or(USUAL_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad(format!("limit must be from 1 to {MAX_LIMIT}")));
    }
    let stream = of.stream.map(|name| name.parse::<StreamName>()).transpose();
    let stream = stream.map_err(|no: InvalidName| bad(no.to_string()))?;
    let time = |text: Option<String>| -> Result<Option<SystemTime>, Problem> {
        let read = |text: String| {
            humantime::parse_rfc3339(&text)
                .map_err(|_| bad(format!("{text:?} is no time such as 2026-11-29T07:00:00Z")))
        };
        text.map(read).transpose()
    };
    let is_id = |id: &String| {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        (1..=64).contains(&id.len()) && id.bytes().all(valid)
    };
    if of.after.as_ref().is_some_and(|after| !is_id(after)) {
        return Err(bad("after must be the id of a recording, as next of a page has it".into()));
    }
    let which = WhichRecordings {
        stream,
        after: of.after,
        from: time(of.from)?,
        until: time(of.until)?,
        limit,
    };
    // Where nothing is recorded there is nothing to list.
    let Some(archive) = shared.archive.get() else { return Ok(Json(RecordingPage::default())) };
    archive.list(which, seen.sight()).map(Json).map_err(|no| refused(&shared, &no))
}

/// One recording.
#[utoipa::path(get, path = "/v1/recordings/{recording}", tag = "recordings", params(Recording),
    responses((status = 200, description = "it is there", body = RecordingInfo)))]
pub(super) async fn show(
    State(shared): State<Shared>,
    seen: Seen,
    Path(recording): Path<String>,
) -> Result<Json<RecordingInfo>, Problem> {
    let found = archive(&shared)?.show(&recording).map_err(|no| refused(&shared, &no))?;
    let stream = found.stream.parse::<StreamName>().map_err(|_| Problem::fault())?;
    seen.check(&shared, &stream).await?;
    Ok(Json(found))
}

/// Deletes a recording for good. One that goes on has to be stopped first.
#[utoipa::path(delete, path = "/v1/recordings/{recording}", tag = "recordings", params(Recording),
    responses((status = 204, description = "it is gone")))]
pub(super) async fn delete(
    State(shared): State<Shared>,
    Path(recording): Path<String>,
) -> Result<StatusCode, Problem> {
    archive(&shared)?.delete(recording).await.map_err(|no| refused(&shared, &no))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Records a live stream from now on, until it ends or is stopped.
#[utoipa::path(post, path = "/v1/streams/{stream}/recording", tag = "recordings", params(Stream),
    responses(
        (status = 201, description = "it is being recorded", body = RecordingInfo),
        (status = 202, description = "it is recorded with its next segment")))]
pub(super) async fn start(
    State(shared): State<Shared>,
    Target(name): Target,
) -> Result<Response, Problem> {
    let started = archive(&shared)?.start(name).await.map_err(|no| refused(&shared, &no))?;
    Ok(match started {
        Some(recording) => (StatusCode::CREATED, Json(recording)).into_response(),
        None => StatusCode::ACCEPTED.into_response(),
    })
}

/// Records a live stream no more, until it ends or is started. What was recorded is kept.
#[utoipa::path(delete, path = "/v1/streams/{stream}/recording", tag = "recordings", params(Stream),
    responses((status = 204, description = "it is not recorded")))]
pub(super) async fn stop(
    State(shared): State<Shared>,
    Target(name): Target,
) -> Result<StatusCode, Problem> {
    archive(&shared)?.stop(name).map_err(|no| refused(&shared, &no))?;
    Ok(StatusCode::NO_CONTENT)
}

fn archive(shared: &Shared) -> Result<Arc<dyn Archive>, Problem> {
    shared.archive.get().cloned().ok_or_else(|| refused(shared, &NoArchive::Off))
}

fn refused(shared: &Shared, no: &NoArchive) -> Problem {
    let status = match no {
        NoArchive::Missing | NoArchive::NotLive => StatusCode::NOT_FOUND,
        NoArchive::Going | NoArchive::Off => StatusCode::CONFLICT,
        NoArchive::Store => {
            return Problem::new(StatusCode::SERVICE_UNAVAILABLE, no.to_string())
                .later(shared.config.retry_after_s);
        }
    };
    Problem::new(status, no.to_string())
}

const USUAL_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;
