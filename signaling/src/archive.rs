//! The port to recordings: what is recorded, started, stopped and deleted.

use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::auth::Sight;
use crate::control::StreamName;

/// What an archive answers, in its time.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, NoArchive>> + Send + 'a>>;

/// What knows the recordings.
pub trait Archive: Send + Sync + 'static {
    /// A page of recordings, the newest first, of streams that are seen.
    fn list(&self, which: WhichRecordings, sight: Sight) -> Result<RecordingPage, NoArchive>;

    /// One of them.
    fn show(&self, id: &str) -> Result<RecordingInfo, NoArchive>;

    /// Deletes one.
    fn delete(&self, id: String) -> Reply<'_, ()>;

    /// Records a stream from now on. Gives the recording, once it has begun.
    fn start(&self, stream: StreamName) -> Reply<'_, Option<RecordingInfo>>;

    /// Records a stream no more.
    fn stop(&self, stream: StreamName) -> Result<(), NoArchive>;
}

/// Which recordings are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhichRecordings {
    /// Of this stream only.
    pub stream: Option<StreamName>,
    /// Those after this one in the order of the list: older ones.
    pub after: Option<String>,
    /// Those that began at this time or later.
    pub from: Option<SystemTime>,
    /// Those that began before this time.
    pub until: Option<SystemTime>,
    /// So many at most.
    pub limit: usize,
}

/// A page of recordings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordingPage {
    /// The recordings, the newest first.
    pub items: Vec<RecordingInfo>,
    /// What `after` has to be for those that follow; nothing where there are none.
    pub next: Option<String>,
}

/// A recording as the API shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordingInfo {
    /// Its name, which no other recording has.
    pub id: String,
    /// Its stream.
    pub stream: String,
    /// `recording` while it goes on, `ready` once it has ended, `failed` where it could not go on.
    pub state: String,
    /// When it began (RFC 3339).
    pub began: String,
    /// When it ended (RFC 3339).
    pub ended: Option<String>,
    /// Seconds that it lasts.
    pub duration_s: f64,
    /// Bytes of its media.
    pub bytes: u64,
    /// Why it could not go on.
    pub error: Option<String>,
    /// What there is to choose from.
    pub renditions: Vec<RecordedRendition>,
    /// Its playlist for HLS.
    pub hls: String,
    /// Its manifest for DASH.
    pub dash: String,
    /// All of it as one MP4.
    pub download: String,
}

/// A rendition of a recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecordedRendition {
    /// Its name.
    pub name: String,
    /// `audio` or `video`.
    pub kind: String,
    /// The codec as RFC 6381 writes it.
    pub codecs: String,
    /// Pixels of a picture.
    pub width: Option<u32>,
    /// Pixels of a picture.
    pub height: Option<u32>,
}

/// Why an archive did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoArchive {
    /// There is no such recording.
    #[error("there is no such recording")]
    Missing,
    /// It goes on.
    #[error("it is still being recorded: stop that first")]
    Going,
    /// Nobody publishes the stream.
    #[error("nobody publishes this stream at the moment")]
    NotLive,
    /// Nothing is recorded here.
    #[error("recording is off on this server (recording.enabled)")]
    Off,
    /// The store does not answer.
    #[error("the store of recordings does not answer")]
    Store,
}
