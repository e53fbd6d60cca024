mod rungs;

use std::time::{Duration, Instant};

use super::*;
use crate::media::{
    Arrived, Codec, ExtensionIds, Format, Mid, Packet, Part, PictureIds, Rid, codec,
};
use crate::shard::StreamId;
use crate::shard::link::TrackHead;

const STREAM: StreamId = StreamId(1);
const FRAME_MS: u64 = 33;

/// A publisher of three layers and sound, whose packets come over a perfect network.
struct Publisher {
    /// Ticks of each layer's clock at the beginning; the last is the sound's.
    clocks: [u32; 4],
    seqs: [u16; 4],
    layers: usize,
    has_sound: bool,
    codec: Codec,
    /// Of the frames that a camera would send, every so many comes.
    every: u64,
    /// When keyframes of all layers are due.
    keyframe_at: Option<u64>,
    /// Whether it hears requests.
    answers: bool,
    /// How often it makes keyframes by itself, and how long after the layer below it each layer does.
    own: Option<(u64, u64)>,
}

/// What came out of a rendition.
#[derive(Default)]
struct Got {
    parts: Vec<Part>,
    /// When each of them came, in milliseconds.
    came: Vec<u64>,
    ends: Vec<(u64, u64)>,
    inits: u32,
    discontinuities: usize,
    walls: Vec<(i64, Ntp)>,
}

struct World {
    began: Instant,
    ms: u64,
    bridge: Bridge,
    publisher: Publisher,
    opened: Vec<Opened>,
    got: std::collections::BTreeMap<RenditionId, Got>,
    offers: Vec<(u64, RenditionId, bool)>,
    asked: Vec<u64>,
    /// Keyframes that were asked for of one layer.
    wanted: usize,
    ended: usize,
    transcoder: rungs::Transcoder,
    /// What is sent while nobody listens.
    unheard: Option<Vec<LinkMessage>>,
}

impl World {
    fn new() -> Self {
        Self::of(Codec::H264, 3, Ladder::default())
    }

    fn of(codec: Codec, layers: usize, ladder: Ladder) -> Self {
        let publisher = Publisher {
            clocks: [7_000, 4_294_960_000, 123, 99],
            seqs: [65_530, 1, 2, 3],
            layers,
            has_sound: true,
            codec,
            every: 1,
            keyframe_at: Some(0),
            answers: true,
            own: None,
        };
        let config = Config { segment: Duration::from_secs(2), opus: true, aac: false, ladder };
        let mut world = Self {
            began: Instant::now(),
            ms: 0,
            bridge: Bridge::new(config),
            publisher,
            opened: Vec::new(),
            got: std::collections::BTreeMap::new(),
            offers: Vec::new(),
            asked: Vec::new(),
            wanted: 0,
            ended: 0,
            transcoder: rungs::Transcoder::default(),
            unheard: None,
        };
        world.tell_tracks(1);
        world
    }

    fn now(&self) -> Instant {
        self.began + Duration::from_millis(self.ms)
    }

    fn wall(&self) -> Ntp {
        Ntp::from_unix_micros(1_700_000_000_000_000 + self.ms as i64 * 1000)
    }

    /// The bridge comes later than the publisher, and is told what is kept of it.
    fn introduce(&mut self, unheard_ms: u64) {
        let config = self.bridge.config.clone();
        self.unheard = Some(Vec::new());
        self.run(unheard_ms);
        self.bridge = Bridge::new(config);
        let messages = self.unheard.take().unwrap_or_default();
        self.tell_tracks(1);
        messages.into_iter().for_each(|message| self.tell(message));
    }

    fn tell(&mut self, message: LinkMessage) {
        if let Some(unheard) = &mut self.unheard {
            return unheard.push(message);
        }
        let now = self.now();
        self.bridge.handle_link(now, message);
        self.drain();
    }

