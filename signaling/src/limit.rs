//! A reader that takes request bodies in, no larger and no slower than allowed.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use crate::config::Config;
use crate::problem::Problem;

/// Reads a body as text: 413 if it is too large, 408 if it is too slow, 400 if it is no text or empty.
pub(crate) async fn text(
    headers: &HeaderMap,
    body: Body,
    config: &Config,
) -> Result<String, Problem> {
    let text = text_or_nothing(headers, body, config).await?;
    if text.is_empty() {
        return Err(Problem::new(StatusCode::BAD_REQUEST, "the body is empty"));
    }
    Ok(text)
}

/// Reads a body as [`text`] does, where it may be empty.
pub(crate) async fn text_or_nothing(
    headers: &HeaderMap,
    body: Body,
    config: &Config,
) -> Result<String, Problem> {
    text_of(headers, body, config.max_body_bytes, config).await
}

/// Reads a body as [`text`] does, where it has to be shorter.
pub(crate) async fn short_text(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    config: &Config,
) -> Result<String, Problem> {
    text_of(headers, body, max.min(config.max_body_bytes), config).await
}

async fn text_of(
    headers: &HeaderMap,
    body: Body,
    max: usize,
    config: &Config,
) -> Result<String, Problem> {
    let Ok(bytes) = timeout(config.body_timeout, read(headers, body, max)).await else {
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time"));
    };
    String::from_utf8(bytes?)
        .map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body is not UTF-8"))
}

/// Reads a JSON object. A list of the members' values in their order, which serde takes too, is none.
pub(crate) fn object<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    let members: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text)?;
    T::deserialize(serde_json::Value::Object(members))
}

/// Whether the body is of this type, whatever the parameters.
pub(crate) fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or(value);
        essence.trim().eq_ignore_ascii_case(wanted)
    })
}

async fn read(headers: &HeaderMap, mut body: Body, max: usize) -> Result<Vec<u8>, Problem> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    let asks_first = headers.contains_key(header::EXPECT);
    if announced > DISCARD_BYTES || (announced > max && asks_first) {
        return Err(too_large(max));
    }
    let mut bytes = Vec::with_capacity(announced.min(max));
    let mut seen = 0_usize;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame =
            frame.map_err(|_| Problem::new(StatusCode::BAD_REQUEST, "the body broke off"))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        seen = seen.saturating_add(data.len());
        if seen <= max {
            bytes.extend_from_slice(&data);
        } else if seen > DISCARD_BYTES {
            break;
        }
    }
    if seen > max { Err(too_large(max)) } else { Ok(bytes) }
}

fn too_large(max: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body may have {max} bytes"))
}

/// How much of a body that is too large is read and thrown away. A client that writes its whole body
/// before it reads gets a reset in place of the answer when the rest stays unread.
const DISCARD_BYTES: usize = 16 * 1024 * 1024;
