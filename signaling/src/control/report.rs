//! What there is, as the API shows it: streams, their tracks and layers, and what the media half counts.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A live stream as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// Whether its publisher is connected now; `false` while the reconnect window runs.
    pub live: bool,
    /// Milliseconds since it went live.
    pub uptime_ms: u64,
    /// How many watch over WHEP.
    pub viewers: u64,
    /// How many watch over HLS, as their players say.
    #[serde(default)]
    pub hls_viewers: u64,
    /// How many watch over DASH, as their players say.
    #[serde(default)]
    pub dash_viewers: u64,
    /// Its tracks.
    pub tracks: Vec<TrackInfo>,
    /// What its host should change, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A track as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrackInfo {
    /// The media section's identification tag.
    pub mid: String,
    /// `audio` or `video`.
    pub kind: String,
    /// The codec's name.
    pub codec: String,
    /// Its layers, highest first; one without a rid where there is no simulcast.
    pub layers: Vec<LayerInfo>,
}

/// A layer as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LayerInfo {
    /// Its rid, where it has one.
    pub rid: Option<String>,
    /// Whether packets arrive now.
    pub active: bool,
    /// Bits per second over the last second.
    pub bitrate_bps: u64,
    /// Pixels, once a keyframe told.
    pub width: Option<u32>,
    /// Pixels, once a keyframe told.
    pub height: Option<u32>,
    /// Frames per second over the last second.
    pub fps: f64,
    /// Keyframes since it started.
    pub keyframes: u64,
    /// Packets lost on the way to us and not recovered.
    pub packets_lost: u64,
    /// Milliseconds between the latest two keyframes, or since the latest where that is longer; of a
    /// picture, once there was a keyframe.
    #[serde(default)]
    pub gop_ms: Option<u64>,
    /// Its parts where it is scalable, lowest first; else empty.
    #[serde(default)]
    pub parts: Vec<PartInfo>,
}

/// A part of a scalable layer as the API shows it: a spatial and temporal layer with all below them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartInfo {
    /// Its highest spatial layer.
    pub spatial_layer_id: u8,
    /// Its highest temporal layer.
    pub temporal_layer_id: u8,
    /// Bits per second of all of it over the last second.
    pub bitrate_bps: u64,
    /// Pixels, where packets tell.
    pub width: Option<u32>,
    /// Pixels, where packets tell.
    pub height: Option<u32>,
    /// Frames per second over the last second.
    pub fps: f64,
}

/// What the media half counts, as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerInfo {
    /// The server's version.
    pub version: String,
    /// From the kernel's receive time of the oldest packet of a write to the write's return, once for
    /// each packet. What a joiner catches up on, and what is sent again, is not counted.
    pub forwarding_delay: DelayInfo,
    /// How long one turn of a shard's loop takes.
    #[serde(default)]
    pub turns: DelayInfo,
    /// Connections that are told of events now.
    pub followers: u64,
    /// Events of shards that wait for control.
    #[serde(default)]
    pub events_waiting: u64,
    /// Messages that wait for the packaging of HLS.
    #[serde(default)]
    pub tap_waiting: u64,
    /// One entry per shard.
    pub shards: Vec<ShardInfo>,
}

/// A distribution of durations, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DelayInfo {
    /// How many were counted.
    pub count: u64,
    /// Half are no longer.
    pub p50_us: u64,
    /// 99 of 100 are no longer.
    pub p99_us: u64,
    /// None is longer.
    pub max_us: u64,
    /// Upper ends of the buckets that counted any, with their counts: what was counted between two
    /// readings is their difference.
    #[schema(value_type = Vec<[u64; 2]>)]
    pub buckets: Vec<(u64, u64)>,
}

/// What one shard counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShardInfo {
    /// Sessions open.
    pub sessions: u64,
    /// Streams known, those of other shards that it mirrors too.
    pub streams: u64,
    /// Client addresses known.
    pub addresses: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Calls that received them.
    pub receives: u64,
    /// Media packets taken in.
    pub packets_in: u64,
    /// Media packets sent, without retransmissions.
    pub packets_out: u64,
    /// Writes that carried them.
    pub bursts_out: u64,
    /// Retransmissions sent.
    pub resent: u64,
    /// Microseconds of a core's time that its thread used.
    #[serde(default)]
    pub cpu_us: u64,
    /// Datagrams sent, of every kind.
    pub datagrams_out: u64,
    /// Bytes sent, of every kind.
    pub bytes_out: u64,
    /// Calls that sent them.
    pub sends: u64,
    /// Packets that viewers reported as received.
    pub delivered: u64,
    /// Packets that viewers reported as lost.
    pub reported_lost: u64,
    /// Keyframe requests sent to publishers.
    pub keyframe_requests: u64,
    /// Keyframe requests of viewers.
    #[serde(default)]
    pub keyframes_wanted: u64,
    /// Packets that viewers asked for once more.
    #[serde(default)]
    pub nacked: u64,
    /// Times that viewers were given another layer.
    #[serde(default)]
    pub layer_switches: u64,
    /// Bytes received over UDP.
    #[serde(default)]
    pub bytes_in: u64,
    /// Commands that wait.
    #[serde(default)]
    pub commands_waiting: u64,
    /// Messages of other shards that wait.
    #[serde(default)]
    pub links_waiting: u64,
    /// Datagrams handed to the shard they belong to.
    pub handed_over: u64,
    /// Datagrams of no session or no known kind.
    pub dropped_stranger: u64,
    /// STUN and DTLS that was refused.
    pub dropped_handshake: u64,
    /// Checks of strangers above what they may cost.
    pub dropped_flood: u64,
    /// RTP and RTCP that did not authenticate, replays too.
    pub dropped_unauthentic: u64,
    /// Packets of SSRCs that belong to no layer.
    pub dropped_unknown_ssrc: u64,
    /// Packets above a publisher's limit.
    pub dropped_over_limit: u64,
    /// Packets that came twice or far too late.
    pub dropped_duplicate: u64,
    /// Writes dropped because the socket's buffer was full.
    pub dropped_full: u64,
    /// Writes that failed otherwise.
    pub dropped_error: u64,
    /// Messages to other shards dropped because their queue was full.
    pub dropped_link: u64,
    /// TCP connections open.
    pub tcp_connections: u64,
    /// TCP connections refused because there were too many.
    pub tcp_refused: u64,
}
