//! Tests of followers over a registry of their own.

use std::sync::MutexGuard;
use std::time::Duration;

use whitewater_core::media::{Kind, Mid};
use whitewater_core::rtc::Credentials;
use whitewater_core::rtc::sdp::Published;
use whitewater_core::shard::{ShardId, StreamId};
use whitewater_signaling::control::{Action, Grant, SessionId, SessionPath, Side, TrackInfo};

use super::super::claim::{Holder, State};
use super::super::log::{CAPACITY, Change};
use super::super::registry::{SessionEntry, StreamEntry};
use super::super::standing::Presence;
use super::*;

/// A registry, and what happens in it.
pub(in crate::control) struct Book(pub(in crate::control) Arc<Mutex<Registry>>);

impl Book {
    pub(in crate::control) fn new() -> Self {
        Self(Arc::new(Mutex::new(Registry::new(1))))
    }

    pub(in crate::control) fn book(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap()
    }

    /// A stream that is published; its media has not arrived.
    pub(in crate::control) fn publish(&self, id: StreamId) {
        let entry = StreamEntry {
            id,
            home: ShardId(0),
            publisher: None,
            holder: Holder {
                session: SessionId("publisher".into()),
                before: None,
                identity: None,
                state: State::Lost,
            },
            published: Published { audio: None, video: None },
            rids: Vec::new(),
            since: std::time::Instant::now(),
            viewers: 0,
            presence: Presence::default(),
        };
        self.book().streams.insert(name(), entry);
    }

    pub(in crate::control) fn watch(&self, id: &str) -> SessionId {
        let id = SessionId(id.into());
        let session = SessionEntry {
            number: 0,
            name: id.0.clone(),
            path: SessionPath { side: Side::Watch, stream: name(), id: id.clone() },
            grant: Grant::new(Action::Watch, Some(name()), None),
            client: None,
            since: std::time::Instant::now(),
            expires: None,
            stream: StreamId(1),
            shard: ShardId(0),
            key: None,
            remote: Credentials { ufrag: String::new(), pwd: String::new() },
            etag: String::new(),
            tagged: (Mid::new("0"), Kind::Video),
            video: None,
            video_section: None,
        };
        self.book().reserve(id.clone(), session);
        id
    }

    pub(in crate::control) fn note(&self, change: Change) {
        self.book().note(StreamId(1), change);
    }

    fn follow(&self, absence: Absence) -> Follower {
        Follower::new(&self.0, named(), absence, None).unwrap()
    }

    fn follow_all(&self) -> Follower {
        let interest = Interest { all_live: true, ..Interest::default() };
        Follower::new(&self.0, interest, Absence::Told, None).unwrap()
    }
}

fn name() -> StreamName {
    "a".parse().unwrap()
}

fn named() -> Interest {
    Interest { names: vec![name()], all_live: false }
}

async fn next(follower: &mut Follower) -> Option<Happening> {
    let next = tokio::time::timeout(Duration::from_secs(20), follower.next());
    next.await.expect("something is told within 20 s").map(|happened| happened.what)
}

/// Whether nothing is told for a while.
async fn is_silent(follower: &mut Follower) -> bool {
    tokio::time::timeout(Duration::from_millis(300), follower.next()).await.is_err()
}

#[tokio::test]
async fn whatever_is_live_is_followed_and_forgotten_at_its_end() {
    let book = Book::new();
    let mut early = book.follow_all();
    book.publish(StreamId(1));
    book.watch("waits");
    assert!(is_silent(&mut early).await, "what is not live is not told of");
    book.book().note_media(StreamId(1));
    assert_eq!(next(&mut early).await, Some(Happening::Active));
    assert_eq!(next(&mut early).await, Some(Happening::Viewers(1)), "who waited counts");
    let mut late = book.follow_all();
    assert_eq!(next(&mut late).await, Some(Happening::Active), "it is live already");
    assert_eq!(next(&mut late).await, Some(Happening::Viewers(1)));
    assert_eq!(Arc::strong_count(&book.book().all_live), 3, "two of them read");
    book.note(Change::Lost);
    book.book().end_stream(StreamId(1));
    for mut follower in [early, late] {
        assert_eq!(next(&mut follower).await, Some(Happening::Lost));
        assert_eq!(next(&mut follower).await, Some(Happening::Inactive));
        assert!(follower.known.is_empty(), "nothing is kept of it");
    }
    assert_eq!(Arc::strong_count(&book.book().all_live), 1, "nobody reads");
}

