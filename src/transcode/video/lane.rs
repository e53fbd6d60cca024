//! A lane that feeds one rung's encoder, and keeps what comes while that is made.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;
use whitewater_core::bridge::Rung;

use super::super::clock::Shot;
use super::stamps;

/// A decoded picture.
#[derive(Clone, Debug)]
pub(super) struct Picture {
    pub(super) buffer: gst::Buffer,
    pub(super) caps: gst::Caps,
    pub(super) size: (u16, u16),
}

/// The way to one rung's encoder.
#[derive(Debug)]
pub(super) struct Lane {
    rung: Rung,
    /// When the last pictures were fed.
    fed: VecDeque<Instant>,
    /// Pictures that may wait before its encoder, and for it: 0.8 s. What stands still comes in bursts,
    /// as long as a late picture was waited for, and is one picture in memory.
    most: u64,
    /// What its encoder makes, or is about to; `None` where the source is too small for it.
    size: Option<(u16, u16)>,
    source: Option<AppSrc>,
    caps: Option<gst::Caps>,
    /// Pictures that wait for an encoder.
    kept: VecDeque<Shot<Picture>>,
    keyframe_due: bool,
    /// Whether its encoder was fed nothing yet.
    fresh: bool,
    /// Whether its encoder is not the one that it should have.
    stale: bool,
    /// Pictures left out because the encoder does not keep up.
    dropped: u64,
}

// === impl Lane ===

impl Lane {
    /// The lane of a rung of so many pictures a second.
    pub(super) fn new(rung: Rung, rate: u32) -> Self {
        Self {
            rung,
            fed: VecDeque::new(),
            most: u64::from(rate) * 4 / 5,
            size: None,
            source: None,
            caps: None,
            kept: VecDeque::new(),
            keyframe_due: false,
            fresh: true,
            stale: false,
            dropped: 0,
        }
    }

    /// Feeds a picture, or leaves it out. A source of another size makes another size where a segment
    /// begins; until then its pictures are scaled to what there is.
    pub(super) fn feed(&mut self, shot: &Shot<Picture>) {
        if shot.keyframe {
            self.keyframe_due = true;
            let wanted = self.rung.size(shot.picture.size);
            if wanted != self.size {
                (self.size, self.source, self.stale) = (wanted, None, true);
                self.kept.clear();
            }
        }
        match &self.source {
            _ if self.size.is_none() => {}
            Some(source) if self.has_room(source.current_level_buffers()) => self.push(shot),
            None if (self.kept.len() as u64) < self.most => self.kept.push_back(shot.clone()),
            _ => self.dropped += 1,
        }
    }

    /// What an encoder has to make that is to be put in place of the present one.
    pub(super) fn wants(&self) -> Option<Option<(u16, u16)>> {
        self.stale.then_some(self.size)
    }

    /// Its encoder is no more.
    pub(super) fn lose(&mut self) {
        (self.source, self.stale) = (None, true);
    }

    /// Goes on with an encoder of this size, or with none.
    pub(super) fn install(&mut self, size: Option<(u16, u16)>, source: Option<AppSrc>) {
        if size != self.size {
            // It has become another one meanwhile.
            return;
        }
        (self.source, self.stale, self.caps, self.fresh) = (source, false, None, true);
        self.fed.clear();
        for shot in std::mem::take(&mut self.kept) {
            self.keyframe_due |= shot.keyframe;
            self.push(&shot);
        }
    }

    /// Whether a burst would be left out in part.
    pub(super) fn is_full(&self) -> bool {
        let queued = self.source.as_ref().map_or(0, AppSrc::current_level_buffers);
        queued.max(self.kept.len() as u64) * 3 > self.most
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether another picture may wait behind so many.
    fn has_room(&self, queued: u64) -> bool {
        let first = self.fed.len().saturating_sub(usize::try_from(queued).unwrap_or(usize::MAX));
        let waits = self.fed.get(first).map_or(Duration::ZERO, Instant::elapsed);
        queued < self.most && (queued == 0 || waits < MAX_WAIT)
    }

    fn push(&mut self, shot: &Shot<Picture>) {
        let (Some(source), Some(stamp)) = (&self.source, stamps::stamp(shot.dts)) else { return };
        if self.caps.as_ref() != Some(&shot.picture.caps) {
            source.set_caps(Some(&shot.picture.caps));
            self.caps = Some(shot.picture.caps.clone());
        }
        let keyframe = std::mem::take(&mut self.keyframe_due);
        let fresh = std::mem::take(&mut self.fresh);
        // An encoder begins with a keyframe by itself. One that is asked for then would be its last:
        // x264enc moves its time by a thousand hours behind the first (GStreamer 1.22).
        if keyframe && !fresh {
            let structure = gst::Structure::builder("GstForceKeyUnit")
                .field("running-time", stamp)
                .field("all-headers", false)
                .field("count", 0_u32)
                .build();
            source.send_event(gst::event::CustomDownstream::new(structure));
        }
        if self.fed.len() as u64 >= self.most {
            self.fed.pop_front();
        }
        self.fed.push_back(Instant::now());
        // Shares the pixels; the times are its own.
        let mut buffer = shot.picture.buffer.copy();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(stamp);
            buffer.set_dts(None);
            buffer.set_duration(None);
        }
        // A pipeline that takes nothing says on its bus why.
        let _ = source.push_buffer(buffer);
    }
}

/// Where the next picture has waited for its encoder so long, no more are put behind it: late pictures are
/// of no use to anybody.
const MAX_WAIT: Duration = Duration::from_millis(350);
