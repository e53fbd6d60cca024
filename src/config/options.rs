//! A table that holds every key once: its default, its help and how it is set.
//!
//! Flags, the environment, the file and the documentation all read this table.

use super::auth::AUTH_KEYS;
use super::limits::LIMIT_KEYS;
use super::recording::RECORDING_KEYS;
use super::sections::{ICE_SERVER_KEYS, STREAM_KEYS};
use super::setting::{Origin, Setting, variable};
use super::value::{self, Parsed};
use super::webhooks::WEBHOOK_KEYS;
use super::{Config, ConfigError, Tls};

/// A key as its documentation has to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documented {
    /// The key in the file; keys of sections are written `section.key`.
    pub key: String,
    /// Its default, as it would be written; empty where there is none.
    pub default: &'static str,
    /// Its variable in the environment, where it has one.
    pub variable: Option<String>,
    /// Its flag, where it has one.
    pub flag: Option<String>,
    /// What it does, as Markdown.
    pub meaning: &'static str,
}

/// Every key.
pub fn documented() -> Vec<Documented> {
    let top = OPTIONS.iter().map(|option| Documented {
        key: option.key.into(),
        default: option.default,
        variable: Some(variable(option.key)),
        flag: Some(format!("--{}", option.flag)),
        meaning: option.help,
    });
    let ice = ICE_SERVER_KEYS.iter().map(|key| key.documented("ice_servers", None));
    let auth = AUTH_KEYS.iter().map(|key| key.documented("auth", Some("auth")));
    let limits = LIMIT_KEYS.iter().map(|key| key.documented("limits", Some("limits")));
    let streams = STREAM_KEYS.iter().map(|key| key.documented("streams", None));
    let webhooks = WEBHOOK_KEYS.iter().map(|key| key.documented("webhooks", None));
    let recording = RECORDING_KEYS.iter().map(|key| key.documented("recording", Some("recording")));
    let sections = auth.chain(limits).chain(recording).chain(streams).chain(webhooks);
    top.chain(ice).chain(sections).collect()
}

/// A top-level key.
pub(super) struct Opt {
    /// Its name in the file.
    pub(super) key: &'static str,
    /// Its name on the command line, without the dashes.
    pub(super) flag: &'static str,
    /// What its value looks like; empty for a switch.
    pub(super) placeholder: &'static str,
    /// Its default; empty is none.
    pub(super) default: &'static str,
    /// What it does, as Markdown.
    pub(super) help: &'static str,
    pub(super) arity: Arity,
    set: fn(&mut Config, &[String]) -> Parsed<()>,
}

/// How many values a key takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Arity {
    One,
    Many,
}

/// A key of a section.
pub(super) struct Key<T> {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    /// What it does, as Markdown.
    pub(super) help: &'static str,
    pub(super) arity: Arity,
    pub(super) set: fn(&mut T, &[String]) -> Parsed<()>,
}

// === impl Key ===

impl<T> Key<T> {
    /// How it is documented in its section, whose name its variable begins with where it has one.
    fn documented(&self, section: &str, in_environment: Option<&str>) -> Documented {
        Documented {
            key: format!("{section}.{}", self.name),
            default: self.default,
            variable: in_environment.map(|name| variable(&format!("{name}_{}", self.name))),
            flag: None,
            meaning: self.help,
        }
    }
}

/// Applies one setting.
pub(super) fn apply(setting: &Setting, config: &mut Config) -> Result<(), ConfigError> {
    if let Origin::Environment(_) = setting.origin {
        let bad = |reason| bad_value(&setting.key, &setting.origin, reason);
        if let Some(key) = key_of("auth_", AUTH_KEYS, &setting.key) {
            return (key.set)(&mut config.auth, &setting.values).map_err(bad);
        }
        if let Some(key) = key_of("limits_", LIMIT_KEYS, &setting.key) {
            return (key.set)(&mut config.client_limits, &setting.values).map_err(bad);
        }
        if let Some(key) = key_of("recording_", RECORDING_KEYS, &setting.key) {
            return (key.set)(&mut config.recording, &setting.values).map_err(bad);
        }
    }
    let Some(option) = OPTIONS.iter().find(|option| option.key == setting.key) else {
        return Err(unknown(&setting.key, &setting.origin, OPTIONS.iter().map(|o| o.key)));
    };
    let bad = |reason| bad_value(&setting.key, &setting.origin, reason);
    if option.arity == Arity::One && setting.values.len() != 1 {
        return Err(bad("it takes one value, not a list".into()));
    }
    (option.set)(config, &setting.values).map_err(bad)
}

