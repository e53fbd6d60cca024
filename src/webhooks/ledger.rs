//! A ledger of what became of the latest events, which the API shows.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use whitewater_signaling::control::{DeliveryInfo, DeliveryState, Occurred};

/// The latest deliveries of all webhooks, as many as `CAPACITY`. Its clones are the same ledger.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    rows: VecDeque<DeliveryInfo>,
    /// The number of the first of them.
    first: u64,
}

/// A row's number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row(u64);

// === impl Ledger ===

impl Ledger {
    /// The latest deliveries, the newest first; so many at most.
    pub fn latest(&self, most: usize) -> Vec<DeliveryInfo> {
        self.rows().rows.iter().rev().take(most).cloned().collect()
    }

    /// Enters an event that a webhook is to be sent.
    pub(super) fn enter(&self, webhook: &str, event: &Occurred) -> Row {
        let mut rows = self.rows();
        if rows.rows.len() == CAPACITY {
            rows.rows.pop_front();
            rows.first += 1;
        }
        rows.rows.push_back(DeliveryInfo {
            id: event.id.as_ref().into(),
            r#type: event.topic.name().into(),
            stream: event.facts.stream.to_string(),
            webhook: webhook.into(),
            state: DeliveryState::Waiting,
            tries: 0,
            status: None,
            error: None,
            took_ms: None,
            occurred_at: humantime::format_rfc3339_millis(event.at).to_string(),
            finished_at: None,
        });
        Row(rows.first + rows.rows.len() as u64 - 1)
    }

    /// Notes a try: the status, or what went wrong, and how long it took.
    pub(super) fn tried(&self, row: Row, status: Option<u16>, error: Option<&str>, took: Duration) {
        self.change(row, |delivery| {
            delivery.tries += 1;
            (delivery.status, delivery.error) = (status, error.map(str::to_owned));
            delivery.took_ms = u64::try_from(took.as_millis()).ok();
        });
    }

    /// Notes what became of it.
    pub(super) fn finished(&self, row: Row, state: DeliveryState) {
        let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        self.change(row, |delivery| (delivery.state, delivery.finished_at) = (state, Some(now)));
    }

    /// Changes a row that is still there.
    fn change(&self, row: Row, change: impl FnOnce(&mut DeliveryInfo)) {
        let mut rows = self.rows();
        let at = row.0.checked_sub(rows.first).and_then(|at| usize::try_from(at).ok());
        if let Some(delivery) = at.and_then(|at| rows.rows.get_mut(at)) {
            change(delivery);
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Deliveries that are remembered.
const CAPACITY: usize = 1_000;

#[cfg(test)]
mod tests {
    use whitewater_signaling::control::{Facts, Topic};

    use super::*;

    #[test]
    fn the_newest_come_first_and_the_oldest_are_forgotten() {
        let ledger = Ledger::default();
        let event = |number: usize| Occurred {
            id: number.to_string().into(),
            at: SystemTime::UNIX_EPOCH,
            topic: Topic::StreamStarted,
            facts: Facts::of("a".parse().unwrap()),
        };
        let rows: Vec<_> =
            (0..CAPACITY + 2).map(|number| ledger.enter("w", &event(number))).collect();
        let ms = Duration::from_millis;
        ledger.tried(rows[0], Some(200), None, ms(1));
        ledger.tried(rows[CAPACITY], None, Some("no"), ms(1));
        ledger.tried(rows[CAPACITY], Some(204), None, ms(2));
        ledger.finished(rows[CAPACITY], DeliveryState::Delivered);
        let latest = ledger.latest(2);
        assert_eq!(latest[0].id, (CAPACITY + 1).to_string());
        assert_eq!((latest[0].tries, latest[0].state), (0, DeliveryState::Waiting));
        assert_eq!((latest[1].tries, latest[1].state), (2, DeliveryState::Delivered));
        assert_eq!(
            (latest[1].status, &latest[1].error, latest[1].took_ms),
            (Some(204), &None, Some(2))
        );
        let all = ledger.latest(usize::MAX);
        assert_eq!((all.len(), all[CAPACITY - 1].id.as_str()), (CAPACITY, "2"));
        assert!(all.iter().skip(2).all(|one| one.tries == 0), "an old row is no other row");
    }
}
