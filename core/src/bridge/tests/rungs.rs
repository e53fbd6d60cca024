use std::sync::Arc;

use super::*;
use crate::media::Setup;

/// What stands for a transcoder: it puts pictures onto a grid, 30 a second.
#[derive(Default)]
pub(super) struct Transcoder {
    rungs: usize,
    next: i64,
    /// Pictures that came, as width, whether they were to be cut at, and when.
    seen: Vec<(u16, bool, u64)>,
    repeated: usize,
}

impl Transcoder {
    pub(super) fn new(rungs: usize) -> Self {
        Self { rungs, ..Self::default() }
    }
}

/// The payload of a picture whose size is that of its layer.
pub(super) fn vp8(keyframe: bool, layer: usize) -> Vec<u8> {
    let [width, height] = [160_u16, 90].map(|length| (length << layer).to_le_bytes());
    match keyframe {
        true => [&[0x10, 0, 0, 0, 0x9D, 0x01, 0x2A][..], &width, &height, &[0]].concat(),
        false => vec![0x10, 1, 0, 0],
    }
}

impl World {
    pub(super) fn transcode(&mut self, frame: &Frame, cut: bool) {
        let (width, _) = frame.setup.size().unwrap();
        assert!(!self.transcoder.seen.is_empty() || frame.keyframe, "it begins with a keyframe");
        self.transcoder.seen.push((width, cut, self.ms));
        self.show_again(frame.dts - 2_000);
        if frame.dts >= self.transcoder.next * TICK - 2_000 {
            self.show(cut);
        }
    }

    pub(super) fn show_again(&mut self, ticks: i64) {
        while !self.transcoder.seen.is_empty() && self.transcoder.next * TICK < ticks {
            self.transcoder.repeated += 1;
            self.show(false);
        }
    }

    fn show(&mut self, cut: bool) {
        let dts = self.transcoder.next * TICK;
        self.transcoder.next += 1;
        let setup = Arc::new(Setup::H264 {
            size: (640, 480),
            sps: bytes::Bytes::copy_from_slice(&PARAMETERS[3..16]),
            pps: vec![bytes::Bytes::copy_from_slice(&PARAMETERS[18..])],
        });
        let keyframe = cut || dts % 180_000 == 0;
        let data = bytes::Bytes::from_static(&[0, 0, 0, 1, 0x65]);
        for rung in 0..self.transcoder.rungs {
            let setup = setup.clone();
            let frame = Frame { dts, pts: dts, keyframe, data: data.clone(), setup, capture: None };
            let now = self.now();
            self.bridge.handle_frame(now, RenditionId::Rung(rung as u8), frame);
        }
    }

    fn widths(&self, from_ms: u64) -> Vec<u16> {
        let seen = self.transcoder.seen.iter().filter(|(.., at)| *at >= from_ms);
        let mut widths: Vec<u16> = seen.map(|(width, ..)| *width).collect();
        widths.dedup();
        widths
    }

    fn assert_whole(&self, id: RenditionId) {
        let got = &self.got[&id];
        got.assert_continuous();
        assert!(got.parts.iter().all(|part| part.bytes.is_some()), "{id:?} has a gap");
    }
}

fn ladder() -> Ladder {
    Ladder { replacing: vec![720, 180], below: vec![270, 180] }
}

#[test]
fn vp8_becomes_rungs_of_its_largest_layer_with_exact_segments() {
    let mut world = World::of(Codec::Vp8, 3, ladder());
    world.run(3_000);
    let asked = world.asked.len();
    world.run(12_000);
    let opened = &world.opened[0];
    let all: Vec<_> = opened.renditions.iter().map(|one| (one.id, one.due)).collect();
    let (top, below) = (RenditionId::Rung(0), RenditionId::Rung(1));
    assert_eq!(all, [(top, true), (below, true), (RenditionId::Opus, true)]);
    assert_eq!((opened.rate, opened.part_target), (30, Duration::from_millis(334)));
    assert_eq!(opened.rungs[0].size((640, 360)), Some((640, 360)));
    let announced = &opened.renditions[1];
    assert_eq!(announced.bits_per_second, Some(Rung::bits_per_second((320, 180), 30)));
    assert_eq!(world.widths(0), [640], "of the largest layer");
    for id in [top, below] {
        world.assert_whole(id);
        let exact = |(segment, start): &(u64, i64)| *start == *segment as i64 * 180_000;
        let starts = world.got[&id].starts();
        assert!(starts.len() >= 6 && starts.iter().all(exact), "{starts:?}");
    }
    assert_eq!(world.asked.len(), asked, "rungs need no keyframes of the publisher");
}

