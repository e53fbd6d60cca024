//! Tests of the negotiation with the offers of real clients.

mod kit;
mod publish;
