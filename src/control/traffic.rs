//! A meter that tells how much leaves the server, all shards together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use whitewater_core::shard::ShardId;

use super::Control;

/// Bits per second that left over the last second.
#[derive(Debug, Default)]
pub(super) struct Traffic(AtomicU64);

// === impl Traffic ===

impl Traffic {
    pub(super) fn bps(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Reads the shards' counts once a second, as long as there is a control.
pub(super) async fn measure(control: Weak<Control>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last: Option<(Instant, u64)> = None;
    loop {
        ticks.tick().await;
        let Some(control) = control.upgrade() else { return };
        let (now, bytes) = (Instant::now(), sent(&control));
        if let Some((then, before)) = last {
            control
                .traffic
                .0
                .store(bps(bytes.saturating_sub(before), now - then), Ordering::Relaxed);
        }
        last = Some((now, bytes));
    }
}

fn sent(control: &Arc<Control>) -> u64 {
    let shards = (0..control.engine.shards()).map(|index| ShardId(index as u8));
    let counters = shards.filter_map(|shard| control.engine.counters(shard));
    counters.map(|counters| counters.bytes_out.load(Ordering::Relaxed)).sum()
}

fn bps(bytes: u64, within: Duration) -> u64 {
    let us = u64::try_from(within.as_micros()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(8_000_000) / us
}

const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_bits_per_second() {
        let rows =
            [(0, 1_000, 0), (125, 1_000, 1_000), (1_000_000, 2_000, 4_000_000), (1, 0, 8_000_000)];
        for (bytes, ms, want) in rows {
            assert_eq!(bps(bytes, Duration::from_millis(ms)), want, "{bytes} in {ms} ms");
        }
    }
}
