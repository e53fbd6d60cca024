//! A packager that turns the frames of one rendition into CMAF parts and segments.
//!
//! [`Segmenter`] decides where parts and segments begin and end; [`cmaf`] writes their bytes, and [`mod@file`]
//! puts them together again, to keep in one piece.

pub mod cmaf;

pub mod file;

pub mod segmenter;

mod grid;

mod target;

pub use segmenter::{Config, Counters, Exceeded, Segmenter, target_duration};
pub use target::part_target;