/// A key of a section by its name in the environment.
fn key_of<T>(prefix: &str, keys: &'static [Key<T>], name: &str) -> Option<&'static Key<T>> {
    let name = name.strip_prefix(prefix)?;
    keys.iter().find(|key| key.name == name)
}

/// Gives every key its default.
pub(super) fn apply_defaults(config: &mut Config) {
    for option in OPTIONS.iter().filter(|option| !option.default.is_empty()) {
        (option.set)(config, &[option.default.to_owned()]).expect("defaults are valid");
    }
}

/// Whether there is such a key.
pub(super) fn is_known(key: &str) -> bool {
    OPTIONS.iter().any(|option| option.key == key)
}

/// Whether a key takes a list.
pub(super) fn takes_list(key: &str) -> bool {
    OPTIONS.iter().any(|option| option.key == key && option.arity == Arity::Many)
        || key_of("auth_", AUTH_KEYS, key).is_some_and(|key| key.arity == Arity::Many)
}

pub(super) fn unknown<'a>(
    key: &str,
    origin: &Origin,
    known: impl Iterator<Item = &'a str>,
) -> ConfigError {
    let hint = known
        .map(|known| (distance(key, known), known))
        .min()
        .filter(|&(distance, _)| distance <= 3)
        .map_or_else(String::new, |(_, known)| format!("; is {known} meant?"));
    ConfigError::UnknownKey { key: key.into(), origin: origin.clone(), hint }
}

pub(super) fn bad_value(key: &str, origin: &Origin, reason: String) -> ConfigError {
    ConfigError::BadValue { key: key.into(), origin: origin.clone(), reason }
}

/// Edits that make one word of the other (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

pub(super) fn each<T>(values: &[String], parse: fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    values.iter().map(|value| parse(value)).collect()
}

fn tls(config: &mut Config) -> &mut Tls {
    config.tls.get_or_insert_with(|| Tls { cert: "".into(), key: "".into() })
}

