//! Sessions in the API: administrators see them, choose their layers and end them.

#![allow(unused_qualifications, reason = "the macros of utoipa write them")]

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::document::{Problem as Refused, Session};
use super::paging;
use crate::control::{InvalidName, LayerChoice, SessionInfo, StreamName, Which};
use crate::problem::Problem;
use crate::router::Shared;
use crate::whole::EXACT;
use crate::{limit, whep};

/// Which sessions are asked for.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Of {
    /// Sessions of this stream only.
    #[param(pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    stream: Option<String>,
    /// So many at most; 100 if it is not said.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// After the page whose `Link` header names this number.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    after: Option<u64>,
    /// A token, for who can send no header.
    #[param(ignore)]
    #[serde(rename = "token")]
    _token: Option<String>,
}

/// The sessions, in the order of their coming.
///
/// Where there are more, `Link: <...>; rel="next"` leads to them.
#[utoipa::path(get, path = "/v1/sessions", tag = "sessions", params(Of),
    responses((status = 200, description = "a page of them", body = Vec<SessionInfo>,
        headers(("Link" = String, description = "where more of them are, if there are")))))]
pub(super) async fn list(
    State(shared): State<Shared>,
    of: Result<Query<Of>, QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Query(of) = of.map_err(|_| {
        bad("the query may be stream=NAME, limit=NUMBER and after=NUMBER only".into())
    })?;
    let limit = paging::limit(of.limit.unwrap_or(USUAL_LIMIT))?;
    if of.after.is_some_and(|after| after > EXACT) {
        return Err(bad(format!("after must be from 0 to {EXACT}")));
    }
    let stream = of.stream.map(|name| name.parse::<StreamName>()).transpose();
    let stream = stream.map_err(|no: InvalidName| bad(no.to_string()))?;
    let which = Which { stream: stream.clone(), after: of.after, limit };
    let page = shared.control.sessions(which).await.map_err(|no| shared.refused(&no))?;
    let next = page.next.map(|after| {
        let stream = stream.map_or_else(String::new, |name| format!("stream={name}&"));
        format!("/api/v1/sessions?{stream}limit={limit}&after={after}")
    });
    paging::page(page.sessions, next)
}

/// One session.
#[utoipa::path(get, path = "/v1/sessions/{session}", tag = "sessions",
    params(Session),
    responses((status = 200, description = "it is open", body = SessionInfo)))]
pub(super) async fn show(
    State(shared): State<Shared>,
    Path(session): Path<String>,
) -> Result<Json<SessionInfo>, Problem> {
    let session = shared.control.session(session).await;
    session.map(Json).map_err(|refusal| shared.refused(&refusal))
}

/// Ends a session at once.
#[utoipa::path(delete, path = "/v1/sessions/{session}", tag = "sessions",
    params(Session),
    responses((status = 204, description = "it has ended")))]
pub(super) async fn kick(
    State(shared): State<Shared>,
    Path(session): Path<String>,
) -> Result<StatusCode, Problem> {
    shared.control.kick(session).await.map_err(|refusal| shared.refused(&refusal))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Chooses the layer that a viewer gets.
///
/// It is as if the viewer had chosen it: what it chooses later holds instead.
#[utoipa::path(put, path = "/v1/sessions/{session}/layer", tag = "sessions",
    params(Session), request_body = LayerChoice,
    responses((status = 204, description = "it is chosen"),
        (status = 422, description = "the body is no choice, or the session has nothing to choose from: it \
            publishes, or its stream has no such layer", body = Refused,
            content_type = "application/problem+json")))]
pub(super) async fn choose(
    State(shared): State<Shared>,
    Path(session): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, Problem> {
    if !limit::has_type(&headers, whep::JSON) {
        return Err(Problem::wrong_type(whep::JSON));
    }
    let text = limit::text(&headers, body, &shared.config).await?;
    let choice = whep::parse_choice(&text)?;
    let chosen = shared.control.select_layer_of(session, choice).await;
    chosen.map_err(|refusal| shared.refused(&refusal))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Lets the viewer's network decide again which layer it gets.
#[utoipa::path(delete, path = "/v1/sessions/{session}/layer", tag = "sessions",
    params(Session),
    responses((status = 204, description = "nobody chooses")))]
pub(super) async fn unchoose(
    State(shared): State<Shared>,
    Path(session): Path<String>,
) -> Result<StatusCode, Problem> {
    let chosen = shared.control.select_layer_of(session, LayerChoice::default()).await;
    chosen.map_err(|refusal| shared.refused(&refusal))?;
    Ok(StatusCode::NO_CONTENT)
}

const USUAL_LIMIT: usize = 100;
