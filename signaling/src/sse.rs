//! An answer that stays open and tells events as they happen (server-sent events of the HTML standard).
//!
//! Nothing is queued for a slow reader: its follower is asked only when there is room in the
//! connection, and then tells what holds by then.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::future::ready;
use futures_util::stream::{self, Stream, StreamExt};
use serde::Serialize;

use crate::control::{Follow, Happened, Journal, Noted};

/// Tells what a follower is told, in the shape that `shape` gives it; `None` leaves it out.
pub(crate) fn tell<S>(follow: Box<dyn Follow>, shape: S) -> Response
where
    S: FnMut(Happened) -> Option<Event> + Send + 'static,
{
    answer(stream::unfold((follow, shape), |(mut follow, mut shape)| async move {
        loop {
            let happened = follow.next().await?;
            if let Some(event) = shape(happened) {
                return Some((event, (follow, shape)));
            }
        }
    }))
}

/// Tells what the journal notes, as [`tell`] does.
pub(crate) fn tell_journal<S>(journal: Box<dyn Journal>, shape: S) -> Response
where
    S: FnMut(Noted) -> Option<Event> + Send + 'static,
{
    answer(stream::unfold((journal, shape), |(mut journal, mut shape)| async move {
        loop {
            let noted = journal.next().await?;
            if let Some(event) = shape(noted) {
                return Some((event, (journal, shape)));
            }
        }
    }))
}

fn answer(events: impl Stream<Item = Event> + Send + 'static) -> Response {
    let hello = stream::once(ready(Event::default().retry(RETRY)));
    let events = hello.chain(events).map(Ok::<_, Infallible>);
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    let mut response = Sse::new(events).keep_alive(keep_alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// An event with one line of JSON.
pub(crate) fn event(name: &'static str, data: &impl Serialize) -> Event {
    // The writer makes one line, because it escapes line breaks in strings.
    let data = serde_json::to_string(data).expect("maps with text keys serialise");
    Event::default().event(name).data(data)
}

/// Keeps proxies from collecting events before they pass them on.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A silent connection is written to this often, so that nobody on the way takes it for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// When a client that lost the connection comes again.
const RETRY: Duration = Duration::from_secs(2);
