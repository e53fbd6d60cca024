//! Events: how the log reaches those who follow streams, and what is asked of shards for it.

use std::sync::Arc;

use whitewater_core::shard::StreamId;
use whitewater_signaling::control::{
    EventType, Events, EventsId, EventsPath, Follow, Interest, Journal, Refusal, SessionPath, Side,
};

use super::follow::{Absence, Follower};
use super::journal::Reader;
use super::{Control, event_streams, info};

impl Control {
    /// Tells viewers to look for another server: here they cannot stay.
    pub fn send_away(&self) {
        self.registry().send_away();
    }

    /// Ends everything that follows streams, and lets nobody follow any more.
    pub fn end_events(&self) {
        self.registry().log.close();
    }

    /// Asks a stream's shard for its layers and logs them.
    pub(super) async fn tell_layers(&self, id: StreamId) {
        let stream = {
            let registry = self.registry();
            let name = registry.name_of(id);
            name.and_then(|name| registry.streams.get(&name).cloned())
        };
        let Some(stream) = stream else { return };
        let report = self.describe(&stream).await;
        if !report.tracks.is_empty() {
            let tracks = report.tracks.iter().map(info::track).collect();
            self.registry().note_layers(id, tracks);
        }
    }

    pub(super) fn follow_streams(&self, interest: Interest) -> Result<Box<dyn Follow>, Refusal> {
        let registry = self.registry();
        if registry.log.readers() >= MAX_FOLLOWERS
            || interest.all_live && Arc::strong_count(&registry.all_live) > MAX_FOLLOWERS_OF_ALL
        {
            return Err(Refusal::Full("too many follow streams already".into()));
        }
        drop(registry);
        let follower = Follower::new(&self.registry, interest, Absence::Told, None);
        Ok(Box::new(follower.ok_or(Refusal::Closing)?))
    }

    /// Reads the journal from now on.
    pub fn read_journal(&self) -> Result<Box<dyn Journal>, Refusal> {
        if Arc::strong_count(&self.registry().all_live) > MAX_FOLLOWERS_OF_ALL {
            return Err(Refusal::Full("too many follow streams already".into()));
        }
        let reader = Reader::new(&self.registry).ok_or(Refusal::Closing)?;
        Ok(Box::new(reader))
    }

    pub(super) fn open_event_stream(
        &self,
        session: &SessionPath,
        types: Vec<EventType>,
    ) -> Result<EventsId, Refusal> {
        let mut registry = self.registry();
        if session.side != Side::Watch || registry.session(session).is_none() {
            return Err(Refusal::NoSession);
        }
        // 24 letters are worth 142 bits.
        let id = EventsId(self.secrets.text(24).into());
        if !registry.event_streams.open(&session.id, id.clone(), types) {
            let max = event_streams::MAX;
            return Err(Refusal::Full(format!("the session has its {max} event streams")));
        }
        Ok(id)
    }

    pub(super) fn read_event_stream(&self, events: &EventsPath) -> Result<Events, Refusal> {
        let (types, end, video_section) = {
            let mut registry = self.registry();
            let session = registry.session(&events.session).ok_or(Refusal::NoEvents)?;
            let video_section = session.video_section;
            let read = registry.event_streams.read(&events.session.id, &events.id);
            let (types, end) = read.ok_or(Refusal::NoEvents)?;
            (types, end, video_section)
        };
        let names = vec![events.session.stream.clone()];
        let interest = Interest { names, all_live: false };
        let follower = Follower::new(&self.registry, interest, Absence::Silent, Some(end));
        let follow = Box::new(follower.ok_or(Refusal::Closing)?);
        Ok(Events { types, video_section, follow })
    }

    pub(super) fn close_event_stream(&self, events: &EventsPath) -> Result<(), Refusal> {
        let mut registry = self.registry();
        registry.session(&events.session).ok_or(Refusal::NoEvents)?;
        let closed = registry.event_streams.close(&events.session.id, &events.id);
        if closed { Ok(()) } else { Err(Refusal::NoEvents) }
    }
}

/// Readers of the log, of all kinds, beyond which nobody else may follow streams.
const MAX_FOLLOWERS: usize = 16_384;

/// Readers of all streams, each of which is remembered for each of them.
const MAX_FOLLOWERS_OF_ALL: usize = 1_024;