    fn tell_tracks(&mut self, generation: u32) {
        let rids = match self.publisher.layers {
            1 => Vec::new(),
            _ => ["q", "h", "f"].map(Rid::new).to_vec(),
        };
        let head =
            |mid: &str, format, rids| TrackHead { generation, mid: Mid::new(mid), format, rids };
        let sound = head("0", Format::opus(), vec![]);
        let picture = head("1", Format::video(self.publisher.codec, "packetization-mode=1"), rids);
        let sound = Some(sound).filter(|_| self.publisher.has_sound);
        let tracks = sound.into_iter().chain([picture]).collect();
        self.tell(LinkMessage::Tracks { stream: STREAM, tracks });
        for layer in 0..3 {
            // What the hub learns from joint keyframes.
            let first = |layer: usize| i64::from(self.publisher.clocks[layer]);
            let shift = Some(first(0) - first(layer));
            self.tell(LinkMessage::Clocks {
                stream: STREAM,
                kind: Kind::Video,
                layer: layer as u8,
                shift,
                report: None,
                arrival: None,
                clock: crate::hub::PublisherClock::default(),
            });
        }
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            if self.publisher.has_sound && self.ms.is_multiple_of(20) {
                self.send_sound();
            }
            // Cameras are not exact.
            let jitter = [0, 9, 3, 20][(self.ms / FRAME_MS % 4) as usize];
            let answer = self.publisher.keyframe_at.is_some_and(|at| at <= self.ms);
            let comes = (self.ms / FRAME_MS).is_multiple_of(self.publisher.every);
            if self.ms % FRAME_MS == jitter && (comes || answer) {
                self.send_pictures();
            }
            if self.bridge.poll_timeout().is_some_and(|due| due <= self.now()) {
                let now = self.now();
                self.bridge.handle_timeout(now);
                self.drain();
                let next = self.bridge.poll_timeout();
                assert!(next.is_none_or(|next| next > now), "it would be woken for nothing");
            }
            self.ms += 1;
        }
    }

    fn send_sound(&mut self) {
        let timestamp = self.publisher.clocks[3].wrapping_add(self.ms as u32 * 48);
        self.send(Kind::Audio, 3, timestamp, false, &[0xfc, 1, 2, 3]);
    }

    fn send_pictures(&mut self) {
        let asked = self.publisher.keyframe_at.is_some_and(|at| at <= self.ms);
        let frame = self.ms / FRAME_MS;
        for layer in 0..self.publisher.layers {
            let keyframe = asked
                || self.publisher.own.is_some_and(|(every, phase)| {
                    (frame + 10_000 - layer as u64 * phase).is_multiple_of(every)
                });
            let timestamp = self.publisher.clocks[layer].wrapping_add(self.ms as u32 * 90);
            if self.publisher.codec == Codec::Vp8 {
                self.publisher.keyframe_at.take_if(|_| keyframe);
                let payload = rungs::vp8(keyframe, layer);
                self.send(Kind::Video, layer, timestamp, true, &payload);
            } else if keyframe {
                self.publisher.keyframe_at = None;
                self.send(Kind::Video, layer, timestamp, false, &PARAMETERS);
                self.send(Kind::Video, layer, timestamp, true, &[0x65, 0x88, 0x80, 0x10]);
            } else {
                self.send(Kind::Video, layer, timestamp, true, &[0x41, 0x9a, 0x20]);
            }
        }
    }

    fn send(&mut self, kind: Kind, index: usize, timestamp: u32, marker: bool, payload: &[u8]) {
        let seq = self.publisher.seqs[index];
        self.publisher.seqs[index] = seq.wrapping_add(1);
        let mut bytes = vec![0x80, 96 | u8::from(marker) << 7];
        bytes.extend(seq.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend([0, 0, 0, index as u8]);
        bytes.extend(payload);
        let packet = Packet::parse(bytes.into(), &ExtensionIds::default()).unwrap();
        let codec = if kind == Kind::Video { self.publisher.codec } else { Codec::Opus };
        let first = i64::from(self.publisher.clocks[index]);
        let rate = if kind == Kind::Video { 90 } else { 48 };
        let arrived = Arrived {
            info: codec::inspect(codec, payload),
            picture: PictureIds::default(),
            era: 0,
            seq: i64::from(self.publisher.seqs[index])
                + if self.publisher.seqs[index] > 60_000 { 0 } else { 65_536 },
            timestamp: first + self.ms as i64 * rate,
            at: self.now(),
            received: self.now(),
            capture: Some(self.wall()),
            packet,
        };
        let layer = if kind == Kind::Video { index as u8 } else { 0 };
        self.tell(LinkMessage::Packet { stream: STREAM, kind, layer, arrived: Box::new(arrived) });
    }

    fn drain(&mut self) {
        while let Some(output) = self.bridge.poll() {
            match output {
                Output::Opened(opened) => {
                    self.transcoder = rungs::Transcoder::new(opened.rungs.len());
                    self.opened.push(opened);
                    self.got.clear();
                }
                Output::Offered(id, offered) => self.offers.push((self.ms, id, offered)),
                Output::Packaged(id, packaged) => {
                    self.got.entry(id).or_default().take(packaged, self.ms);
                }
                Output::WantAll => {
                    self.asked.push(self.ms);
                    if self.publisher.answers {
                        self.publisher.keyframe_at.get_or_insert(self.ms + 50);
                    }
                }
                Output::Want(_) => {
                    self.wanted += 1;
                    if self.publisher.answers {
                        self.publisher.keyframe_at.get_or_insert(self.ms + 50);
                    }
                }
                Output::Sound(_) | Output::Skew(_) => {}
                Output::Picture(frame, cut) => self.transcode(&frame, cut),
                Output::Still(ticks) => self.show_again(ticks),
                Output::Ended(_) => self.ended += 1,
            }
        }
    }
}

