//! A ledger that notices when two different packets are sealed under one nonce.
//!
//! Tests keep it; under GCM such a pair gives the authentication key away.

use std::hash::{DefaultHasher, Hash, Hasher};

/// The last packets of one SSRC, by index.
#[derive(Default)]
pub(super) struct Ledger(Vec<Option<(u64, u64)>>);

// === impl Ledger ===

impl Ledger {
    /// Writes down the plain packet that is about to be sealed.
    ///
    /// # Panics
    ///
    /// If another packet was sealed under the same index.
    pub(super) fn record(&mut self, ssrc: u32, index: u64, plain: &[u8]) {
        let mut hasher = DefaultHasher::new();
        plain.hash(&mut hasher);
        let hash = hasher.finish();
        let at = (index % REMEMBERED) as usize;
        if self.0.len() <= at {
            self.0.resize(at + 1, None);
        }
        if let Some((seen, other)) = self.0[at] {
            assert!(
                seen != index || other == hash,
                "two different packets under one nonce: SSRC {ssrc}, index {index}"
            );
        }
        self.0[at] = Some((index, hash));
    }
}

// Twice what a forwarder remembers for retransmission.
const REMEMBERED: u64 = 2_048;
