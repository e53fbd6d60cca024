//! What control asks of a shard, and what a shard reports back.

use std::time::Duration;

use crate::forward::{Parts, Wish};
use crate::hub::{Habit, Part};
use crate::media::{Format, Kind, Mid, Rid, Ssrc};
use crate::rtc::Credentials;
use crate::rtc::connection::{self, CloseReason};
use crate::rtc::section::Section;

pub use super::session_report::{Chosen, MAX_DESCRIBED, SessionReport, SessionTrack};

/// One life of a stream: it survives its publisher's return, and ends with the reconnect window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

/// A shard's place among its siblings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u8);

impl ShardId {
    /// Who takes packets out for the frame world, as if it were another shard.
    pub const TAP: Self = Self(u8::MAX);
}

/// A session's place in its shard. A key is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionKey {
    /// Its slot.
    pub index: u32,
    /// Counts the sessions that had this slot.
    pub generation: u32,
}

/// A request of control.
pub enum Command {
    /// Opens a publisher's session and makes it the source of the stream, which starts if need be.
    Publish(Box<Publish>),
    /// Opens a viewer's session.
    Subscribe(Box<Subscribe>),
    /// Gives a session new ICE credentials.
    RestartIce {
        /// The session.
        key: SessionKey,
        /// Ours.
        local: Credentials,
        /// Theirs.
        remote: Credentials,
    },
    /// Ends a session.
    Close(SessionKey),
    /// Chooses a viewer's video layer.
    Choose {
        /// The viewer.
        key: SessionKey,
        /// The layer.
        wish: Wish,
        /// How much of it at most, where it is scalable.
        parts: Parts,
    },
    /// Describes a stream at its home shard.
    Describe(StreamId),
    /// Describes sessions, [`MAX_DESCRIBED`] at most.
    DescribeSessions(Vec<SessionKey>),
    /// Wants keyframes of all layers of a stream at its home shard. When its publisher is asked for
    /// them is decided as for any other wish.
    WantKeyframes(StreamId),
    /// Describes the shard itself.
    Gauges,
    /// Tells every session that it ends, and ends it.
    Shutdown,
}

/// A publisher's session to open.
pub struct Publish {
    /// The stream that it feeds.
    pub stream: StreamId,
    /// Whether the stream must be there already. One that has ended does not begin again.
    pub resumes: bool,
    /// Its connection.
    pub connection: connection::Opening,
    /// What was agreed.
    pub sections: Vec<Section>,
    /// How long viewers wait for the publisher's return.
    pub window: Duration,
    /// Bits per second above which packets are dropped; 0 is no limit.
    pub max_bitrate_bps: u64,
}

/// A viewer's session to open.
pub struct Subscribe {
    /// The stream.
    pub stream: StreamId,
    /// The shard of its publisher.
    pub home: ShardId,
    /// Its connection.
    pub connection: connection::Opening,
    /// What was agreed.
    pub sections: Vec<Section>,
    /// Our SSRC of the sound.
    pub audio: Ssrc,
    /// Our SSRC of the picture.
    pub video: Ssrc,
    /// Our SSRC of retransmitted picture.
    pub video_rtx: Ssrc,
    /// Our canonical name, the same for both tracks.
    pub cname: String,
}

/// A shard's answer.
#[derive(Clone, Debug)]
pub enum Reply {
    /// A session is open.
    Opened(SessionKey),
    /// It is done.
    Done,
    /// The session or stream is not here.
    Unknown,
    /// The connection cannot be made.
    Failed(String),
    /// The stream as it is now.
    Stream(Box<StreamReport>),
    /// Sessions as they are now, in the order asked for; `None` where one has ended.
    Sessions(Vec<Option<SessionReport>>),
    /// The shard as it is now.
    Gauges(Box<super::Gauges>),
}

/// What happened in a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session's media can flow.
    Connected {
        /// The session.
        key: SessionKey,
        /// The SRTP profile in words.
        profile: String,
        /// How long it took since the session was opened.
        after: Duration,
    },
    /// A session ended.
    Closed {
        /// The session.
        key: SessionKey,
        /// Why.
        reason: EndReason,
    },
    /// A publisher's first packet arrived.
    MediaStarted {
        /// The stream.
        stream: StreamId,
        /// The track.
        kind: Kind,
    },
    /// A stream lost its publisher, by silence or with its session; its window runs.
    PublisherLost {
        /// The stream.
        stream: StreamId,
    },
    /// A stream has a publisher again: the silent one was heard, or a session took over.
    PublisherBack {
        /// The stream.
        stream: StreamId,
        /// Whether tracks or codecs are others than before, so that viewers need new sessions.
        changed: bool,
    },
    /// A stream's window ran out without its publisher.
    StreamEnded {
        /// The stream.
        stream: StreamId,
    },
    /// Layers of a stream's picture came, went, or have another size or rate.
    LayersChanged {
        /// The stream.
        stream: StreamId,
    },
}

/// Why a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// We ended it: it was deleted or replaced, or its stream is over.
    Here,
    /// Its connection ended.
    Connection(CloseReason),
}

/// A stream at one moment.
#[derive(Clone, Debug, Default)]
pub struct StreamReport {
    /// Whether its publisher is there, and not silent.
    pub live: bool,
    /// How long its window still runs, where it does.
    pub window: Option<Duration>,
    /// Its tracks.
    pub tracks: Vec<TrackReport>,
}

/// A track at one moment.
#[derive(Clone, Debug)]
pub struct TrackReport {
    /// Its media section.
    pub mid: Mid,
    /// Codec and parameters.
    pub format: Format,
    /// Its layers in the publisher's order.
    pub layers: Vec<LayerReport>,
}

/// A layer at one moment.
#[derive(Clone, Debug)]
pub struct LayerReport {
    /// Its rid.
    pub rid: Option<Rid>,
    /// Whether packets arrive.
    pub active: bool,
    /// Bits per second.
    pub bitrate_bps: u64,
    /// Frames per second.
    pub fps: f64,
    /// Width and height in pixels.
    pub size: Option<(u16, u16)>,
    /// Keyframes so far.
    pub keyframes: u64,
    /// Keyframe requests sent so far.
    pub keyframe_requests: u64,
    /// Packets lost for good.
    pub packets_lost: u64,
    /// The time between the latest two keyframes, or since the latest where that is longer.
    pub gop: Option<Duration>,
    /// What its publisher makes of keyframe requests.
    pub habit: Habit,
    /// Its parts, where it is scalable, lowest spatial layer first.
    pub parts: Vec<Part>,
}
