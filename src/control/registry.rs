//! The registry: the book of live streams and open sessions.

use std::collections::HashMap;
use std::time::Instant;

use whitewater_core::media::{Kind, Mid, Rid};
use whitewater_core::rtc::Credentials;
use whitewater_core::rtc::sdp::Published;
use whitewater_core::shard::{SessionKey, ShardId, StreamId};
use whitewater_signaling::control::{SessionId, SessionPath, Side, StreamName};

/// Streams and sessions, and how many sessions each shard has.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) streams: HashMap<StreamName, StreamEntry>,
    pub(super) sessions: HashMap<SessionId, SessionEntry>,
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
}

// === impl Registry ===

impl Registry {
    pub(super) fn new(shards: usize) -> Self {
        Self {
            streams: HashMap::new(),
            sessions: HashMap::new(),
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
        self.load[usize::from(session.shard.0)] -= 1;
        if let Some(key) = session.key {
            self.by_key.remove(&(session.shard, key));
        }
        if let Some(stream) = self.streams.get_mut(&session.path.stream)
            && stream.id == session.stream
        {
            match session.path.side {
                Side::Watch => stream.viewers = stream.viewers.saturating_sub(1),
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
        self.streams.remove(&name);
        Some(name)
    }
}
