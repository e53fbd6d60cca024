//! A handler of multivariant playlists, which calls whoever packages where there is none.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tokio::time::{Instant, timeout_at};
use whitewater_signaling::control::StreamName;

use super::answer::{self, Age};
use super::epoch::Epoch;
use super::hold::{Held, hold};
use super::{Origin, Pass, Wanted};

pub(super) async fn serve(
    origin: &Origin,
    stream: StreamName,
    pass: Option<&Pass>,
    headers: &HeaderMap,
) -> Response {
    match playable(origin, stream).await {
        Ok(epoch) => answer(&epoch, pass, headers),
        Err(response) => response,
    }
}

/// The epoch of a stream, once there is something to play.
pub(super) async fn playable(origin: &Origin, stream: StreamName) -> Result<Arc<Epoch>, Response> {
    let deadline = Instant::now() + origin.store.limits().max_wait;
    let epoch = match origin.store.current(&stream) {
        Some(epoch) => epoch,
        None => wait_for_epoch(origin, stream, deadline).await?,
    };
    epoch.touch();
    // What is only recorded has nothing but what is recorded yet.
    let awake = |awake: bool| awake.then_some(());
    let left = deadline.saturating_duration_since(Instant::now());
    match hold(epoch.awake(), origin.store.held(), left, awake).await {
        Held::Ready(()) => {}
        Held::Late => return Err(not_ready()),
        Held::TooMany => return Err(answer::too_many()),
    }
    wait_for_parts(origin, &epoch, deadline).await?;
    Ok(epoch)
}

fn answer(epoch: &Epoch, pass: Option<&Pass>, headers: &HeaderMap) -> Response {
    match epoch.index(pass) {
        // It changes rarely, but where it does, players should see it soon.
        Some(text) => text.answer(headers, Age::of(half_target(epoch))),
        None => not_ready(),
    }
}

async fn wait_for_epoch(
    origin: &Origin,
    stream: StreamName,
    deadline: Instant,
) -> Result<Arc<Epoch>, Response> {
    let held = origin.store.held();
    let Ok(_permit) = held.try_acquire() else { return Err(answer::too_many()) };
    let wish = origin.hooks.want(stream.clone());
    match timeout_at(deadline, wish).await {
        Ok(Wanted::Ready) => origin.store.current(&stream).ok_or_else(not_ready),
        // Not 503: players give up on a stream after a few of these, and a stream that is not live
        // is nothing that a server would be late with. 404 they ask again, and so do people.
        Ok(Wanted::NotLive) => Err(answer::problem_later(
            StatusCode::NOT_FOUND,
            "nobody publishes this stream at the moment",
            Age::MOMENT,
        )),
        Ok(Wanted::NotReady) | Err(_) => Err(not_ready()),
        Ok(Wanted::Off) => {
            let detail = "HLS is off for this stream";
            Err(answer::problem(StatusCode::NOT_FOUND, detail, Age::SHORT))
        }
    }
}

/// Waits until every rendition has a whole segment: a player that finds one without gives up, even where
/// there are parts.
async fn wait_for_parts(origin: &Origin, epoch: &Epoch, deadline: Instant) -> Result<(), Response> {
    for rendition in epoch.renditions() {
        let left = deadline.saturating_duration_since(Instant::now());
        let is_there = |shown: super::rendition::Shown| {
            (shown.gone || shown.hidden || shown.state.ended || shown.state.whole).then_some(())
        };
        match hold(rendition.changes(), origin.store.held(), left, is_there).await {
            Held::Ready(()) => {}
            Held::Late => return Err(not_ready()),
            Held::TooMany => return Err(answer::too_many()),
        }
    }
    Ok(())
}

fn half_target(epoch: &Epoch) -> std::time::Duration {
    let target = epoch.renditions().first().map(|first| first.config().target_duration());
    target.unwrap_or_default() / 2
}

pub(super) fn not_ready() -> Response {
    let detail = "the stream has only begun, and there is nothing to play yet";
    answer::problem_later(StatusCode::SERVICE_UNAVAILABLE, detail, Age::MOMENT)
}
