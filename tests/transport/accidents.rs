//! Tests of publishers that fall silent or fail, and of who may have their names meanwhile.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use whitewater_core::media::Kind;
use whitewater_core::rtc::CloseReason;

use crate::support::camera::{Camera, Style};
use crate::support::http::As;
use crate::support::peer::{Ask, Do, Peer, missing};
use crate::support::{Server, http, offers};

/// Posts an offer and tells the status and, where it is there, `Retry-After`.
async fn try_to_publish(server: &Server, stream: &str, who: As<'_>) -> (u16, Option<u64>) {
    let endpoint = format!("/whip/{stream}");
    let response = http::post(server, &endpoint, &offers::publish_simulcast(), who).await;
    let retry = response.headers().get("retry-after").map(|it| it.to_str().unwrap().to_owned());
    let status = response.status();
    if status != StatusCode::CREATED {
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "application/problem+json");
    }
    (status.as_u16(), retry.map(|seconds| seconds.parse().unwrap()))
}

async fn until_live(server: &Server, stream: &str, live: bool, limit: Duration) -> Duration {
    let began = Instant::now();
    while http::api(server, &format!("streams/{stream}")).await["live"] != live {
        assert!(began.elapsed() < limit, "{stream} does not become live: {live}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    began.elapsed()
}

fn fall_silent(peer: &Peer) {
    peer.order(Do::Lose(Box::new(|_, _| true)));
}

fn go_on(peer: &Peer) {
    peer.order(Do::Lose(Box::new(|_, _| false)));
}

#[tokio::test]
async fn a_silent_publisher_s_name_is_its_own_until_its_window_ends() {
    let server = Server::start().await;
    let one = Ask { token: Some("one".into()), ..Ask::default() };
    let first = Peer::publish(&server, "a", &one).await.connected().await;
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&first, Style::default());
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 60).await;

    let nobody = As::default();
    let same = As { token: Some("one"), ..nobody };
    let other = As { token: Some("two"), ..nobody };
    let stale = format!("/whip/a/{}", "x".repeat(24));
    let stale = As { replaces: Some(&stale), ..nobody };
    for who in [nobody, same, other, stale] {
        let refused = try_to_publish(&server, "a", who).await;
        assert_eq!(refused, (409, None), "W17: it is there: {who:?}");
    }

    fall_silent(&first);
    let waited = until_live(&server, "a", false, Duration::from_secs(9)).await;
    assert!(waited > Duration::from_millis(2500), "it is lost after {waited:?}");
    for who in [nobody, other, stale] {
        let (status, retry) = try_to_publish(&server, "a", who).await;
        assert_eq!(status, 409, "W17: it may come back: {who:?}");
        assert!(retry.is_some_and(|seconds| (1..=7).contains(&seconds)), "{retry:?}");
    }
    assert!(http::is_alive(&first.session.url).await, "its session waits for it");

    let before = viewer.log(|log| log.count(Kind::Video));
    go_on(&first);
    until_live(&server, "a", true, Duration::from_secs(3)).await;
    viewer.until("it goes on", 5, |log| log.count(Kind::Video) > before + 60).await;
    assert_eq!(try_to_publish(&server, "a", nobody).await, (409, None), "W17: it is back");

    fall_silent(&first);
    until_live(&server, "a", false, Duration::from_secs(9)).await;
    viewer.forget();
    let second = Peer::publish(&server, "a", &Ask { ssrc: 5000, ..one }).await;
    drop(camera);
    assert!(!http::is_alive(&first.session.url).await, "the silent session is gone");
    let second = second.connected().await;
    let camera = Camera::start(&second, Style { start: 99, ..Style::default() });
    viewer.until("the second picture arrives", 5, |log| log.count(Kind::Video) > 60).await;
    drop(camera);
    for kind in [Kind::Audio, Kind::Video] {
        assert_eq!(missing(&viewer.log(|log| log.of(kind))), [0; 0], "{kind} lacks nothing");
    }
    assert_eq!(viewer.log(|log| log.byes.len()), 0, "nobody said goodbye");
    assert!(http::is_alive(&viewer.session.url).await);
}

