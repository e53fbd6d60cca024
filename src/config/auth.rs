//! The `[auth]` section: who may do what is told by tokens.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::options::{Arity, Key};
use super::value;

/// How permissions are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Auth {
    /// The secret that signs tokens (HS256, HS384, HS512).
    pub jwt_secret: Option<Secret>,
    /// A file that holds the secret.
    pub jwt_secret_file: Option<PathBuf>,
    /// PEM files with public keys that check tokens (RSA, EC, Ed25519).
    pub jwt_public_keys: Vec<PathBuf>,
    /// Where public keys are fetched from (RFC 7517).
    pub jwks_url: Option<String>,
    /// What `aud` of a token has to name.
    pub audience: Option<String>,
    /// What `iss` of a token has to be.
    pub issuer: Option<String>,
    /// Who is asked by HTTP instead of reading tokens.
    pub hook_url: Option<String>,
    /// How long that may take.
    pub hook_timeout: Duration,
    /// Whether everything is allowed where it does not answer.
    pub hook_allows_when_down: bool,
    /// How long a session goes on after its token has expired.
    pub grace: Duration,
}

/// Something that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Who may use a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Who has a token for it.
    Token,
    /// Whom the hook lets.
    Hook,
}

// === impl Auth ===

impl Default for Auth {
    fn default() -> Self {
        Self {
            jwt_secret: None,
            jwt_secret_file: None,
            jwt_public_keys: Vec::new(),
            jwks_url: None,
            audience: None,
            issuer: None,
            hook_url: None,
            hook_timeout: Duration::from_secs(3),
            hook_allows_when_down: false,
            grace: Duration::from_secs(30),
        }
    }
}

impl Auth {
    /// Whether tokens can be checked.
    pub fn reads_tokens(&self) -> bool {
        self.jwt_secret.is_some()
            || self.jwt_secret_file.is_some()
            || !self.jwt_public_keys.is_empty()
            || self.jwks_url.is_some()
    }

    /// Who may use streams whose policy says nothing.
    pub fn usual_access(&self) -> Access {
        match (self.reads_tokens(), &self.hook_url) {
            (true, _) => Access::Token,
            (false, Some(_)) => Access::Hook,
            (false, None) => Access::Open,
        }
    }
}

// === impl Secret ===

impl Secret {
    /// A secret of this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for whoever needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

pub(super) const AUTH_KEYS: &[Key<Auth>] = &[
    Key {
        name: "jwt_secret",
        default: "",
        help: "The secret that signs tokens (HS256, HS384, HS512); 32 characters or more.",
        arity: Arity::One,
        set: |auth, v| {
            value::not_empty(&v[0]).map(|text| auth.jwt_secret = Some(Secret::new(text)))
        },
    },
    Key {
        name: "jwt_secret_file",
        default: "",
        help: "A file that holds the secret. White space at its end does not count.",
        arity: Arity::One,
        set: |auth, v| value::path(&v[0]).map(|path| auth.jwt_secret_file = Some(path)),
    },
    Key {
        name: "jwt_public_keys",
        default: "",
        help: "PEM files with public keys that check tokens: RSA (RS*, PS*), EC (ES256, ES384) \
               or Ed25519 (EdDSA).",
        arity: Arity::Many,
        set: |auth, v| {
            let paths: value::Parsed<Vec<_>> = v.iter().map(|path| value::path(path)).collect();
            paths.map(|paths| auth.jwt_public_keys = paths)
        },
    },
    Key {
        name: "jwks_url",
        default: "",
        help: "Where public keys are fetched from, as a JSON Web Key Set.",
        arity: Arity::One,
        set: |auth, v| value::http_url(&v[0]).map(|url| auth.jwks_url = Some(url)),
    },
    Key {
        name: "audience",
        default: "",
        help: "What `aud` of a token has to name; none does not look at it.",
        arity: Arity::One,
        set: |auth, v| value::not_empty(&v[0]).map(|text| auth.audience = Some(text)),
    },
    Key {
        name: "issuer",
        default: "",
        help: "What `iss` of a token has to be; none does not look at it.",
        arity: Arity::One,
        set: |auth, v| value::not_empty(&v[0]).map(|text| auth.issuer = Some(text)),
    },
    Key {
        name: "hook_url",
        default: "",
        help: "A URL that is asked by POST who may do what.",
        arity: Arity::One,
        set: |auth, v| value::http_url(&v[0]).map(|url| auth.hook_url = Some(url)),
    },
    Key {
        name: "hook_timeout_s",
        default: "3",
        help: "Seconds that the hook may take.",
        arity: Arity::One,
        set: |auth, v| value::seconds(&v[0]).map(|timeout| auth.hook_timeout = timeout),
    },
    Key {
        name: "hook_when_down",
        default: "deny",
        help: "What holds when the hook does not answer: `deny` or `allow`, which lets nobody administer.",
        arity: Arity::One,
        set: |auth, v| value::when_down(&v[0]).map(|allows| auth.hook_allows_when_down = allows),
    },
    Key {
        name: "grace_s",
        default: "30",
        help: "Seconds that a session goes on after its token has expired.",
        arity: Arity::One,
        set: |auth, v| value::seconds(&v[0]).map(|grace| auth.grace = grace),
    },
];
