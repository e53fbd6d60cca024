//! A set of options for the HTTP half.

use std::fmt;
use std::time::Duration;

use axum::http::HeaderValue;

use crate::rate::Rates;
use crate::{cors, ice};

/// What the HTTP half can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// STUN and TURN servers that clients are told of; none by default.
    pub ice_servers: Vec<IceServer>,
    /// Origins whose pages may call us: `scheme://host[:port]` each, or `*` for any; `*` by default.
    pub cors_origins: Vec<String>,
    /// The largest request body, in bytes; 64 KiB by default.
    pub max_body_bytes: usize,
    /// How long a request body may take to arrive; 10 s by default.
    pub body_timeout: Duration,
    /// What `Retry-After` says where a later try may succeed, in seconds; 2 by default.
    pub retry_after_s: u64,
    /// How often requests that change something are taken.
    pub rates: Rates,
}

/// A STUN or TURN server that clients are told of.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `stuns:`, `turn:` or `turns:` URLs; each becomes a header line of its own.
    pub urls: Vec<String>,
    /// The user name, for TURN.
    pub username: Option<String>,
    /// The password, for TURN.
    pub credential: Option<String>,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .field("credential", &self.credential.as_ref().map(|_| "redacted"))
            .finish()
    }
}

/// An option with a value that cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// A URL of an ICE server is none.
    #[error("ice_servers: not a stun:, stuns:, turn: or turns: URL: {0:?}")]
    IceUrl(String),
    /// A user name or password of an ICE server has characters that no header line takes.
    #[error("ice_servers: user name or password with other than printable ASCII for: {0:?}")]
    IceCredential(String),
    /// An allowed origin is none.
    #[error("cors_origins: neither * nor scheme://host[:port]: {0:?}")]
    Origin(String),
}

// === impl Config ===

impl Default for Config {
    fn default() -> Self {
        Self {
            ice_servers: Vec::new(),
            cors_origins: vec!["*".into()],
            max_body_bytes: 64 * 1024,
            body_timeout: Duration::from_secs(10),
            retry_after_s: 2,
            rates: Rates::default(),
        }
    }
}

impl Config {
    /// Finds the first value that cannot be served.
    ///
    /// [`router()`](crate::router()) leaves such values out and warns; ask here before anything opens.
    pub fn check(&self) -> Result<(), InvalidConfig> {
        for server in &self.ice_servers {
            for url in &server.urls {
                ice::check_url(url)?;
                ice::link(server, url)?;
            }
        }
        for origin in &self.cors_origins {
            cors::check_origin(origin)?;
        }
        Ok(())
    }

    /// The `Link` header lines that tell of the ICE servers.
    pub(crate) fn ice_links(&self) -> Vec<HeaderValue> {
        let mut links = Vec::new();
        for server in &self.ice_servers {
            for url in &server.urls {
                match ice::check_url(url).and_then(|()| ice::link(server, url)) {
                    Ok(link) => links.push(link),
                    Err(error) => tracing::warn!(%error, "ICE server left out"),
                }
            }
        }
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_can_be_served() {
        assert_eq!(Config::default().check(), Ok(()));
    }

    #[test]
    fn a_bad_value_is_named_with_its_key() {
        let server = IceServer { urls: vec!["http://x".into()], ..IceServer::default() };
        let config = Config { ice_servers: vec![server], ..Config::default() };
        assert_eq!(config.check(), Err(InvalidConfig::IceUrl("http://x".into())));
        assert!(config.ice_links().is_empty());

        let config = Config { cors_origins: vec!["example.com".into()], ..Config::default() };
        let error = config.check().unwrap_err().to_string();
        assert_eq!(error, r#"cors_origins: neither * nor scheme://host[:port]: "example.com""#);
    }
}
