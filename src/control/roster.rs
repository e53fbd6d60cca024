//! A roster that shows sessions to administrators, with what their shards say of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use whitewater_core::media::Rid;
use whitewater_core::rtc::Protocol;
use whitewater_core::shard::command::{MAX_DESCRIBED, SessionReport, SessionTrack};
use whitewater_core::shard::{Command, Reply, SILENCE, SessionKey, ShardId};
use whitewater_signaling::control::{
    Identity, LayerChoice, Refusal, SelectedLayer, SessionId, SessionInfo, SessionPage,
    SessionPath, SessionState, SessionTrackInfo, Side, SideInfo, StreamName, TransportInfo, Which,
};

use super::Control;
use super::registry::SessionEntry;

impl Control {
    /// A page of the sessions, in the order of their coming.
    pub(super) async fn page(&self, which: Which) -> Result<SessionPage, Refusal> {
        let after = which.after.unwrap_or(0);
        let (entries, next) = {
            let registry = self.registry();
            let mut later: Vec<_> = registry
                .sessions
                .values()
                .filter(|entry| entry.number > after)
                .filter(|entry| which.stream.as_ref().is_none_or(|it| *it == entry.path.stream))
                .collect();
            later.sort_unstable_by_key(|entry| entry.number);
            let rest = later.get(which.limit).is_some();
            later.truncate(which.limit);
            let next = later.last().map(|entry| entry.number).filter(|_| rest);
            (later.into_iter().cloned().collect::<Vec<_>>(), next)
        };
        let sessions = self.with_reports(entries).await?;
        Ok(SessionPage { sessions, next })
    }

    /// One session.
    pub(super) async fn show(&self, name: &str) -> Result<SessionInfo, Refusal> {
        let entry = self.entry(name).ok_or(Refusal::NoSession)?;
        self.with_reports(vec![entry]).await?.pop().ok_or(Refusal::NoSession)
    }

    /// The session that administrators know by a name.
    pub(super) fn named(&self, name: &str) -> Option<SessionPath> {
        self.entry(name).map(|entry| entry.path)
    }

    /// Chooses the layer of a viewer for it.
    pub(super) async fn choose_for(&self, name: &str, choice: LayerChoice) -> Result<(), Refusal> {
        let path = self.named(name).ok_or(Refusal::NoSession)?;
        if path.side == Side::Publish {
            return Err(Refusal::Unprocessable(
                "the session publishes: only viewers have a layer to choose".into(),
            ));
        }
        self.choose(path, choice).await
    }

    /// Wants keyframes of all layers of a stream.
    pub(super) async fn want_keyframes(&self, name: StreamName) -> Result<(), Refusal> {
        let place = self.place(&name);
        let Some((stream, home)) = place else { return Err(Refusal::NotLive(name)) };
        match self.engine.ask(home, Command::WantKeyframes(stream)).await {
            Some(Reply::Done) => Ok(()),
            Some(_) => Err(Refusal::NotLive(name)),
            None => Err(Refusal::Closing),
        }
    }

    fn entry(&self, name: &str) -> Option<SessionEntry> {
        let registry = self.registry();
        registry.sessions.values().find(|entry| &*entry.name == name).cloned()
    }

    /// Asks the shards, for a few sessions at a time: packets go on between two commands.
    async fn with_reports(&self, entries: Vec<SessionEntry>) -> Result<Vec<SessionInfo>, Refusal> {
        let mut by_shard: BTreeMap<ShardId, Vec<SessionKey>> = BTreeMap::new();
        for entry in &entries {
            by_shard.entry(entry.shard).or_default().extend(entry.key);
        }
        let mut reports: BTreeMap<(ShardId, SessionKey), SessionReport> = BTreeMap::new();
        for (shard, keys) in by_shard {
            for keys in keys.chunks(MAX_DESCRIBED) {
                let command = Command::DescribeSessions(keys.to_vec());
                let Some(Reply::Sessions(some)) = self.engine.ask(shard, command).await else {
                    return Err(Refusal::Closing);
                };
                let known = keys.iter().zip(some);
                reports.extend(known.filter_map(|(key, one)| Some(((shard, *key), one?))));
            }
        }
        let report =
            |entry: &SessionEntry| entry.key.and_then(|key| reports.get(&(entry.shard, key)));
        Ok(entries.iter().map(|entry| entry.info(report(entry))).collect())
    }
}

/// What administrators call a session: it does not tell the name in its URL.
pub(super) fn public_name(id: &SessionId) -> Arc<str> {
    let digest = Identity::of_token(&id.0).digest();
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

// === impl SessionEntry ===

impl SessionEntry {
    fn info(&self, report: Option<&SessionReport>) -> SessionInfo {
        let now = std::time::Instant::now();
        let age = now.saturating_duration_since(self.since);
        let opened = SystemTime::now().checked_sub(age).unwrap_or(UNIX_EPOCH);
        let since = opened.duration_since(UNIX_EPOCH).unwrap_or_default();
        let tracks: Vec<_> = report.iter().flat_map(|it| &it.tracks).map(track).collect();
        let bitrate_bps = tracks.iter().map(|track| track.bitrate_bps).sum();
        let (side, bitrate_in_bps, bitrate_out_bps) = match self.path.side {
            Side::Publish => (SideInfo::Publish, bitrate_bps, 0),
            Side::Watch => (SideInfo::Watch, 0, bitrate_bps),
        };
        SessionInfo {
            id: self.name.to_string(),
            stream: self.path.stream.to_string(),
            side,
            state: report.map_or(SessionState::Connecting, state),
            address: self.client,
            transport: report.and_then(|report| report.path).map(|path| match path.protocol {
                Protocol::Udp => TransportInfo::Udp,
                Protocol::Tcp => TransportInfo::Tcp,
            }),
            since_unix_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            uptime_ms: u64::try_from(age.as_millis()).unwrap_or(u64::MAX),
            expires_in_s: self.expires.map(|end| end.saturating_duration_since(now).as_secs()),
            bitrate_in_bps,
            bitrate_out_bps,
            loss: tracks.iter().filter_map(|track| track.loss).reduce(f64::max),
            round_trip_ms: report
                .and_then(|report| report.round_trip)
                .map(|it| rounded(it.as_secs_f64() * 1e3)),
            tracks,
        }
    }
}

fn state(report: &SessionReport) -> SessionState {
    match (report.connected, report.heard >= SILENCE) {
        (false, _) => SessionState::Connecting,
        (true, false) => SessionState::Connected,
        (true, true) => SessionState::Silent,
    }
}

fn track(track: &SessionTrack) -> SessionTrackInfo {
    SessionTrackInfo {
        kind: track.kind.to_string(),
        codec: track.codec.map(|codec| codec.to_string()),
        bitrate_bps: track.bitrate_bps,
        loss: track.loss.map(|loss| rounded(f64::from(loss))),
        rids: track.rids.iter().map(Rid::to_string).collect(),
        layer: track.layer.as_ref().map(|layer| SelectedLayer {
            rid: layer.rid.as_ref().map(Rid::to_string),
            spatial_layer_id: layer.spatial,
            temporal_layer_id: layer.temporal,
            automatic: layer.automatic,
        }),
    }
}

/// To the thousandth: what is measured is no finer.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
