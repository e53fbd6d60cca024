//! Tests of clients whose network lets no UDP through, and who come over TCP.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use whitewater_core::media::{Codec, Kind};
use whitewater_core::rtc::CloseReason;

use crate::support::camera::{Camera, Style, payload};
use crate::support::http::{sum, tcp_candidates, value_of};
use crate::support::peer::{Ask, Do, Outgoing, Peer, missing};
use crate::support::{Server, http};

fn over_tcp() -> Ask {
    Ask { tcp: true, ..Ask::default() }
}

async fn picture_arrives(viewer: &Peer) {
    viewer.forget();
    viewer.until("the picture arrives", 20, |log| log.count(Kind::Video) > 20).await;
}

#[tokio::test]
async fn publishers_and_viewers_come_over_tcp_in_both_dtls_roles() {
    let server = Server::with_config("shards = 2\n").await;
    for setup in ["actpass", "passive"] {
        let ask = Ask { setup, ..over_tcp() };
        let publisher = Peer::publish(&server, setup, &ask).await.connected().await;
        let camera = Camera::start(&publisher, Style::default());
        let viewers = [
            Peer::watch(&server, setup, &ask).await.connected().await,
            Peer::watch(&server, setup, &ask).await.connected().await,
            Peer::watch(&server, setup, &Ask::default()).await.connected().await,
        ];
        for viewer in &viewers {
            viewer.until("the picture arrives", 10, |log| log.count(Kind::Video) > 100).await;
            for kind in [Kind::Audio, Kind::Video] {
                assert_eq!(missing(&viewer.log(|log| log.of(kind))), [0; 0], "{kind}");
            }
            let refused = viewer.log(|log| log.refused.clone());
            assert_eq!(refused, [], "offered {setup}");
        }
        drop(camera);
        assert_eq!(sum(&server, "tcp_connections").await, 3, "offered {setup}");
        for peer in [&publisher, &viewers[0], &viewers[1]] {
            http::delete(&peer.session.url).await;
        }
    }
}

#[tokio::test]
async fn answers_and_restarts_name_the_media_port_over_tcp_after_udp_unless_it_is_switched_off() {
    for (config, offered) in [("", true), ("tcp = false\n", false)] {
        let server = Server::with_config(config).await;
        let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
        let _camera = Camera::start(&publisher, Style::default());
        let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
        let (status, fragment) = viewer.restart_ice().await;
        assert_eq!(status, 200);
        for text in [&publisher.session.answer, &viewer.session.answer, &fragment] {
            let expected: &[SocketAddr] = if offered { &[server.udp_addr()] } else { &[] };
            assert_eq!(tcp_candidates(text), expected, "W29: {text}");
            let candidates: Vec<_> = text.lines().filter(|l| l.contains("a=candidate:")).collect();
            assert!(candidates[0].contains(" udp "), "{text}");
        }
        let connects = tokio::net::TcpStream::connect(server.udp_addr()).await.is_ok();
        assert_eq!(connects, offered);
    }
}

#[tokio::test]
async fn a_viewer_whose_connection_broke_goes_on_in_another() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "a", &over_tcp()).await.connected().await;
    picture_arrives(&viewer).await;
    for _ in 0..3 {
        viewer.order(Do::Rebind);
        picture_arrives(&viewer).await;
        assert_eq!(sum(&server, "tcp_connections").await, 1, "the old one is closed");
    }
    let (status, _) = viewer.restart_ice().await;
    assert_eq!(status, 200);
    picture_arrives(&viewer).await;
    assert!(http::is_alive(&viewer.session.url).await);
}

#[tokio::test]
async fn a_session_that_ends_says_goodbye_and_hangs_up() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &over_tcp()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "a", &over_tcp()).await.connected().await;
    let other = Peer::watch(&server, "a", &over_tcp()).await.connected().await;
    picture_arrives(&other).await;
    assert_eq!(http::delete(&viewer.session.url).await, 200);
    viewer.until("it is told", 5, |log| log.closed.is_some() && log.hung_up == 1).await;
    assert_eq!(viewer.log(|log| log.closed.clone()), Some(CloseReason::PeerClosed));
    assert_eq!(sum(&server, "tcp_connections").await, 2);
    picture_arrives(&other).await;

    server.stop().await;
    for peer in [&publisher, &other] {
        peer.until("it is told", 5, |log| log.closed.is_some() && log.hung_up == 1).await;
        assert_eq!(peer.log(|log| log.closed.clone()), Some(CloseReason::PeerClosed));
    }
}

