//! A track that holds the layers of one source and knows how their clocks stand to each other.

use std::time::{Duration, Instant};

use super::layer::Layer;
use super::timeline::Anchor;
use crate::media::time::micros_to_ticks;
use crate::media::{Format, Kind, Mid, Rid};

/// A layer's place in its track.
pub type LayerIx = u8;

/// One media source of a stream.
#[derive(Debug)]
pub struct Track {
    /// Counts the publishers of this track's stream.
    pub generation: u32,
    /// The publisher's media section.
    pub mid: Mid,
    /// Codec and parameters.
    pub format: Format,
    /// Its layers, in the publisher's order.
    pub layers: Vec<Layer>,
    /// When the first packet came.
    pub started: Option<Instant>,
    best: Option<LayerIx>,
}

// === impl Track ===

impl Track {
    /// A track with one layer per rid, or a single one without rids.
    pub fn new(generation: u32, mid: Mid, format: Format, rids: &[Rid]) -> Self {
        let layers = if rids.is_empty() {
            vec![Layer::new(None)]
        } else {
            rids.iter().map(|rid| Layer::new(Some(rid.clone()))).collect()
        };
        Self { generation, mid, format, layers, started: None, best: None }
    }

    /// Sound or picture.
    pub fn kind(&self) -> Kind {
        self.format.codec.kind()
    }

    /// The layer of a rid.
    pub fn find(&self, rid: &Rid) -> Option<LayerIx> {
        let index = self.layers.iter().position(|layer| layer.rid.as_ref() == Some(rid))?;
        LayerIx::try_from(index).ok()
    }

    /// The highest layer that arrives.
    pub fn best(&self) -> Option<LayerIx> {
        self.best
    }

    /// Takes notice of a packet just stored in a layer: where clocks meet, and which layer is best.
    pub fn note_packet(&mut self, now: Instant, layer: LayerIx) {
        self.started.get_or_insert(now);
        let index = usize::from(layer);
        let is_new = self.layers[index].totals().packets == 1;
        let is_keyframe = self.kind() == Kind::Video
            && self.layers[index].ring.last().is_some_and(|packet| packet.info.keyframe);
        if is_keyframe || (is_new && self.kind() == Kind::Audio) {
            self.learn_shift(index);
        }
        if is_new || is_keyframe {
            self.choose_best();
        }
    }

    /// Takes notice of a packet that another shard accepted; clocks come separately.
    pub fn note_mirrored(&mut self, now: Instant, layer: LayerIx) {
        self.started.get_or_insert(now);
        let this = &self.layers[usize::from(layer)];
        if this.totals().packets == 1 || this.ring.last().is_some_and(|last| last.info.keyframe) {
            self.choose_best();
        }
    }

    /// Takes in a layer's sender report, in the publisher's clock, and checks what was learned.
    pub fn note_report(&mut self, layer: LayerIx, anchor: Anchor) {
        let index = usize::from(layer);
        self.layers[index].report = Some(anchor);
        let Some(estimate) = self.shift_by_reports(index) else { return };
        let correction = self.half_frame()..self.most_wrong();
        let layer = &mut self.layers[index];
        let believed = layer.shift.filter(|_| !layer.shift_guessed);
        if believed.is_none_or(|shift| correction.contains(&(shift - estimate).abs())) {
            (layer.shift, layer.shift_guessed) = (Some(estimate), false);
        }
    }

    /// Looks which layers still arrive; returns whether the best one changed.
    pub fn refresh(&mut self, now: Instant) -> bool {
        let newest = self.layers.iter().filter_map(Layer::last_arrival).max();
        for layer in &mut self.layers {
            let Some(last) = layer.last_arrival() else { continue };
            let silent = now.saturating_duration_since(last);
            // A slow picture is not a stopped one: it has stopped when its siblings go on without it.
            let left_behind = newest.is_some_and(|newest| newest > last + SILENT_AMONG_OTHERS);
            layer.active = silent < SILENT_ALONE && !(left_behind && silent > SILENT_AMONG_OTHERS);
        }
        let before = self.best;
        self.choose_best();
        self.best != before
    }

