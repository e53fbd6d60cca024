//! The HTTP half of Whitewater: WHIP, WHEP and the API, over a small control port.
//!
//! Handlers parse a request, ask the [`control::Control`] port and shape the answer. They know nothing
//! of sessions, shards or packets: a fake port is enough to test them. [`router()`] never binds.

mod api;
pub mod archive;
mod audit;
pub mod auth;
mod beacon;
mod config;
pub mod control;
mod cors;
mod endpoint;
mod etag;
mod events;
mod follow;
pub mod fragment;
mod ice;
mod identity;
mod limit;
mod location;
mod operator;
mod problem;
pub mod rate;
mod router;
mod session;
mod sse;
mod time;
mod whep;
mod whip;

pub use config::{Config, IceServer, InvalidConfig};
pub use operator::{Operator, Reloaded};
pub use router::{Switch, router, router_and_switch};
