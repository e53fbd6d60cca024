//! Sender reports to a viewer: where each track stands on the server's clock.
//!
//! Sound and picture go through the same publisher's clock, so their reports agree to the rounding of
//! one tick however wrong that clock is.

use std::time::{Duration, Instant};

use bytes::BytesMut;

use super::egress::{Egress, Outgoing};
use super::stream::Stream;
use crate::hub::Track;
use crate::media::Ntp;
use crate::media::rtcp::{self, SenderReport};

/// The reports that are due as one compound packet; `None` while nothing can be said.
pub(super) fn compound(
    now: Instant,
    wall: Ntp,
    egress: &Egress,
    stream: &Stream,
) -> Option<BytesMut> {
    let mut plain = Vec::new();
    for outgoing in egress.audio.iter().chain(egress.video.iter()) {
        let Some(track) = stream.track(outgoing.section.kind) else { continue };
        let Some(timestamp) = timestamp_now(now, wall, outgoing, track, stream) else { continue };
        rtcp::write_sender_report(
            &mut plain,
            &SenderReport {
                ssrc: outgoing.ssrc,
                ntp: wall,
                rtp_timestamp: timestamp,
                packets: outgoing.packets,
                octets: outgoing.octets,
            },
            &[],
        );
        rtcp::write_cname(&mut plain, outgoing.ssrc, &egress.cname);
    }
    (!plain.is_empty()).then(|| BytesMut::from(&plain[..]))
}

fn timestamp_now(
    now: Instant,
    wall: Ntp,
    outgoing: &Outgoing,
    track: &Track,
    stream: &Stream,
) -> Option<u32> {
    let forwarder = &outgoing.forwarder;
    if forwarder.generation() != Some(track.generation) || outgoing.packets == 0 {
        return None;
    }
    let layer = track.layers.get(usize::from(forwarder.layer()?))?;
    let clock_rate = track.format.clock_rate;
    let source = match (layer.report, stream.clock.to_publisher(wall)) {
        (Some(anchor), Some(theirs)) => anchor.timestamp_at(theirs, clock_rate),
        _ => {
            // A wrong report is worse than none: the publisher's own gets this long to come.
            let waited = now.saturating_duration_since(track.started?);
            let anchor = layer.arrival.filter(|_| waited >= PATIENCE)?;
            anchor.timestamp_at(wall, clock_rate)
        }
    };
    Some(forwarder.munger().map(source) as u32)
}

const PATIENCE: Duration = Duration::from_secs(3);
