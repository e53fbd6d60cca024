//! A table of the event streams that viewers' sessions have.

use std::collections::HashMap;

use tokio::sync::oneshot;
use whitewater_signaling::control::{EventType, EventsId, SessionId};

/// The event streams, by session. Whatever is taken out of it ends its reader.
#[derive(Debug, Default)]
pub(super) struct EventStreams(HashMap<SessionId, Vec<EventStream>>);

#[derive(Debug)]
struct EventStream {
    id: EventsId,
    types: Vec<EventType>,
    /// Dropped, it ends the reader.
    reader: Option<oneshot::Sender<()>>,
}

// === impl EventStreams ===

impl EventStreams {
    /// Adds an event stream; `false` where the session has its [`MAX`].
    pub(super) fn open(
        &mut self,
        session: &SessionId,
        id: EventsId,
        types: Vec<EventType>,
    ) -> bool {
        let streams = self.0.entry(session.clone()).or_default();
        let fits = streams.len() < MAX;
        if fits {
            streams.push(EventStream { id, types, reader: None });
        }
        fits
    }

    /// What an event stream carries, and what breaks when its reader has to end. The reader that it
    /// had before ends now.
    pub(super) fn read(
        &mut self,
        session: &SessionId,
        id: &EventsId,
    ) -> Option<(Vec<EventType>, oneshot::Receiver<()>)> {
        let stream = self.0.get_mut(session)?.iter_mut().find(|stream| stream.id == *id)?;
        let (sender, receiver) = oneshot::channel();
        stream.reader = Some(sender);
        Some((stream.types.clone(), receiver))
    }

    /// Takes an event stream out; `false` where there is none.
    pub(super) fn close(&mut self, session: &SessionId, id: &EventsId) -> bool {
        let Some(streams) = self.0.get_mut(session) else { return false };
        let before = streams.len();
        streams.retain(|stream| stream.id != *id);
        let closed = streams.len() < before;
        if streams.is_empty() {
            self.0.remove(session);
        }
        closed
    }

    /// Takes out what a session has.
    pub(super) fn close_all(&mut self, session: &SessionId) {
        self.0.remove(session);
    }
}

/// Event streams that one session may have.
pub(super) const MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn session(name: &str) -> SessionId {
        SessionId(name.into())
    }

    fn events(name: &str) -> EventsId {
        EventsId(name.into())
    }

    #[test]
    fn a_session_has_only_a_few() {
        let mut streams = EventStreams::default();
        for number in 0..MAX {
            assert!(streams.open(&session("s"), events(&number.to_string()), Vec::new()));
        }
        assert!(!streams.open(&session("s"), events("more"), Vec::new()));
        assert!(streams.open(&session("other"), events("0"), Vec::new()));
        assert!(streams.close(&session("s"), &events("0")));
        assert!(streams.open(&session("s"), events("more"), Vec::new()), "one went");
    }

    #[test]
    fn a_reader_ends_with_the_next_one_and_with_the_session() {
        let mut streams = EventStreams::default();
        streams.open(&session("s"), events("e"), vec![EventType::Active]);
        let (types, mut first) = streams.read(&session("s"), &events("e")).unwrap();
        assert_eq!(types, [EventType::Active]);
        assert!(first.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        let (_, mut second) = streams.read(&session("s"), &events("e")).unwrap();
        assert!(first.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Closed));
        streams.close_all(&session("s"));
        let closed = oneshot::error::TryRecvError::Closed;
        assert!(second.try_recv().is_err_and(|error| error == closed));
        assert!(streams.read(&session("s"), &events("e")).is_none());
        assert!(!streams.close(&session("s"), &events("e")));
    }

    #[test]
    fn an_event_stream_is_found_under_its_own_session_only() {
        let mut streams = EventStreams::default();
        streams.open(&session("s"), events("e"), Vec::new());
        assert!(streams.read(&session("t"), &events("e")).is_none());
        assert!(!streams.close(&session("t"), &events("e")));
    }
}
