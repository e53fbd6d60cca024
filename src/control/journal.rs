//! A journal that tells each event by itself, for webhooks and readers of the API.
//!
//! It reads the log without a rest. Where it falls behind it says how much it missed and goes on with
//! what holds. When the log is closed it tells the end of every stream that it knows: the server stops.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use whitewater_core::shard::StreamId;
use whitewater_signaling::control::{Facts, Journal, Noted, Occurred, StreamName, Topic};

use super::log::{Change, Entry, Recorded};
use super::registry::Registry;
use super::standing::Phase;

/// A reader of the journal.
pub(super) struct Reader {
    registry: Arc<Mutex<Registry>>,
    log: broadcast::Receiver<Entry>,
    /// The streams that have started.
    known: Known,
    pending: VecDeque<Noted>,
    /// Whether it is one of those who read everything.
    _counted: Arc<()>,
    over: bool,
}

/// The streams that have started: their lives, and whether their publishers are there.
type Known = BTreeMap<StreamName, (StreamId, Phase)>;

// === impl Reader ===

impl Reader {
    /// Reads from now on; `None` where the log is closed.
    pub(super) fn new(registry: &Arc<Mutex<Registry>>) -> Option<Self> {
        let book = registry.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self {
            registry: Arc::clone(registry),
            log: book.log.read()?,
            known: live(&book),
            pending: VecDeque::new(),
            _counted: Arc::clone(&book.all_live),
            over: false,
        })
    }

    fn take(&mut self, entry: Entry) {
        let Entry { id, at, stream, life, what } = entry;
        let mut facts = Facts::of(stream.clone());
        let topic = match what {
            Change::Started => {
                self.known.insert(stream, (life, Phase::Active));
                Topic::StreamStarted
            }
            Change::Lost if self.moves(&stream, life, Phase::Lost) => Topic::PublisherLost,
            Change::Back { changed } if self.moves(&stream, life, Phase::Active) => {
                facts.changed = Some(changed);
                Topic::PublisherBack
            }
            Change::Ended => {
                self.known.remove(&stream);
                Topic::StreamEnded
            }
            Change::ViewerJoined { session, viewers } => {
                (facts.session, facts.viewers) = (Some(session.as_ref().into()), Some(viewers));
                Topic::ViewerJoined
            }
            Change::ViewerLeft { session, viewers } => {
                (facts.session, facts.viewers) = (Some(session.as_ref().into()), Some(viewers));
                Topic::ViewerLeft
            }
            Change::Recorded(Recorded { id, hls, duration_ms }) => {
                facts.recording = Some(id);
                (facts.hls, facts.duration_ms) = (Some(hls), Some(duration_ms));
                Topic::RecordingReady
            }
            Change::Lost
            | Change::Leaving
            | Change::Back { .. }
            | Change::HlsViewers { .. }
            | Change::DashViewers { .. }
            | Change::Layers(_) => {
                return;
            }
        };
        self.pending.push_back(Noted::Occurred(Occurred { id, at, topic, facts }));
    }

    /// Whether a stream that has started changes to this.
    fn moves(&mut self, stream: &StreamName, life: StreamId, to: Phase) -> bool {
        let known = self.known.get_mut(stream).filter(|known| known.0 == life);
        known.is_some_and(|known| std::mem::replace(&mut known.1, to) != to)
    }

    /// Goes on with what holds: entries were missed.
    fn catch_up(&mut self, missed: u64) {
        self.pending.push_back(Noted::Missed(missed));
        let registry = Arc::clone(&self.registry);
        let mut book = registry.lock().unwrap_or_else(PoisonError::into_inner);
        match book.log.read() {
            Some(log) => self.log = log,
            None => self.over = true,
        }
        let now = live(&book);
        let before = std::mem::replace(&mut self.known, now.clone());
        for (stream, topic) in differences(&before, &now) {
            let id = book.log.name();
            self.tell(id, stream, topic);
        }
    }

    fn end(&mut self) {
        let registry = Arc::clone(&self.registry);
        let mut book = registry.lock().unwrap_or_else(PoisonError::into_inner);
        for (stream, _) in std::mem::take(&mut self.known) {
            let id = book.log.name();
            self.tell(id, stream, Topic::StreamEnded);
        }
        self.over = true;
    }

    fn tell(&mut self, id: Arc<str>, stream: StreamName, topic: Topic) {
        let facts = Facts::of(stream);
        let occurred = Occurred { id, at: SystemTime::now(), topic, facts };
        self.pending.push_back(Noted::Occurred(occurred));
    }

    async fn read(&mut self) -> Option<Noted> {
        loop {
            if let Some(noted) = self.pending.pop_front() {
                return Some(noted);
            }
            if self.over {
                return None;
            }
            match self.log.recv().await {
                Ok(entry) => self.take(entry),
                Err(RecvError::Lagged(missed)) => self.catch_up(missed),
                Err(RecvError::Closed) => self.end(),
            }
        }
    }
}

impl Journal for Reader {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Noted>> + Send + '_>> {
        Box::pin(self.read())
    }
}

fn live(book: &Registry) -> Known {
    let streams = book.streams.iter();
    let started = streams.filter(|(_, stream)| stream.presence.phase != Phase::Off);
    started.map(|(name, stream)| (name.clone(), (stream.id, stream.presence.phase))).collect()
}

