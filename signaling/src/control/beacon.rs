//! A beacon: what a player says of itself now and then, so that viewers behind a cache are counted.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::StreamName;
use crate::whole::{self, EXACT};

/// What a player says of itself. Counts are since it began to play.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
pub struct Beacon {
    /// What it plays.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$")]
    pub stream: StreamName,
    /// A random name that it keeps: 8 to 64 of `[A-Za-z0-9_-]`.
    #[schema(value_type = String, pattern = "^[A-Za-z0-9_-]{8,64}$")]
    pub player: PlayerId,
    /// How it plays.
    pub protocol: PlayerProtocol,
    /// Milliseconds from the wish to play to the first picture; `None` before it.
    #[schema(maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "whole::maybe::<EXACT, _, _>")]
    pub startup_ms: Option<u64>,
    /// Milliseconds from the publisher's camera to the screen, where it can tell and plays live.
    #[schema(maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "whole::maybe::<EXACT, _, _>")]
    pub latency_ms: Option<u64>,
    /// How often it waited for media.
    #[schema(maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "whole::number::<EXACT, _, _>")]
    pub stalls: u64,
    /// Milliseconds that it waited.
    #[schema(maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "whole::number::<EXACT, _, _>")]
    pub stalled_ms: u64,
    /// How often it had to begin anew, or gave up.
    #[schema(maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "whole::number::<EXACT, _, _>")]
    pub errors: u64,
    /// Whether it plays no more.
    #[serde(default)]
    pub ended: bool,
}

/// The random name of a player.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct PlayerId(Box<str>);

/// How a player plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PlayerProtocol {
    /// HLS.
    Hls,
    /// DASH.
    Dash,
    /// WHEP.
    Whep,
}

/// What became of a beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// It counts.
    Taken,
    /// It came so soon after the one before that it was passed over.
    TooSoon,
    /// There are so many players that this one is not counted.
    TooMany,
}

// === impl PlayerId ===

impl TryFrom<String> for PlayerId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let fits = (8..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if fits { Ok(Self(text.into())) } else { Err("player is 8 to 64 of A-Z a-z 0-9 _ -") }
    }
}

// === impl PlayerProtocol ===

impl PlayerProtocol {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hls => "hls",
            Self::Dash => "dash",
            Self::Whep => "whep",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beacon_needs_a_stream_a_player_and_a_protocol() {
        let least = r#"{"stream":"a","player":"12345678","protocol":"hls"}"#;
        let read: Beacon = serde_json::from_str(least).unwrap();
        assert_eq!((read.stalls, read.startup_ms, read.ended), (0, None, false));
        for protocol in [PlayerProtocol::Hls, PlayerProtocol::Dash, PlayerProtocol::Whep] {
            let text = least.replace("hls", protocol.name());
            let read: Beacon = serde_json::from_str(&text).unwrap();
            assert_eq!(read.protocol, protocol);
        }
        for wrong in [
            r#"{"stream":"a","player":"12345678"}"#,
            r#"{"stream":"a","player":"1234567","protocol":"hls"}"#,
            r#"{"stream":"a","player":"12345678 ","protocol":"hls"}"#,
            r#"{"stream":".a","player":"12345678","protocol":"hls"}"#,
            r#"{"stream":"a","player":"12345678","protocol":"rtmp"}"#,
            r#"{"stream":"a","player":"12345678","protocol":"hls","stalls":-1}"#,
            r#"{"stream":"a","player":"12345678","protocol":"hls","latency_ms":1.5}"#,
        ] {
            assert!(serde_json::from_str::<Beacon>(wrong).is_err(), "{wrong}");
        }
    }
}