pub(super) const OPTIONS: &[Opt] = &[
    Opt {
        key: "http",
        flag: "http",
        placeholder: "ADDR",
        default: "127.0.0.1:8080",
        help: "Address of pages, WHIP, WHEP and the API. Port 0 lets the system choose.",
        arity: Arity::One,
        set: |c, v| value::address(&v[0]).map(|address| c.http = address),
    },
    Opt {
        key: "http_redirect",
        flag: "http-redirect",
        placeholder: "ADDR",
        default: "",
        help: "Address of plain HTTP that sends browsers to HTTPS; needs `tls_cert`. Whoever \
               posts there gets 403.",
        arity: Arity::One,
        set: |c, v| value::address(&v[0]).map(|address| c.http_redirect = Some(address)),
    },
    Opt {
        key: "udp",
        flag: "udp",
        placeholder: "ADDR",
        default: "127.0.0.1:7000",
        help: "Address of all media. A wildcard advertises every interface, IPv4 first; any \
               other address exactly itself.",
        arity: Arity::One,
        set: |c, v| value::address(&v[0]).map(|address| c.udp = address),
    },
    Opt {
        key: "tcp",
        flag: "tcp",
        placeholder: "true|false",
        default: "true",
        help: "Whether media also comes over TCP (ICE-TCP), at the address and port of `udp`, \
               for clients whose network lets no UDP through.",
        arity: Arity::One,
        set: |c, v| value::boolean(&v[0]).map(|tcp| c.tcp = tcp),
    },
    Opt {
        key: "data",
        flag: "data",
        placeholder: "DIR",
        default: "./data",
        help: "Folder for recordings and whatever else is kept; made where there is none.",
        arity: Arity::One,
        set: |c, v| value::path(&v[0]).map(|path| c.data = path),
    },
    Opt {
        key: "public_ips",
        flag: "public-ip",
        placeholder: "IP",
        default: "",
        help: "Addresses in front of a 1:1 NAT (a cloud's public IP), advertised beside our own \
               with the same port.",
        arity: Arity::Many,
        set: |c, v| each(v, value::public_ip).map(|ips| c.public_ips = ips),
    },
    Opt {
        key: "ice_servers",
        flag: "ice-server",
        placeholder: "URL[,USER,CREDENTIAL]",
        default: "",
        help: "STUN and TURN servers that clients are told of, as `URL[,USER,CREDENTIAL]`; in \
               the file also as sections, see below.",
        arity: Arity::Many,
        set: |c, v| each(v, value::ice_server).map(|servers| c.ice_servers = servers),
    },
    Opt {
        key: "shards",
        flag: "shards",
        placeholder: "N",
        default: "0",
        help: "Cores that carry media; 0 is all.",
        arity: Arity::One,
        set: |c, v| value::shards(&v[0]).map(|shards| c.shards = shards),
    },
    Opt {
        key: "max_burst",
        flag: "max-burst",
        placeholder: "N",
        default: "64",
        help: "Packets that may leave in one write, 1 to 64; for measurements.",
        arity: Arity::One,
        set: |c, v| value::burst(&v[0]).map(|burst| c.max_burst = burst),
    },
    Opt {
        key: "max_streams",
        flag: "max-streams",
        placeholder: "N",
        default: "1000",
        help: "Streams that may be live at once.",
        arity: Arity::One,
        set: |c, v| value::at_least_one(&v[0]).map(|n| c.limits.max_streams = n),
    },
    Opt {
        key: "max_viewers",
        flag: "max-viewers",
        placeholder: "N",
        default: "10000",
        help: "Viewers that may be connected at once, all streams together.",
        arity: Arity::One,
        set: |c, v| value::at_least_one(&v[0]).map(|n| c.limits.max_viewers = n),
    },
    Opt {
        key: "max_http_connections",
        flag: "max-http-connections",
        placeholder: "N",
        default: "20000",
        help: "Connections over HTTP that may be open at once; more are turned away, over plain \
               HTTP with 503.",
        arity: Arity::One,
        set: |c, v| value::at_least_one(&v[0]).map(|n| c.limits.max_http_connections = n),
    },
    Opt {
        key: "max_publisher_bitrate",
        flag: "max-publisher-bitrate",
        placeholder: "BITS",
        default: "50M",
        help: "Bits per second that one publisher may send, all layers together. `k`, `M` and \
               `G` work.",
        arity: Arity::One,
        set: |c, v| value::bitrate_bps(&v[0]).map(|bps| c.limits.max_publisher_bitrate_bps = bps),
    },
    Opt {
        key: "max_total_bitrate",
        flag: "max-total-bitrate",
        placeholder: "BITS",
        default: "",
        help: "Bits per second that leave for all viewers over WHEP together, measured over the \
               last second. Above it no more are let in: 503, and the watch page plays HLS.",
        arity: Arity::One,
        set: |c, v| value::bitrate_bps(&v[0]).map(|bps| c.limits.max_total_bitrate_bps = bps),
    },
    Opt {
        key: "trusted_proxies",
        flag: "trusted-proxy",
        placeholder: "NETWORK",
        default: "",
        help: "Addresses and networks of proxies that are believed in `X-Forwarded-For` or \
               `Forwarded`, such as `10.0.0.0/8`. Without them everybody behind a proxy counts as \
               one client.",
        arity: Arity::Many,
        set: |c, v| each(v, value::network).map(|networks| c.trusted_proxies = networks),
    },
    Opt {
        key: "cors_origins",
        flag: "cors-origin",
        placeholder: "ORIGIN",
        default: "*",
        help: "Origins whose pages may publish and watch here, such as `https://example.org`; \
               `*` is any.",
        arity: Arity::Many,
        set: |c, v| each(v, value::cors_origin).map(|origins| c.cors_origins = origins),
    },
    Opt {
        key: "tls_cert",
        flag: "tls-cert",
        placeholder: "FILE",
        default: "",
        help: "PEM certificate chain, leaf first. With `tls_key`, HTTP becomes HTTPS with \
               HTTP/2. Files that change are read again.",
        arity: Arity::One,
        set: |c, v| value::path(&v[0]).map(|path| tls(c).cert = path),
    },
    Opt {
        key: "tls_key",
        flag: "tls-key",
        placeholder: "FILE",
        default: "",
        help: "PEM private key of the certificate.",
        arity: Arity::One,
        set: |c, v| value::path(&v[0]).map(|path| tls(c).key = path),
    },
    Opt {
        key: "log_format",
        flag: "log-format",
        placeholder: "text|json",
        default: "text",
        help: "Shape of a log line: `text` or `json`. Logs go to standard error.",
        arity: Arity::One,
        set: |c, v| value::log_format(&v[0]).map(|format| c.log.format = format),
    },
    Opt {
        key: "log",
        flag: "log",
        placeholder: "FILTER",
        default: "info",
        help: "Least level that is logged (`error`, `warn`, `info`, `debug`, `trace`), or levels \
               by module such as `info,whitewater=debug`.",
        arity: Arity::One,
        set: |c, v| value::log_filter(&v[0]).map(|filter| c.log.filter = filter),
    },
    Opt {
        key: "drain_delay_s",
        flag: "drain-delay-s",
        placeholder: "SECONDS",
        default: "0",
        help: "Seconds that sessions go on after the signal to stop, while `/readyz` says no \
               already.",
        arity: Arity::One,
        set: |c, v| value::seconds(&v[0]).map(|delay| c.drain.delay = delay),
    },
    Opt {
        key: "drain_timeout_s",
        flag: "drain-timeout-s",
        placeholder: "SECONDS",
        default: "10",
        help: "Seconds that stopping may take, from the signal to the end of the process; more \
               than `drain_delay_s`.",
        arity: Arity::One,
        set: |c, v| value::seconds(&v[0]).map(|timeout| c.drain.timeout = timeout),
    },
    Opt {
        key: "insecure_open",
        flag: "insecure-open",
        placeholder: "",
        default: "false",
        help: "Lets other machines reach a server on which everybody may publish and watch.",
        arity: Arity::One,
        set: |c, v| value::boolean(&v[0]).map(|open| c.insecure_open = open),
    },
];
