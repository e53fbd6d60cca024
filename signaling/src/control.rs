//! The control port: what the HTTP half asks of the media half, in plain types.

mod beacon;
mod delivery;
mod happening;
mod history;
mod journal;
mod listing;
mod name;
mod refusal;
mod report;
mod session_info;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
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
pub use name::{InvalidName, SessionId, SessionPath, Side, StreamName};
pub use refusal::Refusal;
pub use report::{DelayInfo, LayerInfo, PartInfo, ServerInfo, ShardInfo, StreamInfo, TrackInfo};
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
