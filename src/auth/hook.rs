//! A hook that is asked over HTTP who may do what.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::future::Cache;
use reqwest::{StatusCode, header};
use serde::Serialize;
use tracing::warn;
use whitewater_signaling::auth::{Ask, Denied};
use whitewater_signaling::control::{Action, Identity};

use crate::config::shown_url;

/// Who is asked.
pub(super) struct Hook {
    url: String,
    /// The URL as it may be logged.
    shown: String,
    client: reqwest::Client,
    allows_when_down: bool,
    /// Answers that say how long they hold.
    known: Cache<Question, Answer>,
}

/// What is asked, as it is told apart.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    action: &'static str,
    stream: String,
    address: Option<IpAddr>,
    /// A digest of it.
    token: Option<[u8; 32]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Answer {
    allowed: bool,
    holds: Duration,
}

/// The body of the request.
#[derive(Serialize)]
struct Body<'a> {
    action: &'a str,
    stream: &'a str,
    address: Option<IpAddr>,
    token: Option<&'a str>,
}

struct AsLongAsSaid;

// === impl Hook ===

impl Hook {
    pub(super) fn new(
        url: String,
        timeout: Duration,
        allows_when_down: bool,
    ) -> reqwest::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        let known = Cache::builder().max_capacity(MAX_KNOWN).expire_after(AsLongAsSaid).build();
        Ok(Self { shown: shown_url(&url), url, client, allows_when_down, known })
    }

    /// Asks whether somebody may do something on a stream.
    pub(super) async fn ask(&self, ask: &Ask) -> Result<(), Denied> {
        let action = match ask.action {
            Action::Publish => "publish",
            Action::Watch => "watch",
            Action::Admin => "admin",
        };
        let stream = ask.stream.as_ref().map(|name| name.as_str()).unwrap_or_default();
        let question = Question {
            action,
            stream: stream.to_owned(),
            address: ask.client,
            token: ask.token.as_deref().map(|token| Identity::of_token(token).digest()),
        };
        let body = Body { action, stream, address: ask.client, token: ask.token.as_deref() };
        // Those who ask the same at the same time wait for one answer.
        let answer = self.known.try_get_with(question, self.send(&body)).await;
        match answer.map(|answer| answer.allowed) {
            Ok(true) => Ok(()),
            Ok(false) if ask.token.is_none() => Err(Denied::Missing),
            Ok(false) => Err(Denied::Insufficient("it does not let you do this".into())),
            Err(why) => {
                // Who may not even ask it does not become an administrator by keeping it from answering.
                let allowed = self.allows_when_down && ask.action != Action::Admin;
                warn!(url = self.shown, %why, allowed, "the authorization hook does not answer");
                if allowed { Ok(()) } else { Err(Denied::Unavailable) }
            }
        }
    }

    async fn send(&self, body: &Body<'_>) -> Result<Answer, String> {
        let sent = self.client.post(&self.url).json(body).send().await;
        let response = sent.map_err(|error| error.without_url().to_string())?;
        let status = response.status();
        let said =
            response.headers().get(header::CACHE_CONTROL).and_then(|value| value.to_str().ok());
        let holds = said.map(max_age).unwrap_or_default();
        match status {
            status if status.is_success() => Ok(Answer { allowed: true, holds }),
            StatusCode::TOO_MANY_REQUESTS => Err("it has too much to do".into()),
            status if status.is_client_error() => Ok(Answer { allowed: false, holds }),
            status => Err(format!("it answers {status}")),
        }
    }
}

impl Expiry<Question, Answer> for AsLongAsSaid {
    fn expire_after_create(&self, _: &Question, answer: &Answer, _: Instant) -> Option<Duration> {
        Some(answer.holds)
    }
}

/// For how long an answer may be kept (RFC 9111 section 5.2.2).
fn max_age(cache_control: &str) -> Duration {
    let mut seconds = 0;
    for directive in cache_control.split(',').map(str::trim) {
        if directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache")
        {
            return Duration::ZERO;
        }
        if let Some((name, value)) = directive.split_once('=')
            && name.eq_ignore_ascii_case("max-age")
        {
            seconds = value.trim_matches('"').parse().unwrap_or(0);
        }
    }
    Duration::from_secs(seconds).min(LONGEST)
}

const MAX_KNOWN: u64 = 100_000;
const LONGEST: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_as_long_as_they_say() {
        let rows = [
            ("max-age=30", 30),
            ("private, Max-Age=5", 5),
            ("no-store, max-age=5", 0),
            ("max-age=999999", 3_600),
            ("public", 0),
            ("max-age=x", 0),
        ];
        for (text, seconds) in rows {
            assert_eq!(max_age(text).as_secs(), seconds, "{text}");
        }
    }
}
