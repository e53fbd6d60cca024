//! The deciding half of Whitewater.
//!
//! Everything here is a pure state machine: no clock, socket, file, thread or runtime. Time comes in
//! as `Instant` arguments, randomness as seeds, bytes as datagrams; what goes out is polled. The root
//! package owns sockets and cores and drives these machines.

pub mod media;

pub mod rtc;

pub mod hub;

pub mod congestion;

pub mod forward;

pub mod shard;

pub mod assemble;

pub mod package;

pub mod playlist;

pub mod bridge;
