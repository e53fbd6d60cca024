//! The gate: what the policy of a stream calls for, asked of whoever can tell.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use whitewater_signaling::auth::{Ask, Authority, Decision, Denied, Sight};
use whitewater_signaling::control::{Action, Grant, Identity, StreamName};

use super::claims::Claims;
use super::hook::Hook;
use super::jwks::Jwks;
use super::keys::{self, Demands, Key, Wrong};
use super::signed::SignedPaths;
use super::unix_time;
use crate::config::{Access, Config};
use crate::origin::{Doors, Pass};

/// Decides who may do what. It is cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    config: Config,
    keys: Vec<Key>,
    jwks: Option<Arc<Jwks>>,
    demands: Demands,
    hook: Option<Hook>,
    paths: SignedPaths,
}

// === impl Gate ===

impl Gate {
    /// Reads the keys that the configuration names. Call it within a tokio runtime.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let auth = &config.auth;
        let secret = super::secret(auth)?;
        if let Some(secret) = secret.as_ref().filter(|secret| secret.reveal().len() < GOOD_SECRET) {
            let length = secret.reveal().len();
            tracing::warn!(
                length,
                "the secret of auth can be guessed: 32 random characters are good"
            );
        }
        let jwks = auth.jwks_url.clone().map(Jwks::new).transpose();
        let jwks = jwks.context("auth.jwks_url cannot be used")?.map(Arc::new);
        if let Some(jwks) = &jwks {
            tokio::spawn(Jwks::keep_fresh(Arc::downgrade(jwks)));
        }
        let hook = |url| Hook::new(url, auth.hook_timeout, auth.hook_allows_when_down);
        let hook = auth.hook_url.clone().map(hook).transpose();
        Ok(Self(Arc::new(Inner {
            config: config.clone(),
            keys: keys::load(auth)?,
            jwks,
            demands: Demands { audience: auth.audience.clone(), issuer: auth.issuer.clone() },
            hook: hook.context("auth.hook_url cannot be used")?,
            paths: SignedPaths::new(secret.as_ref()),
        })))
    }
}

impl Authority for Gate {
    fn authorize(&self, ask: Ask) -> Decision<'_, Grant> {
        Box::pin(async move { self.0.authorize(ask).await })
    }

    fn sight(&self, token: Option<String>) -> Decision<'_, Sight> {
        Box::pin(async move {
            let claims = match &token {
                Some(token) if self.0.config.auth.reads_tokens() => Some(self.0.read(token).await?),
                Some(_) | None => None,
            };
            let inner = Arc::clone(&self.0);
            let sight: Sight = Arc::new(move |stream: &StreamName| {
                let allows = |claims: &Claims| claims.allow(Action::Watch, Some(stream)).is_ok();
                inner.config.access(stream.as_str()) == Access::Open
                    || claims.as_ref().is_some_and(allows)
            });
            Ok(sight)
        })
    }
}

impl Doors for Gate {
    fn is_open(&self, stream: &StreamName) -> bool {
        self.0.config.access(stream.as_str()) == Access::Open
    }

    fn admits(&self, stream: &StreamName, pass: &str) -> bool {
        self.0.paths.check(stream.as_str(), pass, unix_time())
    }

    fn admit(&self, ask: Ask) -> Decision<'_, Pass> {
        Box::pin(async move {
            let stream = ask.stream.clone();
            let grant = self.0.authorize(ask).await?;
            let now = unix_time();
            let until = now + grant.expires_in.unwrap_or(WITHOUT_END);
            let name = stream.as_ref().map(|name| name.as_str()).unwrap_or_default();
            Ok(Pass(self.0.paths.sign(name, until, now)))
        })
    }
}

// === impl Inner ===

impl Inner {
    async fn authorize(&self, ask: Ask) -> Result<Grant, Denied> {
        let access = match &ask.stream {
            Some(stream) => self.config.access(stream.as_str()),
            // What is about no stream is for administrators, where there are any.
            None => self.config.auth.usual_access(),
        };
        let identity = ask.token.as_deref().map(Identity::of_token);
        match (access, &self.hook) {
            (Access::Open, _) => Ok(Grant::new(ask.action, ask.stream, identity)),
            (Access::Hook, Some(hook)) => {
                hook.ask(&ask).await?;
                Ok(Grant::new(ask.action, ask.stream, identity))
            }
            (Access::Token, _) | (Access::Hook, None) => {
                let token = ask.token.as_deref().ok_or(Denied::Missing)?;
                let claims = self.read(token).await?;
                claims.allow(ask.action, ask.stream.as_ref()).map_err(Denied::Insufficient)?;
                let holder =
                    claims.sub.as_deref().map(|sub| Identity::of_token(&format!("sub {sub}")));
                Ok(Grant {
                    expires_in: Some(claims.left(unix_time())),
                    max_bitrate_bps: claims.max_bitrate_bps,
                    ..Grant::new(ask.action, ask.stream, holder.or(identity))
                })
            }
        }
    }

    /// What a token says, if it is valid.
    async fn read(&self, token: &str) -> Result<Claims, Denied> {
        match self.check(token) {
            Ok(claims) => return Ok(claims),
            Err(Wrong::Invalid(why)) => return Err(Denied::Invalid(why)),
            Err(Wrong::UnknownKey) => {}
        }
        if let Some(jwks) = &self.jwks {
            jwks.look_again().await;
        }
        self.check(token).map_err(|wrong| match wrong {
            Wrong::Invalid(why) => Denied::Invalid(why),
            Wrong::UnknownKey => Denied::Invalid("no key that is known here signed it".into()),
        })
    }

    fn check(&self, token: &str) -> Result<Claims, Wrong> {
        match keys::verify(&self.keys, &self.demands, token) {
            Err(Wrong::UnknownKey) => {}
            outcome => return outcome,
        }
        let fetched = self.jwks.as_ref().map(|jwks| jwks.keys()).unwrap_or_default();
        keys::verify(&fetched, &self.demands, token)
    }
}

/// What HMAC with SHA-256 should have (RFC 7518 section 3.2).
const GOOD_SECRET: usize = 32;

/// A permission that has no end is looked at again after so long.
const WITHOUT_END: Duration = Duration::from_secs(3_600);
