//! Tests of the DTLS handshake over HTTP and UDP, in both roles.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rtc::dtls::config::ConfigBuilder;
use rtc::dtls::endpoint::Endpoint;
use rtc::dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use rtc::shared::TransportProtocol;
use rtc_crypto::providers::AwsLcRsProvider;
use tokio::sync::mpsc;
use whitewater_core::media::Kind;
use whitewater_core::rtc::Profile;
use whitewater_core::rtc::demux::{Class, classify};

use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Do, Peer};
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

#[tokio::test]
async fn who_shows_no_certificate_is_refused() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "live", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    let ask = Ask { no_dtls: true, ..Ask::default() };
    let nameless = Peer::watch(&server, "live", &ask).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    nameless.order(Do::Lose(Box::new(move |outgoing, datagram| {
        let is_dtls = classify(datagram) == Class::Dtls;
        if is_dtls && !outgoing {
            tell.send(datagram.to_vec()).unwrap();
        }
        is_dtls && !outgoing
    })));
    tokio::time::sleep(Duration::from_millis(300)).await;

    let there: SocketAddr = server.udp_addr();
    let config = ConfigBuilder::default()
        .with_crypto_provider(Arc::new(AwsLcRsProvider::new()))
        .with_srtp_protection_profiles(vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm])
        .with_insecure_skip_verify(true)
        .build(true, None)
        .unwrap();
    let mut endpoint = Endpoint::new(there, TransportProtocol::UDP, None);
    endpoint.connect(Instant::now(), there, Arc::new(config), None).unwrap();
    let mut answers = 0;
    loop {
        while let Some(out) = endpoint.poll_transmit() {
            nameless.order(Do::Raw(out.message.to_vec()));
        }
        let answer = tokio::time::timeout(Duration::from_secs(1), told.recv()).await;
        let Ok(Some(answer)) = answer else { break };
        answers += 1;
        // What it makes of our refusal is its own affair.
        let _ = endpoint.read(Instant::now(), there, None, answer[..].into());
    }
    assert!(answers > 1, "the handshake began: {answers}");
    let gone = http::is_gone_within(&nameless.session.url, Duration::from_secs(2)).await;
    assert!(gone, "the session ends");
    assert_eq!(nameless.log(|log| log.rtp.len()), 0, "no media for who shows no certificate");
    drop(camera);
}
