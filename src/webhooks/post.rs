//! A client that posts one event over HTTP.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::config::Webhook;

/// What is posted.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: String,
    pub(super) timestamp_s: u64,
    pub(super) signature: String,
    pub(super) body: Bytes,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// When to come again.
    pub(super) retry_after: Option<Duration>,
}

/// Whoever posts.
pub(super) trait Post: Send + Sync + 'static {
    /// Posts it once; an error is a sentence.
    fn post(&self, request: Request) -> impl Future<Output = Result<Answer, String>> + Send;
}

/// Posts to a webhook's URL. It follows no redirects: who signs for one address tells no other.
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
}

// === impl Client ===

impl Client {
    pub(super) fn new(webhook: &Webhook) -> reqwest::Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(webhook.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("whitewater/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { http, url: webhook.url.clone() })
    }
}

impl Post for Client {
    async fn post(&self, request: Request) -> Result<Answer, String> {
        let sent = self
            .http
            .post(&self.url)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", request.id)
            .header("webhook-timestamp", request.timestamp_s)
            .header("webhook-signature", request.signature)
            .body(request.body)
            .send()
            .await;
        let answer = sent.map_err(|error| why(&error))?;
        let later = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = later.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        Ok(Answer { status: answer.status().as_u16(), retry_after })
    }
}

/// What went wrong, without the URL, which may be secret.
fn why(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "it does not answer in time".into();
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    format!("it cannot be reached: {cause}")
}
