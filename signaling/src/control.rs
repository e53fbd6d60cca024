//! The control port: what the HTTP half asks of the media half, in plain types.

mod beacon;
mod delivery;
mod happening;
mod history;
mod journal;
mod listing;
mod session_info;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use crate::identity::Identity;
pub use beacon::{Beacon, Heard, PlayerId, PlayerProtocol};
pub use delivery::{DeliveryInfo, DeliveryState};
pub use happening::{EventType, Events, EventsId, EventsPath, Follow, Happened, Happening};
pub use history::{History, LayerHistory, ViewersHistory};
pub use journal::{Facts, Journal, Noted, Occurred, Topic};
pub use listing::{Listing, StreamPage};
pub use session_info::{
    SelectedLayer, SessionInfo, SessionPage, SessionState, SessionTrackInfo, SideInfo,
    TransportInfo, Which,
};

use crate::whole;

/// What every call of the port answers with.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Refusal>> + Send + 'a>>;

/// The port that the media half implements.
///
/// Calls may be made from any task. An answer is final: nothing is left half done after a refusal.
pub trait Control: Send + Sync + 'static {
    /// Opens a publisher's session from a WHIP offer (RFC 9725 section 4.2).
    fn publish(&self, request: Open) -> Answer<'_, Opened>;

    /// Opens a viewer's session from a WHEP offer.
    fn subscribe(&self, request: Open) -> Answer<'_, Opened>;

    /// Adds remote candidates to a session or restarts its ICE (RFC 9725 section 4.3).
    fn patch(
        &self,
        session: SessionPath,
        if_match: IfMatch,
        fragment: Fragment,
    ) -> Answer<'_, Patched>;

    /// Lets a session go on until a newer permission for it ends.
    fn renew(&self, _session: SessionPath, _grant: Grant) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Ends a session. Its resources are gone when this answers.
    fn delete(&self, session: SessionPath) -> Answer<'_, ()>;

    /// Whether the session lives.
    fn probe(&self, session: SessionPath) -> Answer<'_, ()>;

    /// Chooses the layer that a viewer gets.
    fn select_layer(&self, session: SessionPath, choice: LayerChoice) -> Answer<'_, ()>;

    /// Live streams by name, a page at a time.
    fn stream_page(&self, listing: Listing) -> Answer<'_, StreamPage>;

    /// All live streams, by name.
    fn streams(&self) -> Answer<'_, Vec<StreamInfo>> {
        let all = self.stream_page(Listing::all());
        Box::pin(async move { all.await.map(|page| page.streams) })
    }

    /// What the media half counts.
    fn server(&self) -> Answer<'_, ServerInfo>;

    /// One live stream; [`Refusal::NotLive`] when it is not.
    fn stream(&self, name: StreamName) -> Answer<'_, StreamInfo>;

    /// Sessions that are open, a page at a time.
    fn sessions(&self, which: Which) -> Answer<'_, SessionPage>;

    /// One session by the name that [`Control::sessions`] gives it.
    fn session(&self, id: String) -> Answer<'_, SessionInfo>;

    /// Chooses the layer of a viewer by the name that [`Control::sessions`] gives it.
    fn select_layer_of(&self, id: String, choice: LayerChoice) -> Answer<'_, ()>;

    /// Wants keyframes of all layers of a stream; [`Refusal::NotLive`] when it is not.
    fn want_keyframe(&self, name: StreamName) -> Answer<'_, ()>;

    /// The last quarter of an hour.
    fn history(&self) -> Answer<'_, History>;

    /// Ends a session by the name that [`Control::sessions`] gives it.
    fn kick(&self, id: String) -> Answer<'_, ()>;

    /// Ends the session that publishes a stream; [`Refusal::NotLive`] where none does.
    fn end_stream(&self, name: StreamName) -> Answer<'_, ()>;

    /// Whether new sessions are taken: not while the server stops.
    fn is_ready(&self) -> bool {
        true
    }

    /// Follows streams; a follower of none is told nothing.
    fn follow(&self, interest: Interest) -> Answer<'_, Box<dyn Follow>>;

    /// Reads the journal of all streams from now on.
    fn journal(&self) -> Answer<'_, Box<dyn Journal>>;

    /// What became of the latest events that webhooks were sent, the newest first; so many at most.
    fn deliveries(&self, most: usize) -> Vec<DeliveryInfo>;

    /// Hears what a player says of itself; [`Refusal::NotLive`] where its stream is not.
    fn hear(&self, beacon: Beacon) -> Result<Heard, Refusal>;

    /// Makes an event stream of a viewer's session. It ends with the session.
    fn open_events(&self, session: SessionPath, types: Vec<EventType>) -> Answer<'_, EventsId>;

    /// Reads an event stream from how its stream stands. An earlier reader of it is ended.
    fn read_events(&self, events: EventsPath) -> Answer<'_, Events>;

    /// Drops an event stream.
    fn close_events(&self, events: EventsPath) -> Answer<'_, ()>;
}

