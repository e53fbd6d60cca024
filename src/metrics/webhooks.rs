//! What webhooks count.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use whitewater_signaling::control::DeliveryState;

/// Handles on it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhooks {
    events: Family<Outcome, Counter>,
    tries: Family<Try, Counter>,
    waiting: Family<Hook, Gauge>,
    took: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    webhook: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Try {
    webhook: String,
    /// 0 where nobody answered.
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Hook {
    webhook: String,
}

// === impl Webhooks ===

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            events: Family::default(),
            tries: Family::default(),
            waiting: Family::default(),
            took: Histogram::new(TOOK_S),
        }
    }
}

impl Webhooks {
    /// A webhook is there: what is counted of it begins at 0.
    pub fn knows(&self, webhook: &str) {
        for outcome in ["delivered", "given_up", "dropped", "missed"] {
            self.outcome(webhook, outcome, 0);
        }
        self.waits(webhook, 0);
    }

    /// An event was sent once, and answered with this status, if at all.
    pub fn tried(&self, webhook: &str, code: Option<u16>, took: Duration) {
        let code = code.unwrap_or(0);
        self.tries.get_or_create(&Try { webhook: webhook.into(), code }).inc();
        self.took.observe(took.as_secs_f64());
    }

    /// Something became of an event.
    pub fn finished(&self, webhook: &str, state: DeliveryState) {
        let outcome = match state {
            DeliveryState::Delivered => "delivered",
            DeliveryState::GivenUp => "given_up",
            DeliveryState::Dropped => "dropped",
            DeliveryState::Waiting => return,
        };
        self.outcome(webhook, outcome, 1);
    }

    /// So many events were never looked at.
    pub fn missed(&self, webhook: &str, count: u64) {
        self.outcome(webhook, "missed", count);
    }

    /// So many events wait for their delivery.
    pub fn waits(&self, webhook: &str, count: usize) {
        let gauge = self.waiting.get_or_create(&Hook { webhook: webhook.into() });
        gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many wait, for all webhooks that are known.
    pub fn waiting(&self, webhooks: &[String]) -> i64 {
        let one =
            |webhook: &String| self.waiting.get_or_create(&Hook { webhook: webhook.clone() }).get();
        webhooks.iter().map(one).sum()
    }

    fn outcome(&self, webhook: &str, outcome: &'static str, count: u64) {
        self.events.get_or_create(&Outcome { webhook: webhook.into(), outcome }).inc_by(count);
    }

    #[cfg(test)]
    pub(crate) fn of(&self, webhook: &str, outcome: &'static str) -> u64 {
        self.events.get_or_create(&Outcome { webhook: webhook.into(), outcome }).get()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let events = "Events for webhooks, by what became of them";
        registry.register("webhook_events", events, self.events.clone());
        let tries = "Requests to webhooks, by the status of the answer; 0 is none";
        registry.register("webhook_requests", tries, self.tries.clone());
        let waiting = "Events for webhooks that wait or are being sent";
        registry.register("webhook_waiting", waiting, self.waiting.clone());
        let took = "How long webhooks take to answer";
        registry.register_with_unit("webhook_request", took, Unit::Seconds, self.took.clone());
    }
}

const TOOK_S: [f64; 8] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0];
