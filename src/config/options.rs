//! A table that holds every key once: its default, its help and how it is set.
//!
//! Flags, the environment, the file and the documentation all read this table.

use super::auth::AUTH_KEYS;
use super::limits::LIMIT_KEYS;
use super::setting::{Origin, Setting, variable};
use super::value::{self, Parsed};
use super::webhooks::WEBHOOK_KEYS;
use super::{Config, ConfigError, IceServer, Policy, StreamPolicy, Tls};

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
}

/// Every key.
pub fn documented() -> Vec<Documented> {
    let top = OPTIONS.iter().map(|option| Documented {
        key: option.key.into(),
        default: option.default,
        variable: Some(variable(option.key)),
        flag: Some(format!("--{}", option.flag)),
    });
    let section = |section: &'static str| {
        move |(key, default): (&'static str, &'static str)| Documented {
            key: format!("{section}.{key}"),
            default,
            variable: None,
            flag: None,
        }
    };
    let ice = ICE_SERVER_KEYS.iter().map(|key| (key.name, key.default));
    let streams = STREAM_KEYS.iter().map(|key| (key.name, key.default));
    let settable = |name: &'static str| {
        move |(key, default): (&'static str, &'static str)| Documented {
            variable: Some(variable(&format!("{name}_{key}"))),
            ..section(name)((key, default))
        }
    };
    let auth = AUTH_KEYS.iter().map(|key| (key.name, key.default)).map(settable("auth"));
    let limits = LIMIT_KEYS.iter().map(|key| (key.name, key.default)).map(settable("limits"));
    let webhooks = WEBHOOK_KEYS.iter().map(|key| (key.name, key.default));
    let sections = ice.map(section("ice_servers")).chain(auth).chain(limits);
    let sections = sections.chain(streams.map(section("streams")));
    top.chain(sections).chain(webhooks.map(section("webhooks"))).collect()
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
    /// What it does.
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
    pub(super) arity: Arity,
    pub(super) set: fn(&mut T, &[String]) -> Parsed<()>,
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

