//! A session's own resource: PATCH, DELETE and the rest, the same for WHIP and WHEP (RFC 9725 section 4.3).

use std::future::{Ready, ready};

use axum::Extension;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use crate::control::{Grant, IfMatch, Patched, Refusal, SessionPath};
use crate::endpoint::{ACCEPT_PATCH, no_stream, side_of};
use crate::problem::Problem;
use crate::router::Shared;
use crate::{cors, etag, fragment, limit, location};

/// The session that the path names; whether it lives, the port knows.
pub(crate) struct Target(pub(crate) SessionPath);

/// Every method of a session's resource.
pub(crate) fn methods() -> MethodRouter<Shared> {
    get(look).patch(patch).delete(end).options(options)
}

async fn look(
    State(shared): State<Shared>,
    Target(session): Target,
) -> Result<StatusCode, Problem> {
    shared.control.probe(session).await.map_err(|refusal| shared.refused(&refusal))?;
    Ok(StatusCode::NO_CONTENT)
}

fn options(
    headers: HeaderMap,
    target: Result<Target, Problem>,
) -> Ready<Result<Response, Problem>> {
    ready(match target {
        Err(problem) if !cors::is_preflight(&Method::OPTIONS, &headers) => Err(problem),
        Ok(_) | Err(_) => Ok([(ACCEPT_PATCH, FRAGMENT)].into_response()),
    })
}

async fn end(State(shared): State<Shared>, Target(session): Target) -> Result<StatusCode, Problem> {
    shared.control.delete(session).await.map_err(|refusal| shared.refused(&refusal))?;
    Ok(StatusCode::OK)
}

async fn patch(
    State(shared): State<Shared>,
    Target(session): Target,
    grant: Option<Extension<Grant>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let control = &shared.control;
    let refused = |refusal: Refusal| shared.refused(&refusal);
    control.probe(session.clone()).await.map_err(refused)?;
    if !limit::has_type(&headers, fragment::MEDIA_TYPE) {
        return Err(Problem::wrong_type(fragment::MEDIA_TYPE));
    }
    let if_match = etag::if_match(&headers)?;
    if matches!(&if_match, IfMatch::Tags(tags) if tags.is_empty()) {
        return Err(refused(Refusal::StaleTag));
    }
    let text = limit::text(&headers, body, &shared.config).await?;
    let fragment = fragment::parse(&text)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, error.to_string()))?;
    let patched = control.patch(session.clone(), if_match, fragment).await.map_err(refused)?;
    if let Some(Extension(grant)) = grant {
        control.renew(session, grant).await.map_err(refused)?;
    }
    match patched {
        Patched::Trickled => Ok(StatusCode::NO_CONTENT.into_response()),
        Patched::Restarted { fragment, etag } => {
            let Some(tag) = etag::strong(&etag) else {
                tracing::error!("the port's tag fits no header");
                return Err(Problem::fault());
            };
            let headers = [(header::CONTENT_TYPE, FRAGMENT), (header::ETAG, tag)];
            Ok((headers, fragment).into_response())
        }
    }
}

const FRAGMENT: HeaderValue = HeaderValue::from_static(fragment::MEDIA_TYPE);

// === impl Target ===

impl FromRequestParts<Shared> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let path = Path::<(String, String)>::from_request_parts(parts, shared).await;
        let Path((stream, id)) = path.map_err(|_| Problem::nowhere())?;
        let stream = stream.parse().map_err(|_| no_stream())?;
        let Some(id) = location::session_id(&id) else {
            return Err(shared.refused(&Refusal::NoSession));
        };
        Ok(Self(SessionPath { side: side_of(parts), stream, id }))
    }
}
