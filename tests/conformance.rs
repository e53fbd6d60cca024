//! Tests of what `docs/conformance.md` promises, over HTTP against a whole server.

#![allow(clippy::unwrap_used)]

mod support;

mod conformance {
    mod client;
    mod endpoint;
    mod events;
    mod follow;
    mod layers;
    mod limits;
    mod links;
    mod offers;
    mod publish_sdp;
    mod session;
    mod watch_sdp;
}
