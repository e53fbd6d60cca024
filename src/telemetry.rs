//! Telemetry that the whole process shares: log lines on standard error.

use std::io::{self, IsTerminal};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::config::{Log, LogFormat};

/// Why logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("bad value for log: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The process logs already.
    #[error("logging was set up before")]
    Taken(#[from] TryInitError),
}

/// The protocol libraries warn of what every browser sends, and what administrators do is always told.
/// What the operator asks for stands behind and wins.
const QUIET: &str = "audit=info,rtc_dtls=error,rtc_srtp=error,rtc_stun=error,rtc_interceptor=error";

/// Changes the filter of a process that logs.
static SET: OnceLock<Box<dyn Fn(EnvFilter) + Send + Sync>> = OnceLock::new();

/// Lets another filter hold from now on; the format stays.
pub fn set(log: &Log) {
    match (SET.get(), filter(log)) {
        (Some(set), Ok(filter)) => set(filter),
        (None, _) => {}
        (Some(_), Err(error)) => tracing::error!(%error, "the filter of the log cannot be used"),
    }
}

fn filter(log: &Log) -> Result<EnvFilter, TelemetryError> {
    Ok(EnvFilter::try_new(format!("{QUIET},{}", log.filter))?)
}

/// Starts logging for the whole process. Standard output stays free for answers.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;

    let filter = filter(log)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => {
            let lines = lines.with_filter_reloading();
            let handle = lines.reload_handle();
            lines.finish().try_init()?;
            let _ = SET.set(Box::new(move |filter| drop(handle.reload(filter))));
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.finish().try_init()?;
            let _ = SET.set(Box::new(move |filter| drop(handle.reload(filter))));
        }
    }
    Ok(())
}
