//! A patience that holds a request until what it asks for is there, with one deadline.

use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

/// What became of a held request.
pub(super) enum Held<T> {
    /// It can be answered.
    Ready(T),
    /// Nothing came in time.
    Late,
    /// As many are held as may be.
    TooMany,
}

/// Asks `check` about what a rendition shows now, and again whenever that changes.
pub(super) async fn hold<S: Copy, T>(
    mut changes: watch::Receiver<S>,
    held: &Semaphore,
    limit: Duration,
    mut check: impl FnMut(S) -> Option<T>,
) -> Held<T> {
    let shown = *changes.borrow_and_update();
    if let Some(ready) = check(shown) {
        return Held::Ready(ready);
    }
    let Ok(_permit) = held.try_acquire() else { return Held::TooMany };
    let deadline = Instant::now() + limit;
    while let Ok(Ok(())) = timeout_at(deadline, changes.changed()).await {
        let shown = *changes.borrow_and_update();
        if let Some(ready) = check(shown) {
            return Held::Ready(ready);
        }
    }
    Held::Late
}
