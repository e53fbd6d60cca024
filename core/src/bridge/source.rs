//! The sources of a stream: its tracks' layers, whose packets become frames.

use std::time::{Duration, Instant};

use crate::assemble::{Assembled, Assembler};
use crate::media::{Arrived, Codec, Format, Frame, Kind};
use crate::shard::link::TrackHead;

/// The tracks of the present publisher.
#[derive(Debug, Default)]
pub(super) struct Sources {
    audio: Option<Track>,
    video: Option<Track>,
    /// Since when the first publisher is listened to.
    since: Option<Instant>,
}

/// What came out of a layer.
#[derive(Debug)]
pub(super) enum Found {
    /// A frame on its track's timeline, and whether it came before anybody listened.
    Frame(Frame, bool),
    /// It needs a keyframe to go on.
    WantKeyframe,
}

#[derive(Debug)]
struct Track {
    format: Format,
    layers: Vec<Layer>,
}

#[derive(Debug)]
struct Layer {
    assembler: Assembler,
    /// Ticks to the track's timeline, as they were when it began.
    shift: Option<i64>,
    /// The last timestamp of what came before anybody listened.
    before: Option<i64>,
}

// === impl Sources ===

impl Sources {
    /// Replaces the tracks. Says whether what renditions there are has changed, where there were tracks.
    pub(super) fn set_tracks(&mut self, now: Instant, heads: &[TrackHead]) -> bool {
        self.since.get_or_insert(now);
        let before = self.shape();
        let track = |kind: Kind| {
            let head = heads.iter().find(|head| head.format.codec.kind() == kind)?;
            let assembler = || Assembler::new(&head.format);
            let layer = |_| Layer { assembler: assembler(), shift: None, before: None };
            let layers = (0..head.rids.len().max(1)).map(layer).collect();
            Some(Track { format: head.format.clone(), layers })
        };
        (self.audio, self.video) = (track(Kind::Audio), track(Kind::Video));
        !before.is_empty() && before != self.shape()
    }

    pub(super) fn has_video(&self) -> bool {
        self.video.is_some()
    }

    pub(super) fn has_audio(&self) -> bool {
        self.audio.is_some()
    }

    /// How many layers the picture has been announced with, if MP4 players take its codec.
    pub(super) fn layers(&self) -> u8 {
        let track = self.video.as_ref().filter(|track| track.format.codec != Codec::Vp8);
        track.map_or(0, |track| track.layers.len().min(MAX_LAYERS) as u8)
    }

    pub(super) fn audio_rate(&self) -> u32 {
        self.audio.as_ref().map_or(48_000, |track| track.format.clock_rate)
    }

    /// A layer's place on the timeline of its track. What is measured better later does not move it;
    /// another encoder does.
    pub(super) fn set_shift(&mut self, layer: u8, shift: Option<i64>) {
        let Some(track) = &mut self.video else { return };
        let moved = i64::from(track.format.clock_rate) / 10;
        let Some(layer) = track.layers.get_mut(usize::from(layer)) else { return };
        if let Some(shift) = shift
            && layer.shift.is_none_or(|known| (known - shift).abs() > moved)
        {
            layer.shift = Some(shift);
        }
    }

    pub(super) fn handle_packet(&mut self, now: Instant, kind: Kind, layer: u8, arrived: &Arrived) {
        let track = match kind {
            Kind::Audio => &mut self.audio,
            Kind::Video => &mut self.video,
        };
        let layer = track.as_mut().and_then(|track| track.layers.get_mut(usize::from(layer)));
        if let Some(layer) = layer {
            if self.since.is_some_and(|since| arrived.at + UNDER_WAY < since) {
                layer.before = layer.before.max(Some(arrived.timestamp));
            }
            layer.assembler.handle_packet(now, arrived);
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.layers_mut().for_each(|(_, _, layer)| layer.assembler.handle_timeout(now));
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let tracks = self.audio.iter().chain(&self.video);
        tracks.flat_map(|track| &track.layers).filter_map(|l| l.assembler.poll_timeout()).min()
    }

    pub(super) fn poll(&mut self) -> Option<(Kind, u8, Found)> {
        self.layers_mut().find_map(|(kind, index, layer)| Some((kind, index, layer.poll(kind)?)))
    }

    fn layers_mut(&mut self) -> impl Iterator<Item = (Kind, u8, &mut Layer)> {
        let tracks = self.video.iter_mut().chain(&mut self.audio);
        tracks.flat_map(|track| {
            let kind = track.format.codec.kind();
            track.layers.iter_mut().zip(0_u8..).map(move |(layer, index)| (kind, index, layer))
        })
    }

    fn shape(&self) -> Vec<Codec> {
        self.audio.iter().chain(&self.video).map(|track| track.format.codec).collect()
    }
}

/// Publishers announce four at most.
const MAX_LAYERS: usize = 16;

/// The first packets may overtake the word that they come.
const UNDER_WAY: Duration = Duration::from_millis(250);

// === impl Layer ===

impl Layer {
    fn poll(&mut self, kind: Kind) -> Option<Found> {
        loop {
            match self.assembler.poll()? {
                Assembled::Frame(mut frame) => {
                    let shift = match kind {
                        Kind::Audio => 0,
                        Kind::Video => match self.shift {
                            Some(shift) => shift,
                            // Its clock is learned with its first keyframe that another layer has too.
                            None => continue,
                        },
                    };
                    let before = self.before.is_some_and(|last| frame.pts <= last);
                    frame.dts += shift;
                    frame.pts += shift;
                    return Some(Found::Frame(frame, before));
                }
                // The packager sees by the times what is missing.
                Assembled::Gap(_) => {}
                Assembled::WantKeyframe => return Some(Found::WantKeyframe),
            }
        }
    }
}
