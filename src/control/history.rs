//! A history that remembers the last quarter of an hour: one sample every five seconds in a ring.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::time::MissedTickBehavior;
use whitewater_signaling::control::{
    Control as _, History, LayerHistory, ServerInfo, ShardInfo, StreamInfo, ViewersHistory,
};

use super::Control;

/// The samples, oldest first.
#[derive(Debug, Default)]
pub(super) struct Ring {
    samples: Mutex<VecDeque<Sample>>,
}

/// How things stood at one moment, and what happened since the one before.
#[derive(Clone, Debug, Default, PartialEq)]
struct Sample {
    at_unix_ms: u64,
    streams: u64,
    viewers: u64,
    hls_viewers: u64,
    dash_viewers: u64,
    bitrate_in_bps: u64,
    bitrate_out_bps: u64,
    loss: Option<f64>,
    layers: BTreeMap<Option<Layer>, u64>,
    shards: Vec<f64>,
}

/// Stream, kind and rid.
type Layer = (String, String, Option<String>);

// === impl Ring ===

impl Ring {
    fn push(&self, sample: Sample) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back(sample);
        while samples.len() > MAX_SAMPLES {
            samples.pop_front();
        }
    }

    /// The ring in the words of the API.
    pub(super) fn read(&self) -> History {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let column = |of: fn(&Sample) -> u64| samples.iter().map(of).collect();
        let mut layers: BTreeMap<&Option<Layer>, Vec<Option<u64>>> = BTreeMap::new();
        for (index, sample) in samples.iter().enumerate() {
            for (layer, bps) in &sample.layers {
                let row = layers.entry(layer).or_insert_with(|| vec![None; samples.len()]);
                row[index] = Some(*bps);
            }
        }
        let shards = samples.iter().map(|sample| sample.shards.len()).max().unwrap_or(0);
        let shard = |index: usize| samples.iter().map(|it| it.shards.get(index).copied()).collect();
        History {
            interval_s: INTERVAL.as_secs(),
            at_unix_ms: column(|sample| sample.at_unix_ms),
            streams: column(|sample| sample.streams),
            viewers: ViewersHistory {
                whep: column(|sample| sample.viewers),
                hls: column(|sample| sample.hls_viewers),
                dash: column(|sample| sample.dash_viewers),
            },
            bitrate_in_bps: column(|sample| sample.bitrate_in_bps),
            bitrate_out_bps: column(|sample| sample.bitrate_out_bps),
            loss: samples.iter().map(|sample| sample.loss).collect(),
            layers: layers.into_iter().map(|(layer, bps)| layer_history(layer, bps)).collect(),
            shards: (0..shards).map(shard).collect(),
        }
    }
}

fn layer_history(layer: &Option<Layer>, bitrate_bps: Vec<Option<u64>>) -> LayerHistory {
    let (stream, kind, rid) = match layer.clone() {
        Some((stream, kind, rid)) => (Some(stream), Some(kind), rid),
        None => (None, None, None),
    };
    LayerHistory { stream, kind, rid, bitrate_bps }
}

/// Takes samples as long as control is there.
pub(super) async fn sample(control: Weak<Control>) {
    let mut due = tokio::time::interval(INTERVAL);
    due.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut before: Option<(Instant, ServerInfo)> = None;
    loop {
        due.tick().await;
        let Some(control) = control.upgrade() else { return };
        let (Ok(server), Ok(streams)) = (control.server().await, control.streams().await) else {
            return;
        };
        let (now, wall) = (Instant::now(), SystemTime::now());
        if let Some((at, before)) = &before {
            let sample = difference(before, &server, &streams, now - *at);
            let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
            let at_unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
            control.history.push(Sample { at_unix_ms, ..sample });
        }
        before = Some((now, server));
    }
}

fn difference(
    before: &ServerInfo,
    after: &ServerInfo,
    streams: &[StreamInfo],
    elapsed: Duration,
) -> Sample {
    let grown = |of: fn(&ShardInfo) -> u64| {
        let sum = |server: &ServerInfo| server.shards.iter().map(of).sum::<u64>();
        sum(after).saturating_sub(sum(before))
    };
    let seconds = elapsed.as_secs_f64().max(0.001);
    let (delivered, lost) = (grown(|shard| shard.delivered), grown(|shard| shard.reported_lost));
    let shards = before.shards.iter().zip(&after.shards);
    let used = |(before, after): (&ShardInfo, &ShardInfo)| {
        let used = after.cpu_us.saturating_sub(before.cpu_us) as f64 / 1e6 / seconds;
        (used.min(1.0) * 1000.0).round() / 1000.0
    };
    let layers = busiest(streams);
    Sample {
        at_unix_ms: 0,
        streams: streams.iter().filter(|stream| stream.live).count() as u64,
        viewers: streams.iter().map(|stream| stream.viewers).sum(),
        hls_viewers: streams.iter().map(|stream| stream.hls_viewers).sum(),
        dash_viewers: streams.iter().map(|stream| stream.dash_viewers).sum(),
        bitrate_in_bps: layers.values().sum(),
        bitrate_out_bps: (grown(|shard| shard.bytes_out) as f64 * 8.0 / seconds) as u64,
        loss: (delivered + lost > 0).then(|| lost as f64 / (delivered + lost) as f64),
        layers,
        shards: shards.map(used).collect(),
    }
}

