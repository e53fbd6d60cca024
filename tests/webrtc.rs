//! Tests of sessions with an independent implementation of WebRTC on the other side.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};

use support::camera::{Camera, Style};
use support::foreign::{Foreign, Manner};
use support::peer::{Ask, Do, Peer, missing};
use support::{Server, http};
use whitewater_core::media::{Codec, Kind};

/// A publisher that sends and a viewer that gets it.
async fn publisher_and_viewer(server: &Server) -> (Foreign, Foreign) {
    let mut publisher = Foreign::publish(server, "a", Manner::default()).await;
    publisher.shoot();
    let viewer = Foreign::watch(server, "a", Manner::default()).await;
    viewer.receives(10).await;
    (publisher, viewer)
}

/// The longest time between two packets of a track.
fn longest_gap(viewer: &Foreign, kind: Kind) -> Duration {
    let packets = viewer.received(kind);
    packets.windows(2).map(|pair| pair[1].0 - pair[0].0).max().unwrap_or_default()
}

/// Whether the sequence numbers of a track are all there and in order.
fn is_contiguous(viewer: &Foreign, kind: Kind) -> bool {
    let packets = viewer.received(kind);
    let number = |at: usize| packets[at].1.header.sequence_number;
    (1..packets.len()).all(|at| number(at) == number(at - 1).wrapping_add(1))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_publisher_without_candidates_connects() {
    let server = Server::start().await;
    let manner = Manner { candidates: false, ..Manner::default() };
    let mut publisher = Foreign::publish(&server, "a", manner).await;
    publisher.shoot();
    let viewer = Foreign::watch(&server, "a", manner).await;
    viewer.receives(20).await;
    let live = &http::api(&server, "streams/a").await["live"];
    assert_eq!(live, true, "W30: the stream is live without a candidate of its publisher");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_arrives_as_it_was_sent() {
    let server = Server::start().await;
    for codec in [Codec::H264, Codec::Vp8, Codec::Vp9, Codec::Av1, Codec::H265] {
        let manner = Manner { codec, ..Manner::default() };
        let mut publisher = Foreign::publish(&server, codec.name(), manner).await;
        publisher.shoot();
        let viewer = Foreign::watch(&server, codec.name(), Manner::default()).await;
        viewer.receives(40).await;
        for kind in [Kind::Audio, Kind::Video] {
            let (sent, received) = (publisher.shots(kind), viewer.received(kind));
            let first = &received[0].1.payload;
            let from = sent.iter().position(|payload| payload == first).unwrap();
            for (sent, (_, received)) in sent[from..].iter().zip(&received) {
                assert_eq!(sent, &received.payload, "{kind} with {codec} is passed on unchanged");
            }
        }
        publisher.close().await;
        viewer.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_with_the_oldest_protection_alone_connects_in_both_roles() {
    let server = Server::start().await;
    for setup in ["actpass", "passive"] {
        let manner = Manner { setup, only_sha1: true, ..Manner::default() };
        let mut publisher = Foreign::publish(&server, setup, manner).await;
        publisher.shoot();
        let viewer = Foreign::watch(&server, setup, manner).await;
        viewer.receives(20).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ice_restart_keeps_the_media_going() {
    let server = Server::start().await;
    let (mut publisher, mut viewer) = publisher_and_viewer(&server).await;
    for (side, item) in [(&mut publisher, "W44"), (&mut viewer, "E12")] {
        let status = side.restart_ice().await;
        assert_eq!(status, 200, "W44, E12: the restart is done ({item})");
    }
    viewer.receives(100).await;
    for kind in [Kind::Audio, Kind::Video] {
        let gap = longest_gap(&viewer, kind);
        assert!(gap < Duration::from_millis(500), "W44, E12: {kind} pauses for {gap:?}");
    }
    for side in [&publisher, &viewer] {
        assert!(http::is_alive(&side.session.url).await, "W44, E12: the session lives");
    }
    for count in ["dropped_stranger", "dropped_handshake", "dropped_unauthentic"] {
        assert_eq!(http::sum(&server, count).await, 0, "W44, E12: {count}");
    }

    // That client sends nothing until its checks are answered; ours goes on by the old way.
    let publisher = Peer::publish(&server, "b", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "b", &Ask::default()).await.connected().await;
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 30).await;
    for peer in [&publisher, &viewer] {
        let (status, answer) = peer.restart_ice().await;
        assert_eq!(status, 200, "W44, E12: {answer}");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    drop(camera);
    for kind in [Kind::Audio, Kind::Video] {
        let received = viewer.log(|log| log.of(kind));
        assert!(received.len() > 60, "W44, E12: {} packets of {kind}", received.len());
        assert_eq!(missing(&received), [0; 0], "W44, E12: {kind} lacks nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_is_refused_keeps_the_media_going() {
    let server = Server::start().await;
    let (publisher, viewer) = publisher_and_viewer(&server).await;
    for side in [&publisher, &viewer] {
        let (status, ..) = http::patch(&side.session.url, "*", "Brandnew", "short").await;
        assert!(status.is_client_error(), "W46: {status}");
    }
    viewer.receives(50).await;
    for kind in [Kind::Audio, Kind::Video] {
        let gap = longest_gap(&viewer, kind);
        assert!(gap < Duration::from_millis(500), "W46: {kind} pauses for {gap:?}");
        assert!(is_contiguous(&viewer, kind), "W46: {kind} lacks nothing");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_session_falls_silent_at_once() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let viewer = Foreign::watch(&server, "a", Manner::default()).await;
    let deleted = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    deleted.until("the picture arrives", 5, |log| log.count(Kind::Video) > 10).await;
    viewer.receives(10).await;

    assert_eq!(http::delete(&deleted.session.url).await, 200, "E10: the viewer's DELETE");
    let at = Instant::now();
    deleted.until("close_notify arrives", 2, |log| log.closed.is_some()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = deleted.log(|log| log.heard.unwrap()).saturating_duration_since(at);
    assert!(after < Duration::from_millis(100), "E10: sent {after:?} after the DELETE");
    viewer.receives(10).await;

    assert_eq!(http::delete(&publisher.session.url).await, 200, "W50: the publisher's DELETE");
    let at = Instant::now();
    publisher.until("close_notify arrives", 2, |log| log.closed.is_some()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = viewer.received(Kind::Video).len();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = publisher.log(|log| log.heard.unwrap()).saturating_duration_since(at);
    assert!(after < Duration::from_millis(100), "W50: sent {after:?} after the DELETE");
    let more = viewer.received(Kind::Video).len() - before;
    assert_eq!(more, 0, "W50: nothing more is taken from the publisher");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_close_notify_ends_the_session_at_once() {
    let server = Server::start().await;
    let (publisher, viewer) = publisher_and_viewer(&server).await;
    for side in [&viewer, &publisher] {
        side.close().await;
        let gone = http::is_gone_within(&side.session.url, Duration::from_secs(2)).await;
        assert!(gone, "W52: {} ends with its close_notify", side.session.path);
    }
    let stream = http::api(&server, "streams/a").await;
    assert_eq!(stream["live"], false, "W52: the stream is not live");
    assert_eq!(stream["viewers"], 0, "W52: nobody watches");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_falls_silent_is_gone_after_thirty_seconds() {
    // Where the window is shorter, a publisher goes with its stream.
    let patience = "[[streams]]\nmatch = \"b\"\nreconnect_window_s = 60\n";
    let server = Server::with_config(patience).await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let lost = Peer::publish(&server, "b", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 10).await;
    for peer in [&lost, &viewer] {
        peer.order(Do::FallSilent);
    }
    let silent = Instant::now();
    assert_eq!(http::api(&server, "streams/a").await["viewers"], 1, "E20: the viewer counts");

    tokio::time::sleep(Duration::from_secs(24)).await;
    for peer in [&lost, &viewer] {
        assert!(http::is_alive(&peer.session.url).await, "W52: 24 s of silence are forgiven");
    }
    for peer in [&lost, &viewer] {
        let gone = http::is_gone_within(&peer.session.url, Duration::from_secs(8)).await;
        assert!(gone, "W52, E20: {} is kept after {:?}", peer.session.path, silent.elapsed());
    }
    let waited = silent.elapsed();
    assert!(waited < Duration::from_secs(33), "W52, E20: gone after {waited:?}");
    assert_eq!(http::api(&server, "streams/a").await["viewers"], 0, "E20: it counts no longer");
    assert_eq!(http::api(&server, "streams/b").await["live"], false, "W52: it is not live");
    assert!(http::is_alive(&publisher.session.url).await, "W52: who sends media stays");
}
