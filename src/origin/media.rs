//! A handler of media: initialization sections, segments, parts, and the part that comes next.

use axum::http::HeaderMap;
use axum::response::Response;
use bytes::Bytes;
use tokio::sync::Semaphore;
use whitewater_core::media::Kind;
use whitewater_core::playlist::{Found, Position};

use super::answer::{self, Age, Media};
use super::hold::{Held, hold};
use super::playlist::{BLOCKING_TARGETS, PATIENCE_TARGETS};
use super::rendition::{Rendition, Shown};

pub(super) fn init(rendition: &Rendition, version: u32, headers: &HeaderMap) -> Response {
    match rendition.init(version) {
        Some((bytes, stays)) => media(rendition, bytes, Age::of(stays)).answer(headers),
        None => nowhere(rendition),
    }
}

pub(super) fn segment(rendition: &Rendition, msn: u64, headers: &HeaderMap) -> Response {
    match rendition.segment(msn) {
        Some((bytes, stays)) => media(rendition, bytes, Age::of(stays)).answer(headers),
        None => nowhere(rendition),
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
    match hold(rendition.changes(), held, target * PATIENCE_TARGETS, check).await {
        Held::Ready(Some((bytes, stays))) => {
            let age = if waited { target * BLOCKING_TARGETS } else { stays };
            media(rendition, bytes, Age::of(age)).answer(headers)
        }
        Held::Ready(None) => nowhere(rendition),
        Held::Late => answer::late(Age::of(target)),
        Held::TooMany => answer::too_many(),
    }
}

fn media(rendition: &Rendition, bytes: Bytes, age: Age) -> Media {
    let kind = match rendition.kind() {
        Kind::Audio => "audio/mp4",
        Kind::Video => "video/mp4",
    };
    Media { bytes, kind, urgency: rendition.urgency(), age }
}

fn nowhere(rendition: &Rendition) -> Response {
    answer::nowhere(Age::of(rendition.config().target_duration()))
}
