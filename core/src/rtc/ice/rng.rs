//! A generator of transaction ids and jitter from a seed.

use rtc_stun::message::TransactionId;

/// SplitMix64. Its numbers keep transactions apart; what keeps them safe is MESSAGE-INTEGRITY.
pub(super) struct Rng(u64);

// === impl Rng ===

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u32
    }

    pub(super) fn transaction_id(&mut self) -> TransactionId {
        let mut id = [0; 12];
        id[..8].copy_from_slice(&self.next().to_be_bytes());
        id[8..].copy_from_slice(&self.next().to_be_bytes()[..4]);
        TransactionId(id)
    }
}