    /// Ticks from a layer's clock to the track's timeline; guessed from arrivals where unknown.
    pub fn shift(&self, layer: LayerIx, now: Instant) -> i64 {
        let index = usize::from(layer);
        let Some(this) = self.layers.get(index) else { return 0 };
        this.shift.unwrap_or_else(|| self.shift_by_arrivals(index, now))
    }

    fn choose_best(&mut self) {
        let pixels = |layer: &Layer| layer.size().map_or(0, |(w, h)| u32::from(w) * u32::from(h));
        let best =
            (0..self.layers.len()).filter(|index| self.layers[*index].active).max_by_key(|index| {
                let layer = &self.layers[*index];
                let present = self.best.is_some_and(|best| usize::from(best) == *index);
                (pixels(layer), present, layer.bitrate_bps())
            });
        self.best = best.and_then(|index| LayerIx::try_from(index).ok());
    }

    /// Layers start keyframes from the same captured frame: its timestamps tell the shift exactly.
    fn learn_shift(&mut self, index: usize) {
        if self.layers.iter().all(|layer| layer.shift.is_none()) {
            self.layers[index].shift = Some(0);
            return;
        }
        let Some(key) = newest_keyframe(&self.layers[index]) else { return };
        let joint = self.layers.iter().enumerate().filter_map(|(other, layer)| {
            let (timestamp, at) = newest_keyframe(layer).filter(|_| other != index)?;
            let apart = key.1.saturating_duration_since(at);
            let shift = timestamp + layer.shift? - key.0;
            (apart < JOINT).then_some((layer.shift_guessed, shift))
        });
        let joint = joint.min_by_key(|(guessed, _)| *guessed).map(|(_, shift)| shift);
        let estimate = self.shift_by_reports(index);
        let tolerance = self.half_frame();
        let agreed = match (joint, estimate) {
            (Some(joint), Some(estimate))
                if (tolerance..self.most_wrong()).contains(&(joint - estimate).abs()) =>
            {
                Some(estimate)
            }
            (joint, estimate) => joint.or(estimate),
        };
        let layer = &mut self.layers[index];
        if let Some(shift) = agreed
            && (layer.shift_guessed
                || layer.shift != Some(0)
                    && layer.shift.is_none_or(|known| (known - shift).abs() <= tolerance))
        {
            (layer.shift, layer.shift_guessed) = (Some(shift), false);
        }
    }

    fn shift_by_reports(&self, index: usize) -> Option<i64> {
        let own = self.layers[index].report?;
        self.layers.iter().enumerate().filter(|(other, _)| *other != index).find_map(
            |(_, layer)| {
                let there = layer.report?.timestamp_at(own.ntp, self.format.clock_rate);
                Some(there + layer.shift? - own.timestamp)
            },
        )
    }

    fn shift_by_arrivals(&self, index: usize, now: Instant) -> i64 {
        let rate = self.format.clock_rate;
        let at_now = |layer: &Layer| {
            let last = layer.ring.last()?;
            let us = now.saturating_duration_since(last.at).as_micros() as i64;
            Some(last.timestamp + micros_to_ticks(us, rate))
        };
        let Some(own) = at_now(&self.layers[index]) else { return 0 };
        self.layers
            .iter()
            .find_map(|layer| Some(at_now(layer)? + layer.shift?))
            .map_or(0, |track| track - own)
    }

    /// Keyframes that came together cannot be further apart: the reports are wrong.
    fn most_wrong(&self) -> i64 {
        i64::from(self.format.clock_rate) / 4
    }

    fn half_frame(&self) -> i64 {
        i64::from(self.format.clock_rate) / 60
    }
}

fn newest_keyframe(layer: &Layer) -> Option<(i64, Instant)> {
    let first = layer.ring.get(layer.ring.keyframe()?)?;
    Some((first.timestamp, first.at))
}

/// Keyframes of one captured frame arrive within this time of each other.
const JOINT: Duration = Duration::from_millis(100);

/// A layer this long behind its siblings has stopped.
const SILENT_AMONG_OTHERS: Duration = Duration::from_millis(600);

/// A track's only layer is given up after this silence.
const SILENT_ALONE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests;
