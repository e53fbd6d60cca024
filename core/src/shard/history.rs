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
    /// Bytes on the wire, and whether it was reported lost; 0 when empty or acknowledged.
    bytes: u16,
}

/// When packets are sent, by a history's own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    since_epoch_ms: u32,
}

/// A packet that feedback spoke of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Departed {
    /// When it was sent.
    pub sent: Moment,
    /// Bytes on the wire.
    pub bytes: usize,
    /// Whether it was reported lost before.
    pub was_lost: bool,
}

// === impl History ===

impl History {
    /// Packets remembered.
    pub(super) const CAPACITY: usize = 512;

    /// The moment of a write, for all of its packets.
    pub(super) fn moment(&mut self, now: Instant) -> Moment {
        let epoch = *self.epoch.get_or_insert(now);
        Moment { since_epoch_ms: now.saturating_duration_since(epoch).as_millis() as u32 }
    }

    /// The instant of a moment; `None` before anything was sent.
    pub(super) fn instant(&self, moment: Moment) -> Option<Instant> {
        Some(self.epoch? + Duration::from_millis(u64::from(moment.since_epoch_ms)))
    }

    /// Remembers a packet; the one 512 earlier is forgotten.
    pub(super) fn sent(&mut self, moment: Moment, seq: u16, bytes: usize) {
        if self.entries.is_empty() {
            self.entries = vec![Entry::default(); Self::CAPACITY];
        }
        let sent_ms = moment.since_epoch_ms;
        let bytes = u16::try_from(bytes).unwrap_or(LOST).clamp(1, LOST - 1);
        self.entries[usize::from(seq) % Self::CAPACITY] = Entry { sent_ms, seq, bytes };
    }

    /// Takes in that a packet arrived, or was lost. Returns it the first time; what was lost may
    /// still arrive.
    pub(super) fn settle(&mut self, seq: u16, arrived: bool) -> Option<Departed> {
        let entry = self.entries.get_mut(usize::from(seq) % Self::CAPACITY)?;
        let was_lost = entry.bytes & LOST != 0;
        if entry.seq != seq || entry.bytes == 0 || was_lost && !arrived {
            return None;
        }
        let sent = Moment { since_epoch_ms: entry.sent_ms };
        let bytes = usize::from(entry.bytes & !LOST);
        entry.bytes = if arrived { 0 } else { entry.bytes | LOST };
        Some(Departed { sent, bytes, was_lost })
    }
}

/// Datagrams are shorter than this bit is worth.
const LOST: u16 = 0x8000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_acknowledged_once() {
        let start = Instant::now();
        let mut history = History::default();
        for seq in 65_500..66_100_u32 {
            let at = history.moment(start + Duration::from_millis(u64::from(seq - 65_500)));
            history.sent(at, seq as u16, 1000);
        }
        let newest = 66_099_u32 as u16;
        let sent = history.moment(start + Duration::from_millis(599));
        assert_eq!(history.instant(sent), Some(start + Duration::from_millis(599)));
        assert_eq!(
            history.settle(newest, true),
            Some(Departed { sent, bytes: 1000, was_lost: false })
        );
        assert_eq!(history.settle(newest, true), None);
        assert_eq!(history.settle(65_500, true), None, "it was forgotten");
    }

    #[test]
    fn what_was_lost_may_arrive_once() {
        let start = Instant::now();
        let mut history = History::default();
        let at = history.moment(start);
        history.sent(at, 7, 1000);
        assert_eq!(history.settle(7, false).map(|it| it.was_lost), Some(false));
        assert_eq!(history.settle(7, false), None);
        let found = Departed { sent: at, bytes: 1000, was_lost: true };
        assert_eq!(history.settle(7, true), Some(found));
        assert_eq!(history.settle(7, true), None);
    }
}
