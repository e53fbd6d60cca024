//! Webhooks that tell others over HTTP what happens to streams ([how](../docs/webhooks.md)).
//!
//! Each webhook reads the journal by itself and has a queue of its own, so that one that does not answer
//! delays nobody else. What happens to one stream is delivered in order; streams do not wait for each
//! other. What could not be delivered when the server ends is lost.

mod courier;
mod ledger;
mod post;
mod queue;
mod signature;

use std::time::Duration;

use anyhow::{Context, bail};
use tokio::task::JoinSet;
use tracing::warn;
use whitewater_signaling::control::Journal;

use crate::config::{SecretSource, Webhook};
use crate::metrics;
use courier::{Courier, Hook};
pub use ledger::Ledger;
use post::Client;
use signature::Key;

/// Webhooks that are ready to be told.
pub struct Webhooks(Vec<Hook<Client>>);

/// Webhooks that are being told.
pub struct Running {
    couriers: JoinSet<()>,
    metrics: metrics::Webhooks,
    names: Vec<String>,
}

// === impl Webhooks ===

impl Webhooks {
    /// Reads the secrets of the webhooks.
    pub fn new(
        configured: &[Webhook],
        ledger: &Ledger,
        metrics: &metrics::Webhooks,
    ) -> anyhow::Result<Self> {
        let hooks = configured.iter().map(|webhook| {
            let key = key(webhook).with_context(|| format!("the webhook {}", webhook.name))?;
            let client = Client::new(webhook).context("webhooks cannot be called")?;
            anyhow::Ok(Hook::new(webhook, key, client, ledger.clone(), metrics.clone()))
        });
        Ok(Self(hooks.collect::<Result<_, _>>()?))
    }

    /// Begins to tell them. Call it within a tokio runtime.
    pub fn start<E>(
        self,
        metrics: metrics::Webhooks,
        journal: impl Fn() -> Result<Box<dyn Journal>, E>,
    ) -> Result<Running, E> {
        let mut couriers = JoinSet::new();
        let names: Vec<_> = self.0.iter().map(|hook| hook.name().to_owned()).collect();
        names.iter().for_each(|name| metrics.knows(name));
        for hook in self.0 {
            couriers.spawn(Courier::new(hook).run(journal()?));
        }
        Ok(Running { couriers, metrics, names })
    }
}

// === impl Running ===

impl Running {
    /// Waits until everything is delivered, once the journal has ended; not longer than this.
    pub async fn finish(mut self, most: Duration) {
        let all = async { while self.couriers.join_next().await.is_some() {} };
        if tokio::time::timeout(most, all).await.is_err() {
            let lost = self.metrics.waiting(&self.names);
            warn!(lost, "events for webhooks are lost, as the server stops");
        }
    }
}

fn key(webhook: &Webhook) -> anyhow::Result<Key> {
    let text = match &webhook.secret {
        SecretSource::Inline(secret) => secret.reveal().to_owned(),
        SecretSource::File(path) => std::fs::read_to_string(path)
            .with_context(|| format!("secret_file: {} cannot be read", path.display()))?,
        SecretSource::Environment(name) => match std::env::var(name) {
            Ok(text) => text,
            Err(_) => bail!("secret_env: the environment has no variable {name}"),
        },
    };
    Ok(text.trim_end().parse::<Key>()?)
}
