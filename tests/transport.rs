//! Tests of what happens on the wire between real sockets, with our own client on the other side.

#![allow(clippy::unwrap_used)]

mod support;

mod transport {
    mod accidents;
    mod comeback;
    mod drain;
    mod garbage;
    mod handshake;
    mod media;
    mod memory;
    mod paths;
    mod strangers;
    mod tcp;
}
