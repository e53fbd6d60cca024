//! A history of the last quarter of an hour, for whoever opens a dashboard now.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The last quarter of an hour. All lists of a history have one number per sample, the oldest first;
/// `null` is where something was not there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// Seconds between two samples.
    pub interval_s: u64,
    /// When each was taken, in milliseconds since 1970 in UTC.
    pub at_unix_ms: Vec<u64>,
    /// Live streams.
    pub streams: Vec<u64>,
    /// Viewers by protocol.
    pub viewers: ViewersHistory,
    /// Bits per second that all publishers send.
    pub bitrate_in_bps: Vec<u64>,
    /// Bits per second that are sent, of every kind.
    pub bitrate_out_bps: Vec<u64>,
    /// The share of packets that viewers reported lost, from 0 to 1; `null` without reports.
    pub loss: Vec<Option<f64>>,
    /// Bits per second of layers: the busiest of each sample, and the rest together.
    pub layers: Vec<LayerHistory>,
    /// The share of one core that each shard's thread used, from 0 to 1.
    pub shards: Vec<Vec<Option<f64>>>,
}

/// Viewers by protocol.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ViewersHistory {
    /// Over WHEP.
    pub whep: Vec<u64>,
    /// Over HLS, as their players say.
    pub hls: Vec<u64>,
    /// Over DASH, as their players say.
    pub dash: Vec<u64>,
}

/// The bit rates of a layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LayerHistory {
    /// Its stream; `null` is the rest of all.
    pub stream: Option<String>,
    /// `audio` or `video`; `null` is the rest of all.
    pub kind: Option<String>,
    /// Its rid, where it has one.
    pub rid: Option<String>,
    /// Bits per second.
    pub bitrate_bps: Vec<Option<u64>>,
}