/// Which streams somebody follows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// By their names, live or not.
    pub names: Vec<StreamName>,
    /// Besides, those that are live, and those that come to be.
    pub all_live: bool,
}

/// The name of a stream: 1 to 64 of `[A-Za-z0-9._-]`, no leading dot, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(Arc<str>);

/// A text that is not a stream name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stream name is 1 to 64 of A-Z a-z 0-9 . _ - and does not start with a dot")]
pub struct InvalidName;

/// The unguessable name of a session: at least 122 random bits, URL-safe.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub Arc<str>);

/// Which side of a stream a session is on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// WHIP.
    Publish,
    /// WHEP.
    Watch,
}

/// A session as its URL names it. A session exists only under its own side and stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionPath {
    /// WHIP or WHEP.
    pub side: Side,
    /// The stream.
    pub stream: StreamName,
    /// The session.
    pub id: SessionId,
}

/// What a bearer may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Publish a stream.
    Publish,
    /// Watch a stream.
    Watch,
    /// Everything.
    Admin,
}

/// The permission under which a request runs; a session keeps the one it was opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What is allowed.
    pub action: Action,
    /// The stream it is allowed on; `None` is none in particular.
    pub stream: Option<StreamName>,
    /// How long it is valid; `None` is without end.
    pub expires_in: Option<Duration>,
    /// Who holds it; without one it is never the same as another.
    pub identity: Option<Identity>,
    /// The most that a publisher may send in bits per second, where it is less than for others.
    pub max_bitrate_bps: Option<u64>,
    /// What its token calls it, for the log of what administrators do.
    pub holder: Option<String>,
}

impl Grant {
    /// A permission without an end.
    pub fn new(action: Action, stream: Option<StreamName>, identity: Option<Identity>) -> Self {
        Self { action, stream, expires_in: None, identity, max_bitrate_bps: None, holder: None }
    }
}

/// A request to open a session.
#[derive(Clone, Debug)]
pub struct Open {
    /// The stream.
    pub stream: StreamName,
    /// The SDP offer.
    pub offer: String,
    /// A session that this one replaces and that ends at once (`Replaces-Session`).
    pub replaces: Option<SessionPath>,
    /// The permission.
    pub grant: Grant,
    /// Who asks.
    pub client: Option<IpAddr>,
}

/// An open session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its name.
    pub id: SessionId,
    /// The SDP answer, with every candidate of ours.
    pub answer: String,
    /// The entity tag of its ICE session, without quotes.
    pub etag: String,
}

/// The `If-Match` of a PATCH; a request without one never reaches the port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever the ICE session is. Used for restarts.
    Any,
    /// One of these entity tags, without quotes.
    Tags(Vec<String>),
}

/// A trickle ICE fragment (RFC 8840 section 9), already parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fragment {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`.
    pub pwd: String,
    /// Values of `a=candidate`, without the prefix.
    pub candidates: Vec<String>,
}

/// What a PATCH did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Patched {
    /// Candidates were taken in (204).
    Trickled,
    /// ICE starts anew with our new credentials (200).
    Restarted {
        /// The sdpfrag to answer with.
        fragment: String,
        /// The new entity tag, without quotes.
        etag: String,
    },
}

