//! Tests of how viewers choose a layer (WHEP layer selection extension).

use reqwest::{Method, Response};
use serde_json::json;
use whitewater_core::media::{Kind, Rid};

use super::client::{assert_problem, request, send};
use crate::support::Server;
use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Log, Peer};

/// The rids that are published, lowest first.
const RIDS: [&str; 3] = ["q", "h", "f"];

/// A server with a stream of three layers, and somebody who watches it.
struct Scene {
    server: Server,
    viewer: Peer,
    _publisher: Peer,
    _camera: Camera,
}

impl Scene {
    async fn start() -> Self {
        let server = Server::start().await;
        let ask = Ask { rids: RIDS.map(Rid::new).to_vec(), ..Ask::default() };
        let publisher = Peer::publish(&server, "a", &ask).await.connected().await;
        let camera = Camera::start(&publisher, Style { layers: 3, ..Style::default() });
        let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
        viewer.until("a picture", 5, |log| log.count(Kind::Video) > 30).await;
        Self { server, viewer, _publisher: publisher, _camera: camera }
    }

    fn path(&self) -> String {
        format!("{}/layer", self.viewer.session.path)
    }

    async fn choose(&self, body: &str) -> Response {
        let request = request(&self.server, Method::POST, &self.path());
        request
            .header("Content-Type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .unwrap()
    }

    /// Waits until a layer has come alone for a while.
    async fn shows(&self, rid: &str) {
        let what = format!("{rid} comes alone");
        self.viewer.until(&what, 5, |log| alone(log) == Some(rid)).await;
    }

    /// The layer that the server chose.
    async fn automatic(&self) -> &'static str {
        self.viewer.forget();
        self.viewer.until("one layer alone", 5, |log| alone(log).is_some()).await;
        self.viewer.log(|log| alone(log).unwrap())
    }
}

/// The layer that all of the last packets are of; a camera writes it into its payload.
fn alone(log: &Log) -> Option<&'static str> {
    let packets = log.of(Kind::Video);
    let last = packets.len().checked_sub(30)?;
    let mut layers = packets[last..].iter().map(|it| it.payload[it.payload.len() - 9]);
    let first = layers.next()?;
    layers.all(|layer| layer == first).then(|| RIDS[usize::from(first)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_gets_the_layer_that_it_chose() {
    let scene = Scene::start().await;
    let mid = scene.viewer.section(Kind::Video).mid.as_str().to_owned();
    for rid in ["q", "h", "f", "q"] {
        let choice = json!({ "mediaId": mid, "rid": rid }).to_string();
        assert_eq!(scene.choose(&choice).await.status(), 200, "E41: {choice}");
        scene.shows(rid).await;
    }
    let choice = json!({ "maxWidth": 640, "maxHeight": 480, "maxTemporalLayerId": 1 }).to_string();
    assert_eq!(scene.choose(&choice).await.status(), 200, "E41: bounds");
    for impossible in [r#"{"rid":"x"}"#, r#"{"spatialLayerId":1}"#, r#"{"temporalLayerId":7}"#] {
        assert_problem(scene.choose(impossible).await, &[422], "E41: no such layer").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_viewer_leaves_the_choice_to_the_server_again() {
    let scene = Scene::start().await;
    let mid = scene.viewer.section(Kind::Video).mid.as_str().to_owned();
    for back in [Some("{}".to_owned()), Some(json!({ "mediaId": mid }).to_string()), None] {
        let automatic = scene.automatic().await;
        let other = if automatic == "q" { "h" } else { "q" };
        let choice = json!({ "rid": other }).to_string();
        assert_eq!(scene.choose(&choice).await.status(), 200, "E41");
        scene.shows(other).await;
        let response = match &back {
            Some(body) => scene.choose(body).await,
            None => send(&scene.server, Method::DELETE, &scene.path()).await,
        };
        assert_eq!(response.status(), 200, "E42: {back:?}");
        scene.shows(automatic).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_choice_changes_nothing() {
    let scene = Scene::start().await;
    assert_eq!(scene.choose(r#"{"rid":"h"}"#).await.status(), 200, "E41");
    scene.shows("h").await;
    for (body, status) in [
        (r#"{"mediaId":"none","rid":"q"}"#, 422),
        (r#"{"rid":"none"}"#, 422),
        (r#"{"maxWidth":-1}"#, 422),
        ("{rid:q}", 400),
        ("q", 400),
        ("", 400),
    ] {
        assert_problem(scene.choose(body).await, &[status], "E43").await;
    }
    let untyped = request(&scene.server, Method::POST, &scene.path()).body(r#"{"rid":"q"}"#);
    assert_problem(untyped.send().await.unwrap(), &[415], "E43: another type").await;
    let nobody = request(&scene.server, Method::POST, "/whep/a/none/layer");
    let nobody = nobody.header("Content-Type", "application/json").body("{}");
    assert_problem(nobody.send().await.unwrap(), &[404], "E43: no session").await;
    scene.viewer.forget();
    scene.shows("h").await;
}
