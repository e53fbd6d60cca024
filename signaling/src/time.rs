//! A clock that pages and players set theirs by, to tell how late a picture is.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::RawQuery;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// The server's idea of the time.
#[derive(Serialize)]
pub(crate) struct Now {
    /// Milliseconds since 1970 in UTC, with a fraction.
    unix_ms: f64,
}

/// Answers with the present time: as JSON, or as the text of ISO 8601 to `?iso`, as players of DASH want it
/// (`urn:mpeg:dash:utc:http-iso:2014`).
#[allow(clippy::unused_async, reason = "axum takes only async handlers")]
pub(crate) async fn now(RawQuery(query): RawQuery) -> Response {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let kept_by_nobody = [(header::CACHE_CONTROL, "no-store")];
    match query.as_deref() {
        Some("iso") => (kept_by_nobody, iso(since)).into_response(),
        Some(_) | None => {
            (kept_by_nobody, Json(Now { unix_ms: since.as_secs_f64() * 1_000.0 })).into_response()
        }
    }
}

fn iso(since: Duration) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + since).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_with_milliseconds() {
        let since = Duration::from_millis(1_795_886_249_040);
        assert_eq!(iso(since), "2026-11-28T17:17:29.040Z");
    }
}
