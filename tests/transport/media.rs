//! Tests of media on its way from a publisher to its viewers.

use whitewater_core::media::Kind;

use crate::support::Server;
use crate::support::camera::{Camera, Style};
use crate::support::peer::{Ask, Peer, missing};

#[tokio::test]
async fn media_arrives_as_it_was_sent() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style::default());
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    viewer
        .until("sound and picture arrive", 5, |log| {
            log.count(Kind::Audio) > 50 && log.count(Kind::Video) > 100
        })
        .await;
    let sent = camera.stop();
    for kind in [Kind::Audio, Kind::Video] {
        let received = viewer.log(|log| log.of(kind));
        assert_eq!(missing(&received), [0; 0], "{kind} has no holes");
        let sent: Vec<_> = sent.iter().filter(|packet| packet.kind == kind).collect();
        let from = sent.iter().position(|packet| packet.payload == received[0].payload).unwrap();
        for (sent, received) in sent[from..].iter().zip(&received) {
            assert_eq!(sent.payload, received.payload, "{kind} is passed on unchanged");
        }
    }
}
