//! The registry: the book of live streams and open sessions.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use whitewater_core::media::{Kind, Mid, Rid};
use whitewater_core::rtc::Credentials;
use whitewater_core::rtc::sdp::Published;
use whitewater_core::shard::{SessionKey, ShardId, StreamId};
use whitewater_signaling::control::{Grant, SessionId, SessionPath, Side, StreamName, TrackInfo};

use super::audience::Segmented;
use super::claim::{Holder, State};
use super::event_streams::EventStreams;
use super::log::{Change, Log, Recorded};
use super::standing::{Phase, Presence, Standing};
use super::tally::Tally;

/// Streams and sessions, and how many sessions each shard has.
#[derive(Debug)]
pub(super) struct Registry {
    pub(super) streams: HashMap<StreamName, StreamEntry>,
    pub(super) sessions: HashMap<SessionId, SessionEntry>,
    pub(super) tally: Tally,
    pub(super) event_streams: EventStreams,
    pub(super) log: Log,
    /// Held by each reader of all streams.
    pub(super) all_live: Arc<()>,
    by_key: HashMap<(ShardId, SessionKey), SessionId>,
    load: Vec<usize>,
    next_stream: u64,
    next_session: u64,
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
    /// What followers of it are told.
    pub(super) presence: Presence,
}

/// An open session.
#[derive(Clone, Debug)]
pub(super) struct SessionEntry {
    /// Its place in the order of their coming.
    pub(super) number: u64,
    /// What administrators call it.
    pub(super) name: Arc<str>,
    pub(super) path: SessionPath,
    /// What it was opened with.
    pub(super) grant: Grant,
    /// Who opened it, and when.
    pub(super) client: Option<IpAddr>,
    pub(super) since: Instant,
    /// When its permission ends, where it does.
    pub(super) expires: Option<Instant>,
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
            tally: Tally::default(),
            event_streams: EventStreams::default(),
            log: Log::new(),
            all_live: Arc::default(),
            by_key: HashMap::new(),
            load: vec![0; shards],
            next_stream: 1,
            next_session: 1,
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

    /// Lets a session go on until another permission ends, if that is later.
    pub(super) fn renew(&mut self, path: &SessionPath, grant: &Grant) -> Option<()> {
        let session = self.sessions.get_mut(&path.id).filter(|session| session.path == *path)?;
        let until = grant.expires_in.map(|left| Instant::now() + left);
        session.expires = session.expires.and_then(|old| until.map(|until| until.max(old)));
        Some(())
    }

