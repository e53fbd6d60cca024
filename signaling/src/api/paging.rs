//! A page of a list: how long it may be, and the `Link` header that leads to the next one.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::problem::Problem;

/// Checks how many items are asked for.
pub(super) fn limit(limit: usize) -> Result<usize, Problem> {
    if (1..=MAX_LIMIT).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::new(StatusCode::BAD_REQUEST, format!("limit must be from 1 to {MAX_LIMIT}")))
}

/// Answers with a page. `next` is the path and query of the next, where there is one.
pub(super) fn page<T: Serialize>(items: Vec<T>, next: Option<String>) -> Result<Response, Problem> {
    let mut response = Json(items).into_response();
    if let Some(next) = next {
        let link = HeaderValue::try_from(format!("<{next}>; rel=\"next\""));
        response.headers_mut().insert(header::LINK, link.map_err(|_| Problem::fault())?);
    }
    Ok(response)
}

/// Items of the longest page. The document says it too.
const MAX_LIMIT: usize = 1000;
