//! A transcoder that turns frames of one codec into frames of another, where players need it.
//!
//! GStreamer decodes, scales and encodes, and does nothing else: it sees whole frames, and time is
//! counted here. Each transcoder has threads of its own; it is fed without waiting, and what it makes
//! comes out of a callback. Its plugins are the system's own.

pub mod audio;

pub mod video;

mod clock;

mod needs;

mod pipeline;

mod weave;

use std::io;

pub use needs::{Lack, lacks};

/// Why a transcoder does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// GStreamer itself does not start.
    #[error("GStreamer does not start: {0}")]
    Init(gstreamer::glib::Error),
    /// A plugin is not installed.
    #[error("GStreamer lacks {element}: install the Debian package {package}")]
    Missing {
        /// What was looked for, "or" between what would do.
        element: &'static str,
        /// Which package has it.
        package: &'static str,
    },
    /// A pipeline cannot be made.
    #[error("a pipeline cannot be made: {0}")]
    Pipeline(String),
    /// No thread is to be had.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] io::Error),
}
