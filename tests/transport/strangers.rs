//! Tests of who connects to the media port over TCP and is no client.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use whitewater_core::media::Kind;

use super::garbage::check;
use crate::support::camera::{Camera, Style};
use crate::support::http::{sum, value_of};
use crate::support::peer::wire::framed;
use crate::support::peer::{Ask, Peer, missing};
use crate::support::{Server, http};

async fn connect(from: [u8; 4], to: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    socket.connect(to).await.unwrap()
}

/// Waits until the other side has closed the connection; says how long that took.
async fn closed(stream: &mut TcpStream) -> Duration {
    let began = Instant::now();
    let mut buffer = [0; 1_024];
    let ended = async { while matches!(stream.read(&mut buffer).await, Ok(len) if len > 0) {} };
    tokio::time::timeout(Duration::from_secs(20), ended).await.expect("it is closed");
    began.elapsed()
}

#[tokio::test]
async fn who_is_no_client_is_hung_up_on_at_once() {
    let server = Server::with_config("shards = 2\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "a", &Ask { tcp: true, ..Ask::default() }).await;
    let viewer = viewer.connected().await;
    viewer.until("the picture arrives", 10, |log| log.count(Kind::Video) > 20).await;
    let mut lot = fastrand::Rng::with_seed(4);
    let ufrag = value_of(&viewer.session.answer, "a=ice-ufrag:").to_owned();
    let mut answer = check(&ufrag, &mut lot);
    answer[0] = 1;
    let rows: Vec<(&str, Vec<u8>)> = vec![
        ("an HTTP request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("a TLS handshake", [&[0x16, 3, 1, 2, 0, 1][..], &[0; 600]].concat()),
        ("a frame that is too long", vec![0x08, 0x01]),
        ("a check for a shard that there is not", framed(&check("zzzz", &mut lot))),
        ("a check without a shard", framed(&check("-zzz", &mut lot))),
        ("an answer that nobody waits for", framed(&answer)),
        ("sound", framed(&[0x80; 100])),
        ("DTLS", framed(&[22; 100])),
        ("half a check", framed(&check(&ufrag, &mut lot)[..30])),
        ("one byte", framed(&[0])),
    ];
    for (what, bytes) in rows {
        let mut stream = connect([127, 0, 0, 1], server.udp_addr()).await;
        // The server may have closed it before all is written.
        let _ = stream.write_all(&bytes).await;
        let took = closed(&mut stream).await;
        assert!(took < Duration::from_secs(3), "{what}: {took:?}");
    }
    for _ in 0..100 {
        let mut stream = connect([127, 0, 0, 1], server.udp_addr()).await;
        let junk: Vec<u8> = (0..lot.usize(3_000..9_000)).map(|_| lot.u8(..)).collect();
        let _ = stream.write_all(&junk).await;
        let _ = stream.shutdown().await;
        closed(&mut stream).await;
    }
    drop(camera);
    assert_eq!(missing(&viewer.log(|log| log.of(Kind::Video))), [0; 0]);
    assert_eq!(sum(&server, "tcp_connections").await, 1);
    assert!(http::is_alive(&viewer.session.url).await);
}

#[tokio::test]
async fn who_says_nothing_or_knows_no_password_is_hung_up_on_after_seconds() {
    let server = Server::with_config("shards = 2\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let ufrag = value_of(&publisher.session.answer, "a=ice-ufrag:").to_owned();
    let mut lot = fastrand::Rng::with_seed(5);
    let guess = framed(&check(&ufrag, &mut lot));
    let rows: [(&str, Vec<u8>); 5] = [
        ("nothing", Vec::new()),
        ("half a length", vec![0]),
        ("half a frame", guess[..40].to_vec()),
        ("empty frames", vec![0; 2_000]),
        ("a check without the password", guess.clone()),
    ];
    let waits = rows.map(|(what, bytes)| {
        let to = server.udp_addr();
        tokio::spawn(async move {
            let mut stream = connect([127, 0, 0, 1], to).await;
            stream.write_all(&bytes).await.unwrap();
            (what, closed(&mut stream).await)
        })
    });
    let to = server.udp_addr();
    // A byte a tenth of a second is not a check within its time, and guesses are not answered.
    let drips = tokio::spawn(async move {
        let mut stream = connect([127, 0, 0, 1], to).await;
        let began = Instant::now();
        for byte in guess.iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(20), "it may drip for ever");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    for wait in waits {
        let (what, took) = wait.await.unwrap();
        assert!(took > Duration::from_secs(3), "{what}: {took:?}");
    }
    drips.await.unwrap();
    assert!(http::is_alive(&publisher.session.url).await);
    assert_eq!(sum(&server, "tcp_connections").await, 0);
}

#[tokio::test]
async fn a_thousand_connections_that_say_nothing_keep_nobody_out_and_leave_nothing_behind() {
    let server = Server::with_config("shards = 2\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    let mut silent = Vec::new();
    for index in 0..1_000_u16 {
        let from = [127, 1, 0, (index / 100) as u8 + 1];
        silent.push(connect(from, server.udp_addr()).await);
    }
    let viewer = Peer::watch(&server, "a", &Ask { tcp: true, ..Ask::default() }).await;
    let viewer = viewer.connected().await;
    viewer.until("the picture arrives", 10, |log| log.count(Kind::Video) > 20).await;
    for stream in &mut silent {
        closed(stream).await;
    }
    drop(camera);
    assert_eq!(missing(&viewer.log(|log| log.of(Kind::Video))), [0; 0]);
    assert_eq!(sum(&server, "tcp_connections").await, 1);
}

#[tokio::test]
async fn one_address_with_too_many_strangers_is_refused_and_others_are_not() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let mut crowd = Vec::new();
    for _ in 0..200 {
        crowd.push(connect([127, 2, 0, 1], server.udp_addr()).await);
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while sum(&server, "tcp_refused").await < 72 {
        assert!(Instant::now() < deadline, "nobody is refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let viewer = Peer::watch(&server, "a", &Ask { tcp: true, ..Ask::default() }).await;
    let viewer = viewer.connected().await;
    viewer.until("the picture arrives", 10, |log| log.count(Kind::Video) > 20).await;
}
