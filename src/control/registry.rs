//! The registry: the book of live streams and open sessions.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use whitewater_core::media::{Kind, Mid, Rid};
use whitewater_core::rtc::Credentials;
use whitewater_core::rtc::sdp::Published;
use whitewater_core::shard::{SessionKey, ShardId, StreamId};
use whitewater_signaling::control::{SessionId, SessionPath, Side, StreamName, TrackInfo};

use super::event_streams::EventStreams;
use super::log::{Change, Log};
use super::standing::{Phase, Presence, Standing};

/// Streams and sessions, and how many sessions each shard has.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) streams: HashMap<StreamName, StreamEntry>,
    pub(super) sessions: HashMap<SessionId, SessionEntry>,
    pub(super) event_streams: EventStreams,
    pub(super) log: Log,
    by_key: HashMap<(ShardId, SessionKey), SessionId>,
    load: Vec<usize>,
    next_stream: u64,
}

/// A stream that is live or within its window.
#[derive(Clone, Debug)]
pub(super) struct StreamEntry {
    pub(super) id: StreamId,
    pub(super) home: ShardId,
    pub(super) publisher: Option<SessionId>,
    pub(super) published: Published,
    pub(super) rids: Vec<Rid>,
    pub(super) since: Instant,
    pub(super) viewers: u64,
    /// What followers of it are told.
    pub(super) presence: Presence,
}

/// An open session.
#[derive(Clone, Debug)]
pub(super) struct SessionEntry {
    pub(super) path: SessionPath,
    pub(super) stream: StreamId,
    pub(super) shard: ShardId,
    /// `None` while the shard opens it.
    pub(super) key: Option<SessionKey>,
    pub(super) remote: Credentials,
    pub(super) etag: String,
    /// The section that carries transport parameters.
    pub(super) tagged: (Mid, Kind),
    /// The viewer's video section.
    pub(super) video: Option<Mid>,
    /// The index of that section in the description.
    pub(super) video_section: Option<usize>,
}

// === impl Registry ===