impl Got {
    fn take(&mut self, packaged: Packaged, ms: u64) {
        match packaged {
            Packaged::Init(_) => self.inits += 1,
            Packaged::Part(part) => {
                self.parts.push(part);
                self.came.push(ms);
            }
            Packaged::SegmentEnd { segment, duration } => self.ends.push((segment, duration)),
            Packaged::Discontinuity => self.discontinuities += 1,
            Packaged::Wall { from, zero } => self.walls.push((from, zero)),
        }
    }

    fn starts(&self) -> Vec<(u64, i64)> {
        let first = self.parts.iter().filter(|part| part.index == 0);
        first.map(|part| (part.segment, part.start)).collect()
    }

    /// How many frames its parts have, by the sample counts of their boxes.
    fn frames(&self) -> i64 {
        let count = |bytes: &bytes::Bytes| {
            let at = bytes.windows(4).position(|four| four == b"trun").unwrap() + 8;
            i64::from(u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()))
        };
        self.parts.iter().filter_map(|part| part.bytes.as_ref()).map(count).sum()
    }

    fn assert_continuous(&self) {
        for pair in self.parts.windows(2) {
            let end = pair[0].start + pair[0].duration as i64;
            assert_eq!(end, pair[1].start, "C5: {:?}", pair[1]);
        }
    }
}

// Of a real encoder, 640 x 480, baseline, and its picture parameters, as one aggregate.
const PARAMETERS: [u8; 22] = [
    0x78, 0, 13, 0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa4, 0x2f, 0xe2, 0x24, 0xc0, 0x44, 0x00, 0,
    4, 0x68, 0xce, 0x38, 0x80,
];

#[test]
fn layers_become_renditions_with_equal_segments() {
    let mut world = World::new();
    world.run(15_000);
    assert_eq!(world.opened.len(), 1);
    let ids = [0, 1, 2].map(RenditionId::Layer);
    let announced = &world.opened[0].renditions;
    let all: Vec<_> = announced.iter().map(|rendition| rendition.id).collect();
    assert_eq!(all, [ids[0], ids[1], ids[2], RenditionId::Opus]);
    let fps = announced[2].frame_rate.unwrap();
    assert!((29.0..31.0).contains(&fps) && announced[2].bits_per_second.is_some(), "{announced:?}");
    assert_eq!(world.opened[0].part_target, Duration::from_millis(334));
    let starts = world.got[&ids[0]].starts();
    assert!(starts.len() >= 6, "{starts:?}");
    for id in ids {
        let got = &world.got[&id];
        assert_eq!((got.inits, got.discontinuities), (1, 0), "{id:?}");
        assert_eq!(got.starts(), starts, "H87, C11: {id:?}");
        got.assert_continuous();
        assert!(got.parts.iter().all(|part| part.bytes.is_some()), "{id:?} has a gap");
        let end = got.parts.last().map(|part| part.start + part.duration as i64).unwrap();
        let frames = got.frames();
        let want = end / (FRAME_MS as i64 * 90);
        assert!((frames - want).abs() <= 1, "{id:?} has {frames} frames of {want}");
    }
    // Segments begin with keyframes that come about their ticks.
    for (segment, start) in &starts[1..] {
        let off = start - *segment as i64 * 180_000;
        assert!(off.abs() < 45_000, "segment {segment} is off by {off} ticks");
    }
    let sound = &world.got[&RenditionId::Opus];
    sound.assert_continuous();
    for (segment, start) in sound.starts() {
        assert!((start - segment as i64 * 96_000).abs() <= 1_920, "{segment} {start}");
    }
}

