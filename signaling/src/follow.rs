//! An endpoint of the API that tells what happens to several streams over one connection.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::response::sse::Event;
use serde::Serialize;

use crate::auth::{self, Seen};
use crate::control::{
    Grant, Happened, Happening, Interest, InvalidName, Noted, StreamName, Topic, TrackInfo,
};
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
    hlsviewercount: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dashviewercount: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracks: Option<&'a [TrackInfo]>,
}

/// Says that a reader was too slow.
#[derive(Serialize)]
struct Missed {
    count: u64,
}

/// What a query asks for.
#[derive(Default)]
struct Wish {
    interest: Interest,
    /// The kinds of events, where the journal is asked for.
    topics: Vec<Topic>,
}

/// What happens to streams, as server-sent events.
///
/// `stream` may be repeated, up to 64 times; `*` is whatever is live. With `type`, which may be repeated
/// too, it tells the events of webhooks, of all streams or of those that are named.
#[utoipa::path(get, path = "/v1/events", tag = "streams",
    params(("stream" = Option<Vec<String>>, Query, description = "a stream's name, or `*`; repeatable"),
        ("type" = Option<Vec<String>>, Query, description = "a kind of event, or `*`; repeatable")),
    responses((status = 200, description = "a stream of events that does not end",
        content_type = "text/event-stream", body = String)))]
pub(crate) async fn open(
    State(shared): State<Shared>,
    seen: Seen,
    query: Result<Query<Vec<(String, String)>>, axum::extract::rejection::QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|_| bad("the query cannot be read"))?;
    let Wish { interest, topics } = wish(query)?;
    let mut granted = Vec::new();
    for name in &interest.names {
        // What ends is left to the sight, which knows when it has ended.
        let endless = |grant: &Grant| grant.expires_in.is_none();
        granted.extend(seen.check(&shared, name).await?.filter(endless).map(|_| name.clone()));
    }
    let sight = seen.sight();
    let sight = move |stream: &StreamName| sight(stream) || granted.contains(stream);
    if !topics.is_empty() {
        let journal = shared.control.journal().await.map_err(|no| shared.refused(&no))?;
        return Ok(sse::tell_journal(journal, move |noted| match noted {
            Noted::Occurred(one) => {
                let stream = &one.facts.stream;
                let named = interest.names.is_empty() || interest.names.contains(stream);
                let wanted = topics.contains(&one.topic) && (named || interest.all_live);
                let event = || Event::default().id(&one.id).event(one.topic.name());
                (wanted && sight(stream)).then(|| event().data(one.to_json()))
            }
            Noted::Missed(count) => Some(sse::event("missed", &Missed { count })),
        }));
    }
    if interest == Interest::default() {
        return Err(bad(
            "the query must name streams, stream=NAME, or events, type=stream.started",
        ));
    }
    let follow = shared.control.follow(interest).await.map_err(|no| shared.refused(&no))?;
    Ok(sse::tell(follow, move |happened| sight(&happened.stream).then(|| event(&happened))))
}

fn wish(query: Vec<(String, String)>) -> Result<Wish, Problem> {
    let mut wish = Wish::default();
    let Wish { interest, topics } = &mut wish;
    for (key, value) in query {
        match (key.as_str(), value.as_str()) {
            (auth::TOKEN, _) => {}
            ("stream", ALL) => interest.all_live = true,
            ("stream", name) => {
                let name: StreamName =
                    name.parse().map_err(|no: InvalidName| Problem::new(BAD, no.to_string()))?;
                if !interest.names.contains(&name) {
                    interest.names.push(name);
                }
                if interest.names.len() > MAX_STREAMS {
                    return Err(bad("the query may name 64 streams"));
                }
            }
            ("type", ALL) => *topics = Topic::ALL.to_vec(),
            ("type", name) => match Topic::of(name) {
                Some(topic) if topics.contains(&topic) => {}
                Some(topic) => topics.push(topic),
                None => {
                    let known = Topic::ALL.map(Topic::name).join(", ");
                    return Err(Problem::new(BAD, format!("type is * or one of {known}")));
                }
            },
            _ => return Err(bad("the query may have stream=NAME and type=EVENT only")),
        }
    }
    Ok(wish)
}

fn event(happened: &Happened) -> Event {
    let stream = &happened.stream;
    let plain = Data {
        stream,
        viewercount: None,
        hlsviewercount: None,
        dashviewercount: None,
        tracks: None,
    };
    match &happened.what {
        Happening::Active => sse::event("active", &plain),
        Happening::Lost => sse::event("lost", &plain),
        Happening::Inactive => sse::event("inactive", &plain),
        Happening::Reconnect => sse::event("reconnect", &plain),
        Happening::Viewers(count) => {
            sse::event("viewercount", &Data { viewercount: Some(*count), ..plain })
        }
        Happening::HlsViewers(count) => {
            sse::event("hlsviewercount", &Data { hlsviewercount: Some(*count), ..plain })
        }
        Happening::DashViewers(count) => {
            sse::event("dashviewercount", &Data { dashviewercount: Some(*count), ..plain })
        }
        Happening::Layers(tracks) => sse::event("layers", &Data { tracks: Some(tracks), ..plain }),
    }
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(BAD, detail)
}

const BAD: StatusCode = StatusCode::BAD_REQUEST;

/// Streams that one connection may follow.
const MAX_STREAMS: usize = 64;

/// No stream and no event has this name.
const ALL: &str = "*";
