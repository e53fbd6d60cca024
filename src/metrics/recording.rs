//! What recording counts.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// Handles on it; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    going: Gauge,
    failed: Counter,
    segments: Counter,
    bytes: Counter,
    kept: Gauge,
    spooled: Gauge,
    spool_failures: Counter,
}

// === impl Recording ===

impl Recording {
    /// A recording begins.
    pub fn began(&self) {
        self.going.inc();
    }

    /// A recording is over, or had to be given up.
    pub fn ended(&self, failed: bool) {
        self.going.dec();
        self.failed.inc_by(u64::from(failed));
    }

    /// A segment of so many bytes is in the store.
    pub fn written(&self, bytes: u64) {
        self.segments.inc();
        self.bytes.inc_by(bytes);
    }

    /// All recordings have so many bytes.
    pub fn kept(&self, bytes: u64) {
        self.kept.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// So many bytes wait on disk for the store, which did not take what it should so often.
    pub fn spooled(&self, bytes: u64, failures: u64) {
        self.spooled.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        let known = self.spool_failures.get();
        self.spool_failures.inc_by(failures.saturating_sub(known));
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("recordings_active", "Recordings that go on", self.going.clone());
        let failed = "Recordings that had to be given up, while their streams went on";
        registry.register("recordings_failed", failed, self.failed.clone());
        let segments = "Segments that were recorded";
        registry.register("recorded_segments", segments, self.segments.clone());
        let bytes = "Media that was recorded";
        registry.register_with_unit("recorded", bytes, Unit::Bytes, self.bytes.clone());
        let kept = "Media of all recordings that are kept";
        registry.register_with_unit("recordings_kept", kept, Unit::Bytes, self.kept.clone());
        let spooled = "What waits on disk until the store of recordings takes it";
        registry.register_with_unit(
            "recordings_spooled",
            spooled,
            Unit::Bytes,
            self.spooled.clone(),
        );
        let failures = "How often the store of recordings did not take what waits for it";
        registry.register("recordings_spool_failures", failures, self.spool_failures.clone());
    }
}
