//! A rule that says what a request may do: everything.

use crate::control::{Action, Grant, Side, StreamName};

/// The permission under which a request on one side of a stream runs.
pub(crate) fn grant(side: Side, stream: &StreamName) -> Grant {
    let action = match side {
        Side::Publish => Action::Publish,
        Side::Watch => Action::Watch,
    };
    Grant { action, stream: stream.clone(), expires_in: None }
}
