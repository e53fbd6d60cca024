//! Tests of the HLS origin over real HTTP, fed by hand.

#![allow(clippy::unwrap_used)]

mod origin {
    mod crowd;
    mod dash;
    mod hostile;
    mod index;
    mod kit;
    mod media;
    mod playlists;
}
