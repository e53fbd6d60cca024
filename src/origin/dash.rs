//! A handler of DASH manifests. They name the files that playlists name, by the numbers of their segments.

use std::sync::Arc;

use axum::http::HeaderMap;
use axum::response::Response;
use whitewater_core::playlist::dash::manifest;
use whitewater_signaling::control::StreamName;

use super::answer::{Age, Text};
use super::epoch::Epoch;
use super::{Origin, Pass, index};

pub(super) async fn serve(
    origin: &Origin,
    stream: StreamName,
    pass: Option<&Pass>,
    headers: &HeaderMap,
) -> Response {
    // Who plays an epoch that has ended is told its end, unless another one goes on.
    let latest = origin.store.latest(&stream).filter(|epoch| epoch.has_ended());
    match index::playable(origin, stream.clone()).await {
        Ok(epoch) => answer(&epoch, &stream, pass, headers),
        Err(response) => match latest {
            Some(epoch) => answer(&epoch, &stream, pass, headers),
            None => response,
        },
    }
}

fn answer(
    epoch: &Arc<Epoch>,
    stream: &StreamName,
    pass: Option<&Pass>,
    headers: &HeaderMap,
) -> Response {
    let under = pass.map(|Pass(pass)| format!("{pass}/")).unwrap_or_default();
    let base = format!("../../hls/{stream}/{under}{}/", epoch.id);
    match epoch.presentation(base, CLOCK.into()) {
        Some(presentation) => Text::manifest(manifest(&presentation)).answer(headers, Age::MOMENT),
        None => index::not_ready(),
    }
}

/// The server's clock, as the manifest's address sees it.
const CLOCK: &str = "../../time?iso";
