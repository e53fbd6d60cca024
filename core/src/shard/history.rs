//! A history of what was sent under which transport-wide number, and what came of it.

use std::time::{Duration, Instant};

/// The last packets sent to one viewer, by transport-wide number.
#[derive(Debug, Default)]
pub(super) struct History {
    entries: Vec<Entry>,
    epoch: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    sent_ms: u32,
    seq: u16,
    /// Bytes on the wire; 0 when empty or already acknowledged.
    bytes: u16,
}

// === impl History ===

impl History {
    /// Packets remembered.
    pub(super) const CAPACITY: usize = 512;

    /// Remembers a packet; the one 512 earlier is forgotten.
    pub(super) fn sent(&mut self, now: Instant, seq: u16, bytes: usize) {
        if self.entries.is_empty() {
            self.entries = vec![Entry::default(); Self::CAPACITY];
        }
        let epoch = *self.epoch.get_or_insert(now);
        let sent_ms = now.saturating_duration_since(epoch).as_millis() as u32;
        let bytes = u16::try_from(bytes).unwrap_or(u16::MAX);
        self.entries[usize::from(seq) % Self::CAPACITY] = Entry { sent_ms, seq, bytes };
    }

    /// Takes in that feedback spoke of a number. Returns how long ago it was sent, the first time.
    pub(super) fn acknowledge(&mut self, now: Instant, seq: u16) -> Option<Duration> {
        let epoch = self.epoch?;
        let entry = self.entries.get_mut(usize::from(seq) % Self::CAPACITY)?;
        if entry.seq != seq || entry.bytes == 0 {
            return None;
        }
        entry.bytes = 0;
        let sent = epoch + Duration::from_millis(u64::from(entry.sent_ms));
        Some(now.saturating_duration_since(sent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_acknowledged_once() {
        let start = Instant::now();
        let mut history = History::default();
        for seq in 65_500..66_100_u32 {
            history.sent(start + Duration::from_millis(u64::from(seq - 65_500)), seq as u16, 1000);
        }
        let later = start + Duration::from_millis(700);
        let newest = 66_099_u32 as u16;
        assert_eq!(history.acknowledge(later, newest), Some(Duration::from_millis(101)));
        assert_eq!(history.acknowledge(later, newest), None);
        assert_eq!(history.acknowledge(later, 65_500), None, "it was forgotten");
    }
}
