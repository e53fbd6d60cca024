//! A layer that finds out who asks where proxies stand between.
//!
//! A proxy that is trusted says in `X-Forwarded-For` whom it speaks for. Anybody can write that header, so
//! it is read from its end, and no further than to the first address that is no such proxy. `Forwarded`
//! (RFC 7239) is not read: a proxy that does not write it passes on what a client wrote.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;

/// Which proxies are believed.
pub type Trusted = Arc<dyn Fn() -> Vec<IpNet> + Send + Sync>;

/// What the layer knows.
#[derive(Clone)]
pub(super) struct Proxies {
    trusted: Trusted,
    warned: Arc<AtomicBool>,
}

// === impl Proxies ===

impl Proxies {
    pub(super) fn new(trusted: Trusted) -> Self {
        Self { trusted, warned: Arc::default() }
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
        && request.headers().contains_key(FORWARDED_FOR)
    {
        let trusted = (proxies.trusted)();
        let client = behind(peer.ip(), request.headers(), &trusted);
        if client != peer.ip().to_canonical() {
            request.extensions_mut().insert(ConnectInfo(SocketAddr::new(client, 0)));
        } else if !is_trusted(client, &trusted) && !proxies.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                "requests come with X-Forwarded-For from an address that is not in trusted_proxies: \
                 whoever is behind it counts as one client"
            );
        }
    }
    next.run(request).await
}

/// Who is behind a peer.
fn behind(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    // The last of several header lines is the latest, as the last of each is.
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let named = lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(','));
    for name in named {
        let (true, Some(address)) = (is_trusted(client, trusted), address(name)) else { break };
        client = address;
    }
    client
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// An address, with or without a port, as proxies write it.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let bare = bare.parse::<IpAddr>().ok();
    let address = bare.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(address.to_canonical())
}

const FORWARDED_FOR: &str = "x-forwarded-for";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_only_where_it_is_trusted() {
        let trusted: Vec<IpNet> =
            ["10.0.0.0/8", "::1/128"].iter().map(|text| text.parse().unwrap()).collect();
        let rows: [(&str, &[&str], &str); 13] = [
            ("192.0.2.1", &[], "192.0.2.1"),
            ("192.0.2.1", &["203.0.113.9"], "192.0.2.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("::1", &["2001:db8::7"], "2001:db8::7"),
            ("10.0.0.1", &["203.0.113.9:4711"], "203.0.113.9"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            // What a client wrote itself stands before what the proxy added.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["1.1.1.1", "203.0.113.9"], "203.0.113.9"),
            // Two proxies in a row.
            ("10.0.0.1", &["1.1.1.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            // Who is behind nonsense cannot be told.
            ("10.0.0.1", &["203.0.113.9, unknown"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ];
        for (peer, lines, client) in rows {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, line.parse().unwrap());
            }
            let found = behind(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found.to_string(), client, "{peer} {lines:?}");
        }
    }
}
