use proptest::collection::vec;
use proptest::prelude::*;
use rtc_rtcp::source_description::SourceDescription;
use rtc_rtcp::transport_feedbacks::transport_layer_cc::{
    PacketStatusChunk, RecvDelta, RunLengthChunk, StatusChunkTypeTcc, StatusVectorChunk,
    SymbolSizeTypeTcc, SymbolTypeTcc, TransportLayerCc,
};
use rtc_rtcp::transport_feedbacks::transport_layer_nack::TransportLayerNack;
use rtc_shared::marshal::{Marshal, Unmarshal};

use super::*;

/// Everything in a compound packet, one line of text each.
fn lines(compound: &[u8]) -> Vec<String> {
    let mut lines = vec![];
    parse(compound, |rtcp| {
        lines.push(match rtcp {
            Rtcp::SenderReport(report) => format!("sr {}", report.ssrc),
            Rtcp::Report { reporter, block } => format!("report {reporter} on {}", block.ssrc),
            Rtcp::Nack(nack) => {
                format!("nack {} {:?}", nack.media_ssrc, nack.seqs().collect::<Vec<_>>())
            }
            Rtcp::Pli { media_ssrc } => format!("pli {media_ssrc}"),
            Rtcp::Fir { ssrc, command } => format!("fir {ssrc} {command}"),
            Rtcp::TransportWide(feedback) => {
                format!(
                    "twcc {} {:?}",
                    feedback.media_ssrc,
                    feedback.arrivals().collect::<Vec<_>>()
                )
            }
            Rtcp::Bye { ssrc } => format!("bye {ssrc}"),
        });
    });
    lines
}

#[test]
fn single_packets_are_read_and_strange_ones_passed_over() {
    let rows: [(&str, &[u8], &[&str]); 15] = [
        ("pli", &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], &["pli 2"]),
        ("fir", &[0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 9, 0, 0, 0], &["fir 7 9"]),
        (
            "nack",
            &[0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 2, 0xFF, 0xFF, 0x80, 0x01],
            &["nack 2 [65535, 0, 15]"],
        ),
        ("bye", &[0x82, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], &["bye 1", "bye 2"]),
        ("bye with a reason", &[0x81, 203, 0, 2, 0, 0, 0, 1, 2, b'o', b'k', 0], &["bye 1"]),
        ("bye that promises more", &[0x85, 203, 0, 1, 0, 0, 0, 1], &["bye 1"]),
        ("empty receiver report", &[0x80, 201, 0, 1, 0, 0, 0, 1], &[]),
        ("remb", &[0x8F, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], &[]),
        ("unknown type", &[0x80, 210, 0, 0, 0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], &["pli 2"]),
        ("short feedback", &[0x81, 206, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0, 0, 3], &["bye 3"]),
        ("padded", &[0xA1, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 4], &["bye 1"]),
        ("padded too much", &[0xA1, 203, 0, 2, 0, 0, 0, 1, 0, 0, 0, 9], &[]),
        ("cut", &[0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0], &[]),
        ("old version", &[0x41, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2], &[]),
        ("nothing", &[], &[]),
    ];
    for (name, bytes, want) in rows {
        assert_eq!(lines(bytes), want, "{name}");
    }
}

#[test]
fn a_compound_packet_comes_apart_in_order() {
    let report = SenderReport {
        ssrc: Ssrc(1),
        ntp: Ntp(0x0123_4567_89AB_CDEF),
        rtp_timestamp: 90_000,
        packets: 10,
        octets: 1_000,
    };
    let block = ReportBlock {
        ssrc: Ssrc(2),
        fraction_lost: 3,
        cumulative_lost: -4,
        highest_seq: 0x0001_0005,
        jitter: 6,
        lsr: 7,
        dlsr: 8,
    };
    let mut out = Vec::new();
    write_sender_report(&mut out, &report, &[block]);
    write_receiver_report(&mut out, Ssrc(9), &[block, block]);
    write_cname(&mut out, Ssrc(1), "abc");
    write_pli(&mut out, Ssrc(1), Ssrc(5));
    write_nack(&mut out, Ssrc(1), Ssrc(6), &[10, 12, 26, 27]);
    write_bye(&mut out, &[Ssrc(1), Ssrc(2)]);
    assert_eq!(
        lines(&out),
        [
            "sr 1",
            "report 1 on 2",
            "report 9 on 2",
            "report 9 on 2",
            "pli 5",
            "nack 6 [10, 12, 26, 27]",
            "bye 1",
            "bye 2",
        ]
    );
    let mut same = 0;
    parse(&out, |rtcp| match rtcp {
        Rtcp::SenderReport(read) => same += usize::from(read == report),
        Rtcp::Report { block: read, .. } => same += usize::from(read == block),
        Rtcp::Nack(_)
        | Rtcp::Pli { .. }
        | Rtcp::Fir { .. }
        | Rtcp::TransportWide(_)
        | Rtcp::Bye { .. } => {}
    });
    assert_eq!(same, 4);

    let foreign = rtc_rtcp::packet::unmarshal(&mut &out[..]).unwrap();
    // It writes SDES and BYE with more padding than needed, so those are compared by what it read.
    let written: Vec<_> = foreign.iter().map(|packet| packet.marshal().unwrap()).collect();
    assert_eq!([&written[0][..], &written[1]].concat(), out[..108]);
    assert_eq!([&written[3][..], &written[4]].concat(), out[124..156]);
    let sources: Vec<_> = foreign.iter().map(|packet| packet.destination_ssrc()).collect();
    assert_eq!((&sources[2], &sources[5]), (&vec![1], &vec![1, 2]));
    let description = foreign[2].as_any().downcast_ref::<SourceDescription>().unwrap();
    assert_eq!(description.chunks[0].items[0].text, "abc");
}

