use std::time::Instant;

use bytes::Bytes;

use super::*;
use crate::media::codec::PayloadInfo;
use crate::media::{ExtensionIds, Packet, PictureIds};

/// How the layers of a stream need each other.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Each picture's layers need the ones below.
    Full,
    /// Only a keyframe's do.
    Key,
}

/// A scalable stream of three temporal layers, two packets a frame.
struct Stream {
    mode: Mode,
    spatial: u8,
    seq: i64,
    picture: i64,
    since_key: i64,
    number: u32,
}

impl Stream {
    fn new(mode: Mode, spatial: u8) -> Self {
        Self { mode, spatial, seq: 100, picture: 0, since_key: 0, number: 65_530 }
    }

    /// The packets of the next picture.
    fn next(&mut self, key: bool) -> Vec<Arrived> {
        self.since_key = if key { 0 } else { self.since_key + 1 };
        let (temporal, back) = match self.since_key % 4 {
            0 => (0, 4),
            2 => (1, 2),
            1 => (2, 1),
            _ => (2, 1),
        };
        let mut packets = Vec::new();
        for spatial in 0..self.spatial {
            let mut needs = Vec::new();
            if spatial > 0 && (key || self.mode == Mode::Full) {
                needs.push(1);
            }
            if !key {
                needs.push(back * u16::from(self.spatial));
            }
            for ends in [false, true] {
                packets.push(packet(Piece {
                    seq: self.seq,
                    timestamp: self.picture * 3000,
                    spatial,
                    temporal,
                    number: self.number,
                    ends,
                    last: ends && spatial + 1 == self.spatial,
                    needs: Needs::listed(&needs),
                }));
                self.seq += 1;
            }
            self.number += 1;
        }
        self.picture += 1;
        packets
    }
}

struct Piece {
    seq: i64,
    timestamp: i64,
    spatial: u8,
    temporal: u8,
    number: u32,
    ends: bool,
    last: bool,
    needs: Needs,
}

fn packet(piece: Piece) -> Arrived {
    let mut bytes = vec![0x80, if piece.last { 0xe0 } else { 0x60 }];
    bytes.extend_from_slice(&(piece.seq as u16).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 7]);
    let Piece { number, ends, needs, spatial, temporal, .. } = piece;
    let frame = FrameInfo { number, ends, counted: false, needs, size: None };
    Arrived {
        packet: Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap(),
        info: PayloadInfo { spatial, temporal, frame: Some(frame), ..PayloadInfo::default() },
        picture: PictureIds::default(),
        era: 0,
        seq: piece.seq,
        timestamp: piece.timestamp,
        at: Instant::now(),
        received: Instant::now(),
        capture: None,
    }
}

fn up_to(spatial: u8, temporal: u8) -> Parts {
    Parts { spatial, temporal }
}

/// Judges packets in the given order; what is sent as `spatial` digits, each frame once, and a dot
/// where the marker stands.
fn shown(selector: &mut Selector, packets: &[Arrived], limits: Parts) -> String {
    let mut text = String::new();
    for packet in packets {
        if let Verdict::Send { marker } = selector.judge(packet, limits) {
            if packet.info.frame.is_some_and(|frame| frame.ends) {
                text += &packet.info.spatial.to_string();
            }
            text += if marker { "." } else { "" };
        }
    }
    text
}

/// What is sent of pictures in turn; `k` begins one with a keyframe.
fn play(mode: Mode, spatial: u8, plan: &[(&str, Parts)]) -> Vec<String> {
    let (mut stream, mut selector) = (Stream::new(mode, spatial), Selector::new(-1));
    plan.iter()
        .map(|(pictures, limits)| {
            let sent = pictures.chars().map(|picture| {
                let packets = stream.next(picture == 'k');
                let text = shown(&mut selector, &packets, *limits);
                if text.is_empty() { "-".to_owned() } else { text }
            });
            let sent: Vec<_> = sent.collect();
            let wait = if selector.waits_for_keyframe() { " waits" } else { "" };
            format!("{}{wait}", sent.join(" "))
        })
        .collect()
}