#[test]
fn renditions_keep_up_with_each_other_and_with_the_clock() {
    let mut world = World::new();
    world.run(8_000);
    world.run(6_000);
    let (target, mut longest) = (334, 0);
    let mut delays = Vec::new();
    for (id, got) in &world.got {
        let per_ms = if *id == RenditionId::Opus { 48 } else { 90 };
        let since = got.came.partition_point(|ms| *ms < 8_000);
        for (part, came) in got.parts.iter().zip(&got.came).skip(since) {
            let end = (part.start + part.duration as i64) / per_ms;
            delays.push(*came as i64 - end);
        }
        for pair in got.came[since..].windows(2) {
            longest = longest.max(pair[1] - pair[0]);
            // That a part is over the next picture tells, and cameras are up to 20 ms off.
            assert!(pair[1] - pair[0] <= target as u64 + 20, "H25: {id:?} {pair:?}");
        }
    }
    assert!(longest > 300, "parts come one by one: {longest}");
    let (least, most) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
    assert!(most - least <= target, "H67: parts come {least} to {most} ms after their media");
}

#[test]
fn a_layer_that_stops_is_gaps_and_is_offered_again_when_it_is_back() {
    let mut world = World::new();
    world.run(6_000);
    world.publisher.layers = 2;
    world.run(6_000);
    let top = RenditionId::Layer(2);
    let got = &world.got[&top];
    got.assert_continuous();
    let gaps = got.parts.iter().filter(|part| part.bytes.is_none()).count();
    assert!(gaps > 10, "H23: {gaps} gaps");
    let (at, ..) = world.offers.iter().find(|(_, id, on)| *id == top && !on).copied().unwrap();
    assert!((8_000..10_500).contains(&at), "{at}");
    let last = |world: &World, id| world.got[&id].parts.last().map(|p| p.start + p.duration as i64);
    let behind = last(&world, RenditionId::Layer(0)).unwrap() - last(&world, top).unwrap();
    assert!(behind < 90_000, "H23, H67: gaps keep up: {behind}");
    world.publisher.layers = 3;
    world.run(5_000);
    assert!(world.offers.iter().any(|(ms, id, on)| *ms > 12_000 && *id == top && *on));
    world.got[&top].assert_continuous();
    assert_eq!((world.opened.len(), world.got[&top].discontinuities), (1, 0));
    assert!(world.got[&top].parts.last().unwrap().bytes.is_some());
}

#[test]
fn a_publisher_that_returns_is_a_discontinuity_in_every_rendition() {
    let mut world = World::new();
    world.run(6_000);
    world.tell(LinkMessage::Gone { stream: STREAM, ended: false });
    let (clocks, layers) = (world.publisher.clocks, world.publisher.layers);
    world.publisher.layers = 0;
    world.ms += 4_000;
    let now = world.now();
    world.bridge.handle_timeout(now);
    world.drain();
    world.publisher.clocks = clocks.map(|clock| clock.wrapping_add(555_555));
    world.publisher.layers = layers;
    world.publisher.keyframe_at = Some(0);
    world.tell_tracks(2);
    world.run(8_000);
    assert_eq!((world.opened.len(), world.ended), (1, 0), "the epoch goes on");
    for (id, got) in &world.got {
        assert_eq!(got.discontinuities, 1, "H21, H22: {id:?}");
        assert!(got.parts.last().unwrap().bytes.is_some(), "{id:?} goes on");
    }
    let starts = world.got[&RenditionId::Layer(0)].starts();
    assert_eq!(world.got[&RenditionId::Layer(2)].starts(), starts);
    world.tell(LinkMessage::Gone { stream: STREAM, ended: true });
    assert_eq!(world.ended, 1);
}

#[test]
fn segments_last_as_long_as_the_gop_of_who_ignores_requests() {
    // Frames from keyframe to keyframe, frames between layers' keyframes, the segment's length.
    let rows =
        [(30, 0, 2_000), (60, 20, 2_000), (120, 0, 3_990), (120, 37, 3_990), (250, 80, 8_280)];
    for (every, phase, segment) in rows {
        let mut world = World::new();
        world.publisher.answers = false;
        world.publisher.keyframe_at = None;
        world.publisher.own = Some((every, phase));
        world.run(19_000);
        assert!(world.asked.len() < 20, "{:?}", world.asked);
        world.run(161_000);
        let name = format!("every {every} + {phase}");
        assert_eq!((world.opened.len(), world.ended), (1, 0), "{name}");
        let opened = &world.opened[0];
        let off = opened.segment.as_millis().abs_diff(segment);
        assert!(off <= 40, "{name}: {:?}", opened.segment);
        for layer in 0..3 {
            let got = &world.got[&RenditionId::Layer(layer)];
            got.assert_continuous();
            assert!(got.parts.iter().all(|part| part.bytes.is_some()), "{name} {layer} has a gap");
            let wanted = 160_000 / segment as usize - 1;
            assert!(got.ends.len() >= wanted, "{name} {layer}: {:?}", got.ends);
            let begins = |part: &&Part| part.index == 0;
            assert!(got.parts.iter().filter(begins).all(|part| part.independent), "{name} {layer}");
            let longest = package::target_duration(opened.segment).as_millis() as u64 * 90 + 45_000;
            assert!(got.ends.iter().all(|(_, ticks)| *ticks < longest), "{name} {layer}");
        }
    }
}

