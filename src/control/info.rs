//! What shards report, in the words of the API.

use std::sync::atomic::{AtomicU64, Ordering};

use whitewater_core::media::Rid;
use whitewater_core::shard::Gauges;
use whitewater_core::shard::command::TrackReport;
use whitewater_signaling::control::{DelayInfo, LayerInfo, ShardInfo, TrackInfo};

use crate::engine::{Counters, Quantiles};

/// A track, its highest layer first.
pub(super) fn track(track: &TrackReport) -> TrackInfo {
    let mut layers: Vec<_> = track.layers.iter().collect();
    let pixels = |size: Option<(u16, u16)>| {
        size.map_or(0, |(width, height)| u32::from(width) * u32::from(height))
    };
    layers.sort_by_key(|layer| std::cmp::Reverse((pixels(layer.size), layer.bitrate_bps)));
    TrackInfo {
        mid: track.mid.to_string(),
        kind: track.format.codec.kind().to_string(),
        codec: track.format.codec.to_string(),
        layers: layers
            .into_iter()
            .map(|layer| LayerInfo {
                rid: layer.rid.as_ref().map(Rid::to_string),
                active: layer.active,
                bitrate_bps: layer.bitrate_bps,
                width: layer.size.map(|size| size.0.into()),
                height: layer.size.map(|size| size.1.into()),
                fps: layer.fps,
                keyframes: layer.keyframes,
                packets_lost: layer.packets_lost,
            })
            .collect(),
    }
}

/// A distribution of durations.
pub(super) fn delay(quantiles: Quantiles) -> DelayInfo {
    DelayInfo {
        count: quantiles.count,
        p50_us: quantiles.p50.as_micros() as u64,
        p99_us: quantiles.p99.as_micros() as u64,
        max_us: quantiles.max.as_micros() as u64,
    }
}

/// A shard's machine and its loop together.
pub(super) fn shard(gauges: &Gauges, counters: &Counters) -> ShardInfo {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    ShardInfo {
        sessions: gauges.sessions as u64,
        streams: gauges.streams as u64,
        addresses: gauges.addresses as u64,
        datagrams_in: gauges.datagrams_in,
        receives: read(&counters.receives),
        packets_in: gauges.packets_in,
        packets_out: gauges.packets_out,
        bursts_out: gauges.bursts_out,
        resent: gauges.resent,
        datagrams_out: read(&counters.datagrams_out),
        bytes_out: read(&counters.bytes_out),
        sends: read(&counters.sends),
        delivered: gauges.delivered,
        reported_lost: gauges.reported_lost,
        keyframe_requests: gauges.keyframe_requests,
        handed_over: gauges.handed_over,
        dropped_stranger: gauges.dropped_stranger,
        dropped_handshake: gauges.dropped_handshake,
        dropped_unauthentic: gauges.dropped_unauthentic,
        dropped_unknown_ssrc: gauges.dropped_unknown_ssrc,
        dropped_over_limit: gauges.dropped_over_limit,
        dropped_duplicate: gauges.dropped_duplicate,
        dropped_full: read(&counters.dropped_full),
        dropped_error: read(&counters.dropped_error),
        dropped_link: read(&counters.dropped_link),
    }
}
