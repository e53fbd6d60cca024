//! An address that sends browsers to HTTPS.
//!
//! Only what reads is redirected: whoever posts an offer has sent its token in the clear already, and
//! should learn that it is wrong instead of doing so again.

use std::future::{Ready, ready};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Answers every request with the same on HTTPS, at this port.
pub(super) fn router(https_port: u16) -> Router {
    Router::new().fallback(redirect).with_state(https_port)
}

fn redirect(State(port): State<u16>, request: Request) -> Ready<Response> {
    ready(answer(&request, port))
}

fn answer(request: &Request, port: u16) -> Response {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return problem(StatusCode::FORBIDDEN, "this is served over https only");
    }
    let Some(location) = location(request, port) else {
        return problem(StatusCode::BAD_REQUEST, "the request names no host");
    };
    (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, location)]).into_response()
}

fn location(request: &Request, port: u16) -> Option<HeaderValue> {
    let named = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let authority: Authority = named?.parse().ok()?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let host = authority.host();
    // A user name in front of the host would be no host.
    if host.is_empty() || named?.contains('@') {
        return None;
    }
    let location = match port {
        443 => format!("https://{host}{path}"),
        port => format!("https://{host}:{port}{path}"),
    };
    HeaderValue::try_from(location).ok()
}

fn problem(status: StatusCode, detail: &str) -> Response {
    let title = status.canonical_reason().unwrap_or("Error");
    let body = serde_json::json!({
        "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail,
    });
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, kind, body.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn the_same_is_asked_for_over_https() {
        let rows = [
            (Some("example.org"), "/watch/a?x=1", 443, Some("https://example.org/watch/a?x=1")),
            (Some("example.org:80"), "/", 8443, Some("https://example.org:8443/")),
            (Some("[2001:db8::1]:80"), "/", 443, Some("https://[2001:db8::1]/")),
            (Some("example.org"), "//evil.example", 443, Some("https://example.org//evil.example")),
            (Some("user@example.org"), "/", 443, None),
            (Some("a b"), "/", 443, None),
            (Some(""), "/", 443, None),
            (None, "/", 443, None),
        ];
        for (host, path, port, want) in rows {
            let mut request = Request::builder().uri(path);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let found = location(&request.body(Body::empty()).unwrap(), port);
            let found = found.as_ref().map(|location| location.to_str().unwrap());
            assert_eq!(found, want, "{host:?} {path}");
        }
    }
}
