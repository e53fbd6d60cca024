//! A scalable publisher over a network that loses and reorders, watched under changing limits.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::*;
use crate::media::codec::PayloadInfo;
use crate::media::frame_info::Needs;
use crate::media::{ExtensionIds, FrameInfo, Packet, PictureIds};

/// One layer's ring, as packets came.
struct Ring {
    packets: Vec<Arrived>,
    keyframe: Option<u64>,
}

impl Layers for Ring {
    fn generation(&self) -> u32 {
        1
    }

    fn best(&self) -> Option<u8> {
        Some(0)
    }

    fn is_active(&self, _layer: u8) -> bool {
        true
    }

    fn reach(&self, _layer: u8, _now: Instant) -> Duration {
        Duration::from_secs(1)
    }

    fn find(&self, _rid: &Rid) -> Option<(u8, bool)> {
        None
    }

    fn packet(&self, _layer: u8, position: u64) -> Option<&Arrived> {
        self.packets.get(position as usize)
    }

    fn bounds(&self, _layer: u8) -> Option<(u64, u64)> {
        Some((0, self.packets.len() as u64))
    }

    fn era(&self, _layer: u8) -> u32 {
        0
    }

    fn keyframe(&self, _layer: u8) -> Option<u64> {
        self.keyframe
    }

    fn shift(&self, _layer: u8, _now: Instant) -> i64 {
        0
    }
}

/// What happens to one picture of three spatial and three temporal layers.
#[derive(Clone, Debug)]
struct Picture {
    key: bool,
    /// The viewer's limits from here on.
    limits: Option<(u8, u8)>,
    /// By how many packets each of its packets comes late.
    late: Vec<u8>,
}

fn picture() -> impl Strategy<Value = Picture> {
    let late = prop_oneof![12 => Just(0_u8), 2 => 1..4_u8, 1 => 10..60_u8];
    let limits = prop_oneof![3 => Just(None), 1 => (0..4_u8, 0..4_u8).prop_map(Some)];
    (prop::bool::weighted(0.1), limits, vec(late, 12)).prop_map(|(key, limits, late)| Picture {
        key,
        limits,
        late,
    })
}

/// The packets of all pictures in the order they come, and who chooses what before which.
fn arrivals(now: Instant, mode_key: bool, pictures: &[Picture]) -> Vec<(Arrived, Option<Parts>)> {
    let mut sorted: Vec<(usize, Arrived, Option<Parts>)> = Vec::new();
    let (mut seq, mut number, mut since_key) = (1000, 0, 0);
    for (index, picture) in pictures.iter().enumerate() {
        let key = picture.key || index == 0;
        since_key = if key { 0 } else { since_key + 1 };
        let (temporal, back) = [(0, 4), (2, 1), (1, 2), (2, 1)][since_key % 4];
        let mut limits = picture.limits;
        for spatial in 0..3_u8 {
            let mut needs = Vec::new();
            if spatial > 0 && (key || !mode_key) {
                needs.push(1);
            }
            if !key {
                needs.push(3 * back);
            }
            let count = [1, 2, 4][usize::from(spatial)];
            for piece in 0..count {
                let last = piece + 1 == count;
                let late = picture.late[(usize::from(spatial) * 4 + piece).min(11)];
                // The first packet of all is the keyframe that the viewer begins with.
                let due = if index == 0 { 0 } else { sorted.len() + usize::from(late) };
                let mut bytes = vec![0x80, if last && spatial == 2 { 0xe0 } else { 0x60 }];
                bytes.extend_from_slice(&(seq as u16).to_be_bytes());
                bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1, 7]);
                let needs = Needs::listed(&needs);
                let frame = FrameInfo { number, ends: last, counted: false, needs, size: None };
                let packet = Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap();
                let info = PayloadInfo {
                    spatial,
                    temporal,
                    frame: Some(frame),
                    keyframe: key && spatial == 0,
                    ..PayloadInfo::default()
                };
                let arrived = Arrived {
                    packet,
                    info,
                    picture: PictureIds::default(),
                    era: 0,
                    seq,
                    timestamp: index as i64 * 3000,
                    at: now,
                    received: now,
                    capture: None,
                };
                let parts = limits.take().map(|(spatial, temporal)| Parts { spatial, temporal });
                sorted.push((due, arrived, parts));
                seq += 1;
            }
            number += 1;
        }
    }
    sorted.sort_by_key(|(due, ..)| *due);
    sorted.into_iter().map(|(_, arrived, parts)| (arrived, parts)).collect()
}

/// Everything that left, by its new number: the source packet, the marker, whether it was hollow.
type Left = BTreeMap<i64, (Arrived, bool, bool)>;

fn forward(mode_key: bool, pictures: &[Picture]) -> (Left, Vec<Arrived>) {
    let now = Instant::now();
    let mut ring = Ring { packets: Vec::new(), keyframe: Some(0) };
    let mut forwarder = Forwarder::new(Kind::Video, 90_000, 3);
    let (mut left, mut out) = (Left::new(), Vec::new());
    for (arrived, parts) in arrivals(now, mode_key, pictures) {
        if let Some(parts) = parts {
            forwarder.restrict(parts);
        }
        ring.packets.push(arrived);
        out.clear();
        forwarder.plan(now, &ring, 64, &mut out);
        for Planned { position, rewrite, .. } in &out {
            let arrived = ring.packets[*position as usize].clone();
            let old = left.insert(rewrite.seq, (arrived, rewrite.marker, rewrite.hollow));
            assert!(old.is_none(), "one number for two packets");
        }
    }
    (left, ring.packets)
}

