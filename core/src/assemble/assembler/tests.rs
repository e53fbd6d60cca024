use crate::media::Codec;

use super::*;

mod kit;
mod properties;

use kit::{ALL, Out, PICTURES, PPS, SPS, Source, arrived, drain, ms};

/// An assembler that has put out a keyframe.
fn begun(codec: Codec) -> (Source, Assembler) {
    let mut source = Source::new(codec);
    let mut assembler = Assembler::new(&source.format());
    for packet in source.frame(true, 250) {
        assembler.handle_packet(ms(0), &packet);
    }
    assert_eq!(drain(&mut assembler), [Out::Frame(source.frames[0].clone())], "{codec}");
    (source, assembler)
}

fn feed(assembler: &mut Assembler, at: u64, packets: &[Arrived]) -> Vec<Out> {
    for packet in packets {
        assembler.handle_packet(ms(at), packet);
    }
    drain(assembler)
}

#[test]
fn a_frame_comes_out_with_its_last_packet() {
    for codec in ALL {
        let (mut source, mut assembler) = begun(codec);
        for number in 1..4 {
            let packets = source.frame(number == 2, 350);
            let (last, others) = packets.split_last().unwrap();
            assert_eq!(feed(&mut assembler, 1, others), [], "{codec}");
            let out = feed(&mut assembler, 1, std::slice::from_ref(last));
            assert_eq!(out, [Out::Frame(source.frames[number].clone())], "{codec}");
            assert_eq!((assembler.poll_timeout(), assembler.held()), (None, (0, 0)), "{codec}");
        }
    }
}

#[test]
fn without_a_marker_the_next_timestamp_ends_a_frame() {
    for codec in PICTURES {
        let (mut source, mut assembler) = begun(codec);
        let mut unmarked = source.frame(false, 250);
        let last = unmarked.last_mut().unwrap();
        *last = arrived(codec, (0, last.seq, last.timestamp), false, last.packet.payload());
        assert_eq!(feed(&mut assembler, 1, &unmarked), [], "{codec}");
        let next = source.frame(false, 250);
        let out = feed(&mut assembler, 2, &next);
        let want = [1, 2].map(|number| Out::Frame(source.frames[number].clone()));
        assert_eq!(out, want, "{codec}");
    }
}

#[test]
fn a_retransmission_in_time_leaves_no_trace() {
    for codec in PICTURES {
        let (mut source, mut assembler) = begun(codec);
        let frames = [source.frame(false, 350), source.frame(false, 350)];
        let (missing, others) = (&frames[0][1], [&frames[0][..1], &frames[0][2..]].concat());
        assert_eq!(feed(&mut assembler, 10, &others), []);
        assert_eq!(assembler.poll_timeout(), Some(ms(310)), "{codec}");
        assert_eq!(feed(&mut assembler, 40, &frames[1]), []);
        assembler.handle_timeout(ms(309));
        assert_eq!(drain(&mut assembler), []);
        let out = feed(&mut assembler, 309, std::slice::from_ref(missing));
        let want = [1, 2].map(|number| Out::Frame(source.frames[number].clone()));
        assert_eq!(out, want, "{codec}");
        assert_eq!(assembler.poll_timeout(), None);
    }
}

#[test]
fn a_hole_becomes_a_gap_and_nothing_follows_before_a_keyframe() {
    for codec in PICTURES {
        let (mut source, mut assembler) = begun(codec);
        let mut broken = source.frame(false, 350);
        let missing = broken.remove(1);
        assert_eq!(feed(&mut assembler, 10, &broken), []);
        let delta = source.frame(false, 350);
        assert_eq!(feed(&mut assembler, 20, &delta), []);
        assembler.handle_timeout(ms(310));
        assert_eq!(drain(&mut assembler), [Out::Gap(Why::Lost), Out::Want], "{codec}");
        assert_eq!((assembler.poll_timeout(), assembler.held().0), (None, 0), "{codec}");

        // Too late now, and of no use without the keyframe.
        assert_eq!(feed(&mut assembler, 311, &[missing]), []);
        let delta = source.frame(false, 350);
        assert_eq!(feed(&mut assembler, 1309, &delta), []);
        let delta = source.frame(false, 350);
        assert_eq!(feed(&mut assembler, 1310, &delta), [Out::Want], "asked again: {codec}");
        let key = source.frame(true, 350);
        let out = feed(&mut assembler, 1320, &key);
        assert_eq!(out, [Out::Frame(source.frames[5].clone())], "{codec}");
        let delta = source.frame(false, 350);
        let out = feed(&mut assembler, 1330, &delta);
        assert_eq!(out, [Out::Frame(source.frames[6].clone())], "{codec}");
        let totals = assembler.totals();
        assert_eq!((totals.frames, totals.keyframes, totals.holes), (3, 2, 1), "{codec}");
        assert_eq!((totals.skipped, totals.late, totals.broken), (3, 1, 0), "{codec}");
    }
}