/// A viewer's wish for a layer (WHEP layer extension, E41).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LayerChoice {
    /// The media section, by mid or index; `None` is the video.
    pub media_id: Option<String>,
    /// Exactly this simulcast layer.
    pub rid: Option<String>,
    /// Exactly this spatial layer.
    #[schema(maximum = 255)]
    #[serde(default, deserialize_with = "whole::maybe::<255, _, _>")]
    pub spatial_layer_id: Option<u8>,
    /// Exactly this temporal layer.
    #[schema(maximum = 255)]
    #[serde(default, deserialize_with = "whole::maybe::<255, _, _>")]
    pub temporal_layer_id: Option<u8>,
    /// At most this spatial layer.
    #[schema(maximum = 255)]
    #[serde(default, deserialize_with = "whole::maybe::<255, _, _>")]
    pub max_spatial_layer_id: Option<u8>,
    /// At most this temporal layer.
    #[schema(maximum = 255)]
    #[serde(default, deserialize_with = "whole::maybe::<255, _, _>")]
    pub max_temporal_layer_id: Option<u8>,
    /// No wider than this, in pixels.
    #[schema(format = Int64, maximum = 4294967295_u64)]
    #[serde(default, deserialize_with = "whole::maybe::<0xffff_ffff, _, _>")]
    pub max_width: Option<u32>,
    /// No higher than this, in pixels.
    #[schema(format = Int64, maximum = 4294967295_u64)]
    #[serde(default, deserialize_with = "whole::maybe::<0xffff_ffff, _, _>")]
    pub max_height: Option<u32>,
}

/// A live stream as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StreamInfo {
    /// Its name.
    pub name: String,
    /// Whether its publisher is connected now; `false` while the reconnect window runs.
    pub live: bool,
    /// Milliseconds since it went live.
    pub uptime_ms: u64,
    /// How many watch over WHEP.
    pub viewers: u64,
    /// How many watch over HLS, as their players say.
    #[serde(default)]
    pub hls_viewers: u64,
    /// How many watch over DASH, as their players say.
    #[serde(default)]
    pub dash_viewers: u64,
    /// Its tracks.
    pub tracks: Vec<TrackInfo>,
    /// What its host should change, in sentences.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A track as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrackInfo {
    /// The media section's identification tag.
    pub mid: String,
    /// `audio` or `video`.
    pub kind: String,
    /// The codec's name.
    pub codec: String,
    /// Its layers, highest first; one without a rid where there is no simulcast.
    pub layers: Vec<LayerInfo>,
}

/// A layer as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LayerInfo {
    /// Its rid, where it has one.
    pub rid: Option<String>,
    /// Whether packets arrive now.
    pub active: bool,
    /// Bits per second over the last second.
    pub bitrate_bps: u64,
    /// Pixels, once a keyframe told.
    pub width: Option<u32>,
    /// Pixels, once a keyframe told.
    pub height: Option<u32>,
    /// Frames per second over the last second.
    pub fps: f64,
    /// Keyframes since it started.
    pub keyframes: u64,
    /// Packets lost on the way to us and not recovered.
    pub packets_lost: u64,
    /// Milliseconds between the latest two keyframes, or since the latest where that is longer; of a
    /// picture, once there was a keyframe.
    #[serde(default)]
    pub gop_ms: Option<u64>,
    /// Its parts where it is scalable, lowest first; else empty.
    #[serde(default)]
    pub parts: Vec<PartInfo>,
}

/// A part of a scalable layer as the API shows it: a spatial and temporal layer with all below them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PartInfo {
    /// Its highest spatial layer.
    pub spatial_layer_id: u8,
    /// Its highest temporal layer.
    pub temporal_layer_id: u8,
    /// Bits per second of all of it over the last second.
    pub bitrate_bps: u64,
    /// Pixels, where packets tell.
    pub width: Option<u32>,
    /// Pixels, where packets tell.
    pub height: Option<u32>,
    /// Frames per second over the last second.
    pub fps: f64,
}

/// What the media half counts, as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ServerInfo {
    /// The server's version.
    pub version: String,
    /// From the kernel's receive time of the oldest packet of a write to the write's return, once for
    /// each packet. What a joiner catches up on, and what is sent again, is not counted.
    pub forwarding_delay: DelayInfo,
    /// How long one turn of a shard's loop takes.
    #[serde(default)]
    pub turns: DelayInfo,
    /// Connections that are told of events now.
    pub followers: u64,
    /// Events of shards that wait for control.
    #[serde(default)]
    pub events_waiting: u64,
    /// Messages that wait for the packaging of HLS.
    #[serde(default)]
    pub tap_waiting: u64,
    /// One entry per shard.
    pub shards: Vec<ShardInfo>,
}

/// A distribution of durations, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DelayInfo {
    /// How many were counted.
    pub count: u64,
    /// Half are no longer.
    pub p50_us: u64,
    /// 99 of 100 are no longer.
    pub p99_us: u64,
    /// None is longer.
    pub max_us: u64,
    /// Upper ends of the buckets that counted any, with their counts: what was counted between two
    /// readings is their difference.
    #[schema(value_type = Vec<[u64; 2]>)]
    pub buckets: Vec<(u64, u64)>,
}

