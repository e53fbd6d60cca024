//! Tests of the API's events of several streams over one connection.

use std::sync::Arc;

use reqwest::Method;
use serde_json::json;
use whitewater_signaling::control::{
    Facts, Happening, LayerInfo, Noted, Occurred, Refusal, Topic, TrackInfo,
};

use crate::server::{Server, assert_problem, header};
use crate::told::Told;

#[tokio::test]
async fn events_carry_the_name_of_their_stream() {
    let server = Server::start().await;
    let response = server.send(Method::GET, "/api/v1/events?stream=a&stream=b&stream=a").await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "text/event-stream");
    assert_eq!(header(&response, "cache-control"), "no-store");
    assert_eq!(header(&response, "x-accel-buffering"), "no");
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    assert_eq!(server.fake.followed(), (vec!["a".into(), "b".into()], false));
    let mut told = Told::new(response);
    assert_eq!(told.block().await.unwrap().retry, "2000");

    let layer = LayerInfo { rid: Some("h".into()), active: true, ..LayerInfo::default() };
    let track = TrackInfo { mid: "1".into(), layers: vec![layer], ..TrackInfo::default() };
    let tracks: Arc<[TrackInfo]> = Arc::new([track]);
    let rows = [
        ("a", Happening::Active, "active", json!({ "stream": "a" })),
        ("b", Happening::Lost, "lost", json!({ "stream": "b" })),
        ("b", Happening::Inactive, "inactive", json!({ "stream": "b" })),
        ("a", Happening::Reconnect, "reconnect", json!({ "stream": "a" })),
        ("a", Happening::Viewers(3), "viewercount", json!({ "stream": "a", "viewercount": 3 })),
        (
            "b",
            Happening::HlsViewers(9),
            "hlsviewercount",
            json!({ "stream": "b", "hlsviewercount": 9 }),
        ),
        (
            "b",
            Happening::DashViewers(4),
            "dashviewercount",
            json!({ "stream": "b", "dashviewercount": 4 }),
        ),
        (
            "a",
            Happening::Layers(tracks.clone()),
            "layers",
            json!({ "stream": "a", "tracks": &tracks[..] }),
        ),
    ];
    for (stream, what, event, data) in rows {
        server.fake.tell(stream, what);
        assert_eq!(told.event().await.unwrap(), (event.to_owned(), data));
    }
    server.fake.end_followers();
    assert_eq!(told.event().await, None, "it ends when nothing will come any more");
}

#[tokio::test]
async fn a_star_is_whatever_is_live() {
    let server = Server::start().await;
    for (query, names) in [("stream=*", vec![]), ("stream=a&stream=*&stream=*", vec!["a".into()])] {
        let response = server.send(Method::GET, &format!("/api/v1/events?{query}")).await;
        assert_eq!(response.status(), 200, "{query}");
        assert_eq!(server.fake.followed(), (names, true), "{query}");
    }
    let response = server.send(Method::GET, "/api/v1/events?stream=a*").await;
    assert_problem(response, 400, "no pattern").await;
}

#[tokio::test]
async fn a_type_asks_for_the_events_of_webhooks() {
    let server = Server::start().await;
    let note = |id: &str, stream: &str, topic| {
        let facts = Facts::of(stream.parse().unwrap());
        let at = std::time::UNIX_EPOCH;
        server.fake.note(&Noted::Occurred(Occurred { id: id.into(), at, topic, facts }));
    };
    let open = async |query: &str| {
        let response = server.send(Method::GET, &format!("/api/v1/events?{query}")).await;
        assert_eq!(response.status(), 200, "{query}");
        let mut told = Told::new(response);
        assert_eq!(told.block().await.unwrap().retry, "2000");
        told
    };
    let mut all = open("type=*").await;
    let mut some = open("type=stream.ended&type=publisher.lost&stream=b").await;
    note("evt_1", "a", Topic::StreamStarted);
    note("evt_2", "a", Topic::StreamEnded);
    note("evt_3", "b", Topic::ViewerJoined);
    note("evt_4", "b", Topic::StreamEnded);
    server.fake.note(&Noted::Missed(7));
    let body = |kind: &str, stream: &str| json!({ "type": kind, "timestamp": "1970-01-01T00:00:00.000Z", "data": { "stream": stream } });
    for (kind, stream) in [
        ("stream.started", "a"),
        ("stream.ended", "a"),
        ("viewer.joined", "b"),
        ("stream.ended", "b"),
    ] {
        assert_eq!(all.event().await.unwrap(), (kind.to_owned(), body(kind, stream)));
    }
    assert_eq!(all.event().await.unwrap(), ("missed".to_owned(), json!({ "count": 7 })));
    let ended = ("stream.ended".to_owned(), body("stream.ended", "b"));
    assert_eq!(some.event().await.unwrap(), ended, "of the other stream nothing is told");
    assert_eq!(some.event().await.unwrap().0, "missed");
    server.fake.end_followers();
    assert_eq!(all.event().await, None);
    for query in ["type=", "type=stream", "type=stream.started&stream=.x"] {
        let response = server.send(Method::GET, &format!("/api/v1/events?{query}")).await;
        assert_problem(response, 400, query).await;
    }
}

#[tokio::test]
async fn a_query_must_name_streams() {
    let server = Server::start().await;
    let many: String = (0..65).map(|number| format!("&stream=s{number}")).collect();
    for query in ["", "?", "?stream=.bad", "?stream=a&x=1", "?stream=", &format!("?x{many}")] {
        let response = server.send(Method::GET, &format!("/api/v1/events{query}")).await;
        assert_problem(response, 400, query).await;
    }
    let most = many.trim_start_matches('&').rsplit_once('&').unwrap().0;
    let response = server.send(Method::GET, &format!("/api/v1/events?{most}")).await;
    assert_eq!(response.status(), 200, "64 streams");
    server.fake.refuse(Refusal::Full("full".into()));
    let response = server.send(Method::GET, "/api/v1/events?stream=a").await;
    assert_problem(response, 503, "a full server").await;
}

#[tokio::test]
async fn a_reader_that_goes_away_is_let_go() {
    let server = Server::start().await;
    let response = server.send(Method::GET, "/api/v1/events?stream=a").await;
    assert_eq!(server.fake.followers(), 1);
    drop(response);
    for _ in 0..1_000 {
        if server.fake.followers() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the follower outlives its connection");
}
