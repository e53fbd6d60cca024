//! Tests that transcode real media with the system's GStreamer.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

#[path = "transcode/audio.rs"]
mod audio;

#[path = "transcode/cost.rs"]
mod cost;

#[path = "transcode/media.rs"]
mod media;

#[path = "transcode/pictures.rs"]
mod pictures;

#[path = "transcode/robust.rs"]
mod robust;

#[path = "transcode/video.rs"]
mod video;
