//! A record of what administrators change: one log line each, under the target `audit`.
//!
//! It is made where administrators are let in, so that nothing they can change is without it.

use std::net::IpAddr;

use axum::extract::{MatchedPath, OriginalUri, Request};
use axum::http::StatusCode;

/// What is about to be done, and by whom.
pub(crate) struct Deed {
    action: String,
    path: String,
    address: Option<IpAddr>,
}

// === impl Deed ===

impl Deed {
    /// What a request asks for.
    pub(crate) fn of(request: &Request, address: Option<IpAddr>) -> Self {
        let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
        let whole = request.extensions().get::<OriginalUri>().map(|OriginalUri(uri)| uri);
        // A query may hold a token.
        let path = whole.unwrap_or(request.uri()).path();
        let action = format!("{} {}", request.method(), route.unwrap_or(path));
        Self { action, path: path.to_owned(), address }
    }

    /// Writes it down with what became of it. `who` is what the token says of its holder.
    pub(crate) fn record(&self, who: Option<&str>, status: StatusCode) {
        let outcome = match status {
            status if status.is_success() => "done",
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "denied",
            status if status.is_client_error() => "refused",
            _ => "failed",
        };
        tracing::info!(
            target: "audit",
            action = self.action,
            path = self.path,
            who = who.unwrap_or("unnamed"),
            address = self.address.map(tracing::field::display),
            status = status.as_u16(),
            outcome,
            "an administrator's request"
        );
    }
}