/// The bit rates of the busiest layers, and of the rest together.
fn busiest(streams: &[StreamInfo]) -> BTreeMap<Option<Layer>, u64> {
    let mut all: Vec<(u64, Layer)> = Vec::new();
    for stream in streams.iter().filter(|stream| stream.live) {
        for track in &stream.tracks {
            for layer in track.layers.iter().filter(|layer| layer.active) {
                let name = (stream.name.clone(), track.kind.clone(), layer.rid.clone());
                all.push((layer.bitrate_bps, name));
            }
        }
    }
    all.sort_unstable_by(|one, other| other.cmp(one));
    let rest = all.split_off(all.len().min(MAX_LAYERS));
    let mut layers: BTreeMap<_, _> = all.into_iter().map(|(bps, name)| (Some(name), bps)).collect();
    if !rest.is_empty() {
        layers.insert(None, rest.iter().map(|(bps, _)| bps).sum());
    }
    layers
}

const INTERVAL: Duration = Duration::from_secs(5);

/// A quarter of an hour.
const MAX_SAMPLES: usize = 180;

/// Layers of a sample that are shown one by one.
const MAX_LAYERS: usize = 24;

#[cfg(test)]
mod tests {
    use whitewater_signaling::control::{LayerInfo, TrackInfo};

    use super::*;

    fn stream(name: &str, rates: &[u64]) -> StreamInfo {
        let layer = |(index, bps): (usize, &u64)| LayerInfo {
            rid: Some(format!("r{index}")),
            active: true,
            bitrate_bps: *bps,
            ..LayerInfo::default()
        };
        let layers = rates.iter().enumerate().map(layer).collect();
        let track = TrackInfo { kind: "video".into(), layers, ..TrackInfo::default() };
        StreamInfo {
            name: name.into(),
            live: true,
            viewers: 2,
            tracks: vec![track],
            ..StreamInfo::default()
        }
    }

    fn server(cpu_us: u64, bytes_out: u64, delivered: u64, reported_lost: u64) -> ServerInfo {
        let shard =
            ShardInfo { cpu_us, bytes_out, delivered, reported_lost, ..ShardInfo::default() };
        ServerInfo { shards: vec![shard], ..ServerInfo::default() }
    }

    #[test]
    fn a_sample_is_what_happened_since_the_one_before() {
        let (before, after) = (server(1_000_000, 1000, 0, 0), server(2_000_000, 501_000, 90, 10));
        let streams = [stream("a", &[300, 100]), stream("b", &[50])];
        let sample = difference(&before, &after, &streams, Duration::from_secs(5));
        assert_eq!((sample.streams, sample.viewers, sample.bitrate_in_bps), (2, 4, 450));
        assert_eq!((sample.bitrate_out_bps, sample.loss), (800_000, Some(0.1)));
        assert_eq!(sample.shards, [0.2]);
        let idle = difference(&after, &after, &[], Duration::from_secs(5));
        assert_eq!((idle.loss, idle.bitrate_out_bps), (None, 0));
    }

    #[test]
    fn the_busiest_layers_are_shown_and_the_rest_together() {
        let rates: Vec<u64> = (1..=30).collect();
        let layers = busiest(&[stream("a", &rates)]);
        assert_eq!(layers.len(), MAX_LAYERS + 1);
        assert_eq!(layers[&None], (1..=6).sum::<u64>());
        assert_eq!(layers.values().sum::<u64>(), (1..=30).sum::<u64>());
    }

    #[test]
    fn the_ring_keeps_a_quarter_of_an_hour_with_one_number_per_sample() {
        let ring = Ring::default();
        for turn in 0..200_u64 {
            let name = ("a".to_owned(), "video".to_owned(), None);
            let layers = if turn < 190 { BTreeMap::new() } else { [(Some(name), turn)].into() };
            ring.push(Sample { at_unix_ms: turn, shards: vec![0.5], layers, ..Sample::default() });
        }
        let history = ring.read();
        assert_eq!(history.at_unix_ms, (20..200).collect::<Vec<_>>());
        assert_eq!(history.layers.len(), 1);
        let bps = &history.layers[0].bitrate_bps;
        assert_eq!((bps.len(), bps[169], bps[170], bps[179]), (180, None, Some(190), Some(199)));
        assert_eq!(history.shards[0].len(), 180);
    }
}
