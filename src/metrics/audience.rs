//! What players say of themselves.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use whitewater_signaling::control::{Heard, PlayerProtocol};

/// Handles on it; cheap to clone.
#[derive(Clone, Debug)]
pub struct Audience {
    beacons: Family<Outcome, Counter>,
    stalls: Family<Protocol, Counter>,
    stalled: Family<Protocol, Counter<f64, std::sync::atomic::AtomicU64>>,
    errors: Family<Protocol, Counter>,
    startup: Family<Protocol, Histogram>,
    latency: Family<Protocol, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    protocol: &'static str,
    outcome: &'static str,
}

// === impl Audience ===

impl Default for Audience {
    fn default() -> Self {
        Self {
            beacons: Family::default(),
            stalls: Family::default(),
            stalled: Family::default(),
            errors: Family::default(),
            startup: Family::new_with_constructor(|| Histogram::new(STARTUP_S)),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY_S)),
        }
    }
}

impl Audience {
    /// A player spoke.
    pub fn heard(&self, protocol: PlayerProtocol, heard: Heard) {
        let outcome = match heard {
            Heard::Taken => "taken",
            Heard::TooSoon => "too_soon",
            Heard::TooMany => "too_many",
        };
        self.beacons.get_or_create(&Outcome { protocol: protocol.name(), outcome }).inc();
    }

    /// It took so long from the wish to play to the first picture.
    pub fn started(&self, protocol: PlayerProtocol, after: Duration) {
        self.startup.get_or_create(&label(protocol)).observe(after.as_secs_f64());
    }

    /// So long it takes from the camera to the screen.
    pub fn latency(&self, protocol: PlayerProtocol, latency: Duration) {
        self.latency.get_or_create(&label(protocol)).observe(latency.as_secs_f64());
    }

    /// It waited for media so often more, and so long, and began anew so often.
    pub fn waited(&self, protocol: PlayerProtocol, stalls: u64, stalled: Duration, errors: u64) {
        self.stalls.get_or_create(&label(protocol)).inc_by(stalls);
        self.stalled.get_or_create(&label(protocol)).inc_by(stalled.as_secs_f64());
        self.errors.get_or_create(&label(protocol)).inc_by(errors);
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let beacons = "What players said of themselves, by what became of it";
        registry.register("beacons", beacons, self.beacons.clone());
        let stalls = "Times that players waited for media, as they say";
        registry.register("player_stalls", stalls, self.stalls.clone());
        let stalled = "How long players waited for media, as they say";
        registry.register_with_unit("player_stalled", stalled, Unit::Seconds, self.stalled.clone());
        let errors = "Times that players began anew or gave up, as they say";
        registry.register("player_errors", errors, self.errors.clone());
        let startup = "From the wish to play to the first picture, as players say";
        registry.register_with_unit("player_startup", startup, Unit::Seconds, self.startup.clone());
        let latency = "From the publisher's camera to the screen, as players say";
        let (name, unit) = ("glass_to_glass_latency", Unit::Seconds);
        registry.register_with_unit(name, latency, unit, self.latency.clone());
    }
}

fn label(protocol: PlayerProtocol) -> Protocol {
    Protocol { protocol: protocol.name() }
}

const STARTUP_S: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0, 30.0];
const LATENCY_S: [f64; 12] = [0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0];
