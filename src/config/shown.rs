//! A view of the configuration that may be shown: everything that holds, and no secret.
//!
//! Written as TOML it can be read again, and means the same but for the secrets.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Access, Auth, ClientLimits, Config, Hls, HlsCodec, HlsSound, IceServer, LogFormat, Record,
    Recording, SecretSource, StreamPolicy, Webhook,
};

/// What stands where a secret would.
pub(super) const REDACTED: &str = "redacted";

/// The keys as the file has them. What has no value is left out.
#[derive(Serialize)]
struct Shown {
    http: String,
    http_redirect: Option<String>,
    udp: String,
    tcp: bool,
    data: PathBuf,
    public_ips: Vec<String>,
    shards: usize,
    max_burst: usize,
    max_streams: usize,
    max_viewers: usize,
    max_http_connections: usize,
    max_publisher_bitrate: u64,
    max_total_bitrate: Option<u64>,
    trusted_proxies: Vec<String>,
    cors_origins: Vec<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    log_format: &'static str,
    log: String,
    drain_delay_s: u64,
    drain_timeout_s: u64,
    insecure_open: bool,
    auth: ShownAuth,
    limits: ShownLimits,
    recording: ShownRecording,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ice_servers: Vec<ShownIceServer>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    streams: Vec<ShownPolicy>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    webhooks: Vec<ShownWebhook>,
}

#[derive(Serialize)]
struct ShownAuth {
    jwt_secret: Option<&'static str>,
    jwt_secret_file: Option<PathBuf>,
    jwt_public_keys: Vec<PathBuf>,
    jwks_url: Option<String>,
    audience: Option<String>,
    issuer: Option<String>,
    hook_url: Option<String>,
    hook_timeout_s: u64,
    hook_when_down: &'static str,
    grace_s: u64,
}

#[derive(Serialize)]
struct ShownLimits {
    address_requests_per_s: u32,
    address_burst: u32,
    token_requests_per_s: u32,
    token_burst: u32,
    refused_tokens_per_min: u32,
    refused_tokens_burst: u32,
    address_connections: u32,
    address_requests: u32,
    address_sessions: u32,
    token_sessions: u32,
}

#[derive(Serialize)]
struct ShownRecording {
    enabled: bool,
    max_size: u64,
    queue_size: u64,
    s3_bucket: Option<String>,
    s3_prefix: String,
    s3_endpoint: Option<String>,
    s3_region: Option<String>,
    s3_access_key_id: Option<String>,
    s3_secret_access_key: Option<&'static str>,
    spool_size: u64,
}

#[derive(Serialize)]
struct ShownIceServer {
    urls: Vec<String>,
    username: Option<String>,
    credential: Option<&'static str>,
}

#[derive(Serialize)]
struct ShownPolicy {
    r#match: String,
    max_bitrate_bps: Option<u64>,
    reconnect_window_s: u64,
    takeover: bool,
    hls: &'static str,
    hls_sound: &'static str,
    hls_ladder: Vec<String>,
    hls_codec: &'static str,
    hls_segment_s: u64,
    hls_window_s: u64,
    hls_memory_s: u64,
    record: &'static str,
    record_renditions: Vec<String>,
    record_max_age_h: u64,
    record_max_size: u64,
    access: Option<&'static str>,
}

#[derive(Serialize)]
struct ShownWebhook {
    url: String,
    name: String,
    secret: Option<&'static str>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
    events: Vec<&'static str>,
    timeout_s: u64,
}

// === impl Config ===

impl Config {
    /// What holds, as TOML, without secrets.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&Shown::of(self))
    }

    /// What holds, as JSON, without secrets.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(Shown::of(self)).unwrap_or_default()
    }
}

// === impl Shown ===

impl Shown {
    fn of(config: &Config) -> Self {
        let tls = config.tls.as_ref();
        Self {
            http: config.http.to_string(),
            http_redirect: config.http_redirect.map(|address| address.to_string()),
            udp: config.udp.to_string(),
            tcp: config.tcp,
            data: config.data.clone(),
            public_ips: texts(&config.public_ips),
            shards: config.shards.map_or(0, usize::from),
            max_burst: config.max_burst,
            max_streams: config.limits.max_streams,
            max_viewers: config.limits.max_viewers,
            max_http_connections: config.limits.max_http_connections,
            max_publisher_bitrate: config.limits.max_publisher_bitrate_bps,
            max_total_bitrate: Some(config.limits.max_total_bitrate_bps).filter(|bps| *bps > 0),
            trusted_proxies: texts(&config.trusted_proxies),
            cors_origins: config.cors_origins.clone(),
            tls_cert: tls.map(|tls| tls.cert.clone()),
            tls_key: tls.map(|tls| tls.key.clone()),
            log_format: match config.log.format {
                LogFormat::Text => "text",
                LogFormat::Json => "json",
            },
            log: config.log.filter.clone(),
            drain_delay_s: config.drain.delay.as_secs(),
            drain_timeout_s: config.drain.timeout.as_secs(),
            insecure_open: config.insecure_open,
            auth: auth(&config.auth),
            limits: limits(&config.client_limits),
            recording: recording(&config.recording),
            ice_servers: config.ice_servers.iter().map(ice_server).collect(),
            streams: config.streams.iter().map(policy).collect(),
            webhooks: config.webhooks.iter().map(webhook).collect(),
        }
    }
}

