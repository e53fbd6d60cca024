//! How much processor time the parts of the server take, by their threads.

use std::collections::HashMap;
use std::fmt::Error;
use std::sync::{Arc, Mutex, PoisonError};

use procfs::process::{Process, Stat};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Unit;

/// Sums of processor time. Threads come and go: what one took since it was looked at last is lost when it
/// ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Cpu(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    /// What each thread had taken, by its number and the time of its start.
    threads: HashMap<(i32, u64), u64>,
    /// In clock ticks, by [`PARTS`].
    sums: [u64; PARTS.len()],
}

#[derive(Debug, EncodeLabelSet)]
struct Part {
    part: &'static str,
}

const PARTS: [&str; 3] = ["shards", "transcoding", "requests"];

// === impl Cpu ===

impl Cpu {
    /// Looks at all threads. Where the system does not tell, the sums stay.
    pub(super) fn look(&self) {
        let threads = Process::myself().and_then(|me| me.tasks());
        let Ok(threads) = threads.inspect_err(|error| tracing::debug!(%error, "no threads")) else {
            return;
        };
        // One that ends meanwhile is passed over.
        let stats = threads.filter_map(|thread| thread.ok()?.stat().ok());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(stats);
    }

    fn sums(&self) -> [u64; PARTS.len()] {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).sums
    }
}

impl Collector for Cpu {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "Processor time by what it is spent on";
        let (seconds, kind) = (Some(&Unit::Seconds), MetricType::Counter);
        let mut family = encoder.encode_descriptor("cpu", help, seconds, kind)?;
        for (part, ticks) in PARTS.into_iter().zip(self.sums()) {
            let seconds = ticks as f64 / procfs::ticks_per_second() as f64;
            ConstCounter::new(seconds).encode(family.encode_family(&Part { part })?)?;
        }
        Ok(())
    }
}

// === impl Book ===

impl Book {
    fn take(&mut self, stats: impl Iterator<Item = Stat>) {
        let before = std::mem::take(&mut self.threads);
        for stat in stats {
            let (id, ticks) = ((stat.pid, stat.starttime), stat.utime + stat.stime);
            let known = before.get(&id).copied().unwrap_or(0);
            self.sums[part_of(&stat.comm, stat.nice)] += ticks.saturating_sub(known);
            self.threads.insert(id, ticks);
        }
    }
}

/// The place in [`PARTS`] of a thread. Those that transcode stand furthest behind (`priority.rs`).
fn part_of(name: &str, nice: i64) -> usize {
    if name.starts_with("shard-") {
        0
    } else if nice >= 10 {
        1
    } else {
        2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_apart_by_what_they_do() {
        for (name, nice, part) in [
            ("shard-0", 0, "shards"),
            ("x264", 10, "transcoding"),
            ("tokio-rt-worker", 5, "requests"),
            ("whitewater", 0, "requests"),
        ] {
            assert_eq!(PARTS[part_of(name, nice)], part, "{name}");
        }
    }

    #[test]
    fn time_that_was_spent_is_counted_once_and_stays_when_its_thread_ends() {
        let cpu = Cpu::default();
        cpu.look();
        let spin = || {
            let began = std::time::Instant::now();
            while began.elapsed().as_millis() < 300 {
                std::hint::spin_loop();
            }
        };
        let before = cpu.sums();
        let (spun, wait) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::Builder::new().name("shard-7".into()).spawn(move || {
            spin();
            spun.send(()).unwrap();
            let _ = stopped.recv();
        });
        wait.recv().unwrap();
        cpu.look();
        let after = cpu.sums();
        // Other tests take most of a busy machine; the clock of threads ticks every 10 ms.
        assert!(after[0] > before[0], "{before:?} {after:?}");
        drop(stop);
        thread.unwrap().join().unwrap();
        cpu.look();
        assert_eq!(cpu.sums()[0], after[0], "nothing is counted twice, and nothing is lost");
    }
}
