use proptest::collection::vec;
use proptest::prelude::*;

use super::kit::{ALL, Out, PICTURES, Random, Source, arrived, drain, ms};
use super::*;

/// Sends frames of these lengths; those at multiples of `gop` are keyframes.
fn send(codec: Codec, lens: &[usize], gop: usize) -> (Source, Vec<Arrived>) {
    let mut source = Source::new(codec);
    let packets =
        lens.iter().enumerate().flat_map(|(at, len)| source.frame(at % gop == 0, *len)).collect();
    (source, packets)
}

/// What came out of a lossy network: whole frames only, in order, and behind each hole a keyframe.
fn check(source: &Source, out: &[Out]) -> usize {
    let sent = |frame: &kit::Sent| source.frames.iter().position(|sent| sent == frame);
    let (mut last, mut frames) = (None, 0);
    for out in out {
        let Out::Frame(frame) = out else {
            if matches!(out, Out::Gap(_)) {
                last = None;
            }
            continue;
        };
        let number = sent(frame).unwrap_or_else(|| panic!("never sent: {frame:?}"));
        match last {
            Some(last) => assert_eq!(number, last + 1, "one is left out without a gap"),
            None => assert!(frame.keyframe, "number {number} lacks its keyframe"),
        }
        last = Some(number);
        frames += 1;
    }
    frames
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn reordered_packets_make_the_same_frames(
        lens in vec(1..400_usize, 1..30),
        gop in 2..20_usize,
        jumps in vec(0..40_usize, 300),
    ) {
        for codec in ALL {
            let (source, packets) = send(codec, &lens, gop);
            // The first stays the first, so that it is known where the stream begins.
            let mut order: Vec<usize> = (0..packets.len()).collect();
            order.sort_by_key(|at| if *at == 0 { 0 } else { at + jumps[at % jumps.len()] });
            let mut assembler = Assembler::new(&source.format());
            for (at, packet) in order.iter().enumerate() {
                assembler.handle_packet(ms(at as u64), &packets[*packet]);
            }
            let want: Vec<Out> = source.frames.iter().cloned().map(Out::Frame).collect();
            prop_assert_eq!(drain(&mut assembler), want, "{}", codec);
            prop_assert_eq!(assembler.held(), (0, 0));
            prop_assert_eq!(assembler.poll_timeout(), None);
        }
    }

    #[test]
    fn of_what_is_lost_nothing_comes_out_in_part(
        lens in vec(1..400_usize, 1..40),
        gop in 1..12_usize,
        fates in vec(0..100_u8, 400),
        jumps in vec(0..20_usize, 300),
        percent in 1..40_u8,
    ) {
        for codec in ALL {
            let (source, packets) = send(codec, &lens, gop);
            let lost = |at: usize| fates[at % fates.len()] < percent;
            let mut order: Vec<usize> = (0..packets.len()).filter(|at| !lost(*at)).collect();
            order.sort_by_key(|at| at + jumps[at % jumps.len()]);
            let mut assembler = Assembler::new(&source.format());
            let mut now = 0;
            for packet in order {
                now += 5;
                assembler.handle_packet(ms(now), &packets[packet]);
            }
            assembler.handle_timeout(ms(now + 1000));
            check(&source, &drain(&mut assembler));
            prop_assert_eq!(assembler.poll_timeout(), None, "{}", codec);
        }
    }

    #[test]
    fn any_packets_never_panic_and_memory_stays_bounded(
        packets in vec(
            (0..3_u32, 0..400_i64, 0..20_i64, any::<bool>(), vec(any::<u8>(), 0..40), 0..200_u64),
            1..200,
        ),
    ) {
        for codec in ALL {
            let mut assembler = Assembler::new(&Source::new(codec).format());
            let mut now = 0;
            for (era, seq, timestamp, marker, payload, wait) in &packets {
                now += wait / 10;
                let mut packet =
                    arrived(codec, (*era / 2, *seq, timestamp * 3000), *marker, payload);
                packet.info.primary = red::primary(payload).unwrap_or(0) as u16;
                assembler.handle_timeout(ms(now));
                assembler.handle_packet(ms(now), &packet);
                if let Some(timeout) = assembler.poll_timeout() {
                    prop_assert!(timeout > ms(now) && timeout <= ms(now + 300));
                }
                drain(&mut assembler);
                prop_assert!(assembler.held().0 <= packets.len() * 16);
            }
        }
    }
}

#[test]
fn losses_that_are_sent_again_cost_next_to_nothing() {
    for codec in PICTURES {
        let mut random = Random(0x5EED);
        let mut source = Source::new(codec);
        let mut assembler = Assembler::new(&source.format());
        // A minute of 30 frames/s, a keyframe every two seconds.
        let mut events = Vec::new();
        for number in 0..1800_u64 {
            let len = if number % 60 == 0 { 2000 } else { 200 + random.below(800) as usize };
            for packet in source.frame(number % 60 == 0, len) {
                let mut at = number * 33;
                while random.below(100) < 3 {
                    at += 50;
                }
                events.push((at, packet));
            }
        }
        events.sort_by_key(|(at, packet)| (*at, packet.seq));
        let mut out = Vec::new();
        for (at, packet) in events {
            assembler.handle_timeout(ms(at));
            assembler.handle_packet(ms(at), &packet);
            out.extend(drain(&mut assembler));
        }
        let frames = check(&source, &out);
        assert!(frames * 100 >= 1800 * 99, "{codec}: {frames} of 1800");
    }
}

#[test]
fn a_flood_of_packets_that_fit_nowhere_stays_bounded() {
    for codec in ALL {
        let mut assembler = Assembler::new(&Source::new(codec).format());
        for number in 0..20_000_i64 {
            // Every other one is missing, and no time goes by.
            let packet = arrived(codec, (0, number * 2, number), false, &[0xC1; 1000]);
            assembler.handle_packet(ms(0), &packet);
            drain(&mut assembler);
            let (pieces, bytes) = assembler.held();
            assert!(pieces <= 4096 && bytes <= 4 << 20, "{codec}: {pieces}, {bytes}");
        }
    }
}
