//! The registry: the book of live streams and open sessions.

use std::collections::HashMap;
use std::time::Instant;

use whitewater_core::media::{Kind, Mid, Rid};
use whitewater_core::rtc::Credentials;
use whitewater_core::rtc::sdp::Published;
use whitewater_core::shard::{SessionKey, ShardId, StreamId};
use whitewater_signaling::control::{Grant, SessionId, SessionPath, Side, StreamName};

use super::claim::{Holder, State};

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
    /// The publisher's session, silent or not.
    pub(super) publisher: Option<SessionId>,
    /// Whose its name is.
    pub(super) holder: Holder,
    pub(super) published: Published,
    pub(super) rids: Vec<Rid>,
    pub(super) since: Instant,
    pub(super) viewers: u64,
}

/// An open session.
#[derive(Clone, Debug)]
pub(super) struct SessionEntry {
    pub(super) path: SessionPath,
    /// What it was opened with.
    pub(super) grant: Grant,
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
        let name = session.path.stream.clone();
        if let Some(stream) = self.streams.get_mut(&name)
            && stream.publisher.as_ref() == Some(id)
        {
            stream.holder.state = State::Expected;
        }
        true
    }

    /// A session's media can flow.
    pub(super) fn connected(&mut self, shard: ShardId, key: SessionKey) -> Option<&SessionEntry> {
        let id = self.by_key.get(&(shard, key))?;
        let session = self.sessions.get(id)?;
        if let Some(stream) = self.streams.get_mut(&session.path.stream)
            && stream.publisher.as_ref() == Some(id)
        {
            (stream.holder.state, stream.holder.before) = (State::Present, None);
        }
        Some(session)
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
                Side::Publish if stream.publisher.as_ref() == Some(id) => {
                    stream.publisher = None;
                    stream.holder.state = State::Lost;
                }
                Side::Publish => {}
            }
        }
        Some(session)
    }

    /// Notes that a publisher ended its session itself, though it may have been struck out before.
    pub(super) fn leave(&mut self, path: &SessionPath) {
        if let Some(stream) = self.streams.get_mut(&path.stream)
            && path.side == Side::Publish
            && stream.publisher.is_none()
            && stream.holder.session == path.id
        {
            stream.holder.state = State::Left;
        }
    }

    /// Notes that the publisher of a stream fell silent, or was heard again.
    pub(super) fn set_lost(&mut self, id: StreamId, lost: bool) -> Option<&StreamName> {
        let (name, stream) = self.streams.iter_mut().find(|(_, stream)| stream.id == id)?;
        match stream.holder.state {
            State::Present if lost => stream.holder.state = State::Lost,
            State::Lost if !lost && stream.publisher.is_some() => {
                stream.holder.state = State::Present;
            }
            State::Opening | State::Expected | State::Present | State::Lost | State::Left => {}
        }
        Some(name)
    }

    /// Puts a stream back to what it was before a publisher's session that did not open.
    pub(super) fn give_back(
        &mut self,
        name: &StreamName,
        id: &SessionId,
        was: Option<StreamEntry>,
    ) {
        self.remove(id);
        let Some(stream) = self.streams.get_mut(name).filter(|it| it.holder.session == *id) else {
            return;
        };
        let Some(was) = was else {
            self.streams.remove(name);
            return;
        };
        (stream.published, stream.rids, stream.holder) = (was.published, was.rids, was.holder);
        stream.publisher = was.publisher.filter(|old| self.sessions.contains_key(old));
        if stream.publisher.is_none() && stream.holder.state != State::Left {
            stream.holder.state = State::Lost;
        }
    }

    /// Strikes out the session of a shard's key.
    pub(super) fn remove_key(&mut self, shard: ShardId, key: SessionKey) -> Option<SessionEntry> {
        let id = self.by_key.get(&(shard, key))?.clone();
        self.remove(&id)
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
