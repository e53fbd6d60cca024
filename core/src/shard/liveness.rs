//! A publisher's liveness: when it counts as lost, when it is back, and whether it came back as it was.
//!
//! A publisher is lost when nothing authentic of any kind came from it for [`SILENCE`], or when its
//! session ends. The window of its stream runs from its last packet in either case. A silent one
//! keeps its session, and is back with its next authentic packet.

use std::time::{Duration, Instant};

use super::Shard;
use super::command::{Event, SessionKey, StreamId};
use super::link::{LinkMessage, TrackHead};
use super::stream::Source;
use crate::media::{Codec, Format};

/// A connected publisher from which nothing authentic came for so long is lost.
pub const SILENCE: Duration = Duration::from_secs(3);

impl Shard {
    /// A publisher's media can flow: from now on its silence counts.
    pub(super) fn begin_listening(&mut self, now: Instant, id: StreamId, key: SessionKey) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.source == Source::Publisher(key) && stream.lost_at.is_none() {
            stream.silent_at = Some(now + SILENCE);
            self.rearm_stream(now, id);
        }
    }

    /// Looks whether a stream's publisher has been silent for too long.
    pub(super) fn judge_silence(&mut self, now: Instant, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(due) = stream.silent_at.filter(|due| *due <= now) else { return };
        stream.silent_at = None;
        let Source::Publisher(key) = stream.source else { return };
        let Some(session) = self.sessions.get_mut(key) else { return };
        let heard = session.connection.last_authenticated();
        if now.saturating_duration_since(due) > OVERSLEPT {
            // We were not running: what it sent meanwhile still waits to be read.
            stream.silent_at = Some(now + SILENCE);
        } else if now < heard + SILENCE {
            stream.silent_at = Some(heard + SILENCE);
        } else {
            session.silent_since = Some(heard);
            self.lose_publisher(now, id, heard);
        }
    }

    /// A silent publisher's packet came: its stream goes on.
    pub(super) fn hear_again(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.silent_since = None;
        let id = session.role.stream();
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if stream.source != Source::Publisher(key) {
            return;
        }
        let Some(lost_at) = stream.lost_at.take() else { return };
        stream.silent_at = Some(now + SILENCE);
        // Its encoder may have gone on while nothing arrived: then its viewers lack what the next
        // frames are built on.
        for layer in stream.video.iter_mut().flat_map(|track| &mut track.layers) {
            if layer.last_arrival().is_some_and(|last| last + SILENCE > lost_at) {
                layer.arbiter.want();
            }
        }
        self.events.push_back(Event::PublisherBack { stream: id, changed: false });
        self.rearm_stream(now, id);
    }

    /// A stream's publisher is gone since a moment; its window runs from there.
    pub(super) fn lose_publisher(&mut self, now: Instant, id: StreamId, since: Instant) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        stream.lost_at = Some(since);
        for shard in &stream.mirrors {
            self.links.push_back((*shard, LinkMessage::Gone { stream: id, ended: false }));
        }
        self.events.push_back(Event::PublisherLost { stream: id });
        self.rearm_stream(now, id);
    }
}

/// Whether viewers of the old tracks need another session for the new ones.
///
/// The number of layers is none of their business, nor is how a codec's sound is set up.
pub(super) fn has_changed(old: &[TrackHead], new: &[TrackHead]) -> bool {
    let carries = |tracks: &[TrackHead], wanted: &Format| {
        tracks.iter().any(|track| is_same(&track.format, wanted))
    };
    old.len() != new.len() || !new.iter().all(|track| carries(old, &track.format))
}

/// Whether a decoder that was set up for one format takes the other.
fn is_same(a: &Format, b: &Format) -> bool {
    let value = |format: &Format, name: &str, default: &str, digits: usize| {
        let value = format.parameter(name).unwrap_or(default);
        value.get(..digits).unwrap_or(value).to_ascii_lowercase()
    };
    let agree =
        |name, default, digits| value(a, name, default, digits) == value(b, name, default, digits);
    a.codec == b.codec
        && match a.codec {
            // The last two of the six digits are the level.
            Codec::H264 => {
                agree("packetization-mode", "0", 1) && agree("profile-level-id", "42001f", 4)
            }
            Codec::H265 => agree("profile-id", "1", 2),
            Codec::Vp9 => agree("profile-id", "0", 1),
            Codec::Av1 => agree("profile", "0", 1),
            Codec::Opus | Codec::Vp8 => true,
        }
}

/// A timer that fires later than this tells of our own absence, not of the publisher's.
const OVERSLEPT: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Mid;

    fn head(format: Format) -> TrackHead {
        TrackHead { generation: 1, mid: Mid::new("0"), format, rids: Vec::new() }
    }

    #[test]
    fn only_what_a_viewer_cannot_take_as_it_was_agreed_is_a_change() {
        let h264 = |profile: &str, mode: u8| {
            let fmtp = format!("profile-level-id={profile};packetization-mode={mode}");
            head(Format::video(Codec::H264, fmtp))
        };
        let sound = || head(Format::opus());
        let stereo = || head(Format { fmtp: "stereo=1".into(), ..Format::opus() });
        let vp8 = || head(Format::video(Codec::Vp8, ""));
        let vp9 = |fmtp: &str| head(Format::video(Codec::Vp9, fmtp));
        let rows = [
            (vec![sound(), vp8()], vec![sound(), vp8()], false),
            (vec![sound(), vp8()], vec![vp8(), stereo()], false),
            (vec![sound(), vp8()], vec![vp8()], true),
            (vec![vp8()], vec![sound()], true),
            (vec![vp8()], vec![vp8(), sound()], true),
            (vec![vp8()], vec![vp9("")], true),
            (vec![vp9("")], vec![vp9("profile-id=0")], false),
            (vec![vp9("")], vec![vp9("profile-id=2")], true),
            (vec![h264("42e01f", 1)], vec![h264("42E034", 1)], false),
            (vec![h264("42e01f", 1)], vec![h264("640034", 1)], true),
            (vec![h264("42e01f", 1)], vec![h264("42e01f", 0)], true),
        ];
        for (old, new, changed) in rows {
            assert_eq!(has_changed(&old, &new), changed, "{old:?} to {new:?}");
        }
    }
}
