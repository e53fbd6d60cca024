//! An epoch: the renditions of one timeline, and what they are told together.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::pictures::Pictures;
use super::rendition::{Rendition, RenditionId};
use super::schedule::Schedule;
use super::skew::Skew;
use super::timeline::Timeline;
use super::{AUDIO_RATE, Output, VIDEO_RATE};
use crate::media::time::micros_to_ticks;
use crate::media::{Frame, Kind, Packaged};
use crate::package;

/// What is open between one beginning and the next.
#[derive(Debug)]
pub(super) struct Epoch {
    pub(super) timeline: Timeline,
    /// When a frame of the epoch's zero would have come, as fast as the fastest.
    pub(super) begun: Instant,
    pub(super) part_target: Duration,
    pub(super) schedule: Schedule,
    pub(super) skew: Skew,
    pub(super) renditions: Vec<Rendition>,
    pub(super) offered: Vec<(RenditionId, bool)>,
    pub(super) filled: Instant,
    /// A publisher is back, and nothing of it has come yet.
    pub(super) returns: bool,
    /// What is transcoded, where something is.
    pub(super) pictures: Option<Pictures>,
}

// === impl Epoch ===

impl Epoch {
    pub(super) fn begin(
        &mut self,
        ids: &[RenditionId],
        segment: Duration,
        gop: Option<Duration>,
        opens: Duration,
    ) {
        for id in ids {
            let kind = id.kind();
            let clock_rate = if kind == Kind::Video { VIDEO_RATE } else { AUDIO_RATE };
            let mut config = package::Config::new(kind, clock_rate, self.part_target);
            // Rungs have keyframes of their own.
            let is_rung = matches!(id, RenditionId::Rung(_));
            (config.segment_target, config.gop) = (segment, gop.filter(|_| !is_rung));
            self.renditions.push(Rendition::new(*id, config, opens));
            self.offered.push((*id, false));
        }
    }

    /// Whether pictures of the publisher are packaged as they come.
    pub(super) fn has_layers(&self) -> bool {
        self.renditions.iter().any(|r| matches!(r.id, RenditionId::Layer(_)))
    }

    /// Puts a frame onto the epoch's timeline, if its place is known.
    pub(super) fn place(&mut self, kind: Kind, mut frame: Frame) -> Option<Frame> {
        let dts = match kind {
            Kind::Video => self.timeline.video(frame.dts, frame.capture)?,
            Kind::Audio => self.timeline.audio(frame.dts, frame.capture)?,
        };
        frame.pts += dts - frame.dts;
        frame.dts = dts;
        Some(frame)
    }

    /// Says where the last picture is to be shown again, and asks for another layer's where it is gone.
    pub(super) fn hold_picture(
        &mut self,
        now: Instant,
        since: Duration,
        outputs: &mut VecDeque<Output>,
    ) {
        let Some(pictures) = &mut self.pictures else { return };
        let us = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
        let now_ticks = micros_to_ticks(us, VIDEO_RATE);
        outputs.extend(pictures.still(now_ticks).map(Output::Still));
        outputs.extend(pictures.wants(now).map(Output::Want));
    }

    /// Tells all renditions of a drift that holds from the same time on, before one of them gets there.
    pub(super) fn tell_wall(&mut self, since: Duration, outputs: &mut VecDeque<Output>) {
        let Some(zero) = self.timeline.moved_zero(since) else { return };
        for rendition in &self.renditions {
            let from = rendition.ticks(since + TOLD_AHEAD);
            outputs.push_back(Output::Packaged(rendition.id, Packaged::Wall { from, zero }));
        }
    }

    pub(super) fn drain(&mut self, outputs: &mut VecDeque<Output>) {
        for rendition in &mut self.renditions {
            while let Some(packaged) = rendition.poll() {
                outputs.push_back(Output::Packaged(rendition.id, packaged));
            }
        }
    }

    pub(super) fn tell_offers(&mut self, outputs: &mut VecDeque<Output>) {
        for (id, offered) in &mut self.offered {
            let live = self.renditions.iter().any(|r| r.id == *id && r.is_live());
            if live != *offered {
                *offered = live;
                outputs.push_back(Output::Offered(*id, live));
            }
        }
    }

    pub(super) fn finish(&mut self, exceeded: Option<RenditionId>, outputs: &mut VecDeque<Output>) {
        self.renditions.iter_mut().for_each(Rendition::finish);
        self.drain(outputs);
        outputs.push_back(Output::Ended(exceeded));
    }
}

/// A drift of the publisher's clock is told of so long before it holds.
const TOLD_AHEAD: Duration = Duration::from_secs(2);
