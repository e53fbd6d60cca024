//! A chooser that picks the pictures to be transcoded: those of the largest layer that comes.

use std::time::{Duration, Instant};

use crate::media::Frame;

/// The pictures that a transcoder is fed with.
#[derive(Clone, Debug)]
pub(super) struct Pictures {
    chosen: u8,
    /// Whether a keyframe of the chosen layer has come.
    begun: bool,
    layers: Vec<Seen>,
    /// Where the last one is, in ticks.
    last: Option<i64>,
    cut: bool,
    asked: Instant,
}

/// What is known of a layer.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    pixels: u32,
    at: Option<Instant>,
}

// === impl Pictures ===

impl Pictures {
    /// A chooser that begins with a layer. Another one is taken if that does not come.
    pub(super) fn new(now: Instant, layer: u8) -> Self {
        let mut new = Self {
            chosen: layer,
            begun: false,
            layers: Vec::new(),
            last: None,
            cut: false,
            asked: now,
        };
        new.seen(layer).at = Some(now);
        new
    }

    /// What follows comes from another publisher.
    pub(super) fn restart(&mut self, now: Instant) {
        (self.begun, self.cut) = (false, true);
        self.layers.clear();
        self.seen(self.chosen).at = Some(now);
    }

    /// Whether a picture is to be transcoded, and if so, whether it is the first of another publisher.
    pub(super) fn take(&mut self, now: Instant, layer: u8, frame: &Frame) -> Option<bool> {
        let (width, height) = frame.setup.size()?;
        let pixels = u32::from(width) * u32::from(height);
        *self.seen(layer) = Seen { pixels, at: Some(now) };
        if self.chosen != layer || !self.begun {
            let chosen = *self.seen(self.chosen);
            let better = match chosen.is_silent(now) {
                // Joint keyframes come one after the other, the smallest first.
                true => self.largest(now) == Some(layer),
                false => self.chosen == layer || (self.begun && pixels > chosen.pixels),
            };
            if !frame.keyframe || !better {
                return None;
            }
            (self.chosen, self.begun) = (layer, true);
        }
        self.last = self.last.max(Some(frame.dts));
        Some(std::mem::take(&mut self.cut))
    }

    /// Up to where no picture is waited for any more, and the last one stands, where `now_ticks` is now.
    pub(super) fn still(&self, now_ticks: i64) -> Option<i64> {
        let (until, last) = (now_ticks - PATIENCE_TICKS, self.last?);
        (until > 0 && until - last < LONGEST_STILL_TICKS).then_some(until)
    }

    /// The layer whose keyframe is needed, since the chosen one no longer comes.
    pub(super) fn wants(&mut self, now: Instant) -> Option<u8> {
        let chosen = *self.seen(self.chosen);
        if !chosen.is_silent(now) || now < self.asked + ASK_INTERVAL {
            return None;
        }
        let best = self.largest(now)?;
        self.asked = now;
        Some(best)
    }

    /// The largest layer that comes.
    fn largest(&self, now: Instant) -> Option<u8> {
        let live = self.layers.iter().zip(0_u8..).filter(|(seen, _)| !seen.is_silent(now));
        live.max_by_key(|(seen, _)| seen.pixels).map(|(_, layer)| layer)
    }

    fn seen(&mut self, layer: u8) -> &mut Seen {
        let index = usize::from(layer);
        if self.layers.len() <= index {
            self.layers.resize_with(index + 1, Seen::default);
        }
        &mut self.layers[index]
    }
}

// === impl Seen ===

impl Seen {
    fn is_silent(&self, now: Instant) -> bool {
        self.at.is_none_or(|at| now >= at + SILENT)
    }
}

/// A layer without pictures for so long is not waited for where another one comes.
const SILENT: Duration = Duration::from_secs(1);
const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// How late a picture may come before the last one is shown again, as for pictures that stay as they are:
/// a lost packet is waited for 300 ms, and ways differ.
const PATIENCE_TICKS: i64 = 90 * 600;

/// What stands still for longer is a gap: a minute.
const LONGEST_STILL_TICKS: i64 = 90_000 * 60;
