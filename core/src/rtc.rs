//! One WebRTC connection: what it agreed on, and how its datagrams are read and written.

pub mod sdp;

pub mod section;

pub mod transport;

pub use section::{AgreedFormat, Section};
pub use transport::{Protocol, Transport};