fn auth(auth: &Auth) -> ShownAuth {
    ShownAuth {
        jwt_secret: auth.jwt_secret.as_ref().map(|_| REDACTED),
        jwt_secret_file: auth.jwt_secret_file.as_deref().map(Path::to_path_buf),
        jwt_public_keys: auth.jwt_public_keys.clone(),
        jwks_url: auth.jwks_url.as_deref().map(shown_url),
        audience: auth.audience.clone(),
        issuer: auth.issuer.clone(),
        hook_url: auth.hook_url.as_deref().map(shown_url),
        hook_timeout_s: auth.hook_timeout.as_secs(),
        hook_when_down: if auth.hook_allows_when_down { "allow" } else { "deny" },
        grace_s: auth.grace.as_secs(),
    }
}

/// A URL without what could be a secret in it: the password, and the query.
pub fn shown_url(text: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(text) else { return REDACTED.into() };
    if url.password().is_some() {
        let _ = url.set_password(Some(REDACTED));
    }
    if url.query().is_some() {
        url.set_query(Some(REDACTED));
    }
    url.into()
}

/// A webhook without the path of its URL: that is often what keeps others from posting there.
fn webhook(hook: &Webhook) -> ShownWebhook {
    let mut shown = ShownWebhook {
        url: REDACTED.into(),
        name: hook.name.clone(),
        secret: None,
        secret_file: None,
        secret_env: None,
        events: hook.topics.iter().map(|topic| topic.name()).collect(),
        timeout_s: hook.timeout.as_secs(),
    };
    if let Ok(mut url) = reqwest::Url::parse(&hook.url) {
        url.set_path(REDACTED);
        shown.url = shown_url(url.as_str());
    }
    match &hook.secret {
        SecretSource::Inline(_) => shown.secret = Some(REDACTED),
        SecretSource::File(path) => shown.secret_file = Some(path.clone()),
        SecretSource::Environment(name) => shown.secret_env = Some(name.clone()),
    }
    shown
}

fn limits(limits: &ClientLimits) -> ShownLimits {
    ShownLimits {
        address_requests_per_s: limits.address_requests_per_s,
        address_burst: limits.address_burst,
        token_requests_per_s: limits.token_requests_per_s,
        token_burst: limits.token_burst,
        refused_tokens_per_min: limits.refused_tokens_per_min,
        refused_tokens_burst: limits.refused_tokens_burst,
        address_connections: limits.address_connections,
        address_requests: limits.address_requests,
        address_sessions: limits.address_sessions,
        token_sessions: limits.token_sessions,
    }
}

fn recording(recording: &Recording) -> ShownRecording {
    ShownRecording {
        enabled: recording.enabled,
        max_size: recording.max_size,
        queue_size: recording.queue_size,
        s3_bucket: recording.s3_bucket.clone(),
        s3_prefix: recording.s3_prefix.clone(),
        s3_endpoint: recording.s3_endpoint.as_deref().map(shown_url),
        s3_region: recording.s3_region.clone(),
        s3_access_key_id: recording.s3_access_key_id.clone(),
        s3_secret_access_key: recording.s3_secret_access_key.as_ref().map(|_| REDACTED),
        spool_size: recording.spool_size,
    }
}

fn ice_server(server: &IceServer) -> ShownIceServer {
    ShownIceServer {
        urls: server.urls.clone(),
        username: server.username.clone(),
        credential: server.credential.as_ref().map(|_| REDACTED),
    }
}

fn policy(section: &StreamPolicy) -> ShownPolicy {
    let policy = &section.policy;
    ShownPolicy {
        r#match: section.pattern.to_string(),
        max_bitrate_bps: policy.max_bitrate_bps,
        reconnect_window_s: policy.reconnect_window.as_secs(),
        takeover: policy.takeover,
        hls: match policy.hls {
            Hls::OnDemand => "on_demand",
            Hls::Always => "always",
            Hls::Off => "off",
        },
        hls_sound: match policy.hls_sound {
            HlsSound::Aac => "aac",
            HlsSound::Opus => "opus",
            HlsSound::Both => "both",
        },
        hls_ladder: match policy.hls_ladder[..] {
            [] => vec!["off".into()],
            _ => policy.hls_ladder.iter().map(|side| format!("{side}p")).collect(),
        },
        hls_codec: match policy.hls_codec {
            HlsCodec::H264 => "h264",
            HlsCodec::H265 => "h265",
        },
        hls_segment_s: policy.hls_segment.as_secs(),
        hls_window_s: policy.hls_window.as_secs(),
        hls_memory_s: policy.hls_memory.as_secs(),
        record: match policy.record {
            Record::Always => "always",
            Record::Off => "off",
        },
        record_renditions: policy.record_renditions.clone(),
        record_max_age_h: policy.record_max_age.as_secs() / 3_600,
        record_max_size: policy.record_max_size,
        access: policy.access.map(|access| match access {
            Access::Open => "open",
            Access::Token => "token",
            Access::Hook => "hook",
        }),
    }
}

fn texts<T: Display>(list: &[T]) -> Vec<String> {
    list.iter().map(T::to_string).collect()
}
