//! Congestion: how much of a stream a viewer's network carries.
//!
//! A [`Path`] reads it from feedback; an [`Allocator`] decides by that. Neither sees a packet that is
//! sent, and neither knows what a layer is: `shard/` names the steps that there are to choose from.

pub mod allocator;

pub mod path;

pub use allocator::{Allocator, Change, Overload, Step};
pub use path::{Path, Sign};