fn each<T>(values: &[String], parse: fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
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
        help: "Address of pages, WHIP, WHEP and the API; port 0 lets the system choose",
        arity: Arity::One,
        set: |c, v| value::address(&v[0]).map(|address| c.http = address),
    },
    Opt {
        key: "udp",
        flag: "udp",
        placeholder: "ADDR",
        default: "127.0.0.1:7000",
        help: "Address of all media; a wildcard advertises every interface",
        arity: Arity::One,
        set: |c, v| value::address(&v[0]).map(|address| c.udp = address),
    },
    Opt {
        key: "tcp",
        flag: "tcp",
        placeholder: "true|false",
        default: "true",
        help: "Whether media also comes over TCP, at the address and port of --udp, for clients \
               whose network lets no UDP through",
        arity: Arity::One,
        set: |c, v| value::boolean(&v[0]).map(|tcp| c.tcp = tcp),
    },
    Opt {
        key: "data",
        flag: "data",
        placeholder: "DIR",
        default: "./data",
        help: "Folder that may be written to; created when it is first needed",
        arity: Arity::One,
        set: |c, v| value::path(&v[0]).map(|path| c.data = path),
    },
    Opt {
        key: "public_ips",
        flag: "public-ip",
        placeholder: "IP",
        default: "",
        help: "Address in front of a 1:1 NAT that is advertised as well; repeatable",
        arity: Arity::Many,
        set: |c, v| each(v, value::public_ip).map(|ips| c.public_ips = ips),
    },
    Opt {
        key: "ice_servers",
        flag: "ice-server",
        placeholder: "URL[,USER,CREDENTIAL]",
        default: "",
        help: "STUN or TURN server that clients are told of; repeatable; a credential is safer in \
               the file, as other users of the machine can read command lines",
        arity: Arity::Many,
        set: |c, v| each(v, value::ice_server).map(|servers| c.ice_servers = servers),
    },
    Opt {
        key: "shards",
        flag: "shards",
        placeholder: "N",
        default: "0",
        help: "Cores that carry media; 0 is all",
        arity: Arity::One,
        set: |c, v| value::shards(&v[0]).map(|shards| c.shards = shards),
    },
    Opt {
        key: "max_burst",
        flag: "max-burst",
        placeholder: "N",
        default: "64",
        help: "Packets that may leave in one write, 1 to 64; for measurements",
        arity: Arity::One,
        set: |c, v| value::burst(&v[0]).map(|burst| c.max_burst = burst),
    },
    Opt {
        key: "max_streams",
        flag: "max-streams",
        placeholder: "N",
        default: "1000",
        help: "Streams that may be live at once",
        arity: Arity::One,
        set: |c, v| value::at_least_one(&v[0]).map(|n| c.limits.max_streams = n),
    },
    Opt {
        key: "max_viewers",
        flag: "max-viewers",
        placeholder: "N",
        default: "10000",
        help: "Viewers that may be connected at once, all streams together",
        arity: Arity::One,
        set: |c, v| value::at_least_one(&v[0]).map(|n| c.limits.max_viewers = n),
    },
    Opt {
        key: "max_http_connections",
        flag: "max-http-connections",
        placeholder: "N",
        default: "20000",
        help: "Connections over HTTP that may be open at once; more are turned away with 503",
        arity: Arity::One,
        set: |c, v| value::at_least_one(&v[0]).map(|n| c.limits.max_http_connections = n),
    },
    Opt {
        key: "max_publisher_bitrate",
        flag: "max-publisher-bitrate",
        placeholder: "BITS",
        default: "50M",
        help: "Bits per second that one publisher may send, all layers together; k, M and G work",
        arity: Arity::One,
        set: |c, v| value::bitrate_bps(&v[0]).map(|bps| c.limits.max_publisher_bitrate_bps = bps),
    },
    Opt {
        key: "max_total_bitrate",
        flag: "max-total-bitrate",
        placeholder: "BITS",
        default: "",
        help: "Bits per second that leave for all viewers over WHEP together, above which no more are let \
               in; k, M and G work",
        arity: Arity::One,
        set: |c, v| value::bitrate_bps(&v[0]).map(|bps| c.limits.max_total_bitrate_bps = bps),
    },
    Opt {
        key: "trusted_proxies",
        flag: "trusted-proxy",
        placeholder: "NETWORK",
        default: "",
        help: "Address or network of a proxy that is believed in X-Forwarded-For, such as 10.0.0.0/8; \
               repeatable",
        arity: Arity::Many,
        set: |c, v| each(v, value::network).map(|networks| c.trusted_proxies = networks),
    },
    Opt {
        key: "cors_origins",
        flag: "cors-origin",
        placeholder: "ORIGIN",
        default: "*",
        help: "Origin whose pages may publish and watch here, such as https://example.org; \
               repeatable; * is any",
        arity: Arity::Many,
        set: |c, v| each(v, value::cors_origin).map(|origins| c.cors_origins = origins),
    },
    Opt {
        key: "tls_cert",
        flag: "tls-cert",
        placeholder: "FILE",
        default: "",
        help: "PEM certificate chain; with --tls-key, HTTP becomes HTTPS with HTTP/2",
        arity: Arity::One,
        set: |c, v| value::path(&v[0]).map(|path| tls(c).cert = path),
    },
    Opt {
        key: "tls_key",
        flag: "tls-key",
        placeholder: "FILE",
        default: "",
        help: "PEM private key of --tls-cert",
        arity: Arity::One,
        set: |c, v| value::path(&v[0]).map(|path| tls(c).key = path),
    },
    Opt {
        key: "log_format",
        flag: "log-format",
        placeholder: "text|json",
        default: "text",
        help: "Shape of a log line",
        arity: Arity::One,
        set: |c, v| value::log_format(&v[0]).map(|format| c.log.format = format),
    },
    Opt {
        key: "log",
        flag: "log",
        placeholder: "FILTER",
        default: "info",
        help: "Least level that is logged, or levels by module such as info,whitewater=debug",
        arity: Arity::One,
        set: |c, v| value::log_filter(&v[0]).map(|filter| c.log.filter = filter),
    },
    Opt {
        key: "drain_delay_s",
        flag: "drain-delay-s",
        placeholder: "SECONDS",
        default: "0",
        help: "How long sessions go on after the signal to stop, while readiness is off already",
        arity: Arity::One,
        set: |c, v| value::seconds(&v[0]).map(|delay| c.drain.delay = delay),
    },
    Opt {
        key: "drain_timeout_s",
        flag: "drain-timeout-s",
        placeholder: "SECONDS",
        default: "10",
        help: "How long stopping may take, from the signal to the end of the process",
        arity: Arity::One,
        set: |c, v| value::seconds(&v[0]).map(|timeout| c.drain.timeout = timeout),
    },
    Opt {
        key: "insecure_open",
        flag: "insecure-open",
        placeholder: "",
        default: "false",
        help: "Let other machines reach a server on which everybody may publish and watch",
        arity: Arity::One,
        set: |c, v| value::boolean(&v[0]).map(|open| c.insecure_open = open),
    },
];