#[tokio::test]
async fn a_viewer_over_udp_and_one_over_tcp_may_share_an_address() {
    let server = Server::with_config("udp = \"0.0.0.0:0\"\ninsecure_open = true\n").await;
    let port = server.udp_addr().port();
    let to = Some(SocketAddr::from(([127, 0, 0, 1], port)));
    let publisher = Peer::publish(&server, "a", &Ask { to, ..Ask::default() }).await;
    let publisher = publisher.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let ask = Ask { bind: "127.0.0.5:0".into(), to, ..Ask::default() };
    let udp = Peer::watch(&server, "a", &ask).await.connected().await;
    let candidate = value_of(&udp.offer, "a=candidate:").to_owned();
    let bind = format!("127.0.0.5:{}", candidate.split(' ').nth(5).unwrap());
    // The same once more, to another of the server's addresses.
    let elsewhere = Some(SocketAddr::from(([127, 0, 0, 2], port)));
    let mut viewers = vec![udp];
    for to in [to, elsewhere] {
        let ask = Ask { tcp: true, bind: bind.clone(), to, ..Ask::default() };
        viewers.push(Peer::watch(&server, "a", &ask).await.connected().await);
    }
    for viewer in &viewers {
        picture_arrives(viewer).await;
    }
    assert_eq!(sum(&server, "tcp_connections").await, 2);
    assert_eq!(http::delete(&viewers[1].session.url).await, 200);
    viewers[1].until("it is told", 5, |log| log.closed.is_some()).await;
    picture_arrives(&viewers[0]).await;
    picture_arrives(&viewers[2]).await;
}

#[tokio::test]
async fn media_over_tcp_flows_over_ipv6() {
    for (udp, ip) in [("[::1]:0", "::1"), ("[::]:0", "127.0.0.1"), ("[::]:0", "::1")] {
        let server = Server::with_config(&format!("udp = \"{udp}\"\ninsecure_open = true\n")).await;
        let to = SocketAddr::new(ip.parse().unwrap(), server.udp_addr().port());
        let bind = SocketAddr::new(ip.parse().unwrap(), 0).to_string();
        let ask = Ask { bind, to: Some(to), ..over_tcp() };
        let publisher = Peer::publish(&server, "a", &ask).await.connected().await;
        let _camera = Camera::start(&publisher, Style::default());
        let viewer = Peer::watch(&server, "a", &ask).await.connected().await;
        picture_arrives(&viewer).await;
    }
}

#[tokio::test]
async fn who_reads_too_slowly_loses_packets_and_delays_nobody() {
    let server = Server::with_config("shards = 1\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let asks = [over_tcp(), over_tcp(), Ask { nack: true, ..Ask::default() }];
    let mut viewers = Vec::new();
    for ask in asks {
        viewers.push(Peer::watch(&server, "a", &ask).await.connected().await);
    }
    let stream = tokio::spawn(stream(publisher.clone()));
    for viewer in &viewers {
        picture_arrives(viewer).await;
    }
    viewers[0].order(Do::StopReading(true));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while sum(&server, "dropped_full").await < 30 {
        assert!(tokio::time::Instant::now() < deadline, "its queue never fills");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for viewer in &viewers[1..] {
        // A busy system drops a datagram once in a while. Whoever were held up would miss some always.
        for left in (0..5).rev() {
            viewer.forget();
            viewer.until("others get on", 10, |log| log.count(Kind::Video) > 200).await;
            if viewer.log(|log| missing(&log.of(Kind::Video)).is_empty()) {
                break;
            }
            assert!(left > 0, "others miss packets time and again");
        }
    }
    assert!(http::is_alive(&viewers[0].session.url).await, "its session waits for it");

    // What it reads then is little, and what follows is fresh.
    viewers[0].order(Do::StopReading(false));
    picture_arrives(&viewers[0]).await;
    stream.abort();
}

#[tokio::test]
async fn who_reads_nothing_for_ten_seconds_is_hung_up_on_and_may_come_back() {
    let server = Server::with_config("shards = 1\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let stream = tokio::spawn(stream(publisher.clone()));
    let viewer = Peer::watch(&server, "a", &over_tcp()).await.connected().await;
    picture_arrives(&viewer).await;
    viewer.order(Do::StopReading(true));
    let deadline = tokio::time::Instant::now() + Duration::from_secs(25);
    while sum(&server, "tcp_connections").await > 0 {
        assert!(tokio::time::Instant::now() < deadline, "it is still connected");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    viewer.order(Do::Rebind);
    picture_arrives(&viewer).await;
    stream.abort();
}

#[tokio::test]
async fn a_port_that_is_taken_over_tcp_is_a_sentence_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let config = format!("udp = \"{address}\"\n");
    let error = Server::try_with_config(&config).err().expect("the port is taken").to_string();
    assert!(error.contains(&format!("{address} is taken over TCP")), "{error}");
    assert!(error.contains("--tcp false"), "{error}");
    let server = Server::try_with_config(&format!("{config}tcp = false\n")).unwrap();
    assert_eq!(server.udp_addr(), address);
}

/// Sends 3 Mbit/s of picture.
async fn stream(publisher: Peer) {
    const PACKETS: u32 = 8;
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for frame in 0_u32.. {
        tick.tick().await;
        for part in 0..PACKETS {
            let mut payload = payload(Codec::Vp8, frame % 10 == 0, part == 0, 0);
            payload.resize(1_000, 7);
            let seq = (frame * PACKETS + part) as u16;
            let timestamp = frame * 1_800;
            let marker = part == PACKETS - 1;
            let packet = Outgoing { marker, seq, timestamp, payload, ..Outgoing::default() };
            publisher.send(Kind::Video, 0, &packet);
        }
    }
}