/// What one shard counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShardInfo {
    /// Sessions open.
    pub sessions: u64,
    /// Streams known, those of other shards that it mirrors too.
    pub streams: u64,
    /// Client addresses known.
    pub addresses: u64,
    /// Datagrams received.
    pub datagrams_in: u64,
    /// Calls that received them.
    pub receives: u64,
    /// Media packets taken in.
    pub packets_in: u64,
    /// Media packets sent, without retransmissions.
    pub packets_out: u64,
    /// Writes that carried them.
    pub bursts_out: u64,
    /// Retransmissions sent.
    pub resent: u64,
    /// Microseconds of a core's time that its thread used.
    #[serde(default)]
    pub cpu_us: u64,
    /// Datagrams sent, of every kind.
    pub datagrams_out: u64,
    /// Bytes sent, of every kind.
    pub bytes_out: u64,
    /// Calls that sent them.
    pub sends: u64,
    /// Packets that viewers reported as received.
    pub delivered: u64,
    /// Packets that viewers reported as lost.
    pub reported_lost: u64,
    /// Keyframe requests sent to publishers.
    pub keyframe_requests: u64,
    /// Keyframe requests of viewers.
    #[serde(default)]
    pub keyframes_wanted: u64,
    /// Packets that viewers asked for once more.
    #[serde(default)]
    pub nacked: u64,
    /// Times that viewers were given another layer.
    #[serde(default)]
    pub layer_switches: u64,
    /// Bytes received over UDP.
    #[serde(default)]
    pub bytes_in: u64,
    /// Commands that wait.
    #[serde(default)]
    pub commands_waiting: u64,
    /// Messages of other shards that wait.
    #[serde(default)]
    pub links_waiting: u64,
    /// Datagrams handed to the shard they belong to.
    pub handed_over: u64,
    /// Datagrams of no session or no known kind.
    pub dropped_stranger: u64,
    /// STUN and DTLS that was refused.
    pub dropped_handshake: u64,
    /// Checks of strangers above what they may cost.
    pub dropped_flood: u64,
    /// RTP and RTCP that did not authenticate, replays too.
    pub dropped_unauthentic: u64,
    /// Packets of SSRCs that belong to no layer.
    pub dropped_unknown_ssrc: u64,
    /// Packets above a publisher's limit.
    pub dropped_over_limit: u64,
    /// Packets that came twice or far too late.
    pub dropped_duplicate: u64,
    /// Writes dropped because the socket's buffer was full.
    pub dropped_full: u64,
    /// Writes that failed otherwise.
    pub dropped_error: u64,
    /// Messages to other shards dropped because their queue was full.
    pub dropped_link: u64,
    /// TCP connections open.
    pub tcp_connections: u64,
    /// TCP connections refused because there were too many.
    pub tcp_refused: u64,
}

/// Why the port said no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The offer cannot be read (400).
    #[error("the offer cannot be read: {0}")]
    Malformed(String),
    /// The offer can be read and not be served (422).
    #[error("{0}")]
    Unprocessable(String),
    /// The stream has a publisher (409).
    #[error("the stream {0} already has a publisher")]
    Taken(StreamName),
    /// The stream waits for the return of its publisher (409 with Retry-After).
    #[error("the stream {stream} waits for its publisher to come back")]
    Kept {
        /// The stream.
        stream: StreamName,
        /// Seconds until anybody may publish it.
        retry_after_s: u64,
    },
    /// Nobody publishes the stream (409 with Retry-After for viewers, 404 in the API).
    #[error("the stream {0} is not live")]
    NotLive(StreamName),
    /// No such session, or one that has ended (404).
    #[error("no such session")]
    NoSession,
    /// No such event stream, or one that was dropped or whose session has ended (404).
    #[error("no such event stream")]
    NoEvents,
    /// The entity tag names another ICE session (412).
    #[error("the entity tag does not name the present ICE session")]
    StaleTag,
    /// A limit of what one client may have is reached (429 with Retry-After).
    #[error("{0}")]
    TooMany(String),
    /// A limit is reached (503 with Retry-After).
    #[error("{0}")]
    Full(String),
    /// The media half does not answer (503).
    #[error("the server is shutting down")]
    Closing,
}

// === impl StreamName ===

impl StreamName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let fits = (1..=64).contains(&text.len())
            && !text.starts_with('.')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if fits { Ok(Self(text.into())) } else { Err(InvalidName) }
    }
}

impl TryFrom<String> for StreamName {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0.as_ref().into()
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// === impl SessionId ===

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
