//! A clock that pages set theirs by, to tell how late a picture is.

use std::future::{Ready, ready};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use serde::Serialize;

/// The server's idea of the time.
#[derive(Serialize)]
pub(crate) struct Now {
    /// Milliseconds since 1970 in UTC, with a fraction.
    unix_ms: f64,
}

/// Answers with the present time.
pub(crate) fn now() -> Ready<Json<Now>> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    ready(Json(Now { unix_ms: since.as_secs_f64() * 1_000.0 }))
}