impl Registry {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            streams: HashMap::new(),
            sessions: HashMap::new(),
            event_streams: EventStreams::default(),
            log: Log::new(),
            by_key: HashMap::new(),
            load: vec![0; shards],
            next_stream: 1,
        }
    }

    pub(super) fn least_loaded(&self) -> ShardId {
        let shard = (0..self.load.len()).min_by_key(|shard| self.load[*shard]).unwrap_or(0);
        ShardId(shard as u8)
    }

    pub(super) fn next_stream(&mut self) -> StreamId {
        self.next_stream += 1;
        StreamId(self.next_stream - 1)
    }

    pub(super) fn viewers(&self) -> usize {
        self.sessions.values().filter(|session| session.path.side == Side::Watch).count()
    }

    /// The session of a path; a session exists only under its own side and stream.
    pub(super) fn session(&self, path: &SessionPath) -> Option<&SessionEntry> {
        self.sessions.get(&path.id).filter(|session| session.path == *path)
    }

    /// Books a session before its shard has opened it.
    pub(super) fn reserve(&mut self, id: SessionId, session: SessionEntry) {
        self.load[usize::from(session.shard.0)] += 1;
        if session.path.side == Side::Watch
            && let Some(stream) = self.streams.get_mut(&session.path.stream)
        {
            stream.viewers += 1;
            let joined = Change::ViewerJoined { viewers: stream.viewers };
            self.log.write(&session.path.stream, stream.id, joined);
        }
        self.sessions.insert(id, session);
    }

    /// Books the key of a session that its shard opened. False if it has gone meanwhile.
    pub(super) fn confirm(&mut self, id: &SessionId, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(id) else { return false };
        session.key = Some(key);
        self.by_key.insert((session.shard, key), id.clone());
        true
    }

    /// Strikes a session out. The stream stays: its window runs.
    pub(super) fn remove(&mut self, id: &SessionId) -> Option<SessionEntry> {
        let session = self.sessions.remove(id)?;
        self.event_streams.close_all(id);
        self.load[usize::from(session.shard.0)] -= 1;
        if let Some(key) = session.key {
            self.by_key.remove(&(session.shard, key));
        }
        if let Some(stream) = self.streams.get_mut(&session.path.stream)
            && stream.id == session.stream
        {
            match session.path.side {
                Side::Watch => {
                    stream.viewers = stream.viewers.saturating_sub(1);
                    let left = Change::ViewerLeft { viewers: stream.viewers };
                    self.log.write(&session.path.stream, stream.id, left);
                }
                Side::Publish if stream.publisher.as_ref() == Some(id) => stream.publisher = None,
                Side::Publish => {}
            }
        }
        Some(session)
    }

    /// Strikes out the session of a shard's key.
    pub(super) fn remove_key(&mut self, shard: ShardId, key: SessionKey) -> Option<SessionEntry> {
        let id = self.by_key.get(&(shard, key))?.clone();
        self.remove(&id)
    }

    /// The session of a shard's key.
    pub(super) fn by_key(&self, shard: ShardId, key: SessionKey) -> Option<&SessionEntry> {
        self.sessions.get(self.by_key.get(&(shard, key))?)
    }

    /// Strikes out a stream whose window ran out; not if somebody publishes it again.
    pub(super) fn end_stream(&mut self, id: StreamId) -> Option<StreamName> {
        let (name, _) = self.streams.iter().find(|(_, stream)| stream.id == id)?;
        let name = name.clone();
        if self.streams.get(&name).is_some_and(|stream| stream.publisher.is_some()) {
            return None;
        }
        let mut ended = self.streams.remove(&name)?;
        if ended.presence.phase.change(&Change::Ended) {
            self.log.write(&name, id, Change::Ended);
        }
        Some(name)
    }

    /// Notes that a publisher's packets arrive: for the first time, or again.
    pub(super) fn note_media(&mut self, id: StreamId) {
        match self.name_of(id).is_some_and(|name| self.is_lost(&name)) {
            true => self.note(id, Change::Back { changed: false }),
            false => self.note(id, Change::Started),
        }
    }

    /// Notes a change of a stream's presence.
    pub(super) fn note(&mut self, id: StreamId, change: Change) {
        let Some(name) = self.name_of(id) else { return };
        let Some(stream) = self.streams.get_mut(&name) else { return };
        let renewed = matches!(change, Change::Back { changed: true });
        stream.presence.renewals += u64::from(renewed);
        // Even who waits for the first packet needs a new session for other tracks.
        if stream.presence.phase.change(&change) || renewed {
            self.log.write(&name, id, change);
        }
    }

    /// Notes what a stream's layers are.
    pub(super) fn note_layers(&mut self, id: StreamId, tracks: Arc<[TrackInfo]>) {
        let Some(name) = self.name_of(id) else { return };
        let Some(stream) = self.streams.get_mut(&name) else { return };
        stream.presence.tracks = tracks.clone();
        self.log.write(&name, id, Change::Layers(tracks));
    }

    /// How a name stands.
    pub(super) fn standing(&self, name: &StreamName) -> Standing {
        let stream = self.streams.get(name);
        stream.map_or_else(Standing::default, |stream| Standing {
            life: Some(stream.id),
            presence: stream.presence.clone(),
            viewers: stream.viewers,
        })
    }

    /// The name of a stream.
    pub(super) fn name_of(&self, id: StreamId) -> Option<StreamName> {
        let mut streams = self.streams.iter();
        streams.find(|(_, stream)| stream.id == id).map(|(name, _)| name.clone())
    }

    fn is_lost(&self, name: &StreamName) -> bool {
        self.streams.get(name).is_some_and(|stream| stream.presence.phase == Phase::Lost)
    }
}
