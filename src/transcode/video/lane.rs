//! A lane that feeds one rung's encoder, and keeps what comes while that is made.

use std::collections::VecDeque;

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
    pub(super) fn new(rung: Rung) -> Self {
        Self {
            rung,
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
            Some(source) if source.current_level_buffers() < MAX_QUEUED => self.push(shot),
            None if self.kept.len() < MAX_KEPT => self.kept.push_back(shot.clone()),
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
        for shot in std::mem::take(&mut self.kept) {
            self.keyframe_due |= shot.keyframe;
            self.push(&shot);
        }
    }

    /// Whether more would be left out.
    pub(super) fn is_full(&self) -> bool {
        let queued = self.source.as_ref().map_or(0, AppSrc::current_level_buffers);
        queued + 2 >= MAX_QUEUED || self.kept.len() + 2 >= MAX_KEPT
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
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

/// Pictures that may wait before an encoder.
const MAX_QUEUED: u64 = 12;

/// Pictures that may wait for an encoder.
const MAX_KEPT: usize = 12;
