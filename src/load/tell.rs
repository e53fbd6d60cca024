//! A printer of what was measured, for people and for programs.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

/// Prints one JSON object, or the table.
#[allow(clippy::print_stdout, reason = "the figures are what `load` answers")]
pub(super) fn print(json: &Value, as_json: bool, table: impl FnOnce() -> Vec<(String, String)>) {
    if as_json {
        println!("{json}");
        return;
    }
    let rows = table();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in rows {
        println!("{name:width$}  {value}");
    }
}

/// Prints one line, for a process that waits for it and may be gone.
pub(super) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Half, 95 of 100, and all of some durations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    p50_ms: f64,
    p95_ms: f64,
    max_ms: f64,
}

// === impl Spread ===

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(durations: impl Iterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<Duration> = durations.collect();
        sorted.sort_unstable();
        let at = |share: f64| {
            let rank = (sorted.len() as f64 * share).ceil() as usize;
            Some(millis(*sorted.get(rank.max(1) - 1)?))
        };
        Some(Self { p50_ms: at(0.5)?, p95_ms: at(0.95)?, max_ms: at(1.0)? })
    }

    pub(super) fn json(spread: Option<Self>) -> Value {
        spread
            .map_or(Value::Null, |it| json!({"p50": it.p50_ms, "p95": it.p95_ms, "max": it.max_ms}))
    }

    pub(super) fn text(spread: Option<Self>) -> String {
        spread.map_or("-".into(), |it| {
            format!("p50 {} ms, p95 {} ms, max {} ms", it.p50_ms, it.p95_ms, it.max_ms)
        })
    }
}

/// Milliseconds, to the tenth.
pub(super) fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e4).round() / 10.0
}

/// Rounds to this many decimals.
pub(super) fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occurred() {
        let durations = (1..=100).map(Duration::from_millis);
        let spread = Spread::of(durations);
        assert_eq!(spread, Some(Spread { p50_ms: 50.0, p95_ms: 95.0, max_ms: 100.0 }));
        assert_eq!(Spread::of(std::iter::empty()), None);
    }
}
