//! A repair budget that keeps retransmissions from crowding out what they repair.
//!
//! On a full path every packet sent again pushes out another one, which is then asked for too. So for
//! each byte of media half a byte may be sent again, and a packet not before its last retransmission
//! can have arrived.

use std::time::Duration;

/// The repair budget of one viewer.
#[derive(Debug)]
pub(super) struct Repair {
    credit_bytes: i64,
    round_trip: Option<Duration>,
}

// === impl Repair ===

impl Repair {
    /// Takes note of media that was sent.
    pub(super) fn note_sent(&mut self, bytes: usize) {
        self.credit_bytes = (self.credit_bytes + bytes as i64 / 2).min(MAX_CREDIT_BYTES);
    }

    /// Takes note of a retransmission.
    pub(super) fn note_resent(&mut self, bytes: usize) {
        self.credit_bytes -= bytes as i64;
    }

    /// Whether a packet may be sent again now.
    pub(super) fn has_credit(&self) -> bool {
        self.credit_bytes > 0
    }

    /// The path is overloaded: what was saved up is not for it.
    pub(super) fn note_overload(&mut self) {
        self.credit_bytes = self.credit_bytes.min(LITTLE_BYTES);
    }

    /// Takes note of how long after a packet was sent feedback spoke of it.
    pub(super) fn note_round_trip(&mut self, measured: Duration) {
        let before = self.round_trip.unwrap_or(measured);
        self.round_trip = Some((before * 7 + measured) / 8);
    }

    /// How long after a retransmission the same packet may be sent again, in milliseconds.
    pub(super) fn again_after_ms(&self) -> u32 {
        let most = self.round_trip.map_or(0, |it| it.as_millis() as u32 * 3 / 4);
        most.clamp(MIN_AGAIN_MS, MAX_AGAIN_MS)
    }
}

impl Default for Repair {
    fn default() -> Self {
        Self { credit_bytes: MAX_CREDIT_BYTES, round_trip: None }
    }
}

/// A tenth of a second of a 5 Mbit/s layer.
const MAX_CREDIT_BYTES: i64 = 64_000;
const LITTLE_BYTES: i64 = 4_000;

const MIN_AGAIN_MS: u32 = 15;
const MAX_AGAIN_MS: u32 = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_is_sent_may_be_sent_again() {
        let mut repair = Repair::default();
        repair.note_overload();
        let mut resent = 0;
        for _ in 0..1000 {
            repair.note_sent(1000);
            while repair.has_credit() {
                repair.note_resent(1000);
                resent += 1;
            }
        }
        assert!((500..=506).contains(&resent), "{resent}");
    }

    #[test]
    fn a_packet_is_sent_again_after_most_of_a_round_trip() {
        let rows = [(None, 15), (Some(4), 15), (Some(100), 75), (Some(5000), 250)];
        for (ms, want) in rows {
            let mut repair = Repair::default();
            ms.into_iter().for_each(|ms| repair.note_round_trip(Duration::from_millis(ms)));
            assert_eq!(repair.again_after_ms(), want, "{ms:?}");
        }
    }
}
