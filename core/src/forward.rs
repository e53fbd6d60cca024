//! Forwarding: what one viewer gets of one track, packet by packet.
//!
//! A forwarder reads a track through the [`Layers`] view, decides, and rewrites. It holds a cursor
//! into the rings and never touches the shared packets.

pub mod forwarder;

pub mod gaps;

mod left;

pub mod munger;

pub mod selector;

pub mod sent;

pub mod target;

pub use forwarder::{Forwarder, Layers, Need, Planned, Wish};
pub use gaps::Gaps;
pub use munger::{Munger, Rewrite};
pub use selector::{Parts, Selector, Verdict};
pub use sent::{Sent, SentMap};
pub use target::{Rung, Target};
