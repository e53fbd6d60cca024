//! A delivery: an event that a webhook is sent, as the API shows it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of one event for one webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryInfo {
    /// The event's name, as `webhook-id` of its requests has it.
    pub id: String,
    /// The kind of event.
    pub r#type: String,
    /// The stream.
    pub stream: String,
    /// The webhook's name; its URL may be secret.
    pub webhook: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// How often it was sent.
    pub tries: u32,
    /// The status of the last answer, where there was one.
    pub status: Option<u16>,
    /// What went wrong last, in a sentence.
    pub error: Option<String>,
    /// Milliseconds that the last try took.
    pub took_ms: Option<u64>,
    /// When the event happened (RFC 3339).
    pub occurred_at: String,
    /// When that was over, well or not (RFC 3339).
    pub finished_at: Option<String>,
}

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// It waits for its first or its next try.
    Waiting,
    /// The webhook took it.
    Delivered,
    /// The webhook did not take it in time, or answered that it never will.
    GivenUp,
    /// Too many waited.
    Dropped,
}
