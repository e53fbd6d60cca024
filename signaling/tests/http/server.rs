//! A server on loopback with the fake port, and a client for it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::net::TcpListener;
use whitewater_signaling::{Config, router};

use crate::fake::Fake;

/// What a client posts.
pub(crate) const OFFER: &str = "v=0\r\nan offer\r\n";

/// The server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) fake: Arc<Fake>,
    pub(crate) client: Client,
}

// === impl Server ===

impl Server {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::with_others(config, Router::new()).await
    }

    /// Merges routes of others with ours.
    pub(crate) async fn with_others(config: Config, others: Router) -> Self {
        let fake = Arc::new(Fake::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = others
            .merge(router(config, fake.clone(), Arc::new(whitewater_signaling::auth::Everybody)))
            .into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, fake, client: Client::new() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub(crate) async fn send(&self, method: Method, path: &str) -> Response {
        self.request(method, path).send().await.unwrap()
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path).header("Content-Type", "application/sdp").body(OFFER)
    }

    /// Opens a session and gives its path.
    pub(crate) async fn open(&self, path: &str) -> String {
        let response = self.post(path).send().await.unwrap();
        assert_eq!(response.status(), 201, "opening {path}");
        header(&response, "location").to_owned()
    }

    /// Publishes a stream, watches it and gives both sessions' paths.
    pub(crate) async fn open_both(&self, stream: &str) -> [String; 2] {
        let whip = self.open(&format!("/whip/{stream}")).await;
        [whip, self.open(&format!("/whep/{stream}")).await]
    }

    pub(crate) fn patch(&self, path: &str) -> RequestBuilder {
        self.request(Method::PATCH, path).header("Content-Type", "application/trickle-ice-sdpfrag")
    }
}

/// A header's value; the empty text if it is not there.
pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// Checks that a response is a problem of this status, with every member.
pub(crate) async fn assert_problem(response: Response, status: u16, item: &str) {
    assert_eq!(response.status(), status, "{item}: status");
    assert_eq!(header(&response, "content-type"), "application/problem+json", "{item}: W13 type");
    assert_eq!(header(&response, "access-control-allow-origin"), "*", "{item}: W8 origin");
    let body: serde_json::Value = response.json().await.unwrap();
    assert_eq!(body["status"], status, "{item}: W13 status member");
    for member in ["type", "title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{item}: W13 {member}");
    }
}