#[test]
fn temporal_layers_go_down_at_once_and_up_at_a_switching_point() {
    let got = play(
        Mode::Full,
        1,
        &[
            ("kpp", up_to(255, 255)),
            ("pppp", up_to(255, 1)),
            ("ppppp", up_to(255, 0)),
            ("pppp", up_to(255, 255)),
        ],
    );
    // Temporal layers by picture: 0 2 1 2, 0 2 1 2, and so on.
    assert_eq!(got[0], "0. 0. 0.");
    assert_eq!(got[1], "- 0. - 0.");
    assert_eq!(got[2], "- 0. - - -");
    assert_eq!(got[3], "0. 0. 0. 0.");
}

#[test]
fn a_picture_that_needs_one_left_out_is_left_out_too() {
    let (mut stream, mut selector) = (Stream::new(Mode::Full, 1), Selector::new(-1));
    let mut next = |key, limits| shown(&mut selector, &stream.next(key), limits);
    assert_eq!(next(true, up_to(9, 0)), "0.");
    assert_eq!(next(false, up_to(9, 0)), "", "2");
    assert_eq!(next(false, up_to(9, 0)), "", "1");
    assert_eq!(next(false, Parts::ALL), "", "2, on the 1 that was left out");
    assert_eq!(next(false, Parts::ALL), "0.", "0");
    assert_eq!(next(false, Parts::ALL), "0.", "2, on the 0");
}

#[test]
fn spatial_layers_go_down_with_the_next_picture_and_the_marker_moves() {
    for mode in [Mode::Full, Mode::Key] {
        let got = play(
            mode,
            3,
            &[
                ("kp", Parts::ALL),
                ("pp", up_to(1, 255)),
                ("p", up_to(0, 255)),
                ("pp", up_to(2, 255)),
                ("kp", up_to(2, 255)),
                ("p", up_to(1, 255)),
                ("pkp", up_to(1, 255)),
            ],
        );
        let want = ["012. 012.", "01. 01.", "0.", "0. 0. waits", "012. 012.", "01.", "01. 01. 01."];
        assert_eq!(got, want);
    }
}

#[test]
fn a_wish_that_is_taken_back_waits_for_nothing() {
    let plan =
        [("kp", up_to(0, 255)), ("p", up_to(1, 255)), ("p", up_to(0, 255)), ("p", up_to(9, 255))];
    assert_eq!(play(Mode::Key, 2, &plan), ["0. 0.", "0. waits", "0.", "0. waits"]);
}

#[test]
fn a_spatial_layer_that_needs_nothing_left_out_joins_without_a_keyframe() {
    let (mut stream, mut selector) = (Stream::new(Mode::Full, 2), Selector::new(-1));
    assert_eq!(shown(&mut selector, &stream.next(true), up_to(0, 9)), "0.");
    assert_eq!(shown(&mut selector, &stream.next(false), up_to(0, 9)), "0.");
    let mut refresh = stream.next(false);
    for packet in refresh.iter_mut().filter(|packet| packet.info.spatial == 1) {
        packet.info.frame.as_mut().unwrap().needs = Needs::listed(&[1]);
    }
    assert_eq!(shown(&mut selector, &refresh, up_to(1, 9)), "0.1.");
    assert_eq!(shown(&mut selector, &stream.next(false), up_to(1, 9)), "01.");
    assert!(!selector.waits_for_keyframe());
}

#[test]
fn packets_of_a_frame_share_its_fate_however_late_they_come() {
    let (mut stream, mut selector) = (Stream::new(Mode::Full, 3), Selector::new(-1));
    shown(&mut selector, &stream.next(true), up_to(1, 9));
    let early = stream.next(false);
    let (late, first): (Vec<_>, Vec<_>) = early.into_iter().partition(|it| it.seq % 2 == 1);
    assert_eq!(shown(&mut selector, &first, up_to(1, 9)), "");
    // The picture after it brings other limits; the one at hand keeps its marker where it was.
    assert_eq!(shown(&mut selector, &stream.next(false), up_to(0, 9)), "0.");
    assert_eq!(shown(&mut selector, &late, up_to(0, 9)), "01.");
    let whole = stream.next(false);
    assert_eq!(shown(&mut selector, &stream.next(false), up_to(0, 9)), "0.");
    assert_eq!(shown(&mut selector, &whole, up_to(0, 9)), "0.", "a picture that comes too late");
}