#[test]
fn a_keyframe_that_was_asked_for_waits_for_nothing_before_it() {
    for codec in PICTURES {
        let (mut source, mut assembler) = begun(codec);
        feed(&mut assembler, 10, &source.frame(false, 350)[1..]);
        assembler.handle_timeout(ms(310));
        assert_eq!(drain(&mut assembler), [Out::Gap(Why::Lost), Out::Want], "{codec}");
        feed(&mut assembler, 320, &source.frame(false, 350)[1..]);
        assert_eq!(assembler.poll_timeout(), Some(ms(620)), "{codec}");
        let key = source.frame(true, 350);
        let out = feed(&mut assembler, 330, &key);
        assert_eq!(out, [Out::Frame(source.frames[3].clone())], "{codec}");
        assert_eq!(assembler.poll_timeout(), None, "{codec}");
    }
}

#[test]
fn whoever_begins_between_keyframes_asks_at_once() {
    for codec in PICTURES {
        let mut source = Source::new(codec);
        let mut assembler = Assembler::new(&source.format());
        let delta = source.frame(false, 350);
        assert_eq!(feed(&mut assembler, 0, &delta[1..]), [Out::Want], "{codec}");
        let key = source.frame(true, 350);
        let out = feed(&mut assembler, 50, &key);
        assert_eq!(out, [Out::Frame(source.frames[1].clone())], "{codec}");
    }
}

#[test]
fn the_first_keyframe_may_arrive_out_of_order() {
    for codec in PICTURES {
        let mut source = Source::new(codec);
        let mut assembler = Assembler::new(&source.format());
        let mut key = source.frame(true, 350);
        key.reverse();
        let out = feed(&mut assembler, 0, &key);
        assert_eq!(out, [Out::Want, Out::Frame(source.frames[0].clone())], "{codec}");
    }
}

#[test]
fn packets_that_carry_nothing_fill_their_numbers() {
    for codec in PICTURES {
        let (mut source, mut assembler) = begun(codec);
        let mut packets = Vec::new();
        packets.push(source.packet(&[], false));
        packets.extend(source.frame(false, 350));
        packets.push(source.packet(&[], false));
        packets.push(source.packet(&[], true));
        packets.extend(source.frame(false, 350));
        // One stands inside a frame.
        let inside = source.frame(false, 250);
        source.seq = inside[1].seq;
        packets.push(inside[0].clone());
        packets.push(source.packet(&[], false));
        for later in &inside[1..] {
            packets.push(source.packet(later.packet.payload(), later.packet.marker));
        }
        let out = feed(&mut assembler, 1, &packets);
        let want = [1, 2, 3].map(|number| Out::Frame(source.frames[number].clone()));
        assert_eq!(out, want, "{codec}");
        assert_eq!(assembler.held(), (0, 0));
    }
}

