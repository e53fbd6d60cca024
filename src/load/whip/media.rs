//! What a publisher plays: layers of pictures in the rhythm of a trace, and a tone.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use whitewater_core::media::Kind;
use whitewater_core::rtc::Section;

use super::outgoing::{Identifiers, Outgoing};
use crate::load::clip::{Clip, clips, tone};
use crate::load::options::Like;
use crate::load::packetize::{Payload, fitted, plain, sets_apart};
use crate::load::trace::Trace;

/// The player. Times count from its start.
pub(super) struct Media {
    trace: Trace,
    frames: Vec<Range<usize>>,
    clips: Vec<Clip>,
    tone: Vec<&'static [u8]>,
    /// The layers, smallest first.
    pub(super) layers: Vec<Outgoing>,
    /// The sound.
    pub(super) audio: Option<Outgoing>,
    // The picture that comes next, the same in all layers.
    picture: usize,
    frame: usize,
    repetitions: u32,
    sounds: u32,
    planned: VecDeque<Planned>,
    /// Pictures between the keyframes of a publisher that keeps to its own.
    gop: Option<usize>,
}

/// A packet that waits for its time.
pub(super) struct Planned {
    pub(super) at: Duration,
    /// Of the layers; the sound otherwise.
    pub(super) layer: Option<usize>,
    pub(super) payload: Payload,
    pub(super) timestamp: u32,
    pub(super) marker: bool,
}

/// How a frame came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Its packets have the sizes of the trace.
    Fits,
    /// It is longer than the trace's.
    Longer,
}

// === impl Media ===

impl Media {
    /// A player of a trace; `gop` is the time between keyframes in the manner of OBS.
    pub(super) fn new(trace: Trace, like: Like, gop: Duration) -> Self {
        let mut start = 0;
        let frames = trace.frames().map(|packets| {
            let range = start..start + packets.len();
            start = range.end;
            range
        });
        let frames: Vec<Range<usize>> = frames.collect();
        let clips = clips();
        let pictures = frames.len() as f64 * gop.as_secs_f64() / trace.length.as_secs_f64();
        let gop = (pictures.round() as usize).clamp(1, clips[0].pictures.len());
        Self {
            frames,
            trace,
            clips: clips.into(),
            tone: tone(),
            layers: Vec::new(),
            audio: None,
            picture: 0,
            frame: 0,
            repetitions: 0,
            sounds: 0,
            planned: VecDeque::new(),
            gop: (like == Like::Obs).then_some(gop),
        }
    }

    /// Gives an agreed section its sources.
    pub(super) fn add(&mut self, section: &Section, sources: Vec<Identifiers>) {
        // With simulcast, the answer's list says which layers may be sent.
        let wanted = |it: &Identifiers| {
            let rid = it.rid.as_ref();
            rid.is_none_or(|rid| section.rids.is_empty() || section.rids.contains(rid))
        };
        let sources = sources.into_iter().filter(wanted);
        let outgoing = sources.filter_map(|it| Outgoing::new(section, it));
        match section.kind {
            Kind::Audio => self.audio = outgoing.last(),
            Kind::Video => self.layers = outgoing.collect(),
        }
    }

    /// When something is due next.
    pub(super) fn due_at(&self) -> Duration {
        let planned = self.planned.front().map(|packet| packet.at);
        let sound = self.audio.as_ref().map(|_| self.sound_at());
        [planned, sound, Some(self.frame_at())].into_iter().flatten().min().unwrap_or_default()
    }

    /// When the next frame begins.
    pub(super) fn frame_at(&self) -> Duration {
        let start = self.frames[self.frame].start;
        self.trace.packets[start].at + self.trace.length * self.repetitions
    }

    /// The next packet whose time has come.
    pub(super) fn next(&mut self, after: Duration) -> Option<Planned> {
        if self.sound_at() <= after
            && let Some(audio) = &self.audio
        {
            let packet = self.tone[self.sounds as usize % self.tone.len()];
            let at = self.sound_at();
            let timestamp = audio.timestamp_at(at);
            let marker = self.sounds == 0;
            self.sounds += 1;
            let payload = Payload { bytes: packet.to_vec(), padding: 0 };
            return Some(Planned { at, layer: None, payload, timestamp, marker });
        }
        self.planned.pop_front_if(|packet| packet.at <= after)
    }

