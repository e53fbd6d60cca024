//! Garbage at the media port: whatever arrives, nothing panics and nobody else notices.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use whitewater_core::media::Ssrc;

use super::agreed::client;
use super::world::World;

/// A datagram of a client who has the keys and means no good.
#[derive(Clone, Debug)]
struct Sealed {
    first: u8,
    pt: u8,
    ahead: u16,
    timestamp: u32,
    source: usize,
    header: Vec<u8>,
    payload: Vec<u8>,
}

fn sealed() -> impl Strategy<Value = Sealed> {
    let long = |lengths| (vec(any::<u8>(), 1..8), lengths).prop_map(stretched);
    let payload = prop_oneof![
        4 => vec(any::<u8>(), 0..80),
        2 => long(1200..1500_usize),
        1 => long(64_000..65_400_usize),
    ];
    (
        select(&[0x80_u8, 0x90, 0xa0, 0xb0, 0x81, 0x9f][..]),
        select(&[96_u8, 97, 111, 96 | 0x80, 97 | 0x80, 5][..]),
        select(&[1_u16, 2, 1000, 1025, 20_000][..]),
        any::<u32>(),
        0..8_usize,
        vec(any::<u8>(), 0..24),
        payload,
    )
        .prop_map(|(first, pt, ahead, timestamp, source, header, payload)| Sealed {
            first,
            pt,
            ahead,
            timestamp,
            source,
            header,
            payload,
        })
}

fn stretched((mut head, len): (Vec<u8>, usize)) -> Vec<u8> {
    head.resize(len, 7);
    head
}

fn rtcp() -> impl Strategy<Value = Vec<u8>> {
    (0x80..0xc0_u8, 200..208_u8, any::<Option<u8>>(), vec(any::<u8>(), 4..200)).prop_map(
        |(first, kind, words, body)| {
            let words = words.map_or(body.len() / 4, usize::from) as u16;
            let mut packet = vec![first, kind];
            packet.extend_from_slice(&words.to_be_bytes());
            packet.extend_from_slice(&body);
            packet.resize(packet.len().next_multiple_of(4), 0);
            packet
        },
    )
}

fn seal(world: &mut World, seqs: &mut [u16; 8], packet: &Sealed) -> Option<Vec<u8>> {
    let publisher = &mut world.publishers[0].publisher;
    let mut ssrcs: Vec<Ssrc> = publisher.layers.iter().map(|layer| layer.ssrc).collect();
    ssrcs.extend((ssrcs.len()..8).map(|index| Ssrc(900 + index as u32)));
    let ssrc = ssrcs[packet.source];
    let seq = seqs[packet.source].wrapping_add(packet.ahead);
    seqs[packet.source] = seq;
    let mut bytes = vec![packet.first, packet.pt];
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(&packet.timestamp.to_be_bytes());
    bytes.extend_from_slice(&ssrc.0.to_be_bytes());
    bytes.extend(std::iter::repeat_n(9, 4 * usize::from(packet.first & 0x0f)));
    if packet.first & 0x10 != 0 {
        // The MID, the rid, and what chance wants.
        let block = [&[0x10, b'1', 0x20, b"lmh"[packet.source % 3]][..], &packet.header].concat();
        let words = block.len().div_ceil(4);
        bytes.extend_from_slice(&[0xbe, 0xde, 0, words as u8]);
        bytes.extend_from_slice(&block);
        bytes.resize(bytes.len() + words * 4 - block.len(), 0);
    }
    let header_len = bytes.len();
    bytes.extend_from_slice(&packet.payload);
    let plain_len = bytes.len();
    bytes.resize(plain_len + 16, 0);
    let sender = publisher.connection.sender()?;
    let slot = sender.add(ssrc);
    let len = sender.protect(slot, &mut bytes, header_len, plain_len);
    bytes.truncate(len);
    (len > 0).then_some(bytes)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_publisher_that_sends_nonsense_harms_nothing(
        packets in vec(sealed(), 1..60),
        reports in vec(rtcp(), 0..20),
    ) {
        let mut world = World::new(2, 41);
        world.publish(3);
        world.run(300);
        world.watch(0);
        world.watch(1);
        world.run(300);
        world.publishers[0].publisher.sending = false;
        world.run(100);
        let mut seqs = [0; 8];
        for (seq, layer) in seqs.iter_mut().zip(&world.publishers[0].publisher.layers) {
            *seq = layer.seq.wrapping_add(2000);
        }
        for packet in &packets {
            if let Some(datagram) = seal(&mut world, &mut seqs, packet) {
                world.inject(0, client(1), &datagram);
            }
            world.run(3);
        }
        for report in &reports {
            if let Some(sealed) = world.publishers[0].publisher.connection.protect_rtcp(report) {
                world.inject(0, client(1), &sealed);
            }
            world.run(1);
        }
        world.run(200);
    }

    #[test]
    fn a_viewer_that_reports_nonsense_harms_nobody(reports in vec(rtcp(), 1..60)) {
        let mut world = World::new(1, 42);
        world.publish(3);
        world.run(300);
        let (bad, good) = (world.watch(0), world.watch(0));
        world.run(500);
        for report in &reports {
            if let Some(sealed) = world.viewers[bad].viewer.connection.protect_rtcp(report) {
                world.inject(0, client(2), &sealed);
            }
            world.run(5);
        }
        world.run(300);
        world.assert_sound();
        let seen = &world.viewers[good].viewer.seen;
        prop_assert!(seen.frames > 20 && seen.skips == 0, "{seen:#?}");
    }

    #[test]
    fn random_and_broken_datagrams_are_dropped(
        datagrams in vec((0..4_u32, vec(any::<u8>(), 0..120)), 1..80),
        flips in vec((0..64_usize, 1..=255_u8), 1..40),
    ) {
        let mut world = World::new(2, 43);
        world.publish(1);
        world.run(200);
        let viewer = world.watch(0);
        world.run(200);
        for (from, bytes) in &datagrams {
            world.inject(*from as usize % 2, client(*from), bytes);
        }
        // Packets of the publisher's, spoiled and cut short.
        let mut seqs = [1; 8];
        for (at, flip) in flips {
            let packet = Sealed {
                first: 0x80,
                pt: 96,
                ahead: 1,
                timestamp: 5,
                source: 5,
                header: Vec::new(),
                payload: vec![1; 60],
            };
            let Some(mut datagram) = seal(&mut world, &mut seqs, &packet) else { continue };
            datagram[at] ^= flip;
            world.inject(0, client(1), &datagram);
            datagram.truncate(at);
            world.inject(0, client(1), &datagram);
        }
        world.run(400);
        world.assert_sound();
        prop_assert!(world.viewers[viewer].viewer.seen.frames > 14);
    }
}
