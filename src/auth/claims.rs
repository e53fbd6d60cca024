//! The claims of a token: who may do what, and until when (RFC 7519).

use std::time::Duration;

use serde::{Deserialize, Serialize};
use whitewater_signaling::control::{Action, StreamName};

use crate::config::Pattern;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// When it ends, in seconds since 1970.
    pub exp: u64,
    /// When it begins, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbf: Option<u64>,
    /// Whom it is meant for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<OneOrMany<String>>,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iss: Option<String>,
    /// Whom it belongs to: a publisher with the same may come back to its stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// Its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jti: Option<String>,
    /// Streams by name or pattern. Without it the token is for no stream, unless it is an
    /// administrator's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<OneOrMany<String>>,
    /// What may be done.
    pub action: OneOrMany<Deed>,
    /// The most that a publisher may send, in bits per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bitrate_bps: Option<u64>,
}

/// One value or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany<T> {
    /// One.
    One(T),
    /// A list.
    Many(Vec<T>),
}

/// What may be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Deed {
    /// Publishing.
    Publish,
    /// Watching.
    Watch,
    /// Everything, on all streams.
    Admin,
}

// === impl Claims ===

impl Claims {
    /// Whether an action is allowed; else why not.
    pub(super) fn allow(&self, action: Action, stream: Option<&StreamName>) -> Result<(), String> {
        if self.may(Deed::Admin) {
            return Ok(());
        }
        let (deed, word) = match action {
            Action::Publish => (Deed::Publish, "publish"),
            Action::Watch => (Deed::Watch, "watch"),
            Action::Admin => return Err("it is not an administrator's".into()),
        };
        if !self.may(deed) {
            return Err(format!("it does not let {word}"));
        }
        match stream {
            Some(stream) if !self.names(stream) => Err(format!("it is not for {stream}")),
            Some(_) | None => Ok(()),
        }
    }

    /// Whose it is and which it is, as far as it says, for the log of what administrators do.
    pub(super) fn holder(&self) -> Option<String> {
        let named = [("sub", &self.sub), ("jti", &self.jti)];
        let words = named.into_iter().filter_map(|(key, name)| {
            let name = name.as_ref()?.chars().filter(|c| !c.is_control()).take(MAX_NAME);
            Some(format!("{key}={}", name.collect::<String>()))
        });
        let words: Vec<_> = words.collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// How long it is valid from a time since 1970; a century at most, as clocks have an end.
    pub(super) fn left(&self, now: Duration) -> Duration {
        Duration::from_secs(self.exp).saturating_sub(now).min(CENTURY)
    }

    fn may(&self, deed: Deed) -> bool {
        self.action.iter().any(|own| *own == deed)
    }

    fn names(&self, stream: &StreamName) -> bool {
        let matches = |pattern: &String| {
            pattern.parse::<Pattern>().is_ok_and(|pattern| pattern.matches(stream.as_str()))
        };
        self.stream.as_ref().is_some_and(|streams| streams.iter().any(matches))
    }
}

const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// How much of a name is logged.
const MAX_NAME: usize = 64;

// === impl OneOrMany ===

impl<T> OneOrMany<T> {
    fn iter(&self) -> impl Iterator<Item = &T> {
        match self {
            Self::One(one) => std::slice::from_ref(one).iter(),
            Self::Many(many) => many.iter(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(json: &str) -> Claims {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_token_is_for_its_actions_on_its_streams() {
        let rows = [
            (r#"{"exp":1,"action":"watch","stream":"show"}"#, [true, false, false, false]),
            (r#"{"exp":1,"action":"watch","stream":"s*"}"#, [true, false, true, false]),
            (
                r#"{"exp":1,"action":["watch","publish"],"stream":["a","show"]}"#,
                [true, true, false, false],
            ),
            (r#"{"exp":1,"action":"publish","stream":"show"}"#, [false, true, false, false]),
            (r#"{"exp":1,"action":"watch"}"#, [false; 4]),
            (r#"{"exp":1,"action":"watch","stream":"no spaces"}"#, [false; 4]),
            (r#"{"exp":1,"action":"admin"}"#, [true; 4]),
        ];
        let (show, other) = ("show".parse().unwrap(), "side".parse().unwrap());
        for (json, want) in rows {
            let claims = claims(json);
            let got = [
                claims.allow(Action::Watch, Some(&show)).is_ok(),
                claims.allow(Action::Publish, Some(&show)).is_ok(),
                claims.allow(Action::Watch, Some(&other)).is_ok(),
                claims.allow(Action::Admin, None).is_ok(),
            ];
            assert_eq!(got, want, "{json}");
        }
    }

    #[test]
    fn a_token_without_a_sensible_end_is_valid_for_no_longer_than_clocks_can_tell() {
        let now = Duration::from_secs(1_800_000_000);
        let left = |exp: u64| claims(&format!(r#"{{"exp":{exp},"action":"admin"}}"#)).left(now);
        assert_eq!(left(1_800_000_060), Duration::from_secs(60));
        assert_eq!(left(1_799_999_999), Duration::ZERO);
        assert!(std::time::Instant::now().checked_add(left(u64::MAX)).is_some());
    }

    #[test]
    fn an_action_that_is_unknown_and_a_token_without_an_end_are_nothing() {
        for json in [
            r#"{"exp":1,"action":"dance","stream":"a"}"#,
            r#"{"action":"watch","stream":"a"}"#,
            r#"{"exp":1,"stream":"a"}"#,
            r#"{"exp":-1,"action":"watch","stream":"a"}"#,
        ] {
            assert!(serde_json::from_str::<Claims>(json).is_err(), "{json}");
        }
    }
}