pub(super) const ICE_SERVER_KEYS: &[Key<IceServer>] = &[
    Key {
        name: "urls",
        default: "",
        arity: Arity::Many,
        set: |server, v| each(v, value::ice_url).map(|urls| server.urls = urls),
    },
    Key {
        name: "username",
        default: "",
        arity: Arity::One,
        set: |server, v| {
            server.username = Some(v[0].clone());
            Ok(())
        },
    },
    Key {
        name: "credential",
        default: "",
        arity: Arity::One,
        set: |server, v| {
            server.credential = Some(v[0].clone());
            Ok(())
        },
    },
];

/// A `[[streams]]` section while it is read.
pub(super) type OpenPolicy = (Option<super::Pattern>, Policy);

pub(super) const STREAM_KEYS: &[Key<OpenPolicy>] = &[
    Key {
        name: "match",
        default: "",
        arity: Arity::One,
        set: |(pattern, _), v| {
            *pattern =
                Some(v[0].parse().map_err(|e: super::pattern::InvalidPattern| e.to_string())?);
            Ok(())
        },
    },
    Key {
        name: "max_bitrate_bps",
        default: "",
        arity: Arity::One,
        set: |(_, policy), v| {
            value::bitrate_bps(&v[0]).map(|bps| policy.max_bitrate_bps = Some(bps))
        },
    },
    Key {
        name: "reconnect_window_s",
        default: "10",
        arity: Arity::One,
        set: |(_, policy), v| value::seconds(&v[0]).map(|window| policy.reconnect_window = window),
    },
    Key {
        name: "takeover",
        default: "false",
        arity: Arity::One,
        set: |(_, policy), v| value::boolean(&v[0]).map(|takeover| policy.takeover = takeover),
    },
    Key {
        name: "hls",
        default: "on_demand",
        arity: Arity::One,
        set: |(_, policy), v| value::hls(&v[0]).map(|hls| policy.hls = hls),
    },
    Key {
        name: "hls_segment_s",
        default: "2",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_segment(&v[0]).map(|lasts| policy.hls_segment = lasts),
    },
    Key {
        name: "hls_window_s",
        default: "120",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_window(&v[0]).map(|window| policy.hls_window = window),
    },
    Key {
        name: "hls_sound",
        default: "aac",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_sound(&v[0]).map(|sound| policy.hls_sound = sound),
    },
    Key {
        name: "hls_ladder",
        default: "off",
        arity: Arity::Many,
        set: |(_, policy), v| value::hls_ladder(v).map(|ladder| policy.hls_ladder = ladder),
    },
    Key {
        name: "hls_codec",
        default: "h264",
        arity: Arity::One,
        set: |(_, policy), v| value::hls_codec(&v[0]).map(|codec| policy.hls_codec = codec),
    },
    Key {
        name: "access",
        default: "",
        arity: Arity::One,
        set: |(_, policy), v| value::access(&v[0]).map(|access| policy.access = Some(access)),
    },
];

pub(super) fn complete_policy((pattern, policy): OpenPolicy) -> Parsed<StreamPolicy> {
    let pattern = pattern.ok_or("match is missing")?;
    Ok(StreamPolicy { pattern, policy })
}