/// The frames that left whole, by number.
fn frames(left: &Left) -> HashMap<u32, (i64, u8, u8)> {
    let mut frames = HashMap::new();
    for (arrived, _, hollow) in left.values() {
        let info = &arrived.info;
        if !hollow {
            let frame = info.frame.unwrap().number;
            frames.insert(frame, (arrived.timestamp, info.spatial, info.temporal));
        }
    }
    frames
}

#[test]
fn who_cannot_tell_parts_apart_gets_all_pictures_in_the_smallest_size() {
    let now = Instant::now();
    let pictures = vec![Picture { key: false, limits: None, late: vec![0; 12] }; 30];
    let mut ring = Ring { packets: Vec::new(), keyframe: Some(0) };
    let mut forwarder = Forwarder::new(Kind::Video, 90_000, 3);
    forwarder.take_parts(false);
    let mut out = Vec::new();
    for (arrived, _) in arrivals(now, false, &pictures) {
        ring.packets.push(arrived);
        forwarder.plan(now, &ring, 64, &mut out);
    }
    let first = out[0].rewrite.seq;
    assert_eq!(out.len(), pictures.len());
    for (planned, index) in out.iter().zip(0..) {
        let arrived = &ring.packets[planned.position as usize];
        assert_eq!((arrived.info.spatial, arrived.timestamp), (0, index * 3000));
        // One packet each: it ends its picture, and the numbers have no holes.
        assert!(planned.rewrite.marker && !planned.rewrite.hollow, "{planned:?}");
        assert_eq!(planned.rewrite.seq, first + index);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_whole_and_unique_and_no_frame_leaves_in_pieces(
        mode_key in any::<bool>(),
        pictures in vec(picture(), 4..60),
    ) {
        let (left, all) = forward(mode_key, &pictures);
        // Everything came in the end: there is no hole.
        let (first, last) = (left.keys().next().unwrap(), left.keys().last().unwrap());
        prop_assert_eq!((last - first + 1) as usize, left.len());
        // New numbers keep the publisher's order.
        let order: Vec<i64> = left.values().map(|(arrived, ..)| arrived.seq).collect();
        prop_assert!(order.is_sorted());
        let mut sizes: HashMap<u32, (usize, usize)> = HashMap::new();
        for arrived in &all {
            sizes.entry(arrived.info.frame.unwrap().number).or_default().0 += 1;
        }
        for (arrived, _, hollow) in left.values() {
            sizes.get_mut(&arrived.info.frame.unwrap().number).unwrap().1 += usize::from(!hollow);
        }
        for (number, (whole, sent)) in sizes {
            prop_assert!(sent == 0 || sent == whole, "{} of {} of frame {}", sent, whole, number);
        }
    }

    #[test]
    fn without_delays_every_frame_can_be_decoded_and_every_picture_ends(
        mode_key in any::<bool>(),
        mut pictures in vec(picture(), 4..80),
    ) {
        pictures.iter_mut().for_each(|picture| picture.late = vec![0; 12]);
        let (left, all) = forward(mode_key, &pictures);
        let sent = frames(&left);
        let mut limits = Parts::ALL;
        let mut allowed = HashMap::new();
        for (index, picture) in pictures.iter().enumerate() {
            if let Some((spatial, temporal)) = picture.limits {
                limits = Parts { spatial, temporal };
            }
            allowed.insert(index as i64 * 3000, limits);
        }
        for arrived in &all {
            let frame = arrived.info.frame.unwrap();
            let Some((timestamp, spatial, temporal)) = sent.get(&frame.number) else { continue };
            let limits = allowed[timestamp];
            prop_assert!(*spatial <= limits.spatial && *temporal <= limits.temporal);
            let Needs::Listed(back) = frame.needs else { unreachable!() };
            for back in back.into_iter().filter(|back| *back != 0) {
                prop_assert!(sent.contains_key(&(frame.number - u32::from(back))));
            }
        }
        let mut ends = BTreeMap::new();
        for (arrived, marker, hollow) in left.values() {
            prop_assert!(!hollow, "nothing was promised in vain");
            let spatial = arrived.info.spatial;
            // Only a layer that joins may come behind a marker.
            let before = ends.insert(arrived.timestamp, (*marker, spatial));
            prop_assert!(before.is_none_or(|(ended, below)| !ended || spatial == below + 1));
        }
        prop_assert!(ends.values().all(|(ended, _)| *ended), "every picture ends with the marker");
        // A keyframe brings everything that is allowed.
        for (index, picture) in pictures.iter().enumerate() {
            let at = index as i64 * 3000;
            if picture.key || index == 0 {
                let highest = sent.values().filter(|it| it.0 == at).map(|it| it.1).max();
                prop_assert_eq!(highest, Some(allowed[&at].spatial.min(2)));
            }
        }
    }
}
