//! A check of the demultiplexer: any datagram has a class, and a name only as a binding request.

use whitewater_core::rtc::demux::{Class, classify, stun_local_ufrag};

/// Reads one datagram.
pub fn run(data: &[u8]) {
    let class = classify(data);
    if let Some(ufrag) = stun_local_ufrag(data) {
        assert_eq!(class, Class::Stun, "only checks name a session");
        assert!(data.len() >= 20 + 4 + ufrag.len(), "the name is in the datagram");
        assert!(!ufrag.contains(':'), "the name ends at the colon");
    }
}
