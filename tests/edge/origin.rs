//! An origin that is served twice from one store: to a cache, counted, and to witnesses.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use whitewater::origin::{self, Doors, Hooks, Limits, OpenDoors, Store, Wanted};
use whitewater_signaling::control::StreamName;

pub(crate) struct Origin {
    pub(crate) store: Store,
    /// Where the cache asks.
    pub(crate) counted: SocketAddr,
    /// Where witnesses ask.
    pub(crate) direct: SocketAddr,
    counts: Counts,
    tasks: Vec<JoinHandle<()>>,
}

type Counts = Arc<Mutex<HashMap<String, usize>>>;

// === impl Origin ===

impl Origin {
    pub(crate) async fn serve() -> Self {
        Self::serve_with(not_live, OpenDoors).await
    }

    pub(crate) async fn serve_with(hooks: impl Hooks, doors: impl Doors) -> Self {
        let store = Store::new(Limits::default());
        let counts = Counts::default();
        let counter = Arc::clone(&counts);
        let counting = middleware::from_fn(move |request: Request, next: Next| {
            let name = request.uri().to_string();
            *counter.lock().unwrap().entry(name).or_default() += 1;
            next.run(request)
        });
        let router = origin::router(store.clone(), hooks, doors);
        let (counted, one) = listen(router.clone().layer(counting)).await;
        let (direct, other) = listen(router).await;
        Self { store, counted, direct, counts, tasks: vec![one, other] }
    }

    /// How often each address was asked for on behalf of the cache.
    pub(crate) fn counts(&self) -> HashMap<String, usize> {
        self.counts.lock().unwrap().clone()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Nobody publishes anything that is not in the store.
pub(crate) async fn not_live(_: StreamName) -> Wanted {
    std::future::ready(Wanted::NotLive).await
}

pub(crate) async fn listen(router: Router) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (address, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }))
}
