//! A configuration that merges defaults, a file, the environment and flags into typed values.
//!
//! The later source wins, key by key. Merging is pure: it opens nothing and reads nothing, so that
//! every mistake is one sentence before anything opens.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

mod auth;
mod exposure;
mod file;
mod flags;
mod limits;
mod live;
mod options;
mod pattern;
mod recording;
mod reload;
mod sections;
mod setting;
mod shown;
mod value;
mod webhooks;

pub use auth::{Access, Auth, Secret};
pub use file::File;
pub use flags::Flags;
pub use limits::ClientLimits;
pub use live::Live;
pub use options::{Documented, documented};
pub use pattern::Pattern;
pub use recording::Recording;
pub use setting::Origin;
pub use shown::shown_url;
pub use webhooks::{SecretSource, Webhook};

/// Everything that an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where pages, WHIP, WHEP and the API are served.
    pub http: SocketAddr,
    /// Where plain HTTP is sent to HTTPS.
    pub http_redirect: Option<SocketAddr>,
    /// Where media arrives and leaves.
    pub udp: SocketAddr,
    /// Whether media also arrives and leaves over TCP, at the same address and port.
    pub tcp: bool,
    /// The folder for whatever is kept.
    pub data: PathBuf,
    /// Addresses in front of a 1:1 NAT that are advertised beside our own.
    pub public_ips: Vec<IpAddr>,
    /// STUN and TURN servers that clients are told of.
    pub ice_servers: Vec<IceServer>,
    /// How many shards carry media; `None` is one per core.
    pub shards: Option<NonZeroUsize>,
    /// Most packets that leave in one write.
    pub max_burst: usize,
    /// What is refused beyond.
    pub limits: Limits,
    /// What one client may ask for and have.
    pub client_limits: ClientLimits,
    /// Proxies that are believed whom they speak for.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins whose pages may call WHIP, WHEP and the API; `*` is any.
    pub cors_origins: Vec<String>,
    /// Certificate and key where HTTP runs over TLS.
    pub tls: Option<Tls>,
    /// What is logged and how.
    pub log: Log,
    /// Whether other machines may reach a server on which everybody may publish.
    pub insecure_open: bool,
    /// How the server stops.
    pub drain: Drain,
    /// How permissions are checked.
    pub auth: Auth,
    /// Where recordings are kept, and how much of them.
    pub recording: Recording,
    /// Policies by stream name; the first match decides.
    pub streams: Vec<StreamPolicy>,
    /// Who is told by HTTP what happens.
    pub webhooks: Vec<Webhook>,
}

/// A STUN or TURN server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct IceServer {
    /// `stun:`, `stuns:`, `turn:` or `turns:` URLs.
    pub urls: Vec<String>,
    /// The user name that TURN asks for.
    pub username: Option<String>,
    /// The password that TURN asks for; never shown in logs.
    pub credential: Option<String>,
}

/// Bounds that protect everybody else from one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams that are live at once.
    pub max_streams: usize,
    /// Viewers over WHEP at once, all streams together.
    pub max_viewers: usize,
    /// Connections over HTTP at once.
    pub max_http_connections: usize,
    /// Bits per second from one publisher, all its layers together.
    pub max_publisher_bitrate_bps: u64,
    /// Bits per second to all viewers over WHEP together, above which no more are let in; 0 is no limit.
    pub max_total_bitrate_bps: u64,
}

/// The files that HTTPS needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificate chain, leaf first.
    pub cert: PathBuf,
    /// PEM private key.
    pub key: PathBuf,
}

/// What is logged and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// The shape of a line.
    pub format: LogFormat,
    /// A level, or levels by module as `tracing` filters write them.
    pub filter: String,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// How the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// How long sessions go on after readiness went off.
    pub delay: Duration,
    /// How long it may take in all.
    pub timeout: Duration,
}

/// What holds for the streams whose names match a pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPolicy {
    /// Which streams.
    pub pattern: Pattern,
    /// What holds for them.
    pub policy: Policy,
}

