//! A journal that tells, one by one, the events that webhooks and readers of the API ask for.
//!
//! It differs from a follower: it tells what happens from now on, and each event by itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

use serde::Serialize;

use super::StreamName;

/// A reader of the journal. Dropping a call of it before it is done loses nothing.
pub trait Journal: Send {
    /// What is next; `None` when nothing will come any more.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Noted>> + Send + '_>>;
}

/// An entry of the journal.
#[derive(Clone, Debug, PartialEq)]
pub enum Noted {
    /// Something happened.
    Occurred(Occurred),
    /// The reader was too slow for so many events. What still holds of streams is told next; viewers
    /// that came and went meanwhile are not.
    Missed(u64),
}

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurred {
    /// Its name, which no other event has.
    pub id: Arc<str>,
    /// When it happened.
    pub at: SystemTime,
    /// Which kind of event it is.
    pub topic: Topic,
    /// What is told of it.
    pub facts: Facts,
}

/// What is told of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// The stream it befell.
    pub stream: StreamName,
    /// Of a publisher that is back: whether its tracks or codecs are others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changed: Option<bool>,
    /// Of a viewer: its session, as `GET /api/v1/sessions` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Of a viewer: how many watch over WHEP now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub viewers: Option<u64>,
    /// Of a recording: which one, as `GET /api/v1/recordings` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// Of a recording: its playlist for HLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hls: Option<String>,
    /// Of a recording: milliseconds that it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The first packet of a stream arrived.
    StreamStarted,
    /// A stream is over.
    StreamEnded,
    /// A stream's publisher is gone and may come back.
    PublisherLost,
    /// A lost publisher is back.
    PublisherBack,
    /// A viewer's session was opened.
    ViewerJoined,
    /// A viewer's session ended while the stream goes on.
    ViewerLeft,
    /// A recording has ended, and can be replayed.
    RecordingReady,
}

/// The shape of an event (Standard Webhooks).
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: String,
    data: &'a Facts,
}

// === impl Facts ===

impl Facts {
    /// Nothing but the stream.
    pub fn of(stream: StreamName) -> Self {
        Self {
            stream,
            changed: None,
            session: None,
            viewers: None,
            recording: None,
            hls: None,
            duration_ms: None,
        }
    }
}

// === impl Occurred ===

impl Occurred {
    /// The event as JSON: `type`, `timestamp` (RFC 3339) and `data`.
    pub fn to_json(&self) -> String {
        let timestamp = humantime::format_rfc3339_millis(self.at).to_string();
        let body = Body { r#type: self.topic.name(), timestamp, data: &self.facts };
        serde_json::to_string(&body).expect("texts and numbers serialise")
    }
}

// === impl Topic ===

impl Topic {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::StreamStarted,
        Self::StreamEnded,
        Self::PublisherLost,
        Self::PublisherBack,
        Self::ViewerJoined,
        Self::ViewerLeft,
        Self::RecordingReady,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::StreamStarted => "stream.started",
            Self::StreamEnded => "stream.ended",
            Self::PublisherLost => "publisher.lost",
            Self::PublisherBack => "publisher.back",
            Self::ViewerJoined => "viewer.joined",
            Self::ViewerLeft => "viewer.left",
            Self::RecordingReady => "recording.ready",
        }
    }

    /// The kind of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Whether it is about a viewer: there may be very many of these.
    pub fn is_of_viewers(self) -> bool {
        matches!(self, Self::ViewerJoined | Self::ViewerLeft)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn an_event_tells_what_it_has() {
        let stream = || "show".parse().unwrap();
        let mut occurred = Occurred {
            id: "evt_1".into(),
            at: UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
            topic: Topic::StreamStarted,
            facts: Facts::of(stream()),
        };
        let timestamp = r#""timestamp":"2023-11-14T22:13:20.123Z""#;
        let expected =
            format!(r#"{{"type":"stream.started",{timestamp},"data":{{"stream":"show"}}}}"#);
        assert_eq!(occurred.to_json(), expected);
        occurred.topic = Topic::ViewerLeft;
        occurred.facts =
            Facts { session: Some("ab".into()), viewers: Some(3), ..Facts::of(stream()) };
        let expected = format!(
            r#"{{"type":"viewer.left",{timestamp},"data":{{"stream":"show","session":"ab","viewers":3}}}}"#
        );
        assert_eq!(occurred.to_json(), expected);
    }

    #[test]
    fn every_kind_is_known_by_its_name() {
        for topic in Topic::ALL {
            assert_eq!(Topic::of(topic.name()), Some(topic));
        }
        assert_eq!(Topic::of("stream"), None);
    }
}
