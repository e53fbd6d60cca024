//! A report that says how sessions fare: their path, codecs, bit rates, loss and chosen layer.

use std::time::{Duration, Instant};

use super::Shard;
use super::command::{Reply, SessionKey};
use super::egress::{Egress, Outgoing};
use super::ingress::Ingress;
use super::session::{Role, Session};
use super::stream::{Source, Stream};
use crate::media::{Codec, Kind, Rid};
use crate::rtc::transport::Transport;

/// A session at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionReport {
    /// Whether its media can flow.
    pub connected: bool,
    /// Its way, once there is one.
    pub path: Option<Transport>,
    /// How long it has been since anything authentic came.
    pub heard: Duration,
    /// From a packet of ours to the viewer and back, as its reports tell; of a publisher unknown.
    pub round_trip: Option<Duration>,
    /// Its tracks: what a publisher sends, or a viewer is sent.
    pub tracks: Vec<SessionTrack>,
}

/// A track of a session at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionTrack {
    /// Sound or picture.
    pub kind: Kind,
    /// Its codec; of a viewer once the stream's is known.
    pub codec: Option<Codec>,
    /// Bits of payload per second over about the last second.
    pub bitrate_bps: u64,
    /// The share of packets that was lost, from 0 to 1, once a report has told.
    pub loss: Option<f32>,
    /// Rids of a publisher.
    pub rids: Vec<Rid>,
    /// What a viewer of a picture gets.
    pub layer: Option<Chosen>,
}

/// The layer that a viewer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its rid, where it has one.
    pub rid: Option<Rid>,
    /// The highest spatial layer that is sent; `None` is all of them.
    pub spatial: Option<u8>,
    /// The highest temporal layer that is sent; `None` is all of them.
    pub temporal: Option<u8>,
    /// Whether the viewer's network decides.
    pub automatic: bool,
}

/// A meter that turns a count of bytes into a rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Meter {
    since: Option<Instant>,
    octets: u32,
    bps: u64,
}

/// Sessions that one command describes. A thousand take 16 commands, between which packets go on.
pub const MAX_DESCRIBED: usize = 64;

// === impl Meter ===

impl Meter {
    /// Takes a reading of a count that may have wrapped.
    pub(super) fn read(&mut self, now: Instant, octets: u32) {
        let bits = u64::from(octets.wrapping_sub(self.octets)) * 8;
        let elapsed = self.since.map(|since| now.saturating_duration_since(since));
        if let Some(elapsed) = elapsed.filter(|elapsed| !elapsed.is_zero()) {
            self.bps = (bits as f64 / elapsed.as_secs_f64()) as u64;
        }
        (self.since, self.octets) = (Some(now), octets);
    }

    /// The rate between the latest two readings; 0 where the last is long ago.
    pub(super) fn bps(&self, now: Instant) -> u64 {
        let age = self.since.map(|since| now.saturating_duration_since(since));
        if age.is_some_and(|age| age < STALE) { self.bps } else { 0 }
    }
}

impl Shard {
    /// Says how sessions fare, of more than [`MAX_DESCRIBED`] the first.
    pub(super) fn describe(&self, now: Instant, keys: &[SessionKey]) -> Reply {
        let keys = keys.iter().take(MAX_DESCRIBED);
        Reply::Sessions(keys.map(|key| self.session_report(now, *key)).collect())
    }

    fn session_report(&self, now: Instant, key: SessionKey) -> Option<SessionReport> {
        let session = self.sessions.get(key)?;
        let stream = self.streams.get(&session.role.stream());
        let (round_trip, tracks) = match &session.role {
            Role::Publisher(ingress) => {
                let feeds = stream.filter(|stream| stream.source == Source::Publisher(key));
                (None, published(ingress, feeds))
            }
            Role::Viewer(egress) => (egress.round_trip, watched(now, egress, stream)),
        };
        let Session { connection, .. } = session;
        Some(SessionReport {
            connected: connection.is_connected(),
            path: connection.path(),
            heard: now.saturating_duration_since(connection.last_authenticated()),
            round_trip,
            tracks,
        })
    }
}

fn published(ingress: &Ingress, stream: Option<&Stream>) -> Vec<SessionTrack> {
    let tracks = ingress.sections().iter().map(|section| {
        let track = stream.and_then(|stream| stream.track(section.kind));
        let layers = track.iter().flat_map(|track| track.layers.iter());
        SessionTrack {
            kind: section.kind,
            codec: Some(section.formats[0].format.codec),
            bitrate_bps: layers.map(|layer| layer.bitrate_bps()).sum(),
            loss: ingress.loss(section.kind),
            rids: section.rids.clone(),
            layer: None,
        }
    });
    tracks.collect()
}

fn watched(now: Instant, egress: &Egress, stream: Option<&Stream>) -> Vec<SessionTrack> {
    let tracks = egress.audio.iter().chain(&egress.video).map(|outgoing| SessionTrack {
        kind: outgoing.section.kind,
        codec: outgoing.codec,
        bitrate_bps: outgoing.meter.bps(now),
        loss: outgoing.loss,
        rids: Vec::new(),
        layer: chosen(outgoing, stream),
    });
    tracks.collect()
}

fn chosen(outgoing: &Outgoing, stream: Option<&Stream>) -> Option<Chosen> {
    if outgoing.section.kind != Kind::Video {
        return None;
    }
    let target = outgoing.forwarder.forwarded()?;
    let layers = stream?.track(Kind::Video).map(|track| &track.layers)?;
    let part = |number: u8| (number != crate::forward::Target::ALL).then_some(number);
    Some(Chosen {
        rid: layers.get(usize::from(target.layer))?.rid.clone(),
        spatial: part(target.spatial),
        temporal: part(target.temporal),
        automatic: outgoing.forwarder.is_automatic(),
    })
}

/// Reports are due each second while anything is sent.
const STALE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_tells_the_rate_between_two_readings() {
        let start = Instant::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        let mut meter = Meter::default();
        assert_eq!(meter.bps(start), 0);
        meter.read(start, u32::MAX - 499);
        assert_eq!(meter.bps(start), 0, "one reading is no rate");
        meter.read(after(1000), 500);
        assert_eq!(meter.bps(after(1000)), 8000, "the count has wrapped");
        meter.read(after(1000), 500);
        assert_eq!(meter.bps(after(1500)), 8000, "no time has gone by");
        meter.read(after(2000), 500);
        assert_eq!(meter.bps(after(2000)), 0);
        meter.read(after(3000), 1500);
        assert_eq!(meter.bps(after(6500)), 0, "that was long ago");
    }
}
