//! The gate: what the policy of a stream calls for, asked of whoever can tell.

use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context;
use whitewater_signaling::auth::{Ask, Authority, Decision, Denied, Sight};
use whitewater_signaling::control::{Action, Grant, Identity, StreamName};
use whitewater_signaling::rate::{Allowance, Network, Rate};

use super::claims::Claims;
use super::hook::Hook;
use super::jwks::Jwks;
use super::keys::{self, Demands, Key, Wrong};
use super::signed::SignedPaths;
use super::unix_time;
use crate::config::{Access, Config, Secret};
use crate::origin::{Doors, Pass};

/// Decides who may do what. It is cheap to clone; all clones change together.
#[derive(Clone)]
pub struct Gate(Arc<RwLock<Arc<Inner>>>);

struct Inner {
    config: Config,
    keys: Vec<Key>,
    secret: Option<Secret>,
    jwks: Option<Arc<Jwks>>,
    demands: Demands,
    hook: Option<Hook>,
    paths: Arc<SignedPaths>,
    /// Tokens that turned out to be none, by where they came from.
    refused: Arc<Allowance<Network>>,
}

// === impl Gate ===

impl Gate {
    /// Reads the keys that the configuration names. Call it within a tokio runtime.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(Inner::new(config, None)?)))))
    }

    /// Decides by another configuration from now on; if it cannot be used, by the one before.
    pub fn reload(&self, config: &Config) -> anyhow::Result<()> {
        let inner = Arc::new(Inner::new(config, Some(&self.inner()))?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = inner;
        Ok(())
    }

    fn inner(&self) -> Arc<Inner> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Authority for Gate {
    fn authorize(&self, ask: Ask) -> Decision<'_, Grant> {
        Box::pin(async move { self.inner().authorize(ask).await })
    }

    fn sight(&self, token: Option<String>, client: Option<IpAddr>) -> Decision<'_, Sight> {
        Box::pin(async move {
            let inner = self.inner();
            let claims = match &token {
                Some(token) if inner.config.auth.reads_tokens() => {
                    inner.read_if_ours(token, client).await?
                }
                Some(_) | None => None,
            };
            let sight: Sight = Arc::new(move |stream: &StreamName| {
                // Who follows events looks for as long as it likes, and its token ends meanwhile.
                let allows = |claims: &Claims| {
                    let is_over = claims.left(unix_time()).is_zero();
                    !is_over && claims.allow(Action::Watch, Some(stream)).is_ok()
                };
                inner.config.access(stream.as_str()) == Access::Open
                    || claims.as_ref().is_some_and(allows)
            });
            Ok(sight)
        })
    }
}

impl Doors for Gate {
    fn is_open(&self, stream: &StreamName) -> bool {
        self.inner().config.access(stream.as_str()) == Access::Open
    }

    fn admits(&self, stream: &StreamName, pass: &str) -> bool {
        self.inner().paths.check(stream.as_str(), pass, unix_time())
    }

    fn admit(&self, ask: Ask) -> Decision<'_, Pass> {
        Box::pin(async move {
            let stream = ask.stream.clone();
            let inner = self.inner();
            let grant = inner.authorize(ask).await?;
            let now = unix_time();
            let until = now + grant.expires_in.unwrap_or(WITHOUT_END);
            let name = stream.as_ref().map(|name| name.as_str()).unwrap_or_default();
            Ok(Pass(inner.paths.sign(name, until, now)))
        })
    }
}

// === impl Inner ===

