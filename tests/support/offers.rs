//! Offers that Chromium 156 made.

/// A publisher's: Opus and three simulcast layers of video.
pub(crate) fn publish_simulcast() -> String {
    with_crlf(include_str!("../fixtures/chromium-156-whip-simulcast-offer.sdp"))
}

/// A viewer's: one audio and one video section.
pub(crate) fn watch() -> String {
    with_crlf(include_str!("../fixtures/chromium-156-whep-offer.sdp"))
}

/// SDP demands it, whatever the checkout made of the file.
fn with_crlf(text: &str) -> String {
    text.lines().map(|line| format!("{line}\r\n")).collect()
}
