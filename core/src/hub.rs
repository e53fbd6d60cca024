//! The hub: streams, their tracks and layers, and the packets that listeners read.
//!
//! It knows no protocol and no viewer. A track keeps one ring of packets per layer; whoever listens
//! holds a cursor into a ring.

pub mod keyframe;

pub mod layer;

pub mod ring;

pub mod timeline;

pub mod track;

pub use keyframe::{Arbiter, Habit};
pub use layer::{Layer, Offered};
pub use ring::Ring;
pub use timeline::{Anchor, PublisherClock};
pub use track::{LayerIx, Track};
