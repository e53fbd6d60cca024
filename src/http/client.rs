//! A layer that finds out who asks where proxies stand between.
//!
//! A proxy that is trusted says in `X-Forwarded-For` or in `Forwarded` (RFC 7239) whom it speaks for.
//! Anybody can write these headers, so they are read from their end, and no further than to the first
//! address that is no such proxy. **`Forwarded` is read only where there is no `X-Forwarded-For`:** most
//! proxies write the latter, and pass on whatever a client wrote into the former.

mod forwarded;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;

use super::shares::{Allowance, Allowed};

/// What the layer knows.
#[derive(Clone)]
pub(super) struct Proxies {
    allowance: Allowance,
    warned: Arc<AtomicBool>,
}

// === impl Proxies ===

impl Proxies {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self { allowance, warned: Arc::default() }
    }
}

/// Puts the address of the client in the place of its proxy's.
pub(super) async fn find(
    State(proxies): State<Proxies>,
    mut request: Request,
    next: Next,
) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().copied();
    if let Some(ConnectInfo(peer)) = peer
        && [FORWARDED_FOR, FORWARDED].iter().any(|name| request.headers().contains_key(*name))
    {
        let allowed = (proxies.allowance)();
        let client = behind(peer.ip(), request.headers(), &allowed);
        if client != peer.ip().to_canonical() {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, 0)));
        } else if !allowed.trusts(client) && !proxies.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests come with X-Forwarded-For or Forwarded from an address that is not in \
                 trusted_proxies: whoever is behind it counts as one client"
            );
        }
    }
    next.run(request).await
}

/// Who is behind a peer.
fn behind(peer: IpAddr, headers: &HeaderMap, allowed: &Allowed) -> IpAddr {
    // The last of several header lines is the latest, as the last of each is.
    let lines = |name| headers.get_all(name).iter().rev().map(|line| line.as_bytes());
    if headers.contains_key(FORWARDED_FOR) {
        // Split as bytes: what a client wrote need not be text for what a proxy added to be some.
        let names = lines(FORWARDED_FOR).flat_map(|line| line.rsplit(|byte| *byte == b','));
        first_stranger(peer, names.map(address), allowed)
    } else {
        let nodes = lines(FORWARDED).flat_map(forwarded::from_last);
        first_stranger(peer, nodes, allowed)
    }
}

/// The first address on the way from a peer that is no trusted proxy; or the last that can be told.
fn first_stranger(
    peer: IpAddr,
    named: impl Iterator<Item = Option<IpAddr>>,
    allowed: &Allowed,
) -> IpAddr {
    let mut client = peer.to_canonical();
    for address in named {
        let (true, Some(address)) = (allowed.trusts(client), address) else { break };
        client = address;
    }
    client
}

/// An address, with or without a port, as proxies write it.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bare = bare.parse::<IpAddr>().ok();
    let address = bare.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED: &str = "forwarded";

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn found(peer: &str, lines: &[(&'static str, &[u8])]) -> String {
        let trusted = ["10.0.0.0/8", "::1/128"].map(|text| text.parse().unwrap());
        let allowed = Allowed { trusted: trusted.into(), ..Allowed::default() };
        let mut headers = HeaderMap::new();
        for (name, line) in lines {
            headers.append(*name, HeaderValue::from_bytes(line).unwrap());
        }
        behind(peer.parse().unwrap(), &headers, &allowed).to_string()
    }

    #[test]
    fn a_proxy_is_believed_only_where_it_is_trusted() {
        let rows: [(&str, &[&[u8]], &str); 14] = [
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &[b"203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &[b"203.0.113.9"], "203.0.113.9"),
            ("::1", &[b"2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &[b"203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &[b"[2001:db8::7]:4711"], "2001:db8::7"),
            // What a client wrote itself stands before what the proxy added.
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"1.1.1.1", b"203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &[b"\xff, 203.0.113.9"], "203.0.113.9"),
            // Two proxies in a row.
            ("10.0.0.1", &[b"1.1.1.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            // Who is behind nonsense cannot be told.
            ("10.0.0.1", &[b"203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[b""], "10.0.0.1"),
        ];
        for (peer, lines, client) in rows {
            let lines: Vec<_> = lines.iter().map(|line| (FORWARDED_FOR, *line)).collect();
            assert_eq!(found(peer, &lines), client, "{peer} {lines:?}");
        }
    }

    #[test]
    fn forwarded_is_believed_likewise_and_only_where_it_is_alone() {
        let other = (FORWARDED_FOR, &b"203.0.113.9"[..]);
        type Row<'a> = (&'a str, &'a [(&'static str, &'static [u8])], &'a str);
        let rows: [Row<'_>; 7] = [
            ("192.0.2.1", &[(FORWARDED, b"for=203.0.113.7")], "192.0.2.1"),
            ("10.0.0.1", &[(FORWARDED, b"for=203.0.113.7")], "203.0.113.7"),
            ("10.0.0.1", &[(FORWARDED, b"for=1.1.1.1, for=203.0.113.7")], "203.0.113.7"),
            (
                "10.0.0.1",
                &[(FORWARDED, b"for=203.0.113.7"), (FORWARDED, b"for=10.9.9.9")],
                "203.0.113.7",
            ),
            ("10.0.0.1", &[(FORWARDED, b"for=203.0.113.7, for=unknown")], "10.0.0.1"),
            ("10.0.0.1", &[(FORWARDED, b"for=203.0.113.7"), other], "203.0.113.9"),
            ("10.0.0.1", &[(FORWARDED, b"for=203.0.113.7"), (FORWARDED_FOR, b"?")], "10.0.0.1"),
        ];
        for (peer, lines, client) in rows {
            assert_eq!(found(peer, lines), client, "{peer} {lines:?}");
        }
    }
}
