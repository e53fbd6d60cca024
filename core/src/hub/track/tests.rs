use bytes::Bytes;

use super::*;
use crate::hub::Offered;
use crate::media::arrived::PictureIds;
use crate::media::codec::PayloadInfo;
use crate::media::{Codec, ExtensionIds, Ntp, Packet};

const FRAME: i64 = 3000;
const OFFSETS: [u32; 3] = [4_000_000_000, 17, 123_456_789];

struct Studio {
    track: Track,
    begin: Instant,
    seqs: [u16; 3],
    offsets: [u32; 3],
    ssrcs: [u32; 3],
}

impl Studio {
    fn new(layers: usize) -> Self {
        let rids: Vec<Rid> = ["l", "m", "h"][..layers].iter().map(|rid| Rid::new(*rid)).collect();
        let format = Format::video(Codec::Vp8, "");
        Self {
            track: Track::new(1, Mid::new("1"), format, &rids),
            begin: Instant::now(),
            seqs: [65_530, 7, 30_000],
            offsets: OFFSETS,
            ssrcs: [1, 2, 3],
        }
    }

    /// A frame of one packet arrives so many milliseconds late.
    fn send(&mut self, layer: u8, frame: i64, keyframe: bool, late_ms: u64) {
        let index = usize::from(layer);
        let timestamp = self.offsets[index].wrapping_add((frame * FRAME) as u32);
        let mut bytes = vec![0x80, 0xe0];
        bytes.extend_from_slice(&self.seqs[index].to_be_bytes());
        bytes.extend_from_slice(&timestamp.to_be_bytes());
        bytes.extend_from_slice(&self.ssrcs[index].to_be_bytes());
        bytes.push(7);
        self.seqs[index] = self.seqs[index].wrapping_add(1);
        let packet = Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap();
        let size = keyframe.then_some((320 << layer, 180 << layer));
        let info = PayloadInfo { keyframe, size, ..PayloadInfo::default() };
        let now = self.at(frame) + Duration::from_millis(late_ms);
        let picture = PictureIds::default();
        let offered = Offered { packet, info, picture, received: now, capture: None };
        let layers = &mut self.track.layers;
        layers[index].accept(now, Ntp(0), 90_000, offered, |_, _| None).unwrap();
        self.track.note_packet(now, layer);
    }

    /// A sender report, its clock wrong by so many milliseconds.
    fn report(&mut self, layer: u8, frame: i64, wrong_ms: i64) {
        let rtp = self.offsets[usize::from(layer)].wrapping_add((frame * FRAME) as u32);
        let timestamp = self.track.layers[usize::from(layer)].unwrap_timestamp(rtp);
        let ntp = Ntp::from_unix_micros(frame * 100_000 / 3 + wrong_ms * 1000 + 1_000_000_000);
        self.track.note_report(layer, Anchor { timestamp, ntp });
    }

    fn at(&self, frame: i64) -> Instant {
        self.begin + Duration::from_micros(frame as u64 * 100_000 / 3)
    }

    /// Where a layer's frame stands on the track's timeline.
    fn place(&self, layer: u8, frame: i64) -> i64 {
        let index = usize::from(layer);
        let rtp = self.offsets[index].wrapping_add((frame * FRAME) as u32);
        self.track.layers[index].unwrap_timestamp(rtp) + self.track.shift(layer, self.at(frame))
    }

    /// How far apart the layers place the same frame, in ticks.
    fn spread(&self, frame: i64) -> i64 {
        let places = (0..self.track.layers.len()).map(|layer| self.place(layer as u8, frame));
        let places: Vec<i64> = places.collect();
        places.iter().max().unwrap() - places.iter().min().unwrap()
    }
}

#[test]
fn joint_keyframes_give_equal_times_to_the_tick() {
    let mut studio = Studio::new(3);
    (0..3).for_each(|layer| studio.send(layer, 0, true, u64::from(layer) * 30));
    assert_eq!(studio.spread(0), 0);
    (1..60).for_each(|frame| (0..3).for_each(|layer| studio.send(layer, frame, false, 3)));
    assert_eq!(studio.spread(60), 0);
}

#[test]
fn before_anything_is_known_arrivals_give_a_guess() {
    let mut studio = Studio::new(3);
    studio.send(0, 0, true, 0);
    studio.send(1, 5, false, 20);
    assert!(studio.track.layers[1].shift.is_none());
    // The one thing that can be told apart from the clocks is how late the packets were.
    let off = studio.place(1, 6) - studio.place(0, 6);
    assert!((off - 20 * 90).abs() < 100, "{off}");
}