/// What has happened between two moments, as far as it still holds.
fn differences(before: &Known, now: &Known) -> Vec<(StreamName, Topic)> {
    let mut found = Vec::new();
    for (stream, (life, _)) in before {
        if now.get(stream).is_none_or(|other| other.0 != *life) {
            found.push((stream.clone(), Topic::StreamEnded));
        }
    }
    for (stream, (life, phase)) in now {
        let was = before.get(stream).filter(|known| known.0 == *life).map(|known| known.1);
        if was.is_none() {
            found.push((stream.clone(), Topic::StreamStarted));
        }
        match (was, phase) {
            (None | Some(Phase::Active), Phase::Lost) => {
                found.push((stream.clone(), Topic::PublisherLost));
            }
            (Some(Phase::Lost), Phase::Active) => {
                found.push((stream.clone(), Topic::PublisherBack));
            }
            (None | Some(_), Phase::Off | Phase::Active | Phase::Lost) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::follow::tests::Book;
    use super::super::log::CAPACITY;
    use super::*;

    const ONE: StreamId = StreamId(1);

    async fn next(reader: &mut Reader) -> Option<Noted> {
        let next = tokio::time::timeout(Duration::from_secs(20), reader.next());
        next.await.expect("something is noted within 20 s")
    }

    async fn topic(reader: &mut Reader) -> (Topic, Facts) {
        match next(reader).await {
            Some(Noted::Occurred(one)) => (one.topic, one.facts),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_event_is_told_by_itself_under_a_name_of_its_own() {
        let book = Book::new();
        let mut reader = Reader::new(&book.0).unwrap();
        book.publish(ONE);
        book.note(Change::Back { changed: true });
        book.book().note_media(ONE);
        let one = book.watch("one");
        book.note(Change::Lost);
        book.note(Change::Back { changed: true });
        book.note(Change::Back { changed: false });
        book.book().remove(&one);
        book.note(Change::Lost);
        book.book().end_stream(ONE);
        let recorded = Recorded { id: "r".into(), hls: "/r".into(), duration_ms: 7 };
        book.book().note_recorded(&"one".parse().unwrap(), recorded);
        book.book().log.close();
        let mut ids = Vec::new();
        let mut topics = Vec::new();
        while let Some(Noted::Occurred(one)) = next(&mut reader).await {
            assert!(one.id.starts_with("evt_"), "{one:?}");
            ids.push(one.id);
            match one.topic {
                Topic::PublisherBack => assert_eq!(one.facts.changed, Some(true)),
                Topic::ViewerJoined => assert_eq!(one.facts.viewers, Some(1)),
                Topic::ViewerLeft => assert_eq!(one.facts.viewers, Some(0)),
                Topic::RecordingReady => assert_eq!(one.facts.recording.as_deref(), Some("r")),
                Topic::StreamStarted | Topic::StreamEnded | Topic::PublisherLost => {}
            }
            topics.push(one.topic);
        }
        assert_eq!(
            topics,
            [
                Topic::StreamStarted,
                Topic::ViewerJoined,
                Topic::PublisherLost,
                Topic::PublisherBack,
                Topic::ViewerLeft,
                Topic::PublisherLost,
                Topic::StreamEnded,
                Topic::RecordingReady,
            ]
        );
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), topics.len());
        assert!(Reader::new(&book.0).is_none(), "closed");
    }

    #[tokio::test]
    async fn who_falls_behind_is_told_how_much_and_what_holds() {
        let book = Book::new();
        book.publish(ONE);
        book.book().note_media(ONE);
        let mut reader = Reader::new(&book.0).unwrap();
        for _ in 0..CAPACITY {
            book.note(Change::Lost);
            book.note(Change::Back { changed: false });
        }
        book.note(Change::Lost);
        let missed = CAPACITY as u64 + 1;
        assert_eq!(next(&mut reader).await, Some(Noted::Missed(missed)));
        assert_eq!(topic(&mut reader).await.0, Topic::PublisherLost);
        book.book().end_stream(ONE);
        assert_eq!(topic(&mut reader).await.0, Topic::StreamEnded, "entries go on after it");
    }

    #[tokio::test]
    async fn a_server_that_stops_ends_every_stream() {
        let book = Book::new();
        book.publish(ONE);
        book.book().note_media(ONE);
        let mut reader = Reader::new(&book.0).unwrap();
        book.book().log.close();
        assert_eq!(topic(&mut reader).await.0, Topic::StreamEnded);
        assert_eq!(next(&mut reader).await, None);
    }

    #[test]
    fn only_what_still_holds_is_told_of_the_past() {
        let name = || "a".parse::<StreamName>().unwrap();
        let known = |life, phase| Known::from([(name(), (StreamId(life), phase))]);
        let none = Known::new;
        let rows = [
            (none(), known(1, Phase::Active), vec![Topic::StreamStarted]),
            (none(), known(1, Phase::Lost), vec![Topic::StreamStarted, Topic::PublisherLost]),
            (known(1, Phase::Active), none(), vec![Topic::StreamEnded]),
            (known(1, Phase::Active), known(1, Phase::Active), vec![]),
            (known(1, Phase::Active), known(1, Phase::Lost), vec![Topic::PublisherLost]),
            (known(1, Phase::Lost), known(1, Phase::Active), vec![Topic::PublisherBack]),
            (
                known(1, Phase::Lost),
                known(2, Phase::Active),
                vec![Topic::StreamEnded, Topic::StreamStarted],
            ),
        ];
        for (before, now, expected) in rows {
            let found: Vec<_> =
                differences(&before, &now).into_iter().map(|(_, topic)| topic).collect();
            assert_eq!(found, expected, "{before:?} to {now:?}");
        }
    }
}
