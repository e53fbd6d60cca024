//! Tests of a cache before the origin: Varnish as `deploy/varnish` sets it up, and a crowd of players.

#![allow(clippy::unwrap_used)]

mod edge {
    mod crowd;
    mod feed;
    mod headers;
    mod origin;
    mod others;
    mod varnish;
}