#[test]
fn what_is_lost_on_its_way_to_us_is_hoped_for_but_nothing_new_begins_on_hope() {
    let (mut stream, mut selector) = (Stream::new(Mode::Key, 2), Selector::new(-1));
    let all = up_to(1, 8);
    assert_eq!(shown(&mut selector, &stream.next(true), all), "01.");
    let lost = stream.next(false);
    assert_eq!(shown(&mut selector, &stream.next(false), all), "01.");
    assert_eq!(shown(&mut selector, &lost, all), "01.");
    shown(&mut selector, &stream.next(false), up_to(0, 8));
    // The upper frame of this picture is lost: what needs it must not make the layer join.
    let mut torn = stream.next(false);
    torn.retain(|packet| packet.info.spatial == 0);
    assert_eq!(shown(&mut selector, &torn, up_to(0, 8)), "0.");
    for _ in 0..6 {
        assert_eq!(shown(&mut selector, &stream.next(false), all), "0.");
    }
    assert!(selector.waits_for_keyframe());
}

#[test]
fn missing_packets_between_what_is_left_out_are_left_out_with_it() {
    let (mut stream, mut selector) = (Stream::new(Mode::Full, 3), Selector::new(-1));
    let mut between =
        |packets: &[Arrived], index: usize| match selector.judge(&packets[index], up_to(0, 9)) {
            Verdict::LeaveOut { all_between } => Some(all_between),
            Verdict::Send { .. } => None,
        };
    let picture = stream.next(true);
    assert_eq!(between(&picture, 1), None);
    assert_eq!(between(&picture, 2), Some(false), "0 was sent: more of it may be missing");
    assert_eq!(between(&picture, 5), Some(true), "layers 1 and 2 are next to each other");
    assert_eq!(between(&picture, 4), Some(false), "late, it tells nothing");
    let picture = stream.next(false);
    assert_eq!(between(&picture, 3), Some(false), "a lower frame lies between");
}

#[test]
fn without_lists_the_layers_tell_what_is_needed() {
    let make = |seq: i64, temporal: u8, joins: bool, opens: bool| {
        packet(Piece {
            seq,
            timestamp: seq * 3000,
            spatial: 0,
            temporal,
            number: seq as u32 * 8,
            ends: true,
            last: true,
            needs: Needs::Implied { joins, opens },
        })
    };
    let mut selector = Selector::new(-1);
    let mut sent = |packet: Arrived, limits: Parts| {
        matches!(selector.judge(&packet, limits), Verdict::Send { .. })
    };
    assert!(sent(make(1, 2, false, false), Parts::ALL));
    assert!(!sent(make(2, 2, false, false), up_to(9, 0)));
    assert!(sent(make(3, 0, false, false), up_to(9, 0)));
    assert!(!sent(make(4, 1, false, false), Parts::ALL), "not before a switching point");
    assert!(sent(make(5, 1, true, false), Parts::ALL), "which this is, for itself");
    assert!(!sent(make(6, 2, false, false), Parts::ALL));
    assert!(sent(make(7, 0, false, true), Parts::ALL), "and this for all that follow");
    assert!(sent(make(8, 2, false, false), Parts::ALL));
}

#[test]
fn what_nobody_knows_is_sent_and_a_keyframe_without_limits_ends_the_work() {
    let (mut stream, mut selector) = (Stream::new(Mode::Full, 2), Selector::new(-1));
    shown(&mut selector, &stream.next(true), up_to(0, 0));
    let mut unknown = stream.next(false);
    for packet in &mut unknown {
        packet.info.frame.as_mut().unwrap().needs = Needs::Unknown;
    }
    assert_eq!(shown(&mut selector, &unknown, up_to(0, 0)), "01.");
    let mut plain = stream.next(false);
    plain[0].info.frame = None;
    assert!(matches!(selector.judge(&plain[0], up_to(0, 0)), Verdict::Send { marker: false }));
    assert!(!selector.is_idle());
    shown(&mut selector, &stream.next(false), Parts::ALL);
    assert!(!selector.is_idle(), "the upper layer is still left out");
    assert_eq!(shown(&mut selector, &stream.next(true), Parts::ALL), "01.");
    assert!(!selector.is_idle(), "packets from before may still come");
    for _ in 0..130 {
        assert_eq!(shown(&mut selector, &stream.next(false), Parts::ALL), "01.");
    }
    assert!(selector.is_idle());
}