    /// Plans the packets of the next frame in all layers, each with a keyframe if one is wanted.
    pub(super) fn plan(&mut self, keyframe: bool) -> Outcome {
        if keyframe {
            self.picture = 0;
        }
        let entries = &self.trace.packets[self.frames[self.frame].clone()];
        let offset = self.trace.length * self.repetitions;
        let ticks = entries[0].ticks + self.trace.length_ticks * u64::from(self.repetitions);
        let sizes: Vec<usize> = entries.iter().map(|entry| entry.payload_len).collect();
        let mut outcome = Outcome::Fits;
        let mut planned = Vec::new();
        let smaller_clips = self.clips.len() - self.layers.len();
        for (index, layer) in self.layers.iter().enumerate() {
            let picture = self.gop.map_or(self.picture, |gop| self.own_picture(index, gop));
            let nals = &self.clips[smaller_clips + index].pictures[picture];
            let is_largest = index + 1 == self.layers.len();
            let paced = (is_largest && self.gop.is_none())
                .then(|| fitted(nals, &sizes, MAX_PAYLOAD))
                .flatten();
            if is_largest
                && self.gop.is_none()
                && paced.as_ref().is_none_or(|it| it.len() > sizes.len())
            {
                outcome = Outcome::Longer;
            }
            let pack = if self.gop.is_some() { sets_apart } else { plain };
            let payloads = paced.unwrap_or_else(|| pack(nals, MAX_PAYLOAD));
            let last = payloads.len() - 1;
            let timestamp = layer.timestamp(ticks);
            planned.extend(payloads.into_iter().enumerate().map(|(at, payload)| {
                // The smaller layers go first, at once, as a browser sends them.
                let entry = if is_largest { at.min(entries.len() - 1) } else { 0 };
                let (layer, marker) = (Some(index), at == last);
                Planned { at: entries[entry].at + offset, layer, payload, timestamp, marker }
            }));
        }
        planned.sort_by_key(|packet| packet.at);
        self.planned.extend(planned);
        self.picture = (self.picture + 1) % self.clips[0].pictures.len();
        self.frame += 1;
        if self.frame == self.frames.len() {
            self.frame = 0;
            self.repetitions += 1;
        }
        outcome
    }

    /// Whether the next picture is a keyframe anyway.
    pub(super) fn begins_anew(&self) -> bool {
        match self.gop {
            Some(gop) => (0..self.layers.len()).any(|layer| self.own_picture(layer, gop) == 0),
            None => self.picture == 0,
        }
    }

    /// The picture of a layer whose GOPs are its own: all begin together, but the second one begins in
    /// each layer a third of a GOP after the smaller layer's.
    fn own_picture(&self, layer: usize, gop: usize) -> usize {
        let frame = self.frame + self.frames.len() * self.repetitions as usize;
        let phase = gop * layer / 3;
        frame.checked_sub(phase).map_or(frame, |frame| frame % gop)
    }

    fn sound_at(&self) -> Duration {
        SOUND * self.sounds
    }
}

const SOUND: Duration = Duration::from_millis(20);
// What libwebrtc leaves of 1,200 bytes after headers and tag.
const MAX_PAYLOAD: usize = 1150;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn obs_begins_the_gops_of_its_layers_at_different_times() {
        let trace = Trace::load("browser-2500k-30fps").unwrap();
        let mut media = Media::new(trace, Like::Obs, Duration::from_secs(4));
        let gop = media.gop.unwrap();
        assert!((110..130).contains(&gop), "{gop}");
        let begins = (0..300).map(|frame| {
            media.frame = frame;
            [0, 1, 2].map(|layer| media.own_picture(layer, gop) == 0)
        });
        let begins: Vec<_> = begins.collect();
        assert_eq!(begins[0], [true; 3]);
        for (layer, phase) in [gop, gop / 3, gop * 2 / 3].into_iter().enumerate() {
            let second = (1..300).find(|frame| begins[*frame][layer]);
            let third = (phase + 1..300).find(|frame| begins[*frame][layer]);
            assert_eq!((second, third), (Some(phase), Some(phase + gop)), "{layer}");
        }
    }

    #[test]
    fn most_frames_have_exactly_the_packets_of_the_trace() {
        for name in ["browser-2500k-30fps", "browser-1100k-4ppf"] {
            let trace = Trace::load(name).unwrap();
            let clip = &clips()[2];
            let fits =
                trace.frames().zip(clip.pictures.iter().cycle()).filter(|(entries, nals)| {
                    let sizes: Vec<usize> = entries.iter().map(|entry| entry.payload_len).collect();
                    fitted(nals, &sizes, MAX_PAYLOAD).is_some_and(|it| it.len() == sizes.len())
                });
            let (fits, all) = (fits.count(), trace.frames().count());
            assert!(fits * 10 > all * 9, "{name}: {fits} of {all}");
        }
    }
}