/// What holds for one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Bits per second from its publisher; `None` is the limit of all publishers.
    pub max_bitrate_bps: Option<u64>,
    /// How long its viewers wait for a publisher that went away.
    pub reconnect_window: Duration,
    /// Whether anybody who may publish it may take it over from its publisher.
    pub takeover: bool,
    /// When it is packaged for HLS.
    pub hls: Hls,
    /// What its segments for HLS last.
    pub hls_segment: Duration,
    /// How far back HLS players can go.
    pub hls_window: Duration,
    /// How long media stays in memory that is recorded too.
    pub hls_memory: Duration,
    /// What HLS players get as sound.
    pub hls_sound: HlsSound,
    /// The qualities that HLS players get of one layer: short sides in pixels, largest first. Empty is
    /// no ladder.
    pub hls_ladder: Vec<u16>,
    /// What transcoded pictures are encoded as.
    pub hls_codec: HlsCodec,
    /// Whether it is recorded whenever it is live.
    pub record: Record,
    /// Which renditions are recorded: `source`, `ladder`, `aac`, or their names.
    pub record_renditions: Vec<String>,
    /// How long recordings are kept after their end; zero is for ever.
    pub record_max_age: Duration,
    /// Bytes of all its recordings; 0 is no limit.
    pub record_max_size: u64,
    /// Who may use it; `None` is what `[auth]` calls for.
    pub access: Option<Access>,
}

/// When a stream is packaged for HLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hls {
    /// While somebody watches.
    #[default]
    OnDemand,
    /// While it is live.
    Always,
    /// Never.
    Off,
}

/// Whether a stream is recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Record {
    /// Whenever it is live.
    #[default]
    Always,
    /// When the API says so.
    Off,
}

/// The codecs of sound for HLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HlsSound {
    /// AAC, which every player takes.
    #[default]
    Aac,
    /// Opus as it comes.
    Opus,
    /// Both; players choose.
    Both,
}

/// The codecs of transcoded pictures for HLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HlsCodec {
    /// H.264, which every player takes.
    #[default]
    H264,
    /// H.265, for less bits and far more work.
    H265,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file is not TOML.
    #[error("{path} line {line} is not valid TOML: {reason}")]
    Syntax {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
    /// A key that does not exist.
    #[error("unknown key {key} {origin}{hint}")]
    UnknownKey {
        /// The key as it was written.
        key: String,
        /// Where it was written.
        origin: Origin,
        /// A key that was probably meant.
        hint: String,
    },
    /// A value that cannot be used.
    #[error("bad value for {key} {origin}: {reason}")]
    BadValue {
        /// The key.
        key: String,
        /// Where it was written.
        origin: Origin,
        /// What is wrong with it.
        reason: String,
    },
    /// Values that cannot be used together.
    #[error("{0}")]
    Conflict(String),
}

// === impl Config ===

impl Config {
    /// Merges all sources: defaults < file < environment (`WHITEWATER_*`) < flags.
    ///
    /// Variables of the environment with other names are passed over.
    pub fn merge(
        file: Option<File<'_>>,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &Flags,
    ) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        if let Some(file) = file {
            file::apply(file, &mut config)?;
        }
        for setting in setting::from_environment(env).iter().chain(&flags.settings) {
            options::apply(setting, &mut config)?;
        }
        config.check()?;
        Ok(config)
    }

    /// What holds for the stream of this name.
    pub fn policy(&self, stream: &str) -> Policy {
        self.streams
            .iter()
            .find(|section| section.pattern.matches(stream))
            .map_or_else(Policy::default, |section| section.policy.clone())
    }

    /// Who may use the stream of this name.
    pub fn access(&self, stream: &str) -> Access {
        self.policy(stream).access.unwrap_or_else(|| self.auth.usual_access())
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.check_auth()?;
        webhooks::check(self)?;
        self.recording.check().map_err(ConfigError::Conflict)?;
        if let Some(Tls { cert, key }) = &self.tls {
            for (file, missing, given) in
                [(cert, "tls_cert", "tls_key"), (key, "tls_key", "tls_cert")]
            {
                if file.as_os_str().is_empty() {
                    let reason = format!("{given} needs {missing} beside it: HTTPS takes both");
                    return Err(ConfigError::Conflict(reason));
                }
            }
        }
        if let (Some(address), None) = (self.http_redirect, &self.tls) {
            let reason = format!("http_redirect is {address}, but there is no HTTPS: set tls_cert");
            return Err(ConfigError::Conflict(reason));
        }
        if let Some(ip) = exposure::unreachable_public_ip(self.udp, &self.public_ips) {
            let reason = format!(
                "public_ips names {ip}, which cannot reach the media address {}: bind udp to an \
                 address of the same family, or to [::] for both",
                self.udp
            );
            return Err(ConfigError::Conflict(reason));
        }
        let Drain { delay, timeout } = self.drain;
        if delay >= timeout {
            let reason = format!(
                "drain_delay_s must be less than drain_timeout_s: {} and {}",
                delay.as_secs(),
                timeout.as_secs()
            );
            return Err(ConfigError::Conflict(reason));
        }
        if self.tcp && exposure::overlap(self.http, self.udp) {
            let reason = format!(
                "http is {} and udp is {}, and media over TCP takes the port of udp as well: choose \
                 another port for one of them, or do without with --tcp false",
                self.http, self.udp
            );
            return Err(ConfigError::Conflict(reason));
        }
        exposure::check(self)
    }
}

