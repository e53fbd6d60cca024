//! Tests of publishers that leave and come back while viewers wait.

use std::time::{Duration, Instant};

use whitewater_core::media::Kind;
use whitewater_core::rtc::CloseReason;

use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Do, Peer, Rtp, missing};
use crate::support::{Server, http};

/// Checks that a track runs on where the publisher changed: the pause between is real.
fn assert_runs_on(received: &[Rtp], kind: Kind, hz: u32) {
    assert_eq!(missing(received), [0; 0], "sequence numbers of {kind} run on");
    assert!(received.iter().all(|packet| packet.ssrc == received[0].ssrc), "{kind}: one SSRC");
    for pair in received.windows(2) {
        let ticks = pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
        assert!(ticks >= 0, "{kind}: {ticks} ticks");
        let media_ms = i64::from(ticks) * 1000 / i64::from(hz);
        let passed_ms = (pair[1].at - pair[0].at).as_millis() as i64;
        assert!((media_ms - passed_ms).abs() < 400, "{kind}: {media_ms} ms in {passed_ms} ms");
    }
}

#[tokio::test]
async fn viewers_go_on_where_they_were_when_their_publisher_comes_back() {
    let server = Server::start().await;
    let first = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&first, Style::default());
    viewer.until("the first picture arrives", 5, |log| log.count(Kind::Video) > 60).await;
    first.order(Do::Close);
    drop(camera);
    assert!(http::is_gone_within(&first.session.url, Duration::from_secs(2)).await);
    assert_eq!(http::api(&server, "streams/a").await["live"], false);
    tokio::time::sleep(Duration::from_secs(2)).await;

    let before = viewer.log(|log| log.count(Kind::Video));
    let ask = Ask { ssrc: 5000, ..Ask::default() };
    let second = Peer::publish(&server, "a", &ask).await.connected().await;
    let camera = Camera::start(&second, Style { start: 12_345, ..Style::default() });
    viewer.until("the second picture arrives", 5, |log| log.count(Kind::Video) > before + 60).await;
    drop(camera);
    for (kind, hz) in [(Kind::Audio, 48_000), (Kind::Video, 90_000)] {
        assert_runs_on(&viewer.log(|log| log.of(kind)), kind, hz);
    }
    assert_eq!(viewer.log(|log| log.byes.len()), 0, "nobody said goodbye");
}

#[tokio::test]
async fn a_publisher_that_names_its_old_session_takes_its_place_at_once() {
    let server = Server::start().await;
    let first = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let old = Camera::start(&first, Style::default());
    viewer.until("the first picture arrives", 5, |log| log.count(Kind::Video) > 60).await;

    let replaces = Some(first.session.path.clone());
    let ask = Ask { ssrc: 5000, replaces, ..Ask::default() };
    let second = Peer::publish(&server, "a", &ask).await;
    assert!(!http::is_alive(&first.session.url).await, "the old session is gone");
    let second = second.connected().await;
    first.until("the old publisher is told", 2, |log| log.closed.is_some()).await;
    assert_eq!(first.log(|log| log.closed.clone()), Some(CloseReason::PeerClosed));
    drop(old);
    let before = viewer.log(|log| log.count(Kind::Video));
    let camera = Camera::start(&second, Style { start: 99, ..Style::default() });
    viewer.until("the second picture arrives", 5, |log| log.count(Kind::Video) > before + 60).await;
    drop(camera);
    for (kind, hz) in [(Kind::Audio, 48_000), (Kind::Video, 90_000)] {
        assert_runs_on(&viewer.log(|log| log.of(kind)), kind, hz);
    }
}

#[tokio::test]
async fn viewers_outlive_their_publisher_by_ten_seconds_and_are_told_when_it_is_over() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 30).await;
    drop(camera);
    assert_eq!(http::delete(&publisher.session.url).await, 200);
    let lost = Instant::now();
    tokio::time::sleep(Duration::from_millis(9_000)).await;
    assert!(http::is_alive(&viewer.session.url).await, "viewers wait");
    assert_eq!(viewer.log(|log| log.closed.clone()), None);

    viewer.until("it is over", 5, |log| log.closed.is_some()).await;
    let waited = lost.elapsed();
    assert!(waited < Duration::from_secs(12), "{waited:?}");
    assert_eq!(viewer.log(|log| log.closed.clone()), Some(CloseReason::PeerClosed));
    let byes = viewer.log(|log| log.byes.clone());
    for kind in [Kind::Audio, Kind::Video] {
        let ssrc = viewer.section(kind).ssrc.unwrap();
        assert!(byes.contains(&ssrc), "the {kind} says goodbye: {byes:?}");
    }
    assert!(!http::is_alive(&viewer.session.url).await, "the viewer's session is gone");
    assert!(http::api(&server, "streams/a").await.is_null(), "the stream is gone");
    let sessions = http::sum(&server, "sessions").await;
    let streams = http::sum(&server, "streams").await;
    assert_eq!((sessions, streams), (0, 0), "sessions and streams that are left");
}