    /// Books a session before its shard has opened it.
    pub(super) fn reserve(&mut self, id: SessionId, mut session: SessionEntry) {
        session.number = self.next_session;
        self.next_session += 1;
        self.load[usize::from(session.shard.0)] += 1;
        self.tally.add(&session);
        if session.path.side == Side::Watch
            && let Some(stream) = self.streams.get_mut(&session.path.stream)
        {
            stream.viewers += 1;
            let (name, viewers) = (Arc::clone(&session.name), stream.viewers);
            let joined = Change::ViewerJoined { session: name, viewers };
            self.log.write(&session.path.stream, stream.id, joined);
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
        self.event_streams.close_all(id);
        self.tally.remove(&session);
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
                    let (name, viewers) = (Arc::clone(&session.name), stream.viewers);
                    let left = Change::ViewerLeft { session: name, viewers };
                    self.log.write(&session.path.stream, stream.id, left);
                }
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

    /// Notes that viewers of all streams should look for another server.
    pub(super) fn send_away(&mut self) {
        let live = self.streams.iter().filter(|(_, it)| it.presence.phase != Phase::Off);
        for (name, stream) in live {
            self.log.write(name, stream.id, Change::Leaving);
        }
    }

    /// Notes how many watch a stream over HLS and DASH.
    pub(super) fn note_segmented(&mut self, id: StreamId, Segmented { hls, dash }: Segmented) {
        let Some(name) = self.name_of(id) else { return };
        let Some(stream) = self.streams.get_mut(&name) else { return };
        let presence = &mut stream.presence;
        if std::mem::replace(&mut presence.hls_viewers, hls) != hls {
            self.log.write(&name, id, Change::HlsViewers { viewers: hls });
        }
        if std::mem::replace(&mut presence.dash_viewers, dash) != dash {
            self.log.write(&name, id, Change::DashViewers { viewers: dash });
        }
    }

    /// Notes that a recording can be replayed. Its stream may be over.
    pub(super) fn note_recorded(&mut self, name: &StreamName, recorded: Recorded) {
        let life = self.streams.get(name).map_or(StreamId(0), |stream| stream.id);
        self.log.write(name, life, Change::Recorded(recorded));
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

#[cfg(test)]
mod tests {
    use whitewater_signaling::control::{Action, Identity};

    use std::time::Duration;

    use super::*;

    const SHARD: ShardId = ShardId(0);

    fn id(text: &str) -> SessionId {
        SessionId(text.into())
    }

    fn key(index: u32) -> SessionKey {
        SessionKey { index, generation: 0 }
    }

    /// Books a publisher's session as a request does; gives the stream as it was.
    fn publish(registry: &mut Registry, session: &str) -> Option<StreamEntry> {
        let name: StreamName = "a".parse().unwrap();
        let was = registry.streams.get(&name).cloned();
        let stream = was.as_ref().map_or_else(|| registry.next_stream(), |was| was.id);
        let holder =
            Holder { session: id(session), before: None, identity: None, state: State::Opening };
        let entry = StreamEntry {
            id: stream,
            home: SHARD,
            publisher: Some(id(session)),
            holder,
            published: Published { audio: None, video: None },
            rids: Vec::new(),
            since: Instant::now(),
            viewers: 0,
            presence: Presence::default(),
        };
        registry.streams.insert(name.clone(), entry);
        let path = SessionPath { side: Side::Publish, stream: name.clone(), id: id(session) };
        let holder = Some(Identity::of_token("a token"));
        let grant = Grant::new(Action::Publish, Some(name), holder);
        let session = SessionEntry {
            number: 0,
            name: session.into(),
            path,
            grant,
            client: Some("192.0.2.1".parse().unwrap()),
            since: Instant::now(),
            expires: Some(Instant::now() + Duration::from_secs(10)),
            stream,
            shard: SHARD,
            key: None,
            remote: Credentials { ufrag: "u".into(), pwd: "p".into() },
            etag: "e".into(),
            tagged: (Mid::new("0"), Kind::Video),
            video: None,
            video_section: None,
        };
        registry.reserve(session.path.id.clone(), session);
        was
    }

    fn state(registry: &Registry) -> Option<(Option<SessionId>, State)> {
        let stream = registry.streams.get(&"a".parse().unwrap())?;
        Some((stream.publisher.clone(), stream.holder.state))
    }

    #[test]
    fn a_publisher_is_followed_from_its_request_to_its_end() {
        let mut registry = Registry::new(1);
        publish(&mut registry, "one");
        assert_eq!(registry.tally.len(), (1, 1));
        let stream = StreamId(1);
        let one = || Some(id("one"));
        assert_eq!(state(&registry), Some((one(), State::Opening)));
        assert!(registry.confirm(&id("one"), key(1)));
        assert_eq!(state(&registry), Some((one(), State::Expected)));
        registry.set_lost(stream, true);
        assert_eq!(state(&registry), Some((one(), State::Expected)), "that was another's loss");
        assert!(registry.connected(SHARD, key(1)).is_some());
        assert_eq!(state(&registry), Some((one(), State::Present)));
        registry.set_lost(stream, true);
        assert_eq!(state(&registry), Some((one(), State::Lost)));
        registry.set_lost(stream, false);
        assert_eq!(state(&registry), Some((one(), State::Present)));
        let session = registry.remove_key(SHARD, key(1)).unwrap();
        assert_eq!(state(&registry), Some((None, State::Lost)));
        registry.set_lost(stream, false);
        assert_eq!(state(&registry), Some((None, State::Lost)), "nobody is there to be heard");
        registry.leave(&session.path);
        assert_eq!(state(&registry), Some((None, State::Left)));
        assert!(registry.end_stream(stream).is_some());
        assert_eq!(
            (registry.sessions.len(), registry.load[0], registry.tally.len()),
            (0, 0, (0, 0))
        );
    }

    #[test]
    fn a_session_that_does_not_open_leaves_the_stream_to_the_one_before_it() {
        let name: StreamName = "a".parse().unwrap();
        let mut registry = Registry::new(1);
        let was = publish(&mut registry, "zero");
        registry.give_back(&name, &id("zero"), was);
        assert_eq!(state(&registry), None, "there was no stream");

        publish(&mut registry, "one");
        registry.confirm(&id("one"), key(1));
        registry.connected(SHARD, key(1));
        let was = publish(&mut registry, "two");
        registry.give_back(&name, &id("two"), was);
        assert_eq!(state(&registry), Some((Some(id("one")), State::Present)));

        let was = publish(&mut registry, "three");
        registry.remove_key(SHARD, key(1));
        registry.give_back(&name, &id("three"), was);
        assert_eq!(state(&registry), Some((None, State::Lost)), "it has gone meanwhile");
        assert_eq!((registry.sessions.len(), registry.load[0]), (0, 0));
    }

    #[test]
    fn a_newer_permission_prolongs_a_session_and_an_older_one_does_not_shorten_it() {
        let mut registry = Registry::new(1);
        publish(&mut registry, "one");
        let path = registry.sessions[&id("one")].path.clone();
        let expires = |registry: &Registry| registry.sessions[&id("one")].expires;
        let grant = |seconds: Option<u64>| Grant {
            expires_in: seconds.map(Duration::from_secs),
            ..Grant::new(Action::Publish, None, None)
        };
        let first = expires(&registry);
        assert!(registry.renew(&path, &grant(Some(1))).is_some());
        assert_eq!(expires(&registry), first);
        assert!(registry.renew(&path, &grant(Some(60))).is_some());
        assert!(expires(&registry) > first);
        assert!(registry.renew(&path, &grant(None)).is_some());
        assert_eq!(expires(&registry), None, "without an end");
        let other = SessionPath { side: Side::Watch, ..path };
        assert!(registry.renew(&other, &grant(None)).is_none(), "under its own path only");
    }

    #[test]
    fn the_end_of_a_replaced_session_is_no_loss() {
        let mut registry = Registry::new(1);
        publish(&mut registry, "one");
        registry.confirm(&id("one"), key(1));
        let old = registry.connected(SHARD, key(1)).unwrap().path.clone();
        publish(&mut registry, "two");
        registry.confirm(&id("two"), key(2));
        registry.remove_key(SHARD, key(1));
        registry.leave(&old);
        assert_eq!(state(&registry), Some((Some(id("two")), State::Expected)));
        assert!(registry.end_stream(StreamId(1)).is_none(), "somebody publishes it");
    }
}