#[tokio::test]
async fn a_stream_is_followed_from_before_its_start_to_after_its_end() {
    let book = Book::new();
    let mut follower = book.follow(Absence::Told);
    assert_eq!(next(&mut follower).await, Some(Happening::Inactive), "it is told as absent");
    book.publish(StreamId(1));
    assert!(is_silent(&mut follower).await, "no media yet");
    book.book().note_media(StreamId(1));
    book.book().note_media(StreamId(1));
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
    assert_eq!(next(&mut follower).await, Some(Happening::Viewers(0)));
    let tracks: Arc<[TrackInfo]> = Arc::new([TrackInfo::default()]);
    book.book().note_layers(StreamId(1), tracks.clone());
    assert_eq!(next(&mut follower).await, Some(Happening::Layers(tracks)));
    book.note(Change::Lost);
    assert_eq!(next(&mut follower).await, Some(Happening::Lost));
    book.note(Change::Back { changed: true });
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
    assert_eq!(next(&mut follower).await, Some(Happening::Reconnect));
    book.note(Change::Lost);
    book.book().end_stream(StreamId(1));
    assert_eq!(next(&mut follower).await, Some(Happening::Lost));
    assert_eq!(next(&mut follower).await, Some(Happening::Inactive));
    assert!(is_silent(&mut follower).await);
    book.book().log.close();
    assert_eq!(next(&mut follower).await, None);
    assert!(Follower::new(&book.0, named(), Absence::Told, None).is_none(), "closed");
}

#[tokio::test]
async fn a_late_follower_is_told_how_things_stand() {
    let book = Book::new();
    book.publish(StreamId(1));
    let mut early = book.follow(Absence::Silent);
    assert!(is_silent(&mut early).await, "no initial inactive");
    book.book().note_media(StreamId(1));
    book.watch("one");
    let mut follower = book.follow(Absence::Silent);
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
    assert_eq!(next(&mut follower).await, Some(Happening::Viewers(1)));
    book.note(Change::Lost);
    let mut late = book.follow(Absence::Silent);
    assert_eq!(next(&mut late).await, Some(Happening::Lost), "never active, never inactive");
    // Media without a word of the publisher's return is its return.
    book.book().note_media(StreamId(1));
    assert_eq!(next(&mut follower).await, Some(Happening::Lost));
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
}

#[tokio::test]
async fn viewers_that_come_at_once_are_told_by_one_number_a_second() {
    let book = Book::new();
    book.publish(StreamId(1));
    book.book().note_media(StreamId(1));
    let mut follower = book.follow(Absence::Silent);
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
    assert_eq!(next(&mut follower).await, Some(Happening::Viewers(0)));
    let told_at = Instant::now();
    let sessions: Vec<_> = (0..500).map(|number| book.watch(&number.to_string())).collect();
    assert_eq!(next(&mut follower).await, Some(Happening::Viewers(500)));
    assert!(told_at.elapsed() >= VIEWERS_INTERVAL - Duration::from_millis(20));
    for session in sessions {
        book.book().remove(&session);
    }
    assert_eq!(next(&mut follower).await, Some(Happening::Viewers(0)));
    book.watch("one more");
    book.book().remove(&SessionId("one more".into()));
    assert!(is_silent(&mut follower).await, "nothing differs from what was told");
}

#[tokio::test]
async fn a_follower_far_behind_is_told_what_holds_and_holds_no_more_than_that() {
    let book = Book::new();
    book.publish(StreamId(1));
    book.book().note_media(StreamId(1));
    let mut follower = book.follow(Absence::Silent);
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
    for _ in 0..CAPACITY {
        book.note(Change::Lost);
        book.note(Change::Back { changed: true });
    }
    book.watch("one");
    book.note(Change::Lost);
    let mut told = Vec::new();
    while told.last() != Some(&Happening::Viewers(1)) {
        told.extend(next(&mut follower).await);
        assert!(told.len() < 8, "a snapshot, not an entry after the other: {told:?}");
    }
    assert!(told.contains(&Happening::Reconnect), "{told:?}");
    let phases = [Happening::Active, Happening::Lost];
    let phase = told.iter().rfind(|what| phases.contains(what));
    assert_eq!(phase, Some(&Happening::Lost), "{told:?}");
    book.book().end_stream(StreamId(1));
    assert_eq!(next(&mut follower).await, Some(Happening::Inactive), "entries go on after it");
}

#[tokio::test]
async fn a_follower_of_a_session_ends_with_it_after_the_last_word() {
    let book = Book::new();
    book.publish(StreamId(1));
    book.book().note_media(StreamId(1));
    let (sender, end) = oneshot::channel();
    let mut follower = Follower::new(&book.0, named(), Absence::Silent, Some(end)).unwrap();
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
    assert_eq!(next(&mut follower).await, Some(Happening::Viewers(0)));
    book.note(Change::Lost);
    book.book().end_stream(StreamId(1));
    drop(sender);
    assert_eq!(next(&mut follower).await, Some(Happening::Lost));
    assert_eq!(next(&mut follower).await, Some(Happening::Inactive));
    assert_eq!(next(&mut follower).await, None);
    assert_eq!(next(&mut follower).await, None, "and stays at its end");
}

#[tokio::test]
async fn another_life_of_a_name_is_another_stream() {
    let book = Book::new();
    book.publish(StreamId(1));
    book.book().note_media(StreamId(1));
    let mut follower = book.follow(Absence::Silent);
    assert_eq!(next(&mut follower).await, Some(Happening::Active));
    assert_eq!(next(&mut follower).await, Some(Happening::Viewers(0)));
    book.note(Change::Lost);
    book.book().end_stream(StreamId(1));
    book.publish(StreamId(2));
    book.book().note_media(StreamId(2));
    for expected in [Happening::Lost, Happening::Inactive, Happening::Active] {
        assert_eq!(next(&mut follower).await, Some(expected));
    }
}
