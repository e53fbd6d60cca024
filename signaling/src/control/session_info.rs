//! Sessions as administrators see them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StreamName;

/// Which sessions are asked for, in the order of their coming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Of this stream; `None` is of all.
    pub stream: Option<StreamName>,
    /// After the one with this number.
    pub after: Option<u64>,
    /// So many at most.
    pub limit: usize,
}

/// Sessions, and where those after them begin.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionInfo>,
    /// The number of the last one, where there are more.
    pub next: Option<u64>,
}

/// A session as administrators see it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionInfo {
    /// Its name here: not that of its URL, which is a secret of its client.
    pub id: String,
    /// Its stream.
    pub stream: String,
    /// Which side of the stream it is on.
    pub side: SideInfo,
    /// How it stands.
    pub state: SessionState,
    /// Where its client asked from.
    #[schema(value_type = Option<String>)]
    pub address: Option<IpAddr>,
    /// How its media travels, once it does.
    pub transport: Option<TransportInfo>,
    /// When it was opened, in milliseconds since 1970 in UTC.
    pub since_unix_ms: u64,
    /// Milliseconds since it was opened.
    pub uptime_ms: u64,
    /// Seconds until its permission ends, where it does.
    pub expires_in_s: Option<u64>,
    /// Bits of media per second that it sends us, over about a second.
    pub bitrate_in_bps: u64,
    /// Bits of media per second that it is sent, over about a second.
    pub bitrate_out_bps: u64,
    /// The share of packets that was lost on the way, from 0 to 1, of its worst track; once reports tell.
    pub loss: Option<f64>,
    /// Milliseconds from us to a viewer and back, once its reports tell. Of publishers it is always
    /// `null`: the server sends them no media whose reception they would report, and as an ICE-lite agent
    /// (RFC 8445 section 2.5) no checks that they would answer.
    pub round_trip_ms: Option<f64>,
    /// Its tracks.
    pub tracks: Vec<SessionTrackInfo>,
}

/// A track of a session.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SessionTrackInfo {
    /// `audio` or `video`.
    pub kind: String,
    /// The codec's name, once it is known.
    pub codec: Option<String>,
    /// Bits of media per second, over about a second.
    pub bitrate_bps: u64,
    /// The share of packets that was lost, from 0 to 1, once a report has told.
    pub loss: Option<f64>,
    /// The rids that a publisher sends; empty without simulcast, and of viewers.
    pub rids: Vec<String>,
    /// The layer that a viewer gets, once it gets one.
    pub layer: Option<SelectedLayer>,
}

/// The layer that a viewer gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SelectedLayer {
    /// Its rid, where it has one.
    pub rid: Option<String>,
    /// The highest spatial layer that is sent, where some are left out.
    pub spatial_layer_id: Option<u8>,
    /// The highest temporal layer that is sent, where some are left out.
    pub temporal_layer_id: Option<u8>,
    /// Whether the viewer's network decides, and nobody chose.
    pub automatic: bool,
}

/// Which side of a stream a session is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SideInfo {
    /// WHIP.
    #[default]
    Publish,
    /// WHEP.
    Watch,
}

/// How a session stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SessionState {
    /// Its offer was answered, and media cannot flow yet.
    #[default]
    Connecting,
    /// Media can flow.
    Connected,
    /// It was connected, and nothing came from it for three seconds.
    Silent,
}

/// How media travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportInfo {
    /// Datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
}