#[test]
fn a_largest_layer_that_stops_is_replaced_by_the_next_until_it_is_back() {
    let mut world = World::of(Codec::Vp8, 3, ladder());
    world.run(6_000);
    world.publisher.layers = 2;
    world.run(6_000);
    assert_eq!(world.widths(6_100), [320]);
    world.publisher.layers = 3;
    world.publisher.keyframe_at = Some(0);
    world.run(3_000);
    assert_eq!(world.widths(12_100), [640]);
    world.assert_whole(RenditionId::Rung(0));
    let shown = world.transcoder.repeated;
    assert!((25..60).contains(&shown), "the last picture stood for a second or two: {shown}");
}

#[test]
fn a_still_picture_is_shown_again_and_a_pause_without_end_is_a_gap() {
    let mut world = World::of(Codec::Vp8, 1, ladder());
    world.run(4_000);
    world.publisher.every = 30;
    world.run(8_000);
    world.assert_whole(RenditionId::Rung(0));
    assert_eq!(world.opened.len(), 1);
    world.publisher.layers = 0;
    world.run(50_000);
    world.assert_whole(RenditionId::Rung(0));
    world.run(20_000);
    let got = &world.got[&RenditionId::Rung(0)];
    got.assert_continuous();
    assert!(got.parts.last().unwrap().bytes.is_none(), "nobody looks at it any more");
}

#[test]
fn rungs_of_a_publisher_that_returns_are_a_discontinuity_where_its_pictures_are() {
    let mut world = World::of(Codec::Vp8, 1, ladder());
    world.run(6_000);
    world.tell(LinkMessage::Gone { stream: STREAM, ended: false });
    world.publisher.layers = 0;
    world.run(3_000);
    world.publisher.clocks = world.publisher.clocks.map(|clock| clock.wrapping_add(555_555));
    world.publisher.layers = 1;
    world.publisher.keyframe_at = Some(0);
    world.tell_tracks(2);
    world.run(6_000);
    let cuts = world.transcoder.seen.iter().filter(|(_, cut, _)| *cut).count();
    assert_eq!((world.opened.len(), cuts), (1, 1));
    for (id, got) in &world.got {
        assert_eq!(got.discontinuities, 1, "{id:?}");
        assert!(got.parts.last().unwrap().bytes.is_some(), "{id:?} goes on");
    }
}

#[test]
fn what_players_take_is_transcoded_only_below_a_single_layer() {
    let mut world = World::of(Codec::H264, 1, ladder());
    world.run(8_000);
    let all: Vec<_> = world.opened[0].renditions.iter().map(|one| (one.id, one.due)).collect();
    let rungs = [0, 1].map(RenditionId::Rung);
    let layer = RenditionId::Layer(0);
    assert_eq!(all, [(layer, true), (rungs[0], true), (rungs[1], true), (RenditionId::Opus, true)]);
    for id in [layer, rungs[0], rungs[1]] {
        world.assert_whole(id);
        // Their segments are those of the same ticks.
        let starts = world.got[&id].starts();
        let near =
            |(segment, start): &(u64, i64)| (*start - *segment as i64 * 180_000).abs() < 45_000;
        assert!(starts.len() >= 3 && starts.iter().all(near), "{id:?}: {starts:?}");
    }
    let mut world = World::of(Codec::H264, 3, ladder());
    world.run(4_000);
    assert!(world.opened[0].rungs.is_empty() && world.transcoder.seen.is_empty());
}

const TICK: i64 = 3_000;