#[test]
fn another_source_begins_anew_behind_a_gap() {
    for codec in PICTURES {
        let (mut source, mut assembler) = begun(codec);
        let old = source.frame(false, 350);
        assert_eq!(feed(&mut assembler, 1, &old[1..]), []);
        (source.era, source.seq, source.timestamp) = (1, 7, -500_000);
        let key = source.frame(true, 250);
        let out = feed(&mut assembler, 2, &key);
        let want = [Out::Gap(Why::Restarted), Out::Frame(source.frames[2].clone())];
        assert_eq!(out, want, "{codec}");
        assert_eq!(feed(&mut assembler, 3, &old[..1]), [], "the old one is over: {codec}");
        assert_eq!(assembler.poll_timeout(), None);
        let delta = source.frame(false, 250);
        assert_eq!(feed(&mut assembler, 4, &delta).len(), 1);
    }
}

#[test]
fn one_configuration_is_shared_by_all_its_frames() {
    for codec in ALL {
        let mut source = Source::new(codec);
        let mut assembler = Assembler::new(&source.format());
        for (number, keyframe) in [true, false, true, false, true, false].into_iter().enumerate() {
            // Also the next source's, if it is the same.
            source.era = u32::from(number > 3);
            for packet in source.frame(keyframe, 250) {
                assembler.handle_packet(ms(0), &packet);
            }
        }
        let frames: Vec<Frame> = std::iter::from_fn(|| assembler.poll())
            .filter_map(|out| if let Assembled::Frame(frame) = out { Some(frame) } else { None })
            .collect();
        assert_eq!(frames.len(), 6, "{codec}");
        assert_eq!(frames[0].setup.codec(), Some(codec));
        assert!(frames.iter().all(|f| std::sync::Arc::ptr_eq(&f.setup, &frames[0].setup)));
    }
}

#[test]
fn times_grow_from_frame_to_frame() {
    let (mut source, mut assembler) = begun(Codec::Vp8);
    let start = source.timestamp;
    // The next frame has the same timestamp, a later one an earlier one, then the clock jumps.
    let rows = [(0, 1), (-1000, 2), (3000, 3000), (3000, 3001)];
    for (offset, want) in rows {
        source.timestamp = start + offset - 3000;
        let packets = source.frame(false, 50);
        let out = feed(&mut assembler, 1, &packets);
        let [Out::Frame(frame)] = &out[..] else { panic!("{out:?}") };
        assert_eq!(frame.timestamp, start + want);
    }
    source.timestamp = start - 10_000_000;
    let packets = source.frame(false, 50);
    let frame = Out::Frame(source.frames.last().unwrap().clone());
    assert_eq!(feed(&mut assembler, 1, &packets), [Out::Gap(Why::ClockJumped), frame]);
}

#[test]
fn two_frames_of_one_timestamp_are_two() {
    for codec in [Codec::Vp8, Codec::Vp9] {
        let (mut source, mut assembler) = begun(codec);
        let mut first = source.frame(false, 50);
        // Without a marker, the second one's first packet tells.
        first[0] =
            arrived(codec, (0, first[0].seq, source.timestamp), false, first[0].packet.payload());
        source.timestamp -= 3000;
        let second = source.frame(false, 50);
        let out = feed(&mut assembler, 1, &[first, second].concat());
        let data = |number: usize| source.frames[number].data.clone();
        let [Out::Frame(one), Out::Frame(two)] = &out[..] else { panic!("{codec}: {out:?}") };
        assert_eq!((&one.data, &two.data), (&data(1), &data(2)), "{codec}");
        assert!(one.timestamp < two.timestamp, "{codec}");
    }
}

#[test]
fn parameter_sets_may_come_ahead_with_an_earlier_timestamp() {
    for marker in [false, true] {
        let mut source = Source::new(Codec::H264);
        let mut assembler = Assembler::new(&source.format());
        let mut packets = vec![source.packet(&SPS, marker), source.packet(&PPS, marker)];
        source.timestamp += 100;
        let seq = source.seq;
        let key = source.frame(true, 50);
        // Without the sets that the frame brings itself.
        let picture = key[1].packet.payload();
        packets.push(arrived(Codec::H264, (0, seq, source.timestamp), true, picture));
        assert_eq!(feed(&mut assembler, 0, &packets), [Out::Frame(source.frames[0].clone())]);
    }
}

