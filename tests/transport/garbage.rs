//! A test that throws garbage at the media port while somebody watches.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::UdpSocket;
use whitewater_core::media::Kind;
use whitewater_core::rtc::demux::{Class, classify};

use crate::support::camera::{Camera, Style};
use crate::support::http::value_of;
use crate::support::peer::{Ask, Do, Peer, missing};
use crate::support::{Server, http};

#[tokio::test]
async fn garbage_at_the_media_port_is_dropped_and_harms_nobody() {
    let server = Server::with_config("shards = 2\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let overheard = Arc::new(Mutex::new(Vec::new()));
    for peer in [&publisher, &viewer] {
        let overheard = overheard.clone();
        peer.order(Do::Lose(Box::new(move |outgoing, datagram| {
            if outgoing {
                overheard.lock().unwrap().push(datagram.to_vec());
            }
            false
        })));
    }
    let camera = Camera::start(&publisher, Style::default());
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 30).await;

    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.connect(server.udp_addr()).await.unwrap();
    let mut lot = fastrand::Rng::with_seed(3);
    let ufrag = value_of(&viewer.session.answer, "a=ice-ufrag:").to_owned();
    for round in 0..150 {
        for _ in 0..8 {
            let mut random: Vec<u8> = (0..lot.usize(0..1500)).map(|_| lot.u8(..)).collect();
            if let Some(first) = random.first_mut()
                && lot.bool()
            {
                *first = [0, 22, 128, 144][lot.usize(..4)];
            }
            // Between shoves the kernel's buffer is emptied; what does not fit would prove nothing.
            let _ = stranger.send(&random).await;
        }
        let _ = stranger.send(&check(&ufrag, &mut lot)).await;
        let _ = stranger.send(&check("nobody", &mut lot)).await;
        let old = {
            let overheard = overheard.lock().unwrap();
            overheard[lot.usize(..overheard.len())].clone()
        };
        let _ = stranger.send(&old).await;
        if classify(&old) == Class::Rtp {
            publisher.order(Do::Raw(old.clone()));
            publisher.order(Do::Raw(old[..lot.usize(..old.len())].to_vec()));
            let mut forged = old;
            let at = lot.usize(..forged.len());
            forged[at] ^= 1 << lot.u8(..8);
            publisher.order(Do::Raw(forged));
        }
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let sent = camera.stop();
    tokio::time::sleep(Duration::from_millis(200)).await;

    for kind in [Kind::Audio, Kind::Video] {
        let received = viewer.log(|log| log.of(kind));
        assert_eq!(missing(&received), [0; 0], "{kind} has no holes");
        let sent: Vec<_> = sent.iter().filter(|packet| packet.kind == kind).collect();
        let from = sent.iter().position(|packet| packet.payload == received[0].payload).unwrap();
        assert_eq!(received.len(), sent.len() - from, "{kind}: each packet once");
        let all_same = sent[from..].iter().zip(&received).all(|(a, b)| a.payload == b.payload);
        assert!(all_same, "{kind} is what was sent");
    }
    for count in ["dropped_stranger", "dropped_handshake", "dropped_unauthentic"] {
        assert!(http::sum(&server, count).await > 0, "{count}");
    }
    for peer in [&publisher, &viewer] {
        assert!(http::is_alive(&peer.session.url).await);
    }
}

/// A STUN check for a session, from somebody who does not know its password.
pub(super) fn check(ufrag: &str, lot: &mut fastrand::Rng) -> Vec<u8> {
    let username = format!("{ufrag}:spoof");
    let mut body = vec![0, 6];
    body.extend_from_slice(&(username.len() as u16).to_be_bytes());
    body.extend_from_slice(username.as_bytes());
    body.resize(body.len().next_multiple_of(4), 0);
    body.extend_from_slice(&[0, 0x25, 0, 0, 0, 8, 0, 20]);
    body.extend((0..20).map(|_| lot.u8(..)));
    let mut check = vec![0, 1];
    check.extend_from_slice(&(body.len() as u16).to_be_bytes());
    check.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
    check.extend((0..12).map(|_| lot.u8(..)));
    check.extend_from_slice(&body);
    check
}