#[test]
fn a_still_picture_is_gaps_and_is_seen_soon_when_it_moves() {
    let mut world = World::new();
    world.run(10_000);
    assert_eq!(world.wanted, 0);
    // One frame in a second, then 30 again.
    world.publisher.every = 30;
    world.run(20_000);
    assert!((30..=60).contains(&world.wanted), "in three layers: {}", world.wanted);
    let got = &world.got[&RenditionId::Layer(0)];
    got.assert_continuous();
    let shown = |part: &&Part| part.start > 11 * 90_000 && part.bytes.is_some();
    let times: Vec<_> = got.parts.iter().filter(shown).map(|part| part.start / 90).collect();
    assert!(times.len() >= 16, "{times:?}");
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] < 2_200), "{times:?}");
    assert!(got.parts.iter().any(|part| part.bytes.is_none()));
    world.publisher.every = 1;
    world.run(5_000);
    let parts = &world.got[&RenditionId::Layer(0)].parts;
    let late = parts.iter().filter(|part| part.start > 31 * 90_000);
    assert!(late.clone().count() > 8 && late.clone().all(|part| part.bytes.is_some()));
    assert_eq!((world.opened.len(), world.ended), (1, 0));
}

#[test]
fn who_never_makes_another_keyframe_is_played_for_a_while() {
    let mut world = World::new();
    world.publisher.answers = false;
    world.run(9_000);
    assert!(world.opened.is_empty() && world.bridge.is_learning(world.now()));
    world.run(3_000);
    assert_eq!((world.opened.len(), world.ended), (1, 0));
    assert!(!world.bridge.is_learning(world.now()));
    let parts = &world.got[&RenditionId::Layer(0)].parts;
    assert!(parts.iter().map(|part| part.duration).sum::<u64>() > 10 * 90_000);
}

#[test]
fn who_is_silent_and_makes_no_more_keyframes_is_waited_for() {
    let mut world = World::of(Codec::H264, 1, Ladder::default());
    (world.publisher.has_sound, world.publisher.answers) = (false, false);
    world.tell_tracks(2);
    // What it begins with is played until its segment is too long; then there is nothing to begin with.
    world.run(40_000);
    assert_eq!((world.opened.len(), world.ended), (1, 1));
    world.publisher.keyframe_at = Some(0);
    world.run(12_000);
    assert_eq!(world.opened.len(), 2);
}

#[test]
fn who_ignores_requests_is_cut_at_keyframes_of_its_own() {
    let mut world = World::new();
    world.publisher.answers = false;
    world.publisher.own = Some((70, 0));
    world.run(23_100);
    let got = &world.got[&RenditionId::Layer(1)];
    got.assert_continuous();
    assert!(got.ends.len() >= 7, "{:?}", got.ends);
    assert!(got.ends.iter().all(|(_, duration)| *duration <= 315_000), "{:?}", got.ends);
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn how_long_nobody_asked_is_not_taken_for_the_publishers_habit() {
    // Who answers has segments as configured, whenever the first player comes.
    for unheard_ms in [1_000, 3_400, 9_000] {
        let mut world = World::new();
        world.introduce(unheard_ms);
        world.run(3_000);
        let opened: Vec<_> = world.opened.iter().map(|opened| opened.segment.as_millis()).collect();
        assert_eq!(opened, [2_000], "{unheard_ms} ms unheard");
    }
    // Who does not is known by the keyframe before and its next.
    let mut world = World::new();
    world.publisher.answers = false;
    world.publisher.own = Some((130, 0));
    world.introduce(3_000);
    world.run(2_500);
    let opened: Vec<_> = world.opened.iter().map(|opened| opened.segment.as_millis()).collect();
    assert!(matches!(opened[..], [4_270..=4_310]), "{opened:?}");
}
