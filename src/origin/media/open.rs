//! A segment that is not complete: its parts go out one after the other, each when it is there.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::time::timeout;
use whitewater_core::playlist::{Found, Name, Position};

use super::super::epoch::Epoch;
use super::super::rendition::Rendition;
use super::{BLOCKING_TARGETS, kind_of, patience};

/// Where a response is.
struct At {
    epoch: Arc<Epoch>,
    rendition: Name,
    next: Position,
}

/// Sends the parts that are there and those that come. The answer is the whole segment in the end, byte for
/// byte; if something of it never comes it breaks off, so that no cache keeps half of it.
pub(super) fn stream(epoch: Arc<Epoch>, rendition: &Rendition, msn: u64) -> Response {
    let at = At { epoch, rendition: rendition.name().clone(), next: Position { msn, part: 0 } };
    let age = (rendition.config().target_duration() * BLOCKING_TARGETS).as_secs();
    let kind = kind_of(rendition);
    let body = Body::from_stream(stream::try_unfold(at, |mut at| async move {
        let part = at.part().await?;
        at.next.part += 1;
        Ok::<_, io::Error>(part.map(|bytes| (bytes, at)))
    }));
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::try_from(format!("max-age={age}")).expect("digits")),
    ];
    (headers, body).into_response()
}

// === impl At ===

impl At {
    /// The next part; `None` behind the last one.
    async fn part(&self) -> io::Result<Option<Bytes>> {
        let broken = || io::Error::other("a part of the segment never came");
        let rendition = self.epoch.rendition(self.rendition.as_ref()).ok_or_else(broken)?;
        let mut changes = rendition.changes();
        let patience = patience(rendition.config().target_duration());
        loop {
            changes.borrow_and_update();
            match rendition.part(self.next).0 {
                Found::Part(bytes) => return Ok(Some(bytes)),
                Found::Hinted => {}
                // Complete, or gone.
                Found::Missing => match rendition.segment_parts(self.next.msn) {
                    Some(parts) if parts == self.next.part => return Ok(None),
                    Some(_) | None => return Err(broken()),
                },
            }
            match timeout(patience, changes.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return Err(broken()),
            }
        }
    }
}
