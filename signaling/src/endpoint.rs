//! An endpoint that opens sessions: what WHIP and WHEP have in common (RFC 9725 sections 4.1 and 4.2).

use std::future::{Ready, ready};

use axum::extract::{FromRequest, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::control::{Grant, Open, Opened, SessionPath, Side, StreamName};
use crate::problem::Problem;
use crate::router::Shared;
use crate::{auth, cors, etag, events, fragment, limit, location};

/// The media type of an offer and an answer.
pub(crate) const SDP: HeaderValue = HeaderValue::from_static("application/sdp");

/// What can be posted to a resource.
pub(crate) const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// What a resource can be patched with (RFC 5789 section 3.1).
pub(crate) const ACCEPT_PATCH: HeaderName = HeaderName::from_static("accept-patch");

/// The stream that the path names; anything else than a stream name is 404.
pub(crate) struct Target(pub(crate) StreamName);

/// A POST that asks for a session, read and checked as far as HTTP goes.
pub(crate) struct Offer(pub(crate) Open);

/// Answers OPTIONS: what can be posted, and the ICE servers unless a browser's preflight asks.
pub(crate) fn options(
    State(shared): State<Shared>,
    headers: HeaderMap,
    target: Result<Target, Problem>,
) -> Ready<Result<Response, Problem>> {
    let mut response = [(ACCEPT_POST, SDP)].into_response();
    if cors::is_preflight(&Method::OPTIONS, &headers) {
        return ready(Ok(response));
    }
    add_ice_links(&shared, response.headers_mut());
    ready(target.map(|_| response))
}

/// Answers 201 with the session's description, name and tag.
pub(crate) fn created(
    shared: &Shared,
    side: Side,
    stream: StreamName,
    opened: Opened,
) -> Result<Response, Problem> {
    let session = SessionPath { side, stream, id: opened.id };
    let location = HeaderValue::try_from(location::path(&session));
    let (Ok(location), Some(tag)) = (location, etag::strong(&opened.etag)) else {
        tracing::error!(stream = %session.stream, "the port's session id or tag fits no header");
        return Err(Problem::fault());
    };
    let headers = [
        (header::CONTENT_TYPE, SDP),
        (header::LOCATION, location),
        (header::ETAG, tag),
        (ACCEPT_PATCH, HeaderValue::from_static(fragment::MEDIA_TYPE)),
    ];
    let mut response = (StatusCode::CREATED, headers, opened.answer).into_response();
    add_ice_links(shared, response.headers_mut());
    if side == Side::Watch {
        for link in events::links(&session) {
            response.headers_mut().append(header::LINK, link);
        }
    }
    Ok(response)
}

fn add_ice_links(shared: &Shared, headers: &mut HeaderMap) {
    for link in &shared.ice_links {
        headers.append(header::LINK, link.clone());
    }
}

// === impl Target ===

impl FromRequestParts<Shared> for Target {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let name = Path::<String>::from_request_parts(parts, shared).await;
        let name = name.ok().and_then(|Path(name)| name.parse().ok());
        name.map(Self).ok_or_else(no_stream)
    }
}

// === impl Offer ===

impl FromRequest<Shared> for Offer {
    type Rejection = Problem;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let Target(stream) = Target::from_request_parts(&mut parts, shared).await?;
        let side = side_of(&parts);
        let grant = parts.extensions.remove::<Grant>().ok_or_else(Problem::fault)?;
        if !limit::has_type(&parts.headers, "application/sdp") {
            return Err(Problem::wrong_type("application/sdp"));
        }
        let replaces = location::replaced(&parts.headers, side, &stream)?;
        let offer = limit::text(&parts.headers, body, &shared.config).await?;
        let client = auth::client(&parts.extensions);
        Ok(Self(Open { stream, offer, replaces, grant, client }))
    }
}

/// The side that the route of a request was given.
pub(crate) fn side_of(parts: &Parts) -> Side {
    *parts.extensions.get::<Side>().expect("every route of a stream names its side")
}

/// 404 for a name that no stream can have.
pub(crate) fn no_stream() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, crate::control::InvalidName.to_string())
}
