//! Tests of the DTLS handshake over HTTP and UDP, in both roles.

use std::time::Duration;

use whitewater_core::media::Kind;
use whitewater_core::rtc::Profile;

use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Peer};
use crate::support::{Server, http};

/// What a client offers: to be the DTLS client, or the server as FFmpeg does.
const ROLES: [&str; 2] = ["actpass", "passive"];

#[tokio::test]
async fn gcm_is_chosen_in_both_roles() {
    let server = Server::start().await;
    for setup in ROLES {
        let ask = Ask { setup, ..Ask::default() };
        let publisher = Peer::publish(&server, setup, &ask).await.connected().await;
        let camera = Camera::start(&publisher, Style::default());
        let viewer = Peer::watch(&server, setup, &ask).await.connected().await;
        viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 10).await;
        for peer in [&publisher, &viewer] {
            let profile = peer.log(|log| log.connected);
            assert_eq!(profile, Some(Profile::AeadAes128Gcm), "offered {setup}");
        }
        drop(camera);
    }
}

#[tokio::test]
async fn who_shows_another_certificate_than_was_offered_is_refused_in_both_roles() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "live", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    for setup in ROLES {
        let ask = Ask { setup, spoil: true, ..Ask::default() };
        let impostors =
            [Peer::publish(&server, setup, &ask).await, Peer::watch(&server, "live", &ask).await];
        for impostor in impostors {
            let url = &impostor.session.url;
            let gone = http::is_gone_within(url, Duration::from_secs(5)).await;
            assert!(gone, "the session ends, offered {setup}");
            impostor.until("it is told", 3, |log| log.closed.is_some()).await;
            let got = impostor.log(|log| log.rtp.len());
            assert_eq!(got, 0, "no media for who shows another certificate, offered {setup}");
        }
    }
    drop(camera);
    assert!(http::is_alive(&publisher.session.url).await);
}