impl Inner {
    fn new(config: &Config, before: Option<&Self>) -> anyhow::Result<Self> {
        let auth = &config.auth;
        let secret = super::secret(auth)?;
        if let Some(secret) = secret.as_ref().filter(|secret| secret.reveal().len() < GOOD_SECRET) {
            let length = secret.reveal().len();
            tracing::warn!(
                length,
                "the secret of auth can be guessed: 32 random characters are good"
            );
        }
        let jwks = match before.filter(|before| before.config.auth.jwks_url == auth.jwks_url) {
            Some(before) => before.jwks.clone(),
            None => fetched(auth.jwks_url.clone())?,
        };
        let hook = |url| Hook::new(url, auth.hook_timeout, auth.hook_allows_when_down);
        let hook = auth.hook_url.clone().map(hook).transpose();
        // What is still the same keeps its state.
        let same_rate = before.filter(|old| old.config.client_limits == config.client_limits);
        let paths = before.filter(|before| before.secret == secret);
        let paths = paths.map(|before| Arc::clone(&before.paths));
        Ok(Self {
            config: config.clone(),
            keys: keys::load(auth)?,
            jwks,
            demands: Demands { audience: auth.audience.clone(), issuer: auth.issuer.clone() },
            hook: hook.context("auth.hook_url cannot be used")?,
            paths: paths.unwrap_or_else(|| Arc::new(SignedPaths::new(secret.as_ref()))),
            refused: match same_rate {
                Some(before) => Arc::clone(&before.refused),
                None => Arc::new(Allowance::new(refusals(config))),
            },
            secret,
        })
    }

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
                let network = ask.client.map(Network::of).filter(|_| ask.token.is_some());
                self.check_open(network)?;
                let answer = hook.ask(&ask).await;
                // Whatever else it may have been: a hook that was asked for nothing was asked in vain.
                if let (Some(network), Err(Denied::Insufficient(_))) = (network, &answer) {
                    self.refused.note(network);
                }
                answer?;
                Ok(Grant::new(ask.action, ask.stream, identity))
            }
            (Access::Token, _) | (Access::Hook, None) => {
                let token = ask.token.as_deref().ok_or(Denied::Missing)?;
                let claims = self.read(token, ask.client).await?;
                claims.allow(ask.action, ask.stream.as_ref()).map_err(Denied::Insufficient)?;
                let holder =
                    claims.sub.as_deref().map(|sub| Identity::of_token(&format!("sub {sub}")));
                Ok(Grant {
                    expires_in: Some(claims.left(unix_time())),
                    max_bitrate_bps: claims.max_bitrate_bps,
                    holder: claims.holder(),
                    ..Grant::new(ask.action, ask.stream, holder.or(identity))
                })
            }
        }
    }

    /// What a token says, if it is valid.
    ///
    /// One that nobody here signed may be a guess, and whoever guesses too often is not listened to for
    /// a while. One that has expired, or is for somebody else, is none.
    async fn read(&self, token: &str, client: Option<IpAddr>) -> Result<Claims, Denied> {
        let network = client.map(Network::of);
        self.check_open(network)?;
        let outcome = self.check_with_fresh_keys(token).await;
        if let (Err(Wrong::UnknownKey | Wrong::NoToken(_)), Some(network)) = (&outcome, network) {
            self.refused.note(network);
        }
        outcome.map_err(denied)
    }

    /// What a token says, where it need not be for us: where there is a hook, one that nobody here signed
    /// may be what the hook knows, and is neither refused nor counted as a guess.
    async fn read_if_ours(
        &self,
        token: &str,
        client: Option<IpAddr>,
    ) -> Result<Option<Claims>, Denied> {
        if self.hook.is_none() {
            return self.read(token, client).await.map(Some);
        }
        self.check_open(client.map(Network::of))?;
        match self.check_with_fresh_keys(token).await {
            Ok(claims) => Ok(Some(claims)),
            Err(Wrong::UnknownKey | Wrong::NoToken(_)) => Ok(None),
            Err(wrong @ Wrong::Invalid(_)) => Err(denied(wrong)),
        }
    }

    async fn check_with_fresh_keys(&self, token: &str) -> Result<Claims, Wrong> {
        match (self.check(token), &self.jwks) {
            (Err(Wrong::UnknownKey), Some(jwks)) => {
                jwks.look_again().await;
                self.check(token)
            }
            (outcome, _) => outcome,
        }
    }

    fn check_open(&self, network: Option<Network>) -> Result<(), Denied> {
        network.map_or(Ok(()), |network| self.refused.is_open(&network).map_err(Denied::TooMany))
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

fn denied(wrong: Wrong) -> Denied {
    match wrong {
        Wrong::NoToken(why) | Wrong::Invalid(why) => Denied::Invalid(why),
        Wrong::UnknownKey => Denied::Invalid("no key that is known here signed it".into()),
    }
}

/// Keys that are fetched, and fetched again as long as somebody has them.
fn fetched(url: Option<String>) -> anyhow::Result<Option<Arc<Jwks>>> {
    let jwks = url.map(Jwks::new).transpose().context("auth.jwks_url cannot be used")?;
    let jwks = jwks.map(Arc::new);
    if let Some(jwks) = &jwks {
        tokio::spawn(Jwks::keep_fresh(Arc::downgrade(jwks)));
    }
    Ok(jwks)
}

fn refusals(config: &Config) -> Rate {
    let limits = &config.client_limits;
    Rate {
        times: limits.refused_tokens_per_min,
        within: Duration::from_secs(60),
        burst: limits.refused_tokens_burst,
    }
}

/// What HMAC with SHA-256 should have (RFC 7518 section 3.2).
const GOOD_SECRET: usize = 32;

/// A permission that has no end is looked at again after so long.
const WITHOUT_END: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use crate::auth::{Deed, OneOrMany, issue};

    use super::*;

    #[tokio::test]
    async fn what_may_be_seen_ends_with_the_token() {
        let mut config = Config::default();
        config.auth.jwt_secret = Some(Secret::new("0123456789abcdef0123456789abcdef"));
        let claims = Claims {
            exp: unix_time().as_secs() + 2,
            nbf: None,
            aud: None,
            iss: None,
            sub: None,
            jti: None,
            stream: Some(OneOrMany::One("show".into())),
            action: OneOrMany::One(Deed::Watch),
            max_bitrate_bps: None,
        };
        let token = issue(&config, &claims).unwrap();
        let sight = Gate::new(&config).unwrap().sight(Some(token), None).await.unwrap();
        let (show, other) = ("show".parse().unwrap(), "other".parse().unwrap());
        assert!(sight(&show) && !sight(&other));
        tokio::time::sleep(Duration::from_millis(2_100)).await;
        assert!(!sight(&show));
    }
}