#[test]
fn reports_place_a_layer_whose_keyframes_come_alone() {
    let mut studio = Studio::new(2);
    studio.send(0, 0, true, 0);
    studio.send(1, 20, true, 0);
    assert!(studio.track.layers[1].shift.is_none());
    studio.report(0, 30, 0);
    studio.report(1, 31, 0);
    assert!(studio.spread(40) <= 90, "{}", studio.spread(40));
}

#[test]
fn reports_correct_keyframes_that_only_seemed_joint() {
    let mut studio = Studio::new(2);
    studio.send(0, 0, true, 0);
    // Another GOP, whose keyframe came two frames later.
    studio.send(1, 2, true, 0);
    assert_eq!(studio.spread(3), 2 * FRAME);
    studio.report(0, 30, 0);
    studio.report(1, 30, 0);
    assert!(studio.spread(40) <= 90, "{}", studio.spread(40));
}

#[test]
fn reports_within_half_a_frame_change_nothing() {
    let mut studio = Studio::new(2);
    (0..2).for_each(|layer| studio.send(layer, 0, true, 0));
    studio.report(0, 30, 0);
    studio.report(1, 30, 12);
    assert_eq!(studio.spread(40), 0);
}

#[test]
fn reports_of_a_broken_clock_do_not_move_what_keyframes_told() {
    for wrong_ms in [3_000, -60_000, 86_400_000] {
        let mut studio = Studio::new(3);
        (0..3).for_each(|layer| studio.send(layer, 0, true, 0));
        studio.report(0, 30, 0);
        studio.report(1, 30, wrong_ms);
        studio.report(2, 30, 0);
        assert_eq!(studio.spread(40), 0, "{wrong_ms}");
        (0..3).for_each(|layer| studio.send(layer, 45, true, 0));
        assert_eq!(studio.spread(50), 0, "{wrong_ms}");
    }
}

#[test]
fn a_layer_that_pauses_keeps_its_place() {
    let mut studio = Studio::new(2);
    (0..2).for_each(|layer| studio.send(layer, 0, true, 0));
    (1..30).for_each(|frame| studio.send(0, frame, false, 0));
    assert!(studio.track.refresh(studio.at(30)));
    assert_eq!((studio.track.best(), studio.track.layers[1].active), (Some(0), false));
    studio.send(1, 31, true, 40);
    assert_eq!(studio.track.best(), Some(1));
    assert_eq!(studio.spread(32), 0);
}

#[test]
fn a_layer_s_new_source_goes_on_in_time_and_is_placed_by_the_next_joint_keyframe() {
    let mut studio = Studio::new(2);
    (0..2).for_each(|layer| studio.send(layer, 0, true, 0));
    (1..10).for_each(|frame| (0..2).for_each(|layer| studio.send(layer, frame, false, 0)));
    for layer in 0..2_u8 {
        let index = usize::from(layer);
        (studio.ssrcs[index], studio.offsets[index]) = (80 + u32::from(layer), 999);
        studio.seqs[index] = studio.seqs[index].wrapping_sub(5000);
        studio.send(layer, 10, false, 8);
    }
    assert_eq!(studio.track.layers[0].era(), 1);
    assert_eq!(studio.track.layers[0].lost(), 0);
    let jump = studio.place(0, 11) - i64::from(OFFSETS[0]) - 11 * FRAME;
    assert!(jump.abs() <= 10 * 90, "{jump}");
    (0..2).for_each(|layer| studio.send(layer, 12, true, 0));
    assert_eq!(studio.spread(13), 0);
}

#[test]
fn a_lone_layer_s_new_source_keeps_the_timeline() {
    let mut studio = Studio::new(1);
    studio.send(0, 0, true, 0);
    (1..10).for_each(|frame| studio.send(0, frame, false, 0));
    let before = studio.place(0, 9);
    (studio.ssrcs[0], studio.offsets[0], studio.seqs[0]) = (9, 5, 5);
    studio.send(0, 60, true, 0);
    let after = studio.place(0, 60);
    assert!((after - before - 51 * FRAME).abs() < 10, "{}", after - before);
}

#[test]
fn a_slow_picture_is_not_a_stopped_one() {
    let mut studio = Studio::new(1);
    studio.send(0, 0, true, 0);
    for frame in [30, 60, 89] {
        studio.track.refresh(studio.at(frame));
        assert_eq!(studio.track.best(), Some(0), "{frame}");
    }
    studio.track.refresh(studio.at(91));
    assert_eq!(studio.track.best(), None);
}