#[test]
fn a_frame_without_end_is_given_up() {
    let (mut source, mut assembler) = begun(Codec::Vp8);
    let mut out = Vec::new();
    for _ in 0..10_000 {
        let packet = source.packet(&[0; 1000], false);
        assembler.handle_packet(ms(1), &packet);
        out.extend(drain(&mut assembler));
        assert!(assembler.held().0 <= 4097 && assembler.held().1 < 5 << 20);
    }
    assert_eq!(out, [Out::Gap(Why::Lost), Out::Want]);
}

#[test]
fn nonsense_counts_as_a_loss() {
    let (mut source, mut assembler) = begun(Codec::H264);
    source.timestamp += 3000;
    let packet = source.packet(&[0x7C, 0x45, 1, 2], true);
    assert_eq!(feed(&mut assembler, 1, &[packet]), [Out::Gap(Why::Lost), Out::Want]);
    assert_eq!(assembler.totals().broken, 1);
    let delta = source.frame(false, 50);
    assert_eq!(feed(&mut assembler, 2, &delta), []);
}

#[test]
fn lost_sound_is_a_gap_and_goes_on() {
    let (mut source, mut assembler) = begun(Codec::Opus);
    source.frame(true, 50);
    let later = [source.frame(true, 50), source.frame(true, 50)].concat();
    assert_eq!(feed(&mut assembler, 10, &later), []);
    assert_eq!(assembler.poll_timeout(), Some(ms(160)));
    assembler.handle_timeout(ms(160));
    let frames = [2, 3].map(|number| Out::Frame(source.frames[number].clone()));
    let [first, second] = frames;
    assert_eq!(drain(&mut assembler), [Out::Gap(Why::Lost), first, second]);
    // What was not sent is not missing.
    source.timestamp += 48_000;
    let empty = source.packet(&[], false);
    assert_eq!(feed(&mut assembler, 170, &[empty]), []);
    let next = source.frame(true, 1);
    assert_eq!(feed(&mut assembler, 180, &next), [Out::Frame(source.frames[4].clone())]);
}

/// The last frame of a source in a redundant payload, behind those before it.
fn redundant(source: &mut Source, older: usize) -> Arrived {
    let payload = |number: usize| source.frames[number].data.clone();
    let last = source.frames.len() - 1;
    let mut bytes = Vec::new();
    for number in last - older..last {
        let ago = (source.frames[last].timestamp - source.frames[number].timestamp) as u32;
        let word = ago << 10 | payload(number).len() as u32;
        bytes.push(0x80 | 111);
        bytes.extend(&word.to_be_bytes()[1..]);
    }
    bytes.push(111);
    (last - older..=last).for_each(|number| bytes.extend(payload(number)));
    let seq = source.seq - 1;
    let mut arrived = arrived(Codec::Opus, (0, seq, source.timestamp), false, &bytes);
    arrived.info.primary = red::primary(&bytes).unwrap() as u16;
    arrived
}

#[test]
fn a_copy_takes_the_place_of_what_is_missing() {
    let (mut source, mut assembler) = begun(Codec::Opus);
    let originals: Vec<Arrived> = (0..4).flat_map(|_| source.frame(true, 50)).collect();
    // Two are missing, the packet of the fourth brings both.
    let out = feed(&mut assembler, 10, &originals[..1]);
    assert_eq!(out, [Out::Frame(source.frames[1].clone())]);
    let out = feed(&mut assembler, 70, &[redundant(&mut source, 2)]);
    let want = [2, 3, 4].map(|number| Out::Frame(source.frames[number].clone()));
    assert_eq!(out, want);
    assert_eq!((assembler.totals().copied, assembler.totals().late), (2, 0));
    assert_eq!(feed(&mut assembler, 80, &originals[1..]), [], "too late, and nobody misses them");

    // Of three missing ones it brings two.
    (0..4).for_each(|_| drop(source.frame(true, 50)));
    assert_eq!(feed(&mut assembler, 90, &[redundant(&mut source, 2)]), []);
    assembler.handle_timeout(ms(240));
    let [a, b, c] = [6, 7, 8].map(|number| Out::Frame(source.frames[number].clone()));
    assert_eq!(drain(&mut assembler), [Out::Gap(Why::Lost), a, b, c]);
}
