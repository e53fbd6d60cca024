//! The HTTP half of Whitewater: WHIP, WHEP and the API, over a small control port.
//!
//! Handlers parse a request, ask the [`control::Control`] port and shape the answer. They know nothing
//! of sessions, shards or packets: a fake port is enough to test them.

pub mod control;
