//! A translation of the configuration into what each edge wants to know of it.

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use whitewater_core::bridge::Ladder;
use whitewater_signaling as signaling;
use whitewater_signaling::rate::{Rate, Rates};

use crate::bridge::{self, Codec, Picture, Sound, Timing, When};
use crate::config::{self, Config, Hls, HlsCodec, HlsSound, IceServer, Live};
use crate::control::{self, Policy};
use crate::record::Library;
use crate::webhooks::Ledger;
use crate::{engine, http, metrics};

pub(super) fn bridge_config(
    live: &Live,
    library: Option<Library>,
    metrics: metrics::Hls,
) -> bridge::Config {
    let (policies, sounds) = (live.clone(), live.clone());
    let (pictures, timings) = (live.clone(), live.clone());
    bridge::Config {
        when: Box::new(move |name| match policies.get().policy(name).hls {
            Hls::OnDemand => When::OnDemand,
            Hls::Always => When::Always,
            Hls::Off => When::Never,
        }),
        recorded: Box::new(move |stream| super::recording::recorded(library.as_ref()?, stream)),
        picture: Box::new(move |name| picture(&pictures.get().policy(name))),
        timing: Box::new(move |name| {
            let policy = timings.get().policy(name);
            Timing {
                segment: policy.hls_segment,
                window: policy.hls_window,
                memory: policy.hls_memory,
            }
        }),
        sound: Box::new(move |name| match sounds.get().policy(name).hls_sound {
            HlsSound::Aac => Sound { aac: true, opus: false },
            HlsSound::Opus => Sound { aac: false, opus: true },
            HlsSound::Both => Sound { aac: true, opus: true },
        }),
        metrics,
        patience: Duration::from_secs(5),
        patience_for_keyframes: Duration::from_secs(12),
        idle: Duration::from_secs(30),
    }
}

/// What is transcoded. A picture that MP4 players do not take is, whatever the policy says.
fn picture(policy: &config::Policy) -> Picture {
    let below = policy.hls_ladder.clone();
    let replacing = if below.is_empty() { vec![720] } else { below.clone() };
    let codec = match policy.hls_codec {
        HlsCodec::H264 => Codec::H264,
        HlsCodec::H265 => Codec::H265,
    };
    Picture { ladder: Ladder { replacing, below }, codec }
}

pub(super) fn engine_config(config: &Config) -> engine::Config {
    let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    engine::Config {
        udp: config.udp,
        tcp: config.tcp,
        shards: config.shards.map_or_else(cores, NonZeroUsize::get),
        max_burst: config.max_burst,
    }
}

pub(super) fn allowed(config: &Config) -> http::Allowed {
    http::Allowed {
        trusted: config.trusted_proxies.clone(),
        connections: config.client_limits.address_connections,
        requests: config.client_limits.address_requests,
    }
}

fn limits(config: &Config) -> control::Limits {
    control::Limits {
        max_streams: config.limits.max_streams,
        max_viewers: config.limits.max_viewers,
        max_total_bitrate_bps: config.limits.max_total_bitrate_bps,
        address_sessions: config.client_limits.address_sessions,
        token_sessions: config.client_limits.token_sessions,
        grace: config.auth.grace,
    }
}

pub(super) fn control_config(
    live: &Live,
    candidates: Vec<SocketAddr>,
    ledger: Ledger,
    audience: metrics::Audience,
) -> control::Config {
    let (policies, limiting, config) = (live.clone(), live.clone(), live.get());
    control::Config {
        candidates,
        tcp: config.tcp,
        limits: Box::new(move || limits(&limiting.get())),
        policy: Box::new(move |name| {
            let config = policies.get();
            let policy = config.policy(name);
            let max = config.limits.max_publisher_bitrate_bps;
            Policy {
                reconnect_window: policy.reconnect_window,
                max_bitrate_bps: policy.max_bitrate_bps.unwrap_or(max),
                takeover: policy.takeover,
            }
        }),
        heard: Box::new(move |protocol, heard, believed| {
            audience.heard(protocol, heard);
            if let Some(startup) = believed.startup {
                audience.started(protocol, startup);
            }
            if let Some(latency) = believed.latency {
                audience.latency(protocol, latency);
            }
            audience.waited(protocol, believed.stalls, believed.stalled, believed.errors);
        }),
        deliveries: Box::new(move |most| ledger.latest(most)),
    }
}

pub(super) fn signaling_config(config: &Config) -> signaling::Config {
    signaling::Config {
        ice_servers: config.ice_servers.iter().map(ice_server).collect(),
        cors_origins: config.cors_origins.clone(),
        rates: rates(config),
        ..signaling::Config::default()
    }
}

pub(super) fn rates(config: &Config) -> Rates {
    let (limits, within) = (&config.client_limits, Duration::from_secs(1));
    let rate = |times, burst| Rate { times, within, burst };
    Rates {
        address: rate(limits.address_requests_per_s, limits.address_burst),
        token: rate(limits.token_requests_per_s, limits.token_burst),
    }
}

fn ice_server(server: &IceServer) -> signaling::IceServer {
    signaling::IceServer {
        urls: server.urls.clone(),
        username: server.username.clone(),
        credential: server.credential.clone(),
    }
}
