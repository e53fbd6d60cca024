//! A check of a rendition from frames to playlists: whatever comes, what players are told parses and
//! never goes back, and what they load continues.
//!
//! The first byte chooses sound or picture, the part target, the length of the playlist, and whether
//! frames mostly come as they should. Then come steps, each one byte for its kind and what it reads.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use m3u8_rs::MediaPlaylist;
use mp4_atom::{Atom, Decode, FourCC, Header, Moof};
use whitewater_core::media::{Frame, Kind, Ntp, Packaged, Part, Setup};
use whitewater_core::package::{self, Exceeded, Segmenter};
use whitewater_core::playlist::{self, Form, Found, Position, Window, render};

#[path = "input.rs"]
mod input;

use input::Input;

/// Runs one plan.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let mut rendition = Rendition::new(input.byte());
    for step in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        if rendition.step(&mut input).is_err() {
            // A segment became too long: what there was ends, and another epoch begins.
            rendition.end();
            rendition = Rendition::new(input.byte());
            continue;
        }
        rendition.drain();
        if step % READ_EVERY == 0 {
            rendition.check();
        }
    }
    rendition.end();
}

/// One rendition of one epoch, and what was seen of it.
struct Rendition {
    sound: bool,
    rate: i64,
    target: i64,
    segmenter: Segmenter,
    window: Window,
    setup: Arc<Setup>,
    /// When the latest frame was decoded.
    now: i64,
    /// Where the next part has to begin; anywhere after a discontinuity.
    end: Option<i64>,
    sequence: u32,
    before: Option<(MediaPlaylist, Option<Position>)>,
    /// The name and length of each segment that was told of.
    told: BTreeMap<u64, (String, f32)>,
}

impl Rendition {
    fn new(shape: u8) -> Self {
        let sound = shape & 1 == 1;
        let (kind, rate) = if sound { (Kind::Audio, 48_000) } else { (Kind::Video, 90_000) };
        let target_ms = [334, 200, 500, 1_000][usize::from(shape >> 1 & 3)];
        let part_target = Duration::from_millis(target_ms);
        let config = package::Config::new(kind, rate, part_target);
        let name = "v".parse().expect("it is a name");
        let window = playlist::Config {
            part_target,
            dvr: Duration::from_secs([5, 20, 60, 120][usize::from(shape >> 3 & 3)]),
            ..playlist::Config::new(name, rate, Ntp::from_unix_seconds(1_700_000_000.0))
        };
        Self {
            sound,
            rate: rate.into(),
            target: i64::from(rate) * target_ms as i64 / 1_000,
            segmenter: Segmenter::new(config),
            window: Window::new(window),
            setup: setup(sound, 0),
            now: 0,
            end: None,
            sequence: 0,
            before: None,
            told: BTreeMap::new(),
        }
    }

    fn step(&mut self, input: &mut Input<'_>) -> Result<(), Exceeded> {
        let (kind, how) = (input.byte(), input.byte());
        let usual = self.rate / [30, 25, 50, 15][usize::from(how & 3)];
        match kind % 16 {
            // Frames as they should come, a keyframe first.
            0..=7 => {
                for index in 0..=how >> 2 {
                    self.now += usual;
                    self.frame(kind & 8 == 0 && index == 0, 0)?;
                }
            }
            // A frame at any time.
            8..=10 => {
                let (after, pts) = (input.short(), input.byte());
                self.now += i64::from(after as i16) << (how >> 6);
                self.now = self.now.max(-self.rate);
                self.frame(how & 0x20 != 0, i64::from(pts as i8) * 900)?;
            }
            11 => self.segmenter.close_due(self.now + i64::from(input.short()) * 4)?,
            12 => self.gap(self.now + i64::from(input.short() as i16) * 16)?,
            // Nothing for a while, and gaps as they are due.
            13 => {
                for _ in 0..=how >> 4 {
                    self.now += self.target;
                    self.gap(self.now - self.target)?;
                }
            }
            14 => self.setup = setup(self.sound, how),
            _ => {
                self.segmenter.discontinuity();
                self.now = (self.now + i64::from(input.short() as i16) * 64).max(0);
            }
        }
        Ok(())
    }

    fn frame(&mut self, keyframe: bool, later: i64) -> Result<(), Exceeded> {
        let frame = Frame {
            dts: self.now,
            pts: self.now + if self.sound { 0 } else { later },
            keyframe: keyframe || self.sound,
            data: Bytes::from_static(b"frame"),
            setup: Arc::clone(&self.setup),
            capture: None,
        };
        self.segmenter.handle_frame(&frame)
    }

    fn gap(&mut self, until: i64) -> Result<(), Exceeded> {
        self.segmenter.gap(until)
    }

    fn end(&mut self) {
        self.segmenter.end();
        self.drain();
        self.window.end();
        self.check();
    }

