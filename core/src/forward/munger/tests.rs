use std::time::{Duration, Instant};

use bytes::Bytes;

use super::*;
use crate::media::codec::PayloadInfo;
use crate::media::{ExtensionIds, Packet};

const RATE: u32 = 90_000;
const FRAME: i64 = 3000;

fn arrived(at: Instant, seq: i64, timestamp: i64) -> Arrived {
    let mut bytes = vec![0x80, 96];
    bytes.extend_from_slice(&(seq as u16).to_be_bytes());
    bytes.extend_from_slice(&(timestamp as u32).to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1, 7]);
    let packet = Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap();
    Arrived {
        packet,
        info: PayloadInfo::default(),
        picture: PictureIds::default(),
        era: 0,
        seq,
        timestamp,
        at,
        received: at,
        capture: None,
    }
}

fn with_ids(mut arrived: Arrived, picture: u16, bits: u8, tl0: u8) -> Arrived {
    arrived.picture =
        PictureIds { picture_id: Some(picture), picture_id_bits: bits, tl0_pic_idx: Some(tl0) };
    arrived
}

fn start(floor: i64, shift: i64) -> Start {
    Start { floor, shift, new_timeline: false, meet: None }
}

/// A step of a table: what happens, and the distance from the first packet sent that it leaves at.
enum Step {
    /// A packet: sequence number, timestamp; sent at a distance of so many numbers and ticks.
    Sent(i64, i64, i64, i64),
    /// A packet that is older than its source's start.
    Old(i64, i64),
    /// Another source from this packet on, with a shift.
    Switch(i64, i64, i64),
}

use Step::{Old, Sent, Switch};

fn check(name: &str, seed: u64, steps: &[Step]) {
    let now = Instant::now();
    let mut munger = Munger::new(RATE, seed);
    let mut first = None;
    for (index, step) in steps.iter().enumerate() {
        match *step {
            Switch(seq, timestamp, shift) => {
                munger.switch(now, &arrived(now, seq, timestamp), start(seq, shift));
            }
            Old(seq, timestamp) => {
                let got = munger.rewrite(&arrived(now, seq, timestamp));
                assert_eq!(got, None, "{name}, step {index}");
            }
            Sent(seq, timestamp, seq_after, ticks_after) => {
                let got = munger.rewrite(&arrived(now, seq, timestamp)).unwrap();
                let (seq0, timestamp0) = *first.get_or_insert((got.seq, got.timestamp));
                let after =
                    (got.seq - seq0, i64::from(got.timestamp.wrapping_sub(timestamp0) as i32));
                assert_eq!(after, (seq_after, ticks_after), "{name}, step {index}");
            }
        }
    }
}

