//! Time on HLS: where parts and playlists put sound and picture, beside what reports tell viewers.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use mp4_atom::{Atom, Decode, Header, Moof};
use whitewater_core::bridge::{Bridge, Config, Ladder, Output, RenditionId};
use whitewater_core::media::time::ticks_to_micros;
use whitewater_core::media::{Codec, Kind, Ntp, Packaged, Part};
use whitewater_core::shard::{LinkMessage, ShardId};

use super::network::Conditions;
use super::scalable::KEYFRAME;
use super::world::{STREAM, World};

/// A stream's bridge, and what a player learns from it.
struct Player {
    bridge: Bridge,
    epochs: u32,
    /// The wall-clock time of tick 0 for the segments that begin now.
    zero: Ntp,
    /// That of each rendition's open segment.
    zeros: HashMap<RenditionId, Ntp>,
    picture: Vec<Sample>,
    sound: Vec<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When it was captured, in milliseconds of the simulation.
    captured_ms: u32,
    /// Its place on the timeline.
    at_us: i64,
    /// What time of day that is by EXT-X-PROGRAM-DATE-TIME.
    wall: Ntp,
}

// === impl Player ===

impl Player {
    fn new() -> Self {
        let config = Config {
            segment: Duration::from_secs(2),
            opus: true,
            aac: false,
            ladder: Ladder::default(),
        };
        Self {
            bridge: Bridge::new(config),
            epochs: 0,
            zero: Ntp::default(),
            zeros: HashMap::new(),
            picture: Vec::new(),
            sound: Vec::new(),
        }
    }

    /// A millisecond goes by.
    fn step(&mut self, world: &mut World) {
        world.step();
        for message in std::mem::take(&mut world.tapped) {
            self.bridge.handle_link(world.now, message);
        }
        if self.bridge.poll_timeout().is_some_and(|due| due <= world.now) {
            self.bridge.handle_timeout(world.now);
        }
        while let Some(output) = self.bridge.poll() {
            match output {
                Output::Opened(opened) => {
                    self.epochs += 1;
                    self.zero = opened.zero;
                }
                Output::WantAll => {
                    let want = LinkMessage::WantAll { stream: STREAM };
                    world.shards[0].handle_link(world.now, want);
                }
                Output::Packaged(_, Packaged::Wall { zero, .. }) => self.zero = zero,
                Output::Packaged(id, Packaged::Part(part)) => self.take(id, &part),
                _ => {}
            }
        }
    }

    fn take(&mut self, id: RenditionId, part: &Part) {
        if part.index == 0 {
            self.zeros.insert(id, self.zero);
        }
        let Some(bytes) = &part.bytes else { return };
        let (rate, to) = match id.kind() {
            Kind::Video => (90_000, &mut self.picture),
            Kind::Audio => (48_000, &mut self.sound),
        };
        for (ticks, data) in samples(bytes) {
            // What `Piece::write` and the publisher's sound begin with.
            let at = match (id.kind(), data.starts_with(&KEYFRAME)) {
                (Kind::Audio, _) => 5,
                (Kind::Video, true) => KEYFRAME.len() + 12,
                (Kind::Video, false) => 1 + 12,
            };
            let captured_ms = u32::from_be_bytes(data[at..at + 4].try_into().unwrap());
            let at_us = ticks_to_micros(ticks, rate);
            to.push(Sample { captured_ms, at_us, wall: self.zeros[&id].plus_micros(at_us) });
        }
    }
}

