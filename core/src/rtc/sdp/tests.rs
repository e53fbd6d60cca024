//! Tests of the negotiation with the offers of real clients.

mod client;
mod fuzz;
mod kit;
mod publish;
mod red;
mod watch;