#[test]
fn numbers_and_timestamps_go_on_whatever_the_source() {
    let wrap = 65_536;
    let rows: &[(&str, &[Step])] = &[
        (
            "in order",
            &[
                Switch(100, 0, 0),
                Sent(100, 0, 0, 0),
                Sent(101, 0, 1, 0),
                Sent(102, FRAME, 2, FRAME),
                Sent(103, 2 * FRAME, 3, 2 * FRAME),
            ],
        ),
        (
            "a hole of the source stays a hole, and what fills it fits",
            &[
                Switch(100, 0, 0),
                Sent(100, 0, 0, 0),
                Sent(103, FRAME, 3, FRAME),
                Sent(101, 0, 1, 0),
                Sent(102, FRAME, 2, FRAME),
            ],
        ),
        (
            "room below the keyframe's lowest packet is for the keyframe only",
            &[Switch(100, FRAME, 0), Sent(101, FRAME, 0, 0), Old(100, 0), Sent(100, FRAME, -1, 0)],
        ),
        (
            "over the wrap of sequence numbers",
            &[
                Switch(wrap - 2, 0, 0),
                Sent(wrap - 2, 0, 0, 0),
                Sent(wrap - 1, 0, 1, 0),
                Sent(wrap, FRAME, 2, FRAME),
                Sent(wrap + 1, FRAME, 3, FRAME),
                Sent(wrap - 1, 0, 1, 0),
            ],
        ),
        (
            "over the wrap of timestamps",
            &[
                Switch(1, (1 << 32) - FRAME, 0),
                Sent(1, (1 << 32) - FRAME, 0, 0),
                Sent(2, 1 << 32, 1, FRAME),
                Sent(3, (1 << 32) + FRAME, 2, 2 * FRAME),
            ],
        ),
        (
            "negative numbers of a source that began before its first",
            &[
                Switch(-3, -FRAME, 0),
                Sent(-3, -FRAME, 0, 0),
                Sent(-2, 0, 1, FRAME),
                Old(-4, -2 * FRAME),
            ],
        ),
        (
            "up, to a layer with other numbers on the same timeline",
            &[
                Switch(100, 0, 0),
                Sent(100, 0, 0, 0),
                Sent(101, FRAME, 1, FRAME),
                Switch(60_000, 777_000, 2 * FRAME - 777_000),
                Sent(60_000, 777_000, 2, 2 * FRAME),
                Sent(60_001, 777_000, 3, 2 * FRAME),
                Sent(60_002, 777_000 + FRAME, 4, 3 * FRAME),
            ],
        ),
        (
            "down again, with late packets of the old layer left out",
            &[
                Switch(60_000, 9000, 0),
                Sent(60_000, 9000, 0, 0),
                Sent(60_002, 9000, 2, 0),
                Switch(10, 500_000, 9000 + FRAME - 500_000),
                Sent(10, 500_000, 3, FRAME),
                Old(9, 500_000 - FRAME),
                Old(-20, 400_000),
                Sent(11, 500_000, 4, FRAME),
            ],
        ),
        (
            "packets of the keyframe that come before its lowest",
            &[
                Switch(100, 0, 0),
                Sent(100, 0, 0, 0),
                Switch(500, 50_000, FRAME - 50_000),
                Sent(502, 50_000, 3, FRAME),
                Sent(501, 50_000, 2, FRAME),
                Sent(500, 50_000, 1, FRAME),
                Sent(503, 50_000 + FRAME, 4, 2 * FRAME),
            ],
        ),
        (
            "a keyframe of the captured moment just shown is moved on by a millisecond",
            &[
                Switch(1, 0, 0),
                Sent(1, 0, 0, 0),
                Sent(2, FRAME, 1, FRAME),
                Switch(70, 0, FRAME),
                Sent(70, 0, 2, FRAME + 90),
                Sent(71, FRAME, 3, 2 * FRAME),
                Sent(72, 2 * FRAME, 4, 3 * FRAME),
            ],
        ),
        (
            "three frames behind: half the distance each, in the right order whatever comes first",
            &[
                Switch(1, 0, 0),
                Sent(1, 0, 0, 0),
                Sent(2, 3 * FRAME, 1, 3 * FRAME),
                Switch(70, 0, 0),
                Sent(70, 0, 2, 3 * FRAME + 90),
                Sent(72, 2 * FRAME, 4, 4 * FRAME + 90),
                Sent(71, FRAME, 3, 3 * FRAME + 90 + FRAME / 2),
                Sent(70, 0, 2, 3 * FRAME + 90),
                Sent(77, 7 * FRAME, 9, 7 * FRAME),
                Sent(76, 6 * FRAME, 8, 6 * FRAME + 90),
            ],
        ),
        (
            "a frame later than expected keeps its distance",
            &[
                Switch(1, 0, 0),
                Sent(1, 0, 0, 0),
                Switch(9, 100, 10 * FRAME - 100),
                Sent(9, 100, 1, 10 * FRAME),
            ],
        ),
    ];
    for seed in [0, 0x3fff, 0xffff_ffff_ffff_ffff, 0x1234_5678_9abc_def0] {
        for (name, steps) in rows {
            check(name, seed, steps);
        }
    }
}

#[test]
fn a_publisher_s_return_goes_on_by_the_time_that_went_by() {
    let begin = Instant::now();
    let mut munger = Munger::new(RATE, 5);
    let first = arrived(begin, 100, 1_000_000);
    munger.switch(begin, &first, start(100, 0));
    let before = munger.rewrite(&first).unwrap();
    let later = begin + Duration::from_secs(4);
    let back = arrived(later, 9, 77);
    munger.switch(later, &back, Start { floor: 9, shift: 12_345, new_timeline: true, meet: None });
    let after = munger.rewrite(&back).unwrap();
    assert_eq!(after.seq, before.seq + 1);
    assert_eq!(after.timestamp.wrapping_sub(before.timestamp), 4 * RATE);
}

#[test]
fn a_return_that_begins_in_the_past_is_live_where_it_meets() {
    let begin = Instant::now();
    let mut munger = Munger::new(RATE, 5);
    let first = arrived(begin, 100, 0);
    munger.switch(begin, &first, start(100, 0));
    let before = munger.rewrite(&first).unwrap();
    // The keyframe is 900 ms old; at four times the speed it takes 300 ms to meet the present.
    let later = begin + Duration::from_secs(4);
    let back = arrived(later - Duration::from_millis(900), 9, 50_000);
    let meet = 50_000 + 1200 * 90;
    let start = Start { floor: 9, shift: 0, new_timeline: true, meet: Some(meet) };
    munger.switch(later, &back, start);
    let at = |munger: &mut Munger, timestamp| {
        let packet = arrived(later, 10 + timestamp, timestamp);
        i64::from(munger.rewrite(&packet).unwrap().timestamp.wrapping_sub(before.timestamp)) / 90
    };
    assert_eq!(at(&mut munger, meet), 4300);
    assert_eq!(at(&mut munger, meet + 9000), 4400);
    let early = at(&mut munger, 50_000);
    assert!((3999..=4001).contains(&early), "{early}");
}

