//! Assembling: what one layer's packets make, frame by frame.
//!
//! An [`Assembler`] takes the packets in the order of their arrival and puts out whole frames in the
//! order they were sent in. What is missing is waited for, then given up: **nothing comes out that
//! lacks a packet of its own, or that follows a loss without a keyframe between.** It sees one
//! layer; to put layers and tracks on one timeline is its caller's task.

pub mod assembler;

pub mod depacketize;

pub mod reorder;

pub use assembler::{Assembled, Assembler, Totals, Why};
