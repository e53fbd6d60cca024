//! A reload that lets a changed configuration hold while the server runs, as far as it can.
//!
//! Everything that could fail is tried first: a configuration that cannot be used changes nothing.

use std::sync::{Mutex, PoisonError};

use whitewater_signaling::{Operator, Reloaded, Switch};

use super::translate;
use crate::auth::Gate;
use crate::config::{Config, Live};
use crate::http::Certificate;
use crate::telemetry;

/// What reads the configuration again.
pub type Source = Box<dyn Fn() -> anyhow::Result<Config> + Send + Sync>;

/// What can be changed of a running server, and by what.
pub(super) struct Reloading {
    pub(super) live: Live,
    pub(super) source: Source,
    pub(super) gate: Gate,
    pub(super) switch: Switch,
    pub(super) certificate: Option<Certificate>,
    /// One reload at a time.
    pub(super) turn: Mutex<()>,
}

// === impl Reloading ===

impl Reloading {
    fn reload_now(&self) -> anyhow::Result<Reloaded> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, wanted) = (self.live.get(), (self.source)()?);
        let (now, needs_restart) = wanted.as_far_as_running(&before)?;
        let certificate = match (&self.certificate, &now.tls) {
            (Some(certificate), Some(tls)) => Some((certificate, certificate.read(tls)?)),
            _ => None,
        };
        self.gate.reload(&now)?;
        if let Some((certificate, read)) = certificate {
            certificate.set(read);
        }
        self.switch.set_cors_origins(&now.cors_origins);
        self.switch.set_rates(translate::rates(&now));
        telemetry::set(&now.log);
        let changed = now.changes_from(&before);
        self.live.set(now);
        Ok(Reloaded { changed, needs_restart })
    }
}

impl Operator for Reloading {
    fn config(&self) -> serde_json::Value {
        self.live.get().to_json()
    }

    fn reload(&self) -> Result<Reloaded, String> {
        let outcome = self.reload_now().map_err(|error| format!("{error:#}"));
        match &outcome {
            Ok(Reloaded { changed, needs_restart }) => {
                tracing::info!(?changed, "the configuration was read again");
                if !needs_restart.is_empty() {
                    tracing::warn!(keys = ?needs_restart, "changed keys wait for a restart");
                }
            }
            Err(why) => {
                tracing::error!(
                    why,
                    "the configuration cannot be used; the one before stays in force"
                );
            }
        }
        outcome
    }
}