    /// Takes what is packaged to the playlist.
    fn drain(&mut self) {
        while let Some(item) = self.segmenter.poll() {
            match &item {
                Packaged::Part(part) => self.check_part(part),
                Packaged::Discontinuity => self.end = None,
                Packaged::Init(_) | Packaged::SegmentEnd { .. } | Packaged::Wall { .. } => {}
            }
            self.window.handle(item).expect("a playlist takes what a packager puts out");
        }
    }

    /// A part begins where the one before it ended, and its boxes say the same.
    fn check_part(&mut self, part: &Part) {
        let duration = i64::try_from(part.duration).expect("a part is short");
        assert!((1..=self.target).contains(&duration), "{part:?}");
        assert!(self.end.is_none_or(|end| end == part.start), "{:?}, then {part:?}", self.end);
        self.end = Some(part.start + duration);
        let Some(bytes) = &part.bytes else { return };
        let moof = moof(bytes);
        let sequence = moof.mfhd.sequence_number;
        assert!(sequence > self.sequence, "C6: {sequence} after {}", self.sequence);
        self.sequence = sequence;
        let [traf] = &moof.traf[..] else { panic!("one track: {moof:?}") };
        let tfdt = traf.tfdt.as_ref().map(|tfdt| tfdt.base_media_decode_time);
        assert_eq!(tfdt, u64::try_from(part.start).ok(), "tfdt is continuous");
        let lasts = |default: Option<u32>| {
            let entries = traf.trun.iter().flat_map(|trun| trun.samples.iter());
            entries.map(|entry| u64::from(entry.duration.or(default).unwrap_or(0))).sum::<u64>()
        };
        assert_eq!(lasts(traf.tfhd.default_sample_duration), part.duration, "{moof:?}");
    }

    /// The playlist parses, and goes on from the one before it.
    fn check(&mut self) {
        let text = render(&self.window, Form::Full, &[]);
        let playlist = m3u8_rs::parse_media_playlist_res(text.as_bytes()).expect("it parses");
        let delta = render(&self.window, Form::Delta, &[]);
        m3u8_rs::parse_media_playlist_res(delta.as_bytes()).expect("a delta parses");
        let last = self.window.state().last;
        if let Some(last) = last {
            let is_there = matches!(self.window.part(last), Found::Part(_));
            let uri = format!("URI=\"v/{}.{}.m4s\"", last.msn, last.part);
            let line = text.lines().rfind(|line| line.starts_with("#EXT-X-PART:"));
            let named = line.is_some_and(|line| line.contains(&uri));
            assert!(named || !is_there, "{uri} is told of: {text}");
        }
        for (segment, msn) in playlist.segments.iter().zip(playlist.media_sequence..) {
            assert!(segment.duration.round() <= 3.0, "H4: {text}");
            let known = (segment.uri.clone(), segment.duration);
            let first = self.told.entry(msn).or_insert_with(|| known.clone());
            assert_eq!(*first, known, "segment {msn} is what it was");
        }
        if let Some((before, before_last)) = &self.before {
            let of =
                |it: &MediaPlaylist| (it.media_sequence, it.discontinuity_sequence, it.end_list);
            let (now, then) = (of(&playlist), of(before));
            assert!(now.0 >= then.0 && now.1 >= then.1 && now.2 >= then.2, "{then:?}, {now:?}");
            assert!(last >= *before_last, "{before_last:?}, then {last:?}");
            let ends = |it: &MediaPlaylist| it.media_sequence + it.segments.len() as u64;
            assert!(ends(&playlist) >= ends(before), "segments are taken back: {text}");
        }
        self.before = Some((playlist, last));
    }
}

fn setup(sound: bool, how: u8) -> Arc<Setup> {
    Arc::new(match sound {
        true => Setup::Opus { channels: 1 + how % 2 },
        false => Setup::Vp9 {
            size: (320 + 16 * u16::from(how % 4), 180),
            profile: 0,
            bit_depth: 8,
            chroma: 1,
            full_range: false,
        },
    })
}

/// The `moof` of a part, which is followed by its `mdat` and nothing else.
fn moof(bytes: &Bytes) -> Moof {
    let mut rest = &bytes[..];
    let mut found = None;
    let mut media = 0;
    while !rest.is_empty() {
        let header = Header::decode(&mut rest).expect("a box");
        let (mut body, after) = rest.split_at(header.size.unwrap_or(rest.len()));
        rest = after;
        if header.kind == Moof::KIND {
            assert!(found.is_none() && media == 0, "one moof, and first");
            found = Some(Moof::decode_body(&mut body).expect("a moof"));
        }
        media += usize::from(header.kind == FourCC::new(b"mdat"));
    }
    assert_eq!(media, 1);
    found.expect("a moof")
}

const MAX_STEPS: usize = 150;

/// A playlist is read after this many steps: reading costs more than all the rest.
const READ_EVERY: usize = 4;
