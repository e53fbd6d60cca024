//! A hasher that scatters numbers the server gave out itself.
//!
//! It is for keys that nobody outside chooses: who may choose them may make them collide.

use std::hash::{BuildHasherDefault, Hasher};

/// Makes one for a map.
pub(super) type BuildNumberHasher = BuildHasherDefault<NumberHasher>;

/// A multiplication, where the standard one takes some hundred instructions: streams are looked up
/// several times for each burst.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(GOLDEN);
    }

    fn finish(&self) -> u64 {
        // Maps choose the place by the lower bits, to which the upper ones add what they know.
        self.0 ^ self.0 >> 32
    }
}

/// 2^64 over the golden ratio: neighbours end far from each other.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use super::*;
    use crate::shard::StreamId;

    #[test]
    fn numbers_given_out_one_after_the_other_lie_apart() {
        let build = BuildNumberHasher::default();
        let hashes: Vec<_> = (0..1024).map(|id| build.hash_one(StreamId(id))).collect();
        let low: HashSet<_> = hashes.iter().map(|hash| hash & 1023).collect();
        assert!(low.len() > 512, "{}", low.len());
        let high: HashSet<_> = hashes.iter().map(|hash| hash >> 57).collect();
        assert_eq!(high.len(), 128);
    }
}