#[test]
fn a_squeezed_start_keeps_the_order_of_frames() {
    let now = Instant::now();
    let mut munger = Munger::new(RATE, 1);
    let first = arrived(now, 0, 0);
    let meet = 40 * FRAME;
    munger.switch(now, &first, Start { meet: Some(meet), ..start(0, 0) });
    let stamps: Vec<u32> = (0..60)
        .map(|frame| munger.rewrite(&arrived(now, frame, frame * FRAME)).unwrap().timestamp)
        .collect();
    let gaps: Vec<u32> = stamps.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).collect();
    assert!(gaps[..40].iter().all(|gap| *gap == FRAME as u32 / 4), "{gaps:?}");
    assert!(gaps[40..].iter().all(|gap| *gap == FRAME as u32), "{gaps:?}");
    // A late packet of an early frame has that frame's timestamp.
    let again = munger.rewrite(&arrived(now, 3, 3 * FRAME)).unwrap();
    assert_eq!(again.timestamp, stamps[3]);
}

#[test]
fn distances_are_told_only_once_something_was_sent() {
    let now = Instant::now();
    let mut munger = Munger::new(RATE, 1);
    assert_eq!(munger.distance(0, 0), None);
    let first = arrived(now, 1, 500);
    munger.switch(now, &first, start(1, 100));
    assert_eq!(munger.distance(0, 0), None);
    munger.rewrite(&first).unwrap();
    assert_eq!(munger.distance(500, 100), Some(0));
    assert_eq!(munger.distance(500 + FRAME, 100), Some(FRAME));
    assert_eq!(munger.distance(0, 100), Some(-500));
    assert_eq!(munger.map(500), munger.newest_timestamp());
}

#[test]
fn picture_ids_run_on_across_sources_of_7_and_15_bits() {
    let now = Instant::now();
    let mut munger = Munger::new(RATE, 1);
    let mut last: Option<PictureIds> = None;
    let mut seq = 0;
    // Width, first picture id, first TL0PICIDX, how many frames.
    for (bits, picture, tl0, frames) in [
        (15, 32_760_u16, 250_u8, 20),
        (7, 120, 3, 300),
        (7, 5, 9, 10),
        (15, 40, 255, 9),
        (7, 127, 0, 2),
    ] {
        seq += 1000;
        for frame in 0..frames {
            let mask = if bits == 7 { 0x7f } else { 0x7fff };
            let packet = with_ids(
                arrived(now, seq + i64::from(frame), i64::from(frame) * FRAME),
                picture.wrapping_add(frame) & mask,
                bits,
                tl0.wrapping_add(frame as u8),
            );
            if frame == 0 {
                munger.switch(now, &packet, start(seq, 0));
            }
            let ids = munger.rewrite(&packet).unwrap().picture;
            if let Some(last) = last {
                let next = last.picture_id.unwrap().wrapping_add(1) & 0x7fff;
                assert_eq!(ids.picture_id, Some(next), "{bits} bits, frame {frame}");
                assert_eq!(ids.tl0_pic_idx, last.tl0_pic_idx.map(|tl0| tl0.wrapping_add(1)));
            }
            last = Some(ids);
        }
    }
}

#[test]
fn a_late_packet_keeps_its_frame_s_picture_id() {
    for bits in [7, 15] {
        let now = Instant::now();
        let mut munger = Munger::new(RATE, 1);
        let packet =
            |seq: i64, id: u16| with_ids(arrived(now, seq, seq * FRAME), id, bits, id as u8);
        munger.switch(now, &packet(0, 126), start(0, 0));
        let mut ids =
            |seq, id| munger.rewrite(&packet(seq, id)).unwrap().picture.picture_id.unwrap();
        let first = ids(0, 126);
        assert_eq!(ids(1, 127), first + 1);
        let wrapped = if bits == 7 { 0 } else { 128 };
        assert_eq!(ids(2, wrapped), first + 2);
        assert_eq!(ids(1, 127), first + 1);
        assert_eq!(ids(3, wrapped + 1), first + 3);
    }
}

#[test]
fn a_source_without_picture_ids_gets_none() {
    let now = Instant::now();
    let mut munger = Munger::new(RATE, 1);
    let first = arrived(now, 0, 0);
    munger.switch(now, &first, start(0, 0));
    assert_eq!(munger.rewrite(&first).unwrap().picture, PictureIds::default());
}

#[test]
fn a_source_number_always_gets_the_same_number_and_no_other_gets_it() {
    let now = Instant::now();
    let mut munger = Munger::new(RATE, 99);
    let mut given = std::collections::BTreeMap::new();
    let mut random = 7_u64;
    for source in 0..40_i64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let base = (random >> 40) as i64 % 65_536;
        let first = arrived(now, base, base * 10);
        munger.switch(now, &first, start(base, source));
        for _ in 0..200 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let seq = base - 5 + (random >> 33) as i64 % 60;
            let Some(rewrite) = munger.rewrite(&arrived(now, seq, seq * 10)) else { continue };
            let owner = *given.entry(rewrite.seq).or_insert((source, seq));
            assert_eq!(owner, (source, seq));
        }
    }
}