impl Config {
    fn check_auth(&self) -> Result<(), ConfigError> {
        let conflict = |reason: String| Err(ConfigError::Conflict(reason));
        if self.auth.jwt_secret.is_some() && self.auth.jwt_secret_file.is_some() {
            return conflict(
                "auth.jwt_secret and auth.jwt_secret_file both give the secret".into(),
            );
        }
        for section in &self.streams {
            let (pattern, access) = (&section.pattern, section.policy.access);
            if access == Some(Access::Token) && !self.auth.reads_tokens() {
                return conflict(format!(
                    "streams {pattern} take tokens, but nothing checks them: set auth.jwt_secret, \
                     auth.jwt_public_keys or auth.jwks_url"
                ));
            }
            if access == Some(Access::Hook) && self.auth.hook_url.is_none() {
                return conflict(format!(
                    "streams {pattern} ask a hook, but auth.hook_url is not set"
                ));
            }
        }
        Ok(())
    }
}

impl Default for Config {
    fn default() -> Self {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let mut config = Self {
            http: nowhere,
            http_redirect: None,
            udp: nowhere,
            tcp: false,
            data: PathBuf::new(),
            public_ips: Vec::new(),
            ice_servers: Vec::new(),
            shards: None,
            max_burst: 64,
            limits: Limits {
                max_streams: 0,
                max_viewers: 0,
                max_http_connections: 0,
                max_publisher_bitrate_bps: 0,
                max_total_bitrate_bps: 0,
            },
            client_limits: ClientLimits::default(),
            trusted_proxies: Vec::new(),
            cors_origins: Vec::new(),
            tls: None,
            log: Log { format: LogFormat::Text, filter: String::new() },
            insecure_open: false,
            drain: Drain { delay: Duration::ZERO, timeout: Duration::ZERO },
            auth: Auth::default(),
            recording: Recording::default(),
            streams: Vec::new(),
            webhooks: Vec::new(),
        };
        options::apply_defaults(&mut config);
        config
    }
}

// === impl Policy ===

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_bitrate_bps: None,
            reconnect_window: Duration::from_secs(10),
            takeover: false,
            hls: Hls::OnDemand,
            hls_segment: Duration::from_secs(2),
            hls_window: Duration::from_secs(120),
            hls_memory: Duration::from_secs(180),
            hls_sound: HlsSound::Aac,
            hls_ladder: Vec::new(),
            hls_codec: HlsCodec::H264,
            record: Record::Always,
            record_renditions: vec!["source".into()],
            record_max_age: Duration::ZERO,
            record_max_size: 0,
            access: None,
        }
    }
}

// === impl IceServer ===

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer")
            .field("urls", &self.urls)
            .field("username", &self.username)
            .field("credential", &self.credential.as_ref().map(|_| "redacted"))
            .finish()
    }
}

#[cfg(test)]
mod tests;
