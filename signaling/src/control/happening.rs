//! A happening that befell a stream, and the ways to follow them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{SessionPath, StreamName, TrackInfo};

/// A follower of streams. It begins with how they stand and then tells what happens, in order.
///
/// A follower that is asked too rarely misses nothing that still holds: it is told how things stand.
pub trait Follow: Send {
    /// What is next; `None` when nothing will come any more.
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Happened>> + Send + '_>>;
}

/// Something that happened to a stream.
#[derive(Clone, Debug, PartialEq)]
pub struct Happened {
    /// The stream.
    pub stream: StreamName,
    /// What it was.
    pub what: Happening,
}

/// What can happen to a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Happening {
    /// Its media arrives, for the first time or again.
    Active,
    /// Its publisher is gone and may come back.
    Lost,
    /// It is over.
    Inactive,
    /// Its publisher came back with other tracks or codecs: viewers need new sessions.
    Reconnect,
    /// Its viewers changed in number.
    Viewers(u64),
    /// Those who watch over HLS changed in number.
    HlsViewers(u64),
    /// Those who watch over DASH changed in number.
    DashViewers(u64),
    /// Its tracks' layers came, went, or have another size or rate.
    Layers(Arc<[TrackInfo]>),
}

/// A kind of event that a viewer's event stream can carry (WHEP server-sent events extension).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventType {
    /// The stream's media arrives.
    Active,
    /// The stream is over.
    Inactive,
    /// The layers changed.
    Layers,
    /// The number of viewers changed.
    ViewerCount,
    /// The viewer needs a new session.
    Reconnect,
}

/// The unguessable name of an event stream: at least 122 random bits, URL-safe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventsId(pub Arc<str>);

/// An event stream as its URL names it. It exists only under its own session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventsPath {
    /// The viewer's session.
    pub session: SessionPath,
    /// The event stream.
    pub id: EventsId,
}

/// An event stream that is being read.
pub struct Events {
    /// What it carries.
    pub types: Vec<EventType>,
    /// The index of the video section in the session's description.
    pub video_section: Option<usize>,
    /// What it tells.
    pub follow: Box<dyn Follow>,
}

// === impl EventType ===

impl EventType {
    /// Every type, in the order in which they are advertised.
    pub const ALL: [Self; 5] =
        [Self::Active, Self::Inactive, Self::Layers, Self::ViewerCount, Self::Reconnect];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Layers => "layers",
            Self::ViewerCount => "viewercount",
            Self::Reconnect => "reconnect",
        }
    }

    /// The type of a name.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

// === impl EventsId ===

impl fmt::Display for EventsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
