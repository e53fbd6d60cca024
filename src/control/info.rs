//! What shards report, in the words of the API.

use std::sync::atomic::{AtomicU64, Ordering};

use whitewater_core::hub::Part;
use whitewater_core::media::Rid;
use whitewater_core::shard::command::{StreamReport, TrackReport};
use whitewater_core::shard::{Command, Gauges, Reply, ShardId};
use whitewater_signaling::control::{
    DelayInfo, LayerInfo, Listing, PartInfo, Refusal, ServerInfo, ShardInfo, StreamInfo,
    StreamName, StreamPage, TrackInfo,
};

use super::audience::Segmented;
use super::registry::StreamEntry;
use super::{Control, warnings};
use crate::engine::{Counters, Quantiles};

impl Control {
    pub(super) async fn describe(&self, stream: &StreamEntry) -> StreamReport {
        match self.engine.ask(stream.home, Command::Describe(stream.id)).await {
            Some(Reply::Stream(report)) => *report,
            _ => StreamReport::default(),
        }
    }

    pub(super) async fn describe_server(&self) -> Result<ServerInfo, Refusal> {
        let mut shards = Vec::with_capacity(self.engine.shards());
        for id in (0..self.engine.shards()).map(|index| ShardId(index as u8)) {
            let Some(Reply::Gauges(gauges)) = self.engine.ask(id, Command::Gauges).await else {
                return Err(Refusal::Closing);
            };
            let counters = self.engine.counters(id).ok_or(Refusal::Closing)?;
            let waiting = self.engine.waiting(id);
            shards.push(shard(&gauges, counters, waiting));
        }
        let (events_waiting, tap_waiting) = self.engine.waiting_outputs();
        Ok(ServerInfo {
            version: env!("CARGO_PKG_VERSION").into(),
            forwarding_delay: delay(self.engine.forwarding_delay()),
            turns: delay(self.engine.turns()),
            followers: self.registry().log.readers() as u64,
            events_waiting: events_waiting as u64,
            tap_waiting: tap_waiting as u64,
            shards,
        })
    }

    pub(super) async fn list_streams(&self, listing: &Listing) -> StreamPage {
        let all: Vec<_> = {
            let registry = self.registry();
            registry.streams.iter().map(|(name, entry)| (name.clone(), entry.clone())).collect()
        };
        // Only what is told of is asked for.
        let (streams, next) = listing.cut(all);
        let mut infos = Vec::with_capacity(streams.len());
        for (name, stream) in streams {
            infos.push(self.info(name, stream).await);
        }
        StreamPage { streams: infos, next }
    }

    pub(super) async fn info(&self, name: StreamName, stream: StreamEntry) -> StreamInfo {
        let report = self.describe(&stream).await;
        let Segmented { hls, dash } = self.audience().segmented(stream.id);
        StreamInfo {
            name: name.into(),
            live: report.live,
            uptime_ms: stream.since.elapsed().as_millis() as u64,
            viewers: stream.viewers,
            hls_viewers: hls,
            dash_viewers: dash,
            tracks: report.tracks.iter().map(track).collect(),
            warnings: warnings::of(&report),
        }
    }
}

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
                gop_ms: layer.gop.map(|gop| gop.as_millis() as u64),
                parts: layer.parts.iter().map(part).collect(),
            })
            .collect(),
    }
}

/// A part of a scalable layer.
fn part(part: &Part) -> PartInfo {
    PartInfo {
        spatial_layer_id: part.spatial,
        temporal_layer_id: part.temporal,
        bitrate_bps: part.bitrate_bps,
        width: part.size.map(|size| size.0.into()),
        height: part.size.map(|size| size.1.into()),
        fps: part.fps,
    }
}

/// A distribution of durations.
fn delay(quantiles: Quantiles) -> DelayInfo {
    DelayInfo {
        count: quantiles.count,
        p50_us: quantiles.p50.as_micros() as u64,
        p99_us: quantiles.p99.as_micros() as u64,
        max_us: quantiles.max.as_micros() as u64,
        buckets: quantiles
            .buckets
            .iter()
            .map(|(upper, count)| (upper.as_micros() as u64, *count))
            .collect(),
    }
}

/// A shard's machine and its loop together.
fn shard(gauges: &Gauges, counters: &Counters, (commands, links): (usize, usize)) -> ShardInfo {
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
        cpu_us: read(&counters.cpu_us),
        datagrams_out: read(&counters.datagrams_out),
        bytes_out: read(&counters.bytes_out),
        sends: read(&counters.sends),
        delivered: gauges.delivered,
        reported_lost: gauges.reported_lost,
        keyframe_requests: gauges.keyframe_requests,
        keyframes_wanted: gauges.keyframes_wanted,
        nacked: gauges.nacked,
        layer_switches: gauges.layer_switches,
        bytes_in: read(&counters.bytes_in),
        commands_waiting: commands as u64,
        links_waiting: links as u64,
        handed_over: gauges.handed_over,
        dropped_stranger: gauges.dropped_stranger,
        dropped_handshake: gauges.dropped_handshake,
        dropped_flood: gauges.dropped_flood,
        dropped_unauthentic: gauges.dropped_unauthentic,
        dropped_unknown_ssrc: gauges.dropped_unknown_ssrc,
        dropped_over_limit: gauges.dropped_over_limit,
        dropped_duplicate: gauges.dropped_duplicate,
        dropped_full: read(&counters.dropped_full),
        dropped_error: read(&counters.dropped_error),
        dropped_link: read(&counters.dropped_link),
        tcp_connections: read(&counters.tcp_connections),
        tcp_refused: read(&counters.tcp_refused),
    }
}
