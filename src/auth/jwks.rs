//! Keys that are fetched from a URL (JSON Web Key Set, RFC 7517), and kept while it does not answer.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::jwk::JwkSet;
use tokio::sync::Mutex;
use tracing::{info, warn};

use super::keys::{self, Key};
use crate::config::shown_url;

/// The keys behind a URL.
pub(super) struct Jwks {
    url: String,
    /// The URL as it may be logged.
    shown: String,
    client: reqwest::Client,
    keys: RwLock<Arc<Vec<Key>>>,
    /// When they were last fetched or tried.
    tried: Mutex<Option<Instant>>,
}

// === impl Jwks ===

impl Jwks {
    pub(super) fn new(url: String) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self {
            shown: shown_url(&url),
            url,
            client,
            keys: RwLock::default(),
            tried: Mutex::new(None),
        })
    }

    /// The keys as they were fetched last.
    pub(super) fn keys(&self) -> Arc<Vec<Key>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fetches the keys unless that was done a moment ago: for a token whose key is not known.
    pub(super) async fn look_again(&self) {
        // Whoever comes meanwhile waits for the same answer.
        let mut tried = self.tried.lock().await;
        if tried.is_some_and(|at| at.elapsed() < LEAST_INTERVAL) {
            return;
        }
        *tried = Some(Instant::now());
        match self.fetch().await {
            Ok(fetched) => {
                let before = self.keys().len();
                if fetched.is_empty() {
                    warn!(
                        url = self.shown,
                        "the key set has no key that checks tokens: the old ones stay"
                    );
                    return;
                }
                if before != fetched.len() {
                    info!(url = self.shown, keys = fetched.len(), "keys are fetched");
                }
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fetched);
            }
            Err(error) => {
                let error = error.without_url();
                warn!(url = self.shown, %error, "the key set cannot be fetched: the old keys stay");
            }
        }
    }

    /// Keeps the keys fresh as long as somebody needs them.
    pub(super) async fn keep_fresh(me: std::sync::Weak<Self>) {
        while let Some(jwks) = me.upgrade() {
            jwks.look_again().await;
            drop(jwks);
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn fetch(&self) -> reqwest::Result<Vec<Key>> {
        let answer = self.client.get(&self.url).send().await?.error_for_status()?;
        Ok(keys::of_set(&answer.json::<JwkSet>().await?))
    }
}

const TIMEOUT: Duration = Duration::from_secs(5);
/// A key that is withdrawn is believed for so long.
const INTERVAL: Duration = Duration::from_secs(300);
/// Tokens of unknown keys make us ask no more often.
const LEAST_INTERVAL: Duration = Duration::from_secs(5);
