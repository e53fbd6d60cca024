//! The packet world in virtual time: shards, publishers and viewers over a network that misbehaves.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::wildcard_enum_match_arm,
    dead_code,
    unreachable_pub
)]

mod accidents;
mod agreed;
mod anything;
mod disconnect;
mod garbage;
mod gop;
mod ledger;
mod network;
mod networks;
mod parts;
mod picture;
mod publisher;
mod random;
mod redundancy;
mod reports;
mod scalable;
mod sessions;
mod streams;
mod tap;
mod timeline;
mod viewer;
mod world;
