//! The `[limits]` section: what one client may ask for and have.

use super::options::{Arity, Key};
use super::value;

/// What one client may ask for and have; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Requests that change something, per second and address.
    pub address_requests_per_s: u32,
    /// How many of them may come at once.
    pub address_burst: u32,
    /// Requests that change something, per second and token.
    pub token_requests_per_s: u32,
    /// How many of them may come at once.
    pub token_burst: u32,
    /// Tokens that turn out to be none, per minute and address.
    pub refused_tokens_per_min: u32,
    /// How many of them may come at once.
    pub refused_tokens_burst: u32,
    /// HTTP connections of one address that are open.
    pub address_connections: u32,
    /// Requests of one address that have no answer yet.
    pub address_requests: u32,
    /// Sessions of one address that are open.
    pub address_sessions: u32,
    /// Sessions of one token that are open.
    pub token_sessions: u32,
}

// === impl ClientLimits ===

impl Default for ClientLimits {
    fn default() -> Self {
        let mut limits = Self {
            address_requests_per_s: 0,
            address_burst: 0,
            token_requests_per_s: 0,
            token_burst: 0,
            refused_tokens_per_min: 0,
            refused_tokens_burst: 0,
            address_connections: 0,
            address_requests: 0,
            address_sessions: 0,
            token_sessions: 0,
        };
        for key in LIMIT_KEYS {
            (key.set)(&mut limits, &[key.default.to_owned()]).expect("defaults are valid");
        }
        limits
    }
}

pub(super) const LIMIT_KEYS: &[Key<ClientLimits>] = &[
    Key {
        name: "address_requests_per_s",
        default: "100",
        help: "POST, PATCH and DELETE to WHIP, WHEP and the API per second and address. More are \
               429.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.address_requests_per_s = n),
    },
    Key {
        name: "address_burst",
        default: "1000",
        help: "How many of them may come at once, after a pause.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.address_burst = n),
    },
    Key {
        name: "token_requests_per_s",
        default: "200",
        help: "The same requests per second and token.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.token_requests_per_s = n),
    },
    Key {
        name: "token_burst",
        default: "2000",
        help: "How many of them may come at once, after a pause.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.token_burst = n),
    },
    Key {
        name: "refused_tokens_per_min",
        default: "30",
        help: "Tokens per minute and address that nobody here signed, or that the hook denies. \
               Above it no token from there is looked at: 429.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.refused_tokens_per_min = n),
    },
    Key {
        name: "refused_tokens_burst",
        default: "60",
        help: "How many of them may come at once, after a pause.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.refused_tokens_burst = n),
    },
    Key {
        name: "address_connections",
        default: "5000",
        help: "HTTP connections that one address may have open; 0 is no limit. Who is in `trusted_proxies` has \
               none.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.address_connections = n),
    },
    Key {
        name: "address_requests",
        default: "4000",
        help: "Requests of one address that may wait for their answers at once, as players' do for what comes \
               next; 0 is no limit.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.address_requests = n),
    },
    Key {
        name: "address_sessions",
        default: "2000",
        help: "Sessions, of publishers and viewers, that one address may have open.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.address_sessions = n),
    },
    Key {
        name: "token_sessions",
        default: "5000",
        help: "Sessions that may be open with one token, or with tokens of one `sub`.",
        arity: Arity::One,
        set: |limits, v| value::count(&v[0]).map(|n| limits.token_sessions = n),
    },
];
