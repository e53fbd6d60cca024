//! An endpoint of the API that tells what happens to several streams over one connection.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::Event;
use serde::Serialize;

use crate::auth::{self, Seen};
use crate::control::{Happened, Happening, Interest, StreamName, TrackInfo};
use crate::problem::Problem;
use crate::router::Shared;
use crate::sse;

/// What every event says, and what only some say.
#[derive(Serialize)]
struct Data<'a> {
    stream: &'a StreamName,
    #[serde(skip_serializing_if = "Option::is_none")]
    viewercount: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracks: Option<&'a [TrackInfo]>,
}

/// What happens to streams, as server-sent events.
///
/// `stream` may be repeated, up to 64 times; `*` is whatever is live.
#[utoipa::path(get, path = "/v1/events", tag = "streams",
    params(("stream" = Vec<String>, Query, description = "a stream's name, or `*`; repeatable")),
    responses((status = 200, description = "a stream of events that does not end",
        content_type = "text/event-stream", body = String)))]
pub(crate) async fn open(
    State(shared): State<Shared>,
    seen: Seen,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let bad = |detail: &'static str| Problem::new(StatusCode::BAD_REQUEST, detail);
    let Query(query) = query.map_err(|_| bad("the query cannot be read"))?;
    let mut interest = Interest::default();
    for (key, value) in query {
        if key == auth::TOKEN {
            continue;
        }
        if key != "stream" {
            return Err(bad("the query may name streams only: stream=NAME"));
        }
        if value == ALL_LIVE {
            interest.all_live = true;
            continue;
        }
        let name: StreamName =
            value.parse().map_err(|no: crate::control::InvalidName| bad_name(no.to_string()))?;
        seen.check(&shared, &name)?;
        if !interest.names.contains(&name) {
            interest.names.push(name);
        }
        if interest.names.len() > MAX_STREAMS {
            return Err(bad("the query may name 64 streams"));
        }
    }
    if interest == Interest::default() {
        return Err(bad("the query must name streams: stream=NAME"));
    }
    let follow = shared.control.follow(interest).await.map_err(|no| shared.refused(&no))?;
    let sight = seen.sight();
    Ok(sse::tell(follow, move |happened| sight(&happened.stream).then(|| event(&happened))))
}

fn event(happened: &Happened) -> Event {
    let stream = &happened.stream;
    let plain = Data { stream, viewercount: None, tracks: None };
    match &happened.what {
        Happening::Active => sse::event("active", &plain),
        Happening::Lost => sse::event("lost", &plain),
        Happening::Inactive => sse::event("inactive", &plain),
        Happening::Reconnect => sse::event("reconnect", &plain),
        Happening::Viewers(count) => {
            sse::event("viewercount", &Data { viewercount: Some(*count), ..plain })
        }
        Happening::Layers(tracks) => sse::event("layers", &Data { tracks: Some(tracks), ..plain }),
    }
}

fn bad_name(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// Streams that one connection may follow.
const MAX_STREAMS: usize = 64;

/// No stream has this name.
const ALL_LIVE: &str = "*";
