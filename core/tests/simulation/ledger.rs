//! A ledger that fails when two different packets leave under one nonce.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use whitewater_core::media::Unwrapper16;
use whitewater_core::rtc::demux::{self, Class};

/// What every session sealed, by source and number.
#[derive(Default)]
pub struct Ledger {
    lanes: HashMap<(SocketAddr, u32), Lane>,
    /// Packets that were sealed a second time, to the byte.
    pub repeated: u64,
}

#[derive(Default)]
struct Lane {
    seqs: Unwrapper16,
    packets: BTreeMap<i64, u64>,
}

// === impl Ledger ===

impl Ledger {
    /// Writes down a datagram as it leaves.
    pub fn record(&mut self, to: SocketAddr, datagram: &[u8]) {
        if demux::classify(datagram) != Class::Rtp {
            return;
        }
        let ssrc = u32::from_be_bytes([datagram[8], datagram[9], datagram[10], datagram[11]]);
        let lane = self.lanes.entry((to, ssrc)).or_default();
        let index = lane.seqs.extend(u16::from_be_bytes([datagram[2], datagram[3]]));
        let mut hasher = DefaultHasher::new();
        datagram.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some(before) = lane.packets.insert(index, hash) {
            assert_eq!(before, hash, "two packets under one nonce: {to} {ssrc} {index}");
            self.repeated += 1;
        }
    }
}

#[test]
fn the_ledger_notices_another_packet_under_the_same_number() {
    let to = super::agreed::client(1);
    let packet = |seq: u8, byte: u8| [0x80, 96, 0, seq, 0, 0, 0, 0, 0, 0, 0, 1, byte];
    let mut ledger = Ledger::default();
    ledger.record(to, &packet(1, 1));
    ledger.record(to, &packet(2, 2));
    ledger.record(to, &packet(1, 1));
    assert_eq!(ledger.repeated, 1);
    let caught = std::panic::catch_unwind(move || ledger.record(to, &packet(2, 3)));
    assert!(caught.is_err());
}
