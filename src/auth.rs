//! A gate that decides who may publish and watch: tokens, a hook, or nobody asks.

mod claims;
mod gate;
mod hook;
mod jwks;
mod keys;
mod signed;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use crate::config::{Auth, Config, Secret};

pub use claims::{Claims, Deed, OneOrMany};
pub use gate::Gate;
pub use signed::SignedPaths;

/// Signs a token with the configured secret.
pub fn issue(config: &Config, claims: &Claims) -> anyhow::Result<String> {
    let Some(secret) = secret(&config.auth)? else {
        bail!(
            "a token needs auth.jwt_secret or auth.jwt_secret_file in the configuration to sign it"
        );
    };
    Ok(keys::sign(&secret, claims)?)
}

/// The configured secret.
fn secret(auth: &Auth) -> anyhow::Result<Option<Secret>> {
    let Some(path) = &auth.jwt_secret_file else { return Ok(auth.jwt_secret.clone()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("auth.jwt_secret_file: {} cannot be read", path.display()))?;
    let text = text.trim_end();
    if text.is_empty() {
        bail!("auth.jwt_secret_file: {} is empty", path.display());
    }
    Ok(Some(Secret::new(text)))
}

/// A name for a new token: 80 random bits.
pub fn token_name() -> String {
    std::iter::repeat_with(fastrand::alphanumeric).take(14).collect()
}

/// Time since 1970.
fn unix_time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
