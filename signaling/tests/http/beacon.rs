//! Tests of what players say of themselves.

use reqwest::Method;
use whitewater_signaling::control::{Heard, PlayerProtocol, Refusal};

use crate::server::{Server, assert_problem, header};

const BEACON: &str = r#"{"stream":"a","player":"k3Jd_8-qQ","protocol":"hls","stalls":2}"#;

#[tokio::test]
async fn a_player_is_heard_whatever_type_its_body_has() {
    let server = Server::start().await;
    for kind in ["text/plain;charset=UTF-8", "application/json"] {
        let request = server.request(Method::POST, "/api/v1/beacon");
        let response = request.header("Content-Type", kind).body(BEACON).send().await.unwrap();
        assert_eq!(response.status(), 204, "{kind}");
        assert_eq!(header(&response, "access-control-allow-origin"), "*");
    }
    let beacons = server.fake.beacons();
    assert_eq!(beacons.len(), 2);
    assert_eq!((beacons[0].protocol, beacons[0].stalls), (PlayerProtocol::Hls, 2));
    assert_eq!(beacons[0].stream.as_str(), "a");
}

#[tokio::test]
async fn what_is_no_beacon_is_refused() {
    let server = Server::start().await;
    let long = BEACON.replace("k3Jd_8-qQ", &"k".repeat(1_024));
    for (body, status) in [("", 400), ("{}", 400), (&long, 413)] {
        let request = server.request(Method::POST, "/api/v1/beacon").body(body.to_owned());
        assert_problem(request.send().await.unwrap(), status, body).await;
    }
    assert_eq!(server.fake.beacons(), []);
    let send =
        async || server.request(Method::POST, "/api/v1/beacon").body(BEACON).send().await.unwrap();
    server.fake.hear_as(Heard::TooSoon);
    assert_eq!(send().await.status(), 204);
    server.fake.hear_as(Heard::TooMany);
    assert_problem(send().await, 503, "too many").await;
    server.fake.refuse(Refusal::NotLive("a".parse().unwrap()));
    assert_problem(send().await, 404, "not live").await;
}
