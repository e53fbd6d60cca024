//! Tests of the HTTP half over loopback, with a fake port behind it.

#![allow(clippy::unwrap_used)]

mod api;
mod beacon;
mod cors;
mod document;
mod endpoint;
mod events;
mod fake;
mod follow;
mod layer;
mod limits;
mod server;
mod session;
mod told;
