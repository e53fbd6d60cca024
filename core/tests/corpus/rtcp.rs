//! A check of the RTCP reader: what it hands out is bounded by what came in.

use whitewater_core::media::rtcp::{self, Rtcp};

/// Reads one plain compound packet.
pub fn run(data: &[u8]) {
    let mut statements = 0;
    rtcp::parse(data, |statement| {
        statements += 1;
        match statement {
            Rtcp::Nack(nack) => {
                // Each of the 32-bit items names 1 to 17 packets.
                assert!(nack.seqs().count() <= data.len() / 4 * 17);
            }
            Rtcp::TransportWide(feedback) => {
                let arrivals: Vec<_> = feedback.arrivals().collect();
                assert!(arrivals.len() <= usize::from(feedback.packet_count));
                let first = arrivals.first().map(|(seq, _)| *seq);
                assert!(first.is_none_or(|seq| seq == feedback.base_seq));
                for pair in arrivals.windows(2) {
                    assert_eq!(pair[1].0, pair[0].0.wrapping_add(1));
                }
            }
            Rtcp::Report { block, .. } => {
                assert!((-(1 << 23)..1 << 23).contains(&block.cumulative_lost));
            }
            Rtcp::SenderReport(_) | Rtcp::Pli { .. } | Rtcp::Fir { .. } | Rtcp::Bye { .. } => {}
        }
    });
    // The shortest statement is a source in a BYE.
    assert!(statements <= data.len() / 4, "{statements} statements");
}
