//! Tests that transcode real media with the system's GStreamer.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "transcode/audio.rs"]
mod audio;

#[path = "transcode/media.rs"]
mod media;