/// The presentation time of each sample of a part, and its bytes.
fn samples(part: &Bytes) -> Vec<(i64, &[u8])> {
    let mut rest = &part[..];
    let moof = loop {
        let header = Header::decode(&mut rest).unwrap();
        let (mut body, after) = rest.split_at(header.size.unwrap());
        rest = after;
        if header.kind == Moof::KIND {
            break Moof::decode_body(&mut body).unwrap();
        }
    };
    Header::decode(&mut rest).unwrap();
    let traf = &moof.traf[0];
    let mut time = traf.tfdt.as_ref().unwrap().base_media_decode_time as i64;
    let entries = traf.trun.iter().flat_map(|trun| trun.samples.iter());
    entries
        .map(|entry| {
            let size = entry.size.or(traf.tfhd.default_sample_size).unwrap() as usize;
            let (data, after) = rest.split_at(size);
            rest = after;
            let at = time + entry.cts.unwrap_or(0);
            time += i64::from(entry.duration.or(traf.tfhd.default_sample_duration).unwrap());
            (at, data)
        })
        .collect()
}

/// Minutes of a publisher whose clocks of picture and sound drift by so many millionths.
fn drifts(minutes: u64, picture_ppm: i64, sound_ppm: i64) {
    let mut world = World::new(1, 71);
    world.codec = Codec::Vp9;
    world.up = Conditions::clean().jittering(20);
    let publisher = world.publish(0);
    let this = &mut world.publishers[publisher].publisher;
    this.drift_ppm = (picture_ppm, sound_ppm);
    this.report_interval = Duration::from_secs(4);
    world.run(1000);
    let viewer = world.watch(0);
    let mut player = Player::new();
    let listen = LinkMessage::Listen { stream: STREAM, from: ShardId::TAP };
    world.shards[0].handle_link(world.now, listen);
    (0..minutes * 60_000).for_each(|_| player.step(&mut world));
    world.assert_sound();

    assert_eq!(player.epochs, 1);
    let (picture, sound) = (&player.picture, &player.sound);
    let frames = minutes as usize * 60 * 30;
    assert!(picture.len() > frames * 98 / 100, "{} of {frames} pictures", picture.len());
    assert!(sound.len() > frames * 5 / 3 * 98 / 100, "{} frames of sound", sound.len());

    // How much later than the picture the sound of the same moment is played.
    let mut at = 0;
    let mut lags_us = Vec::new();
    for flash in picture {
        let before = |sample: &Sample| sample.captured_ms < flash.captured_ms;
        at += sound[at..].iter().take_while(|sample| before(sample)).count();
        let Some(beep) = sound.get(at) else { break };
        let captured_us = i64::from(beep.captured_ms) - i64::from(flash.captured_ms);
        if captured_us < 20 {
            lags_us.push(beep.at_us - flash.at_us - captured_us * 1000);
        }
    }
    assert!(lags_us.len() > frames * 95 / 100, "{} flashes with a beep", lags_us.len());
    let lag = (lags_us.iter().min().unwrap(), lags_us.iter().max().unwrap());

    // By how much the time of day of a picture is later in the playlist than by sender reports.
    let seen = &world.viewers[viewer].viewer.seen;
    let reported: HashMap<u32, Ntp> = seen.captured.iter().copied().collect();
    let differences: Vec<i64> = picture
        .iter()
        .filter(|it| it.captured_ms > JOINING_MS)
        .filter_map(|it| Some(it.wall.micros_since(*reported.get(&it.captured_ms)?)))
        .collect();
    assert!(differences.len() > frames * 95 / 100, "{} in both", differences.len());
    let difference = (differences.iter().min().unwrap(), differences.iter().max().unwrap());
    eprintln!(
        "picture {picture_ppm} ppm, sound {sound_ppm} ppm: sound lags by {lag:?} us, \
         EXT-X-PROGRAM-DATE-TIME is later by {difference:?} us"
    );
    assert!(lag.0.abs().max(lag.1.abs()) <= 40_000, "{lag:?}");
    assert!(difference.0.abs().max(difference.1.abs()) <= 100_000, "{difference:?}");
}

#[test]
fn sound_and_picture_stay_together_and_name_the_same_time_where_the_picture_is_fast() {
    drifts(10, 100, -100);
}

#[test]
fn sound_and_picture_stay_together_and_name_the_same_time_where_the_picture_is_slow() {
    drifts(3, -100, 100);
}

/// A joiner's first frames are squeezed together on purpose.
const JOINING_MS: u32 = 5_000;
