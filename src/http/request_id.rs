//! A layer that gives every request a name: log lines have it, and the answer tells it.
//!
//! A client or a proxy may bring one in `X-Request-Id`; one that could spoil a log line is replaced.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;

/// Names a request.
pub(super) async fn name(request: Request, next: Next) -> Response {
    let brought = request.headers().get(&HEADER).and_then(accepted);
    let id = brought.unwrap_or_else(made);
    // The span is there whatever the level of what happens in it.
    let span = tracing::error_span!("request", id);
    let mut response = next.run(request).instrument(span).await;
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HEADER, id);
    }
    response
}

fn accepted(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let fits = (1..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(is_plain);
    fits.then(|| text.to_owned())
}

/// 95 bits, to tell requests apart; nobody needs to be unable to guess it.
fn made() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(16).collect()
}

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const MAX_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_brought_must_be_plain() {
        let long = "a".repeat(65);
        let rows = [
            ("b2c1-4.x_Y", true),
            ("", false),
            ("a b", false),
            ("a\tb", false),
            ("\u{1b}[31m", false),
            (long.as_str(), false),
            (&long[1..], true),
        ];
        for (text, fits) in rows {
            let value = HeaderValue::from_bytes(text.as_bytes());
            assert_eq!(value.ok().as_ref().and_then(accepted).is_some(), fits, "{text:?}");
        }
    }
}
