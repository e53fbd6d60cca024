//! A handler of media: initialization sections, segments, parts, and the part that comes next.

mod open;

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::Semaphore;
use whitewater_core::media::Kind;
use whitewater_core::playlist::{Found, Position};
use whitewater_signaling::control::StreamName;

use super::Origin;
use super::answer::{self, Age, Media};
use super::epoch::Epoch;
use super::hold::{Held, hold};
use super::playlist::{BLOCKING_TARGETS, patience};
use super::rendition::{Rendition, Shown};

pub(super) fn init(rendition: &Rendition, version: u32, headers: &HeaderMap) -> Response {
    match rendition.init(version) {
        Some((bytes, stays)) => media(rendition, bytes, Age::of(stays)).answer(headers),
        None => nowhere(rendition),
    }
}

/// A segment. The one that is open is sent part by part as they come, and the one after it is waited for a
/// little: players of DASH count, and keyframes may be late.
pub(super) async fn segment(
    origin: &Origin,
    (stream, epoch): (&StreamName, &Arc<Epoch>),
    rendition: &Rendition,
    msn: u64,
    headers: &HeaderMap,
) -> Response {
    let held = origin.store.held();
    if rendition.is_elsewhere(msn) {
        let Some(keeper) = origin.store.keeper() else { return nowhere(rendition) };
        let kept = keeper.fetch(stream, rendition.config().epoch, rendition.name(), msn).await;
        let Some(bytes) = kept else { return nowhere(rendition) };
        return media(rendition, bytes, Age::of(rendition.config().dvr)).answer(headers);
    }
    if let Some((bytes, stays)) = rendition.segment(msn) {
        return media(rendition, bytes, Age::of(stays)).answer(headers);
    }
    let first = Position { msn, part: 0 };
    let begins = |shown: Shown| match rendition.part(first) {
        (Found::Part(_), _) => Some(true),
        (Found::Hinted | Found::Missing, _) if is_next(&shown, msn) => None,
        (Found::Hinted | Found::Missing, _) => Some(false),
    };
    match hold(rendition.changes(), held, KEYFRAMES_ARE_LATE, begins).await {
        Held::Ready(true) => open::stream(Arc::clone(epoch), rendition, msn),
        Held::Ready(false) | Held::Late => nowhere(rendition),
        Held::TooMany => answer::too_many(),
    }
}

/// A part, or the next one when it is there: all of it at once (section 6.2.6).
pub(super) async fn part(
    rendition: &Rendition,
    held: &Semaphore,
    at: Position,
    headers: &HeaderMap,
) -> Response {
    let target = rendition.config().target_duration();
    let mut waited = false;
    let check = |shown: Shown| match rendition.part(at) {
        (Found::Part(bytes), stays) => Some(Some((bytes, stays))),
        (Found::Hinted, _) if !shown.gone => {
            waited = true;
            None
        }
        (Found::Hinted | Found::Missing, _) => Some(None),
    };
    match hold(rendition.changes(), held, patience(target), check).await {
        Held::Ready(Some((bytes, stays))) => {
            let age = if waited { target * BLOCKING_TARGETS } else { stays };
            media(rendition, bytes, Age::of(age)).answer(headers)
        }
        Held::Ready(None) => nowhere(rendition),
        Held::Late => answer::late(),
        Held::TooMany => answer::too_many(),
    }
}

/// Whether a segment is the one after the last that has a part.
fn is_next(shown: &Shown, msn: u64) -> bool {
    let last = shown.state.last.filter(|_| !shown.gone && !shown.state.ended);
    last.is_some_and(|last| last.msn.checked_add(1) == Some(msn))
}

fn media(rendition: &Rendition, bytes: Bytes, age: Age) -> Media {
    let kind = kind_of(rendition);
    Media { bytes, kind, urgency: rendition.urgency(), age }
}

fn kind_of(rendition: &Rendition) -> &'static str {
    match rendition.kind() {
        Kind::Audio => "audio/mp4",
        Kind::Video => "video/mp4",
    }
}

fn nowhere(rendition: &Rendition) -> Response {
    answer::nowhere(Age::of(rendition.config().target_duration()))
}

/// A keyframe that a segment begins with may come so much later than its tick.
const KEYFRAMES_ARE_LATE: Duration = Duration::from_secs(1);
