//! A count of what each network has open at the same time, so that none takes everything.
//!
//! It counts connections, and requests that have no answer yet: of those many fit into one connection of
//! HTTP/2, and players' requests are held until what they ask for is there.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ipnet::IpNet;
use whitewater_signaling::rate::Network;

/// What holds at present for one client.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Proxies, which are many clients and not counted.
    pub trusted: Vec<IpNet>,
    /// Connections at once; 0 is no limit.
    pub connections: u32,
    /// Requests at once that have no answer yet; 0 is no limit.
    pub requests: u32,
}

/// What holds, as it changes.
pub type Allowance = Arc<dyn Fn() -> Allowed + Send + Sync>;

/// What each network has open.
#[derive(Clone, Debug, Default)]
pub(super) struct Shares(Arc<Mutex<HashMap<Network, u32>>>);

/// One thing that is open, until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    all: Shares,
    network: Network,
}

/// What the layer knows.
#[derive(Clone)]
pub(super) struct Requests {
    allowance: Allowance,
    open: Shares,
}

// === impl Allowed ===

impl Allowed {
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted.iter().any(|network| network.contains(&address))
    }
}

// === impl Shares ===

impl Shares {
    /// One more, unless `most` are open.
    pub(super) fn take(&self, network: Network, most: u32) -> Option<Share> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(network).or_insert(0);
        // Whoever is at its limit has an entry already.
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share { all: self.clone(), network })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = open.get_mut(&self.network) else { return };
        *count -= 1;
        if *count == 0 {
            open.remove(&self.network);
        }
    }
}

// === impl Requests ===

impl Requests {
    pub(super) fn new(allowance: Allowance) -> Self {
        Self { allowance, open: Shares::default() }
    }
}

/// Answers a client that waits for too many answers already with 429.
pub(super) async fn limit(
    State(requests): State<Requests>,
    request: Request,
    next: Next,
) -> Response {
    let client = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let client = client.map(|ConnectInfo(client)| client.ip());
    let allowed = (requests.allowance)();
    let counted = client.filter(|client| allowed.requests > 0 && !allowed.trusts(*client));
    let Some(client) = counted else { return next.run(request).await };
    match requests.open.take(Network::of(client), allowed.requests) {
        Some(_share) => next.run(request).await,
        None => too_many(),
    }
}

/// An error as RFC 9457 has it.
fn too_many() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/problem+json"),
        (header::CACHE_CONTROL, "no-store"),
        (header::RETRY_AFTER, "1"),
    ];
    (StatusCode::TOO_MANY_REQUESTS, headers, TOO_MANY).into_response()
}

const TOO_MANY: &str = r#"{"type":"about:blank","title":"Too Many Requests","status":429,"detail":"too many requests of this address wait for their answers"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse().unwrap())
    }

    #[test]
    fn one_network_takes_its_share_and_leaves_the_others_theirs() {
        let shares = Shares::default();
        let mut taken: Vec<_> = (0..3).map(|_| shares.take(network("192.0.2.1"), 3)).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(shares.take(network("192.0.2.1"), 3).is_none());
        assert!(shares.take(network("::ffff:192.0.2.1"), 3).is_none(), "the same by another name");
        assert!(shares.take(network("192.0.2.2"), 3).is_some());
        taken.pop();
        let again = shares.take(network("192.0.2.1"), 3);
        assert!(again.is_some() && shares.take(network("192.0.2.1"), 3).is_none());
        drop((taken, again));
        assert!(shares.0.lock().unwrap().is_empty(), "who has nothing open is forgotten");
        // One customer has a /64 of IPv6.
        let _first = shares.take(network("2001:db8::1"), 1).unwrap();
        assert!(shares.take(network("2001:db8::2"), 1).is_none());
        assert!(shares.take(network("2001:db8:0:1::2"), 1).is_some());
    }

    #[tokio::test]
    async fn who_waits_for_too_many_answers_is_told_so_and_nobody_else_is() {
        use axum::{Router, body::Body, middleware, routing::get};
        use tower::ServiceExt;

        let (go, gone) = tokio::sync::watch::channel(false);
        let held = move || {
            let mut gone = gone.clone();
            async move { gone.wait_for(|gone| *gone).await.map(drop).map_err(|_| StatusCode::GONE) }
        };
        let trusted = vec!["10.0.0.0/8".parse().unwrap()];
        let allowance: Allowance =
            Arc::new(move || Allowed { trusted: trusted.clone(), connections: 0, requests: 2 });
        let requests = Requests::new(allowance);
        let router = Router::new()
            .route("/held", get(held))
            .layer(middleware::from_fn_with_state(requests.clone(), limit));
        let ask = |client: &str| {
            let mut request = Request::get("/held").body(Body::empty()).unwrap();
            let client = SocketAddr::new(client.parse().unwrap(), 1);
            request.extensions_mut().insert(ConnectInfo(client));
            let answer = router.clone().oneshot(request);
            tokio::spawn(async move { answer.await.unwrap().status().as_u16() })
        };
        let others: Vec<_> =
            ["192.0.2.1", "192.0.2.1", "192.0.2.2", "10.0.0.1", "10.0.0.1", "10.0.0.1"]
                .map(&ask)
                .into();
        while requests.open.0.lock().unwrap().values().sum::<u32>() < 3 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ask("192.0.2.1").await.unwrap(), 429);
        go.send(true).unwrap();
        for one in others {
            assert_eq!(one.await.unwrap(), 200);
        }
        assert_eq!(ask("192.0.2.1").await.unwrap(), 200, "what was answered counts no more");
    }
}