#[test]
fn a_canonical_name_always_ends_in_a_zero() {
    for len in 0..300 {
        let mut out = Vec::new();
        write_cname(&mut out, Ssrc(1), &"n".repeat(len));
        assert_eq!(out.len() % 4, 0);
        assert_eq!(usize::from(u16::from_be_bytes([out[2], out[3]])) * 4, out.len() - 4);
        assert_eq!(usize::from(out[9]), len.min(255));
        assert!(out[10 + len.min(255)..].iter().all(|byte| *byte == 0));
        assert!((1..=4).contains(&(out.len() - 10 - len.min(255))));
    }
}

#[test]
fn only_31_blocks_fit_a_report() {
    let block = ReportBlock {
        ssrc: Ssrc(2),
        fraction_lost: 0,
        cumulative_lost: 0x100_0000,
        highest_seq: 0,
        jitter: 0,
        lsr: 0,
        dlsr: 0,
    };
    let mut out = Vec::new();
    write_receiver_report(&mut out, Ssrc(1), &[block; 40]);
    assert_eq!(lines(&out).len(), 31);
    parse(&out, |rtcp| {
        let Rtcp::Report { block, .. } = rtcp else { panic!("{rtcp:?}") };
        assert_eq!(block.cumulative_lost, 0x7F_FFFF);
    });
}

#[test]
fn arrivals_are_read_from_every_kind_of_chunk() {
    // Base 65,534; 24 packets; reference -1; feedback 7.
    let mut bytes = vec![0x8F, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];
    bytes.extend([0xFF, 0xFE, 0, 24, 0xFF, 0xFF, 0xFF, 7]);
    bytes.extend([0x20, 0x02]); // run of two with small deltas
    bytes.extend([0x00, 0x01]); // run of one lost
    bytes.extend([0xA0, 0x01]); // 14 of one bit: first and last arrived
    bytes.extend([0xD3, 0xFF]); // 7 of two bits: small, lost, reserved ...
    bytes.extend([4, 0, 255, 1, 2, 0, 0, 0]); // deltas and padding
    bytes[3] = (bytes.len() / 4 - 1) as u8;
    parse(&bytes, |rtcp| {
        let Rtcp::TransportWide(feedback) = rtcp else { panic!("{rtcp:?}") };
        assert_eq!((feedback.base_seq, feedback.packet_count), (65_534, 24));
        assert_eq!((feedback.reference_time_us, feedback.feedback_count), (-64_000, 7));
        let arrivals: Vec<_> = feedback.arrivals().collect();
        let seqs: Vec<_> = arrivals.iter().map(|(seq, _)| *seq).collect();
        assert_eq!(seqs, (0..24).map(|i| 65_534_u16.wrapping_add(i)).collect::<Vec<_>>());
        let arrived: Vec<_> =
            arrivals.iter().filter_map(|(seq, delta)| Some((*seq, (*delta)?))).collect();
        let want = [(65_534, 1_000), (65_535, 0), (1, 63_750), (14, 250), (15, 500)];
        assert_eq!(arrived, want);
    });
}

#[test]
fn transport_wide_feedback_that_lacks_chunks_is_dropped_and_deltas_end_it() {
    let head = [0x8F, 205, 0, 5, 0, 0, 0, 1, 0, 0, 0, 2, 0, 9];
    let rows: [(&[u8], &[&str]); 4] = [
        (&[0xFF, 0xFF, 0, 0, 0, 0, 0x20, 0x02, 4, 4], &[]),
        (&[0, 2, 0, 0, 0, 0, 0x20, 0x02, 4, 4], &["twcc 2 [(9, Some(1000)), (10, Some(1000))]"]),
        (&[0, 2, 0, 0, 0, 0, 0x40, 0x02, 0xFF, 0xFC], &["twcc 2 [(9, Some(-1000))]"]),
        (&[0, 0, 0, 0, 0, 0, 0x40, 0x02, 4, 4], &["twcc 2 []"]),
    ];
    for (tail, want) in rows {
        assert_eq!(lines(&[&head[..], tail].concat()), want, "{tail:?}");
    }
}

