//! A library of recordings: it listens to what is packaged, writes what is wanted of it into a store,
//! and knows what there is.
//!
//! Live players read from memory, replays from here: the bytes are the same. [`Library`] decides what is
//! recorded, a `Recorder` writes one recording, [`index`] says how it lies in the store, `recovery.rs`
//! closes what a killed process left open, and `retention.rs` lets go of what is too old.

mod archive;
mod choice;
mod claim;
pub mod index;
mod layout;
mod library;
mod recorder;
mod recovery;
mod retention;
mod shelf;
#[cfg(test)]
pub(crate) mod tests;

pub use claim::{Claim, Claimed};
pub use layout::Layout;
pub use library::{Config, Keep, Library, LifeOf, NamesOf, Ready, Refused};
pub use shelf::{About, Extent, View, Which};
