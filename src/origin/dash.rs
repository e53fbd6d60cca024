//! A handler of DASH manifests. They name the files that playlists name, by the numbers of their segments.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::HeaderMap;
use axum::response::Response;
use whitewater_core::media::Ntp;
use whitewater_core::playlist::dash::{Life, Presentation, manifest};
use whitewater_signaling::control::StreamName;

use super::answer::{Age, Text};
use super::{Origin, Pass, index};

pub(super) async fn serve(
    origin: &Origin,
    stream: StreamName,
    pass: Option<&Pass>,
    headers: &HeaderMap,
) -> Response {
    let playable = index::playable(origin, stream.clone()).await;
    let under = pass.map(|Pass(pass)| format!("{pass}/")).unwrap_or_default();
    // Who plays what has ended is told its end, and what goes on after it.
    let epochs = origin.store.epochs(&stream);
    let base = |id| format!("../../hls/{stream}/{under}{id}/");
    let told: Vec<_> = epochs.iter().filter_map(|epoch| epoch.timeline(base(&epoch.id))).collect();
    if let (Err(response), true) = (playable, told.is_empty()) {
        return response;
    }
    let first = epochs.last().and_then(|epoch| epoch.renditions().first());
    let window = first.map(|rendition| rendition.config().dvr);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match window.zip(epochs.last()).filter(|_| !told.is_empty()) {
        Some((window, last)) => {
            let told = Presentation {
                published: Ntp::from_unix_micros(now.as_micros() as i64),
                since: last.since,
                window,
                epochs: told,
                clock: CLOCK.into(),
                life: Life::Live,
            };
            Text::manifest(manifest(&told)).answer(headers, Age::MOMENT)
        }
        None => index::not_ready(),
    }
}

/// The server's clock. Players disagree on what a relative address of it is relative to.
const CLOCK: &str = "/time?iso";