/// Feedback on these arrivals by rtc-rtcp, in the chunk form that `form` picks.
fn foreign_feedback(base: u16, deltas: &[Option<i16>], form: u8) -> Vec<u8> {
    let symbol = |delta: &Option<i16>| match delta {
        None => SymbolTypeTcc::PacketNotReceived,
        Some(0..=255) if form != 2 => SymbolTypeTcc::PacketReceivedSmallDelta,
        Some(_) => SymbolTypeTcc::PacketReceivedLargeDelta,
    };
    let symbols: Vec<_> = deltas.iter().map(symbol).collect();
    let packet_chunks = if form == 0 {
        let list = |part: &[SymbolTypeTcc]| {
            let mut symbol_list = part.to_vec();
            symbol_list.resize(7, SymbolTypeTcc::PacketNotReceived);
            PacketStatusChunk::StatusVectorChunk(StatusVectorChunk {
                type_tcc: StatusChunkTypeTcc::StatusVectorChunk,
                symbol_size: SymbolSizeTypeTcc::TwoBit,
                symbol_list,
            })
        };
        symbols.chunks(7).map(list).collect()
    } else {
        let run = |packet_status_symbol: &SymbolTypeTcc| {
            PacketStatusChunk::RunLengthChunk(RunLengthChunk {
                type_tcc: StatusChunkTypeTcc::RunLengthChunk,
                packet_status_symbol: *packet_status_symbol,
                run_length: 1,
            })
        };
        symbols.iter().map(run).collect()
    };
    let recv_deltas = deltas
        .iter()
        .zip(&symbols)
        .filter_map(|(delta, symbol)| {
            Some(RecvDelta { type_tcc_packet: *symbol, delta: i64::from((*delta)?) * 250 })
        })
        .collect();
    let feedback = TransportLayerCc {
        sender_ssrc: 1,
        media_ssrc: 2,
        base_sequence_number: base,
        packet_status_count: deltas.len() as u16,
        reference_time: 5,
        fb_pkt_count: 6,
        packet_chunks,
        recv_deltas,
    };
    feedback.marshal().unwrap().to_vec()
}

proptest! {
    #[test]
    fn any_bytes_never_panic(mut bytes in vec(any::<u8>(), 0..120), kind in 199..208_u8) {
        if let [first, second, ..] = &mut bytes[..] {
            *first = *first & 0x3F | 0x80;
            *second = kind;
        }
        if let [_, _, high, low, rest @ ..] = &mut bytes[..] {
            (*high, *low) = (0, (rest.len() / 4) as u8);
        }
        let _ = lines(&bytes);
    }

    #[test]
    fn missing_packets_survive_the_way_there_and_back(
        start in any::<u16>(),
        steps in vec(1..40_u16, 0..60),
    ) {
        let mut seqs = vec![];
        let mut seq = start;
        for step in steps {
            seq = seq.wrapping_add(step);
            seqs.push(seq);
        }
        let mut out = Vec::new();
        write_nack(&mut out, Ssrc(1), Ssrc(2), &seqs);
        let mut read = vec![];
        parse(&out, |rtcp| {
            let Rtcp::Nack(nack) = rtcp else { panic!("{rtcp:?}") };
            read.extend(nack.seqs());
        });
        prop_assert_eq!(&read, &seqs);
        if !seqs.is_empty() {
            let foreign = TransportLayerNack::unmarshal(&mut &out[..]).unwrap();
            let listed: Vec<_> = foreign.nacks.iter().flat_map(|pair| pair.packet_list()).collect();
            prop_assert_eq!(listed, seqs);
        }
    }

    #[test]
    fn arrivals_that_another_implementation_wrote_are_read(
        base in any::<u16>(),
        deltas in vec(proptest::option::of(prop_oneof![0..256_i16, any::<i16>()]), 1..60),
        form in 0..3_u8,
    ) {
        let bytes = foreign_feedback(base, &deltas, form);
        let mut read = vec![];
        parse(&bytes, |rtcp| {
            let Rtcp::TransportWide(feedback) = rtcp else { panic!("{rtcp:?}") };
            assert_eq!(feedback.reference_time_us, 320_000);
            read.extend(feedback.arrivals());
        });
        let want: Vec<_> = deltas
            .iter()
            .enumerate()
            .map(|(index, delta)| {
                (base.wrapping_add(index as u16), delta.map(|delta| i32::from(delta) * 250))
            })
            .collect();
        prop_assert_eq!(read, want);
    }
}
