//! What the media half counts, as metrics.

use std::fmt::Error;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;
use whitewater_signaling::control::{DelayInfo, ShardInfo, StreamInfo};

use super::Snapshot;

/// A snapshot that is written at once.
#[derive(Debug)]
pub(super) struct Media {
    version: String,
    followers: u64,
    delay: DelayInfo,
    turns: DelayInfo,
    queues: [(&'static str, u64); 2],
    shards: Vec<ShardInfo>,
    streams: Vec<StreamInfo>,
}

#[derive(Debug, EncodeLabelSet)]
struct Shard {
    shard: usize,
}

#[derive(Debug, EncodeLabelSet)]
struct Reason {
    shard: usize,
    reason: &'static str,
}

#[derive(Debug, EncodeLabelSet)]
struct Queue {
    queue: &'static str,
    /// Empty where it is one for all shards.
    shard: Option<usize>,
}

#[derive(Debug, EncodeLabelSet)]
struct State {
    state: &'static str,
}

#[derive(Debug, EncodeLabelSet)]
struct Stream {
    stream: String,
}

#[derive(Debug, EncodeLabelSet)]
struct Protocol {
    protocol: &'static str,
}

#[derive(Debug, EncodeLabelSet)]
struct Layer {
    stream: String,
    kind: String,
    rid: String,
}

#[derive(Debug, EncodeLabelSet)]
struct Version {
    version: String,
}

/// A name, what it means, and where it is.
type Row = (&'static str, &'static str, fn(&ShardInfo) -> u64);

const GAUGES: &[Row] = &[
    ("sessions", "Sessions open", |shard| shard.sessions),
    ("shard_streams", "Streams that a shard knows, mirrors too", |shard| shard.streams),
    ("addresses", "Client addresses known", |shard| shard.addresses),
    ("tcp_connections", "ICE-TCP connections open", |shard| shard.tcp_connections),
];

const COUNTERS: &[Row] = &[
    ("datagrams_received", "Datagrams received", |shard| shard.datagrams_in),
    ("packets_received", "Media packets taken in", |shard| shard.packets_in),
    ("packets_sent", "Media packets sent, without retransmissions", |shard| shard.packets_out),
    ("packets_resent", "Retransmissions sent", |shard| shard.resent),
    ("packets_delivered", "Packets that viewers reported received", |shard| shard.delivered),
    ("packets_reported_lost", "Packets that viewers reported lost", |shard| shard.reported_lost),
    ("keyframe_requests", "Keyframe requests (PLI) sent to publishers", |shard| {
        shard.keyframe_requests
    }),
    ("keyframes_wanted", "Keyframe requests (PLI, FIR) of viewers", |shard| shard.keyframes_wanted),
    ("packets_nacked", "Packets that viewers asked for once more (NACK)", |shard| shard.nacked),
    ("layer_switches", "Times that viewers were given another layer", |shard| shard.layer_switches),
    ("datagrams_sent", "Datagrams sent, of every kind", |shard| shard.datagrams_out),
    ("receive_calls", "System calls that received", |shard| shard.receives),
    ("send_calls", "System calls that sent", |shard| shard.sends),
    ("datagrams_handed_over", "Datagrams handed to another shard", |shard| shard.handed_over),
    ("tcp_connections_refused", "ICE-TCP connections refused", |shard| shard.tcp_refused),
];

/// A reason to drop something, and where it is counted.
type Drop = (&'static str, fn(&ShardInfo) -> u64);

/// Why something was dropped.
const DROPS: &[Drop] = &[
    ("stranger", |shard| shard.dropped_stranger),
    ("handshake", |shard| shard.dropped_handshake),
    ("flood", |shard| shard.dropped_flood),
    ("unauthentic", |shard| shard.dropped_unauthentic),
    ("unknown_ssrc", |shard| shard.dropped_unknown_ssrc),
    ("over_limit", |shard| shard.dropped_over_limit),
    ("duplicate", |shard| shard.dropped_duplicate),
    ("full", |shard| shard.dropped_full),
    ("error", |shard| shard.dropped_error),
    ("link", |shard| shard.dropped_link),
];

// === impl Media ===

impl Media {
    pub(super) fn of(Snapshot { server, streams, .. }: &Snapshot) -> Self {
        Self {
            version: server.version.clone(),
            followers: server.followers,
            delay: server.forwarding_delay.clone(),
            turns: server.turns.clone(),
            queues: [("events", server.events_waiting), ("tap", server.tap_waiting)],
            shards: server.shards.clone(),
            streams: streams.clone(),
        }
    }

    fn shards(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        for (rows, kind) in [(GAUGES, MetricType::Gauge), (COUNTERS, MetricType::Counter)] {
            for (name, help, value) in rows {
                let mut family = encoder.encode_descriptor(name, help, None, kind)?;
                for (shard, info) in self.shards.iter().enumerate() {
                    let labels = Shard { shard };
                    let one = family.encode_family(&labels)?;
                    encode(kind, value(info), one)?;
                }
            }
        }
        let bytes = Some(&Unit::Bytes);
        let help = "Bytes sent, of every kind";
        let mut family = encoder.encode_descriptor("sent", help, bytes, MetricType::Counter)?;
        for (shard, info) in self.shards.iter().enumerate() {
            let labels = Shard { shard };
            encode(MetricType::Counter, info.bytes_out, family.encode_family(&labels)?)?;
        }
        let help = "Time of a core that a shard's thread used";
        let seconds = Some(&Unit::Seconds);
        let counter = MetricType::Counter;
        let mut family = encoder.encode_descriptor("shard_cpu", help, seconds, counter)?;
        for (shard, info) in self.shards.iter().enumerate() {
            let used = ConstCounter::new(info.cpu_us as f64 / 1e6);
            used.encode(family.encode_family(&Shard { shard })?)?;
        }
        let help = "Bytes received over UDP";
        let mut family = encoder.encode_descriptor("received", help, bytes, MetricType::Counter)?;
        for (shard, info) in self.shards.iter().enumerate() {
            let labels = Shard { shard };
            encode(MetricType::Counter, info.bytes_in, family.encode_family(&labels)?)?;
        }
        let help = "Messages that wait in a queue";
        let mut family = encoder.encode_descriptor("queued", help, None, MetricType::Gauge)?;
        for (shard, info) in self.shards.iter().enumerate() {
            for (queue, count) in
                [("commands", info.commands_waiting), ("link", info.links_waiting)]
            {
                let labels = Queue { queue, shard: Some(shard) };
                encode(MetricType::Gauge, count, family.encode_family(&labels)?)?;
            }
        }
        for (queue, count) in self.queues {
            let labels = Queue { queue, shard: None };
            encode(MetricType::Gauge, count, family.encode_family(&labels)?)?;
        }
        let help = "What was dropped, by reason";
        let mut family = encoder.encode_descriptor("dropped", help, None, MetricType::Counter)?;
        for (shard, info) in self.shards.iter().enumerate() {
            for (reason, value) in DROPS {
                let labels = Reason { shard, reason };
                encode(MetricType::Counter, value(info), family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }

    fn streams(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let gauge = MetricType::Gauge;
        let help = "Streams, by whether their publisher is there";
        let mut family = encoder.encode_descriptor("streams", help, None, gauge)?;
        for (state, live) in [("live", true), ("waiting", false)] {
            let count = self.streams.iter().filter(|stream| stream.live == live).count() as u64;
            encode(gauge, count, family.encode_family(&State { state })?)?;
        }
        let help = "Viewers over WHEP";
        let mut family = encoder.encode_descriptor("stream_viewers", help, None, gauge)?;
        for info in &self.streams {
            let labels = Stream { stream: info.name.clone() };
            encode(gauge, info.viewers, family.encode_family(&labels)?)?;
        }
        let help = "Viewers over HLS, as their players say";
        let mut family = encoder.encode_descriptor("stream_hls_viewers", help, None, gauge)?;
        for info in &self.streams {
            let labels = Stream { stream: info.name.clone() };
            encode(gauge, info.hls_viewers, family.encode_family(&labels)?)?;
        }
        let help = "Viewers over DASH, as their players say";
        let mut family = encoder.encode_descriptor("stream_dash_viewers", help, None, gauge)?;
        for info in &self.streams {
            let labels = Stream { stream: info.name.clone() };
            encode(gauge, info.dash_viewers, family.encode_family(&labels)?)?;
        }
        let help = "Viewers by protocol; those over HLS and DASH as their players say";
        let mut family = encoder.encode_descriptor("viewers", help, None, gauge)?;
        let sum = |of: fn(&StreamInfo) -> u64| -> u64 { self.streams.iter().map(of).sum() };
        let counts = [
            ("whep", sum(|info| info.viewers)),
            ("hls", sum(|info| info.hls_viewers)),
            ("dash", sum(|info| info.dash_viewers)),
        ];
        for (protocol, count) in counts {
            encode(gauge, count, family.encode_family(&Protocol { protocol })?)?;
        }
        let help = "What a publisher sends in one layer, in bits per second";
        let mut family = encoder.encode_descriptor("layer_bitrate_bps", help, None, gauge)?;
        for info in &self.streams {
            for track in &info.tracks {
                for layer in &track.layers {
                    let labels = Layer {
                        stream: info.name.clone(),
                        kind: track.kind.clone(),
                        rid: layer.rid.clone().unwrap_or_default(),
                    };
                    encode(gauge, layer.bitrate_bps, family.encode_family(&labels)?)?;
                }
            }
        }
        Ok(())
    }

    fn delays(&self, encoder: &mut DescriptorEncoder<'_>) -> Result<(), Error> {
        let help = "From the kernel's receive time of a write's oldest packet to its return";
        histogram(encoder, "forwarding_delay", help, &self.delay)?;
        histogram(encoder, "shard_turn", "How long one turn of a shard's loop takes", &self.turns)
    }
}

/// The sum of a histogram is taken from the upper ends of its fine buckets, which grow by a twelfth.
fn histogram(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    info: &DelayInfo,
) -> Result<(), Error> {
    let mut buckets: Vec<(f64, u64)> = DELAY_S.iter().map(|end| (*end, 0)).collect();
    buckets.push((f64::INFINITY, 0));
    let mut sum = 0.0;
    for (upper_us, count) in &info.buckets {
        let upper = *upper_us as f64 / 1e6;
        sum += upper * *count as f64;
        if let Some(bucket) = buckets.iter_mut().find(|(end, _)| upper <= *end) {
            bucket.1 += count;
        }
    }
    let (seconds, kind) = (Some(&Unit::Seconds), MetricType::Histogram);
    let mut one = encoder.encode_descriptor(name, help, seconds, kind)?;
    one.encode_histogram::<NoLabelSet>(sum, info.count, &buckets, None)
}

impl Collector for Media {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let gauge = MetricType::Gauge;
        let mut build = encoder.encode_descriptor("build", "The server's version", None, gauge)?;
        let version = Version { version: self.version.clone() };
        encode(gauge, 1, build.encode_family(&version)?)?;
        let help = "Connections that are told of events";
        let followers = encoder.encode_descriptor("followers", help, None, gauge)?;
        encode(gauge, self.followers, followers)?;
        self.shards(&mut encoder)?;
        self.streams(&mut encoder)?;
        self.delays(&mut encoder)
    }
}

fn encode(
    kind: MetricType,
    value: u64,
    into: prometheus_client::encoding::MetricEncoder<'_>,
) -> Result<(), Error> {
    if matches!(kind, MetricType::Counter) {
        ConstCounter::new(value).encode(into)
    } else {
        ConstGauge::new(value as f64).encode(into)
    }
}

const DELAY_S: [f64; 10] = [0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];