#[tokio::test]
async fn a_silent_publisher_ends_with_its_window_and_the_name_is_free() {
    let server = Server::with_config("[[streams]]\nmatch = \"*\"\nreconnect_window_s = 4\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 30).await;
    fall_silent(&publisher);
    let silent = Instant::now();
    viewer.until("it is over", 12, |log| log.closed.is_some()).await;
    let waited = silent.elapsed();
    assert!(waited > Duration::from_millis(3900), "{waited:?}");
    assert!(!viewer.log(|log| log.byes.is_empty()), "viewers are told");
    assert!(http::is_gone_within(&publisher.session.url, Duration::from_secs(2)).await);
    assert!(http::api(&server, "streams/a").await.is_null(), "the stream is gone");
    for count in ["sessions", "streams", "addresses"] {
        assert_eq!(http::sum(&server, count).await, 0, "{count} that are left");
    }
    assert_eq!(try_to_publish(&server, "a", As::default()).await, (201, None));
}

#[tokio::test]
async fn a_publisher_whose_connection_fails_keeps_its_name_and_one_that_leaves_does_not() {
    let server = Server::start().await;
    let spoiled = Ask { spoil: true, token: Some("one".into()), ..Ask::default() };
    for who in [|old: &str| (Some(old.to_owned()), None), |_: &str| (None, Some("one".to_owned()))]
    {
        let failed = Peer::publish(&server, "a", &spoiled).await;
        assert!(http::is_gone_within(&failed.session.url, Duration::from_secs(5)).await);
        let (status, retry) = try_to_publish(&server, "a", As::default()).await;
        assert_eq!(status, 409, "W17: its client may come back");
        assert!(retry.is_some_and(|seconds| (1..=10).contains(&seconds)), "{retry:?}");
        let (replaces, token) = who(&failed.session.path);
        let ask = Ask { replaces, token, ..Ask::default() };
        let second = Peer::publish(&server, "a", &ask).await.connected().await;
        assert_eq!(http::delete(&second.session.url).await, 200);
        // Anybody may have it now, also who comes back.
        let third = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
        third.order(Do::Close);
        assert!(http::is_gone_within(&third.session.url, Duration::from_secs(5)).await);
        let replaces = Some(third.session.path.clone());
        let ask = Ask { replaces, ..Ask::default() };
        let fourth = Peer::publish(&server, "a", &ask).await;
        assert_eq!(http::delete(&fourth.session.url).await, 200);
    }
}

#[tokio::test]
async fn a_lost_answer_does_not_lock_its_publisher_out() {
    let server = Server::start().await;
    let first = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let old = As { replaces: Some(&first.session.path), token: None };
    // The client never learns of these and names the session that it knows.
    for _ in 0..3 {
        assert_eq!(try_to_publish(&server, "a", old).await, (201, None), "W17");
    }
    let replaces = Some(first.session.path.clone());
    let second = Peer::publish(&server, "a", &Ask { replaces, ..Ask::default() }).await;
    let second = second.connected().await;
    until_live(&server, "a", true, Duration::from_secs(2)).await;
    // Once it is connected it knows its own session, and the older name is worth nothing.
    assert_eq!(try_to_publish(&server, "a", old).await, (409, None), "W17");
    assert!(http::is_alive(&second.session.url).await);
    assert_eq!(http::sum(&server, "sessions").await, 1);
}

#[tokio::test]
async fn a_stream_that_may_be_taken_over_goes_to_whoever_comes() {
    let server = Server::with_config("[[streams]]\nmatch = \"open-*\"\ntakeover = true\n").await;
    let first = Peer::publish(&server, "open-a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(&server, "open-a", &Ask::default()).await.connected().await;
    let old = Camera::start(&first, Style::default());
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 60).await;

    let second = Peer::publish(&server, "open-a", &Ask { ssrc: 5000, ..Ask::default() }).await;
    assert!(!http::is_alive(&first.session.url).await, "the present session ends at once");
    first.until("the old publisher is told", 2, |log| log.closed.is_some()).await;
    assert_eq!(first.log(|log| log.closed.clone()), Some(CloseReason::PeerClosed));
    drop(old);
    let second = second.connected().await;
    viewer.forget();
    let _camera = Camera::start(&second, Style { start: 99, ..Style::default() });
    viewer.until("the second picture arrives", 5, |log| log.count(Kind::Video) > 60).await;
    assert_eq!(viewer.log(|log| log.byes.len()), 0, "nobody said goodbye");

    // Two that reconnect by themselves do not take it from each other for ever.
    let returning = As { replaces: Some(&first.session.path), token: None };
    assert_eq!(try_to_publish(&server, "open-a", returning).await, (409, None));
    // Other names are nobody's to take.
    Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    assert_eq!(try_to_publish(&server, "a", As::default()).await, (409, None));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_want_a_name_at_once_one_gets_it() {
    let server = std::sync::Arc::new(Server::start().await);
    for round in 0..10 {
        let stream = format!("race-{round}");
        let race = |old: Option<String>| {
            let posts = (0..8).map(|_| {
                let (server, stream, old) = (server.clone(), stream.clone(), old.clone());
                tokio::spawn(async move {
                    let who = As { replaces: old.as_deref(), token: None };
                    let (endpoint, offer) =
                        (format!("/whip/{stream}"), offers::publish_simulcast());
                    let response = http::post(&server, &endpoint, &offer, who).await;
                    let location = response.headers().get("location");
                    let location = location.map(|path| path.to_str().unwrap().to_owned());
                    (response.status().as_u16(), location)
                })
            });
            let posts: Vec<_> = posts.collect();
            async {
                let mut opened = Vec::new();
                for post in posts {
                    let (status, location) = post.await.unwrap();
                    assert!(matches!(status, 201 | 409), "{status}");
                    opened.extend(location);
                }
                opened
            }
        };
        let first = race(None).await;
        assert_eq!(first.len(), 1, "a free name has one winner");
        // Each that names the old session may have it, one after another; the last one stays.
        let again = race(first.first().cloned()).await;
        assert!(!again.is_empty());
        let mut alive = 0;
        for path in first.iter().chain(&again) {
            alive += usize::from(http::is_alive(&server.url(path)).await);
        }
        assert_eq!(alive, 1, "{first:?}, {again:?}");
        assert_eq!(http::sum(&server, "sessions").await, round + 1);
        assert_eq!(http::sum(&server, "streams").await, round + 1);
    }
}
