//! The port's refusals. What they are over HTTP is up to `problem.rs`.

use super::StreamName;

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
