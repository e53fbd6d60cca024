//! The SDP fragment (RFC 8840) that answers an ICE restart.

use std::net::SocketAddr;

use super::Credentials;
use super::write::{push_candidates, push_line};
use crate::media::{Kind, Mid};

/// The body of a restart's answer: our new credentials and all candidates, with the same `ice-lite`
/// and `ice-options` as the session's SDP answer.
pub fn ice_fragment(
    ice: &Credentials,
    candidates: &[SocketAddr],
    tcp: bool,
    (tagged_mid, kind): &(Mid, Kind),
) -> String {
    let mut text = String::with_capacity(512);
    push_line(&mut text, format_args!("a=ice-lite"));
    push_line(&mut text, format_args!("a=ice-options:trickle"));
    push_line(&mut text, format_args!("m={kind} 9 UDP/TLS/RTP/SAVPF 0"));
    push_line(&mut text, format_args!("a=mid:{tagged_mid}"));
    push_line(&mut text, format_args!("a=ice-ufrag:{}", ice.ufrag));
    push_line(&mut text, format_args!("a=ice-pwd:{}", ice.pwd));
    push_candidates(&mut text, candidates, tcp);
    text
}
