//! A layer that lets pages of other origins call us (the Fetch standard's CORS protocol).
//!
//! It adds the headers to whatever the handlers answer, errors included. Preflights reach the handlers
//! too, because their answers carry `Accept-Post` and `Accept-Patch`.

use std::sync::PoisonError;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::InvalidConfig;
use crate::router::Shared;

/// Whose pages may call us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origins {
    /// Everybody's.
    Any,
    /// Those of these origins, in lower case.
    Listed(Vec<String>),
}

/// Adds the CORS headers to an answer, and forbids caches to keep it.
pub(crate) async fn share(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = is_preflight(request.method(), request.headers());
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    let origins = shared.origins.read().unwrap_or_else(PoisonError::into_inner);
    match &*origins {
        Origins::Any => {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        Origins::Listed(list) => {
            headers.append(header::VARY, HeaderValue::from_static("Origin"));
            let Some(origin) = origin.filter(|origin| is_listed(list, origin)) else {
                return response;
            };
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }
    if preflight {
        for (name, value) in PREFLIGHT {
            headers.insert(name, HeaderValue::from_static(value));
        }
    } else {
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    }
    response
}

/// Whether a request is the question that a browser asks before the actual request.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS
        && headers.contains_key(header::ORIGIN)
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Answers OPTIONS where there is nothing to tell but what this layer adds.
pub(crate) fn options() -> std::future::Ready<StatusCode> {
    std::future::ready(StatusCode::OK)
}

/// Checks that a text is an origin, or `*`.
pub(crate) fn check_origin(text: &str) -> Result<(), InvalidConfig> {
    let is_origin = text.split_once("://").is_some_and(|(scheme, authority)| {
        let in_scheme = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        let in_authority = |b: u8| b.is_ascii_graphic() && !b"/?#@,\\".contains(&b);
        !scheme.is_empty()
            && scheme.bytes().all(in_scheme)
            && !authority.is_empty()
            && authority.bytes().all(in_authority)
    });
    if text == "*" || is_origin { Ok(()) } else { Err(InvalidConfig::Origin(text.into())) }
}

fn is_listed(list: &[String], origin: &HeaderValue) -> bool {
    origin.to_str().is_ok_and(|origin| list.iter().any(|one| one.eq_ignore_ascii_case(origin)))
}

// === impl Origins ===

impl Origins {
    /// Reads the configured list.
    pub(crate) fn new(list: &[String]) -> Self {
        if list.iter().any(|origin| origin == "*") {
            return Self::Any;
        }
        let mut origins = Vec::new();
        for origin in list {
            match check_origin(origin) {
                Ok(()) => origins.push(origin.to_ascii_lowercase()),
                Err(error) => tracing::warn!(%error, "allowed origin left out"),
            }
        }
        Self::Listed(origins)
    }
}

/// What a page may read of an answer; without it a browser hides even `Location`.
const EXPOSED: &str =
    "Location, Link, ETag, Accept-Patch, Retry-After, WWW-Authenticate, X-Request-Id";

/// What a page may send. The headers are spelled out because `*` never covers `Authorization`.
const PREFLIGHT: [(header::HeaderName, &str); 3] = [
    (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, PUT, PATCH, DELETE, OPTIONS, GET, HEAD"),
    (
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        "Authorization, Content-Type, If-Match, Last-Event-ID, Replaces-Session",
    ),
    (header::ACCESS_CONTROL_MAX_AGE, "7200"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_among_the_origins_means_any() {
        let list = ["https://a.example".to_owned(), "*".to_owned()];
        assert_eq!(Origins::new(&list), Origins::Any);
    }

    #[test]
    fn origins_are_checked() {
        for good in ["*", "https://a.example", "http://localhost:5173", "http://[::1]:80"] {
            assert_eq!(check_origin(good), Ok(()), "{good}");
        }
        for bad in ["", "a.example", "https://", "https://a.example/", "https://a b", "://a"] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
        assert_eq!(Origins::new(&["HTTPS://A.example".into(), "bad".into()]), {
            Origins::Listed(vec!["https://a.example".into()])
        });
    }
}
