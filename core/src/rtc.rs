//! One WebRTC connection: what it agreed on, and how its datagrams are read and written.

pub mod connection;

pub mod demux;

pub mod dtls;

pub mod ice;

pub mod sdp;

pub mod section;

pub mod srtp;

pub mod transport;

pub use connection::{CloseReason, Connection, Dropped};
pub use dtls::Identity;
pub use ice::{Credentials, IceRole};
pub use section::{AgreedFormat, Section};
pub use srtp::Profile;
pub use transport::{Origin, Protocol, Transport};
