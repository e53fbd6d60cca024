//! A problem that says no over HTTP (RFC 9457).
//!
//! The one place where a refusal of the control port becomes a status. Details are sentences for the
//! person on the other side; what went wrong inside is logged and never sent.

use std::borrow::Cow;
use std::future::{Ready, ready};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::auth::Denied;
use crate::control::Refusal;
use crate::rate::TooMany;

/// A reason to answer with an error status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// What tells it from others of its status.
    kind: &'static str,
    status: StatusCode,
    detail: Cow<'static, str>,
    retry_after_s: Option<u64>,
    challenge: Option<HeaderValue>,
}

/// The members of the body.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

// === impl Problem ===

impl Problem {
    /// A problem that trying again does not solve.
    pub(crate) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: BLANK, status, detail: detail.into(), retry_after_s: None, challenge: None }
    }

    /// The same, where it is worth trying again after a while.
    pub(crate) fn later(self, retry_after_s: u64) -> Self {
        Self { retry_after_s: Some(retry_after_s), ..self }
    }

    /// What a refusal of the port is over HTTP; `retry_after_s` goes where time may solve it.
    pub(crate) fn refused(refusal: &Refusal, retry_after_s: u64) -> Self {
        let (status, later) = match refusal {
            Refusal::Malformed(_) => (StatusCode::BAD_REQUEST, false),
            Refusal::Unprocessable(_) => (StatusCode::UNPROCESSABLE_ENTITY, false),
            Refusal::Taken(_) => (StatusCode::CONFLICT, false),
            Refusal::Kept { .. } => (StatusCode::CONFLICT, true),
            Refusal::NotLive(_) => (StatusCode::CONFLICT, true),
            Refusal::NoSession | Refusal::NoEvents => (StatusCode::NOT_FOUND, false),
            Refusal::StaleTag => (StatusCode::PRECONDITION_FAILED, false),
            Refusal::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, true),
            Refusal::Full(_) | Refusal::Closing => (StatusCode::SERVICE_UNAVAILABLE, true),
        };
        let retry_after_s = match refusal {
            Refusal::Kept { retry_after_s, .. } => *retry_after_s,
            Refusal::Malformed(_)
            | Refusal::Unprocessable(_)
            | Refusal::Taken(_)
            | Refusal::NotLive(_)
            | Refusal::NoSession
            | Refusal::NoEvents
            | Refusal::StaleTag
            | Refusal::TooMany(_)
            | Refusal::Full(_)
            | Refusal::Closing => retry_after_s,
        };
        let retry_after_s = later.then_some(retry_after_s);
        let kind = if *refusal == Refusal::Closing { CLOSING } else { BLANK };
        Self { kind, status, detail: refusal.to_string().into(), retry_after_s, challenge: None }
    }

    /// What a denial is over HTTP (RFC 6750 section 3).
    pub(crate) fn denied(denied: &Denied, retry_after_s: u64) -> Self {
        let (status, challenge) = denied.over_http();
        Self {
            kind: BLANK,
            status,
            detail: denied.to_string().into(),
            retry_after_s: match denied {
                Denied::TooMany(no) => Some(no.seconds()),
                Denied::Unavailable => Some(retry_after_s),
                Denied::Missing | Denied::Invalid(_) | Denied::Insufficient(_) => None,
            },
            challenge,
        }
    }

    /// 429 for a client that asks too often.
    pub(crate) fn too_many(no: TooMany) -> Self {
        let retry_after_s = Some(no.seconds());
        let detail = no.to_string().into();
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self { kind: BLANK, status, detail, retry_after_s, challenge: None }
    }

    /// 404 for a path that names nothing.
    pub(crate) fn nowhere() -> Self {
        Self::new(StatusCode::NOT_FOUND, "there is nothing at this path")
    }

    /// 415 for a body of another type than the one asked for.
    pub(crate) fn wrong_type(wanted: &'static str) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("the body must be {wanted}"))
    }

    /// 500 for a fault of ours, whose cause stays inside.
    pub(crate) fn fault() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the server made a mistake")
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        tracing::debug!(status = self.status.as_u16(), detail = %self.detail, "request refused");
        let body = Body {
            r#type: self.kind,
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
        };
        let body = serde_json::to_vec(&body).expect("strings and a number serialise");
        let kind = HeaderValue::from_static("application/problem+json");
        let mut response = (self.status, [(header::CONTENT_TYPE, kind)], body).into_response();
        if let Some(seconds) = self.retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = self.challenge {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Answers a method that the resource does not have; the router adds `Allow`.
pub(crate) fn method_not_allowed() -> Ready<Problem> {
    ready(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the resource does not have this method"))
}

/// Answers a path that names nothing.
pub(crate) fn nowhere() -> Ready<Problem> {
    ready(Problem::nowhere())
}

/// Of problems that are nothing but their status.
const BLANK: &str = "about:blank";

/// Of a server that is about to stop: another one, or this one later, may do. It is not full.
const CLOSING: &str = "urn:whitewater:closing";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status() {
        let name: crate::control::StreamName = "a".parse().unwrap();
        let rows = [
            (Refusal::Malformed("x".into()), 400, false),
            (Refusal::Unprocessable("x".into()), 422, false),
            (Refusal::Taken(name.clone()), 409, false),
            (Refusal::Kept { stream: name.clone(), retry_after_s: 7 }, 409, true),
            (Refusal::NotLive(name), 409, true),
            (Refusal::NoSession, 404, false),
            (Refusal::NoEvents, 404, false),
            (Refusal::StaleTag, 412, false),
            (Refusal::TooMany("x".into()), 429, true),
            (Refusal::Full("x".into()), 503, true),
            (Refusal::Closing, 503, true),
        ];
        for (refusal, status, later) in rows {
            let response = Problem::refused(&refusal, 7).into_response();
            assert_eq!(response.status(), status, "{refusal}");
            let retry = response.headers().get(header::RETRY_AFTER);
            assert_eq!(retry.is_some_and(|value| value == "7"), later, "{refusal}");
        }
        let kept = Refusal::Kept { stream: "a".parse().unwrap(), retry_after_s: 4 };
        assert_eq!(Problem::refused(&kept, 7).retry_after_s, Some(4), "its own time");
    }
}
