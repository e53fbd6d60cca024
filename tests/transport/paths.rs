//! Tests of the ways that datagrams take: addresses, ports, shards.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::UdpSocket;
use whitewater_core::media::Kind;

use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Do, Peer};
use crate::support::{Server, http};

async fn picture_arrives(viewer: &Peer) {
    viewer.forget();
    viewer.until("the picture arrives", 8, |log| log.count(Kind::Video) > 20).await;
}

#[tokio::test]
async fn media_flows_over_ipv6() {
    let server = Server::with_config("udp = \"[::1]:0\"\nhttp = \"[::1]:0\"\n").await;
    let ask = Ask { bind: "[::1]:0".into(), ..Ask::default() };
    let publisher = Peer::publish(&server, "a", &ask).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "a", &ask).await.connected().await;
    picture_arrives(&viewer).await;
}

#[tokio::test]
async fn a_wildcard_bind_answers_from_the_address_that_was_asked() {
    let rows = [
        ("0.0.0.0:0", "127.0.0.1:0", ["127.0.0.2", "127.0.0.3"]),
        ("[::]:0", "127.0.0.1:0", ["127.0.0.1", "127.0.0.2"]),
        ("[::]:0", "[::1]:0", ["::1", "::1"]),
    ];
    for (bound, bind, ips) in rows {
        let config = format!("udp = \"{bound}\"\ninsecure_open = true\n");
        let server = Server::with_config(&config).await;
        let port = server.udp_addr().port();
        let to = |ip: &str| Some(SocketAddr::new(ip.parse().unwrap(), port));
        // Peers take in nothing that comes from another address than they sent to.
        let [publishes, watches] =
            ips.map(|ip| Ask { bind: bind.into(), to: to(ip), ..Ask::default() });
        let publisher = Peer::publish(&server, "a", &publishes).await.connected().await;
        let _camera = Camera::start(&publisher, Style::default());
        let viewer = Peer::watch(&server, "a", &watches).await.connected().await;
        picture_arrives(&viewer).await;
    }
}

#[tokio::test]
async fn a_second_server_on_the_same_port_is_refused_with_a_sentence() {
    let server = Server::start().await;
    let config = format!("udp = \"{}\"\n", server.udp_addr());
    let refused = Server::try_with_config(&config).err().unwrap();
    let sentence = format!("{refused:#}");
    assert!(sentence.contains(&server.udp_addr().to_string()), "{sentence}");
    assert!(sentence.contains("taken by another program"), "{sentence}");
}

#[tokio::test]
async fn every_client_is_served_whichever_shard_its_datagrams_come_to() {
    let server = Server::with_config("shards = 3\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let mut viewers = Vec::new();
    for _ in 0..12 {
        viewers.push(Peer::watch(&server, "a", &Ask::default()).await);
    }
    for viewer in viewers {
        let viewer = viewer.connected().await;
        picture_arrives(&viewer).await;
    }
    assert!(http::sum(&server, "handed_over").await > 0, "some came to the wrong shard");
    let info = http::api(&server, "server").await;
    let shards = info["shards"].as_array().unwrap();
    assert!(shards.iter().all(|shard| shard["sessions"].as_u64() > Some(0)), "{info}");
}

#[tokio::test]
async fn sessions_survive_a_change_of_network() {
    let server = Server::with_config("shards = 2\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    picture_arrives(&viewer).await;

    viewer.order(Do::Rebind);
    tokio::time::sleep(Duration::from_millis(100)).await;
    picture_arrives(&viewer).await;
    publisher.order(Do::Rebind);
    tokio::time::sleep(Duration::from_millis(100)).await;
    picture_arrives(&viewer).await;
    for peer in [&publisher, &viewer] {
        assert!(http::is_alive(&peer.session.url).await);
        assert_eq!(peer.log(|log| log.closed.clone()), None);
    }
}

#[tokio::test]
async fn an_address_belongs_to_the_session_that_has_it_now() {
    let server = Server::with_config("shards = 1\n").await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let _camera = Camera::start(&publisher, Style::default());
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let ask = Ask { bind: format!("127.0.0.1:{port}"), ..Ask::default() };
    let first = Peer::watch(&server, "a", &ask).await.connected().await;
    let old = first.session.url.clone();
    drop(first);
    // The socket closes a moment after its owner.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let second = Peer::watch(&server, "a", &ask).await.connected().await;
    assert_eq!(http::delete(&old).await, 200);
    let strangers = http::sum(&server, "dropped_stranger").await;
    for _ in 0..20 {
        second.order(Do::Rtcp(vec![0x80, 201, 0, 1, 0, 0, 0, 7]));
    }
    picture_arrives(&second).await;
    let now = http::sum(&server, "dropped_stranger").await;
    assert_eq!(now, strangers, "what comes from there is no stranger's");
}
