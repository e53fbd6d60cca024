//! The allocation: viewers' feedback in, the most that each one's forwarder may send out.
//!
//! It happens when feedback comes, never on the packet path and on no timer of its own. Streams of a
//! single layer that is not scalable, and viewers who chose a layer take no part.

use std::time::Instant;

use smallvec::SmallVec;

use super::Shard;
use super::command::SessionKey;
use super::egress::Egress;
use super::history::History;
use super::ladder::ladder;
use super::session::Role;
use crate::congestion::{Allocator, Overload, Step};
use crate::forward::Target;
use crate::hub::Track;
use crate::media::Kind;
use crate::media::rtcp::{ReportBlock, TransportWide};

/// What one feedback packet settled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    /// Packets that arrived.
    pub delivered: u64,
    /// Packets that did not.
    pub lost: u64,
}

// === impl Egress ===

impl Egress {
    /// Takes in transport-wide feedback.
    pub(super) fn handle_transport_wide(
        &mut self,
        now: Instant,
        feedback: &TransportWide<'_>,
    ) -> Settled {
        let mut settled = Settled::default();
        let mut path = self.allocator.as_mut().map(|allocator| allocator.path_mut());
        let mut at_us = feedback.reference_time_us;
        let mut newest = None;
        // Feedback may list more packets than are remembered.
        for (seq, arrival) in feedback.arrivals().take(History::CAPACITY) {
            at_us += i64::from(arrival.unwrap_or(0));
            let Some(departed) = self.history.settle(seq, arrival.is_some()) else { continue };
            settled.delivered += u64::from(arrival.is_some() && !departed.was_lost);
            settled.lost += u64::from(arrival.is_none());
            newest = arrival.map(|_| departed.sent).or(newest);
            // Moments become instants only where somebody wants them.
            let Some(path) = &mut path else { continue };
            let Some(sent) = self.history.instant(departed.sent) else { continue };
            match arrival {
                Some(_) => path.acknowledge(now, sent, at_us, departed.bytes, departed.was_lost),
                None => path.lose(now, sent),
            }
        }
        if let Some(sent) = newest.and_then(|sent| self.history.instant(sent)) {
            // The newest packet has waited least at the receiver.
            self.repair.note_round_trip(now.saturating_duration_since(sent));
        }
        settled
    }

    /// Takes in what a receiver report says of the picture.
    pub(super) fn note_picture_report(&mut self, now: Instant, block: &ReportBlock) {
        if self.video.as_ref().is_some_and(|video| video.ssrc == block.ssrc)
            && let Some(allocator) = &mut self.allocator
        {
            allocator.handle_report(now, block.fraction_lost, block.highest_seq);
        }
    }
}

impl Shard {
    /// Gives a viewer an allocator if its stream has layers to choose from.
    pub(super) fn prepare_allocation(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Role::Viewer(egress) = &mut session.role else { return };
        if egress.allocator.is_some() || egress.video.is_none() {
            return;
        }
        let video = self.streams.get(&egress.stream).and_then(|stream| stream.track(Kind::Video));
        let has_choice = |track: &Track| {
            track.layers.len() > 1 || track.layers.iter().any(|layer| layer.parts().len() > 1)
        };
        if video.is_some_and(has_choice) {
            egress.allocator = Some(Box::<Allocator<Target>>::default());
        }
    }

    /// Decides anew what a viewer gets, after it gave feedback.
    pub(super) fn allocate(&mut self, now: Instant, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Role::Viewer(egress) = &mut session.role else { return };
        let Some(video) = &mut egress.video else { return };
        let Some(stream) = self.streams.get(&egress.stream) else { return };
        let Some(track) = stream.track(Kind::Video) else { return };
        let (Some(target), Some(since)) =
            (video.forwarder.forwarded(), video.forwarder.layer_since())
        else {
            return;
        };
        if !video.forwarder.is_automatic() {
            return;
        }
        let Some(allocator) = &mut egress.allocator else { return };
        let takes_parts = video.forwarder.takes_parts();
        let sound_bps = stream
            .track(Kind::Audio)
            .map_or(0, |sound| sound.layers.iter().map(|layer| layer.bitrate_bps()).sum());
        let steps: SmallVec<[Step<Target>; 8]> = ladder(track)
            .iter()
            .filter(|rung| takes_parts || rung.target == Target::whole(rung.target.layer))
            .map(|rung| Step {
                target: rung.target,
                bitrate_bps: rung.bitrate_bps + if rung.bitrate_bps > 0 { sound_bps } else { 0 },
            })
            .collect();
        if steps.len() < 2 {
            return;
        }
        let Some(change) = allocator.decide(now, &steps, (target, since)) else { return };
        match change.at_once {
            Some(Overload { backlog, has_room }) => {
                egress.resend.clear();
                egress.repair.note_overload();
                video.forwarder.limit_at_once(now, change.ceiling, backlog);
                if has_room {
                    video.forwarder.keep_left();
                }
            }
            None => video.forwarder.limit(now, change.ceiling),
        }
        // Planning asks for the keyframe.
        self.fan_out.make_ready(key);
    }
}
