//! Tests of media on its way from a publisher to its viewers.

use std::collections::BTreeSet;
use std::time::Duration;

use whitewater_core::media::time::ticks_to_micros;
use whitewater_core::media::{Codec, Rid};
use whitewater_core::media::{ExtensionKind, Format, Kind, Ntp};
use whitewater_core::rtc::demux::{Class, classify};

use crate::support::Server;
use crate::support::camera::{Camera, Sent, Style, captured_us};
use crate::support::peer::{Ask, Do, Log, Peer, Rtp, missing};

#[tokio::test]
async fn media_arrives_as_it_was_sent() {
    let server = Server::start().await;
    for (name, codec) in [("vp8", Codec::Vp8), ("h265", Codec::H265)] {
        let ask = Ask { video: Format::video(codec, ""), ..Ask::default() };
        let publisher = Peer::publish(&server, name, &ask).await.connected().await;
        let camera = Camera::start(&publisher, Style { codec, ..Style::default() });
        let viewer = Peer::watch(&server, name, &Ask::default()).await.connected().await;
        viewer.until("sound and picture arrive", 5, |log| enough(log, 50)).await;
        let sent = camera.stop();
        for kind in [Kind::Audio, Kind::Video] {
            let received = viewer.log(|log| log.of(kind));
            assert_eq!(missing(&received), [0; 0], "{kind} of {name} has no holes");
            assert_same(&sent, &received, kind);
        }
    }
}

#[tokio::test]
async fn what_is_lost_on_either_side_is_sent_again() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let ask = Ask { nack: true, ..Ask::default() };
    let viewer = Peer::watch(&server, "a", &ask).await.connected().await;
    // Sound is not sent again, so none of it is lost here; it is under 200 bytes.
    for (peer, direction) in [(&publisher, true), (&viewer, false)] {
        let mut lot = fastrand::Rng::with_seed(7);
        peer.order(Do::Lose(Box::new(move |outgoing, datagram| {
            outgoing == direction && classify(datagram) == Class::Rtp && lot.u8(..) < 20
        })));
    }
    let camera = Camera::start(&publisher, Style::default());
    viewer.until("the picture arrives", 10, |log| log.count(Kind::Video) > 400).await;
    let sent = camera.stop();
    tokio::time::sleep(Duration::from_millis(500)).await;

    let received = viewer.log(|log| log.of(Kind::Video));
    assert_eq!(missing(&received), [0; 0], "the viewer has everything in the end");
    let repaired = received.iter().filter(|packet| packet.repaired).count();
    assert!(repaired > 5, "the viewer got retransmissions: {repaired}");
    let asked = publisher.log(|log| log.nacks);
    assert!(asked > 5, "the publisher was asked for retransmissions: {asked}");
    let arrived: BTreeSet<_> = received.iter().map(|packet| &packet.payload).collect();
    let first = captured_us(&received[0].payload);
    let made = sent.iter().filter(|packet| packet.kind == Kind::Video);
    let late = sent.last().map_or(0, |last| captured_us(&last.payload)) - 200_000;
    let lost = made
        .filter(|packet| (first..late).contains(&captured_us(&packet.payload)))
        .filter(|packet| !arrived.contains(&packet.payload))
        .count();
    assert_eq!(lost, 0, "every packet of the publisher reaches the viewer");
    assert!(publisher.log(|log| log.feedback) > 10, "transport-wide feedback flows");
    assert!(publisher.log(|log| log.blocks) > 0, "receiver reports flow");
}

#[tokio::test]
async fn reports_put_sound_and_picture_on_one_clock_however_wrong_the_publishers_is() {
    let server = Server::start().await;
    let publisher = Peer::publish(&server, "a", &Ask::default()).await.connected().await;
    let wrong = Style { clock_error_us: 180_000_000, capture_time: true, ..Style::default() };
    let camera = Camera::start(&publisher, wrong);
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let [audio, video] = [Kind::Audio, Kind::Video].map(|kind| viewer.section(kind).ssrc.unwrap());
    viewer
        .until("reports arrive", 8, |log| {
            log.reports.iter().filter(|report| report.report.ssrc == audio).count() > 2
                && log.report(video).is_some()
        })
        .await;
    drop(camera);

    let reports = [audio, video].map(|ssrc| viewer.log(|log| log.report(ssrc).unwrap().report));
    let wall = |packet: &Rtp| {
        let (report, hz) = match packet.kind {
            Kind::Audio => (reports[0], 48_000),
            Kind::Video => (reports[1], 90_000),
        };
        let ticks = packet.timestamp.wrapping_sub(report.rtp_timestamp) as i32;
        report.ntp.plus_micros(ticks_to_micros(i64::from(ticks), hz))
    };
    // The time at which the publisher's stopwatch stood at zero, told by every packet.
    let zero = |packet: &Rtp| wall(packet).plus_micros(-(captured_us(&packet.payload) as i64));
    let packets = viewer.log(|log| log.rtp.clone());
    let audio = zero(packets.iter().rev().find(|packet| packet.kind == Kind::Audio).unwrap());
    let video = zero(packets.iter().rev().find(|packet| packet.kind == Kind::Video).unwrap());
    let skew_us = audio.micros_since(video).abs();
    assert!(skew_us <= 5_000, "lip sync is {skew_us} us off");

    let report = viewer.log(|log| log.reports.last().copied().unwrap());
    let off_us = report.report.ntp.micros_since(wall_at(report.at)).abs();
    assert!(off_us < 100_000, "reports are in the server's clock, {off_us} us off");

    let last = viewer.log(|log| log.rtp.last().cloned().unwrap());
    for kind in [Kind::Audio, Kind::Video] {
        let section = viewer.section(kind);
        let id = |kind| section.extensions.id(kind).unwrap();
        for packet in packets.iter().filter(|packet| packet.kind == kind) {
            let mid = packet.extension(id(ExtensionKind::Mid)).unwrap();
            assert_eq!(mid, section.mid.as_str().as_bytes(), "every {kind} packet has its MID");
        }
        let packet = packets.iter().rev().find(|packet| packet.kind == kind).unwrap();
        let capture = packet.extension(id(ExtensionKind::AbsCaptureTime)).unwrap();
        let capture = Ntp(u64::from_be_bytes(*capture.first_chunk().unwrap()));
        let age_us = wall_at(last.at).micros_since(capture);
        assert!((-50_000..500_000).contains(&age_us), "{kind} was captured {age_us} us ago");
    }
}

#[tokio::test]
async fn layers_are_told_apart_and_chosen_by_rid() {
    let server = Server::start().await;
    let rids = ["q", "h", "f"].map(Rid::new).to_vec();
    let ask = Ask { rids, ..Ask::default() };
    let publisher = Peer::publish(&server, "a", &ask).await.connected().await;
    let viewer = Peer::watch(&server, "a", &Ask::default()).await.connected().await;
    let camera = Camera::start(&publisher, Style { layers: 3, ..Style::default() });
    viewer.until("the picture arrives", 5, |log| log.count(Kind::Video) > 100).await;
    for (rid, layer) in [("q", 0), ("h", 1), ("f", 2)] {
        let url = format!("{}/layer", viewer.session.url);
        let request = reqwest::Client::new().post(url).header("Content-Type", "application/json");
        let response = request.body(format!("{{\"rid\":\"{rid}\"}}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{rid} can be chosen");
        viewer
            .until(&format!("{rid} arrives"), 5, |log| {
                let last = log.rtp.iter().rfind(|packet| packet.kind == Kind::Video).unwrap();
                layer_of(last) == layer
            })
            .await;
    }
    drop(camera);
    let received = viewer.log(|log| log.of(Kind::Video));
    assert_eq!(missing(&received), [0; 0], "sequence numbers have no holes across layers");
    let backwards = received
        .windows(2)
        .filter(|pair| (pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) < 0)
        .count();
    assert_eq!(backwards, 0, "timestamps never go back across layers");
    let ssrcs: BTreeSet<_> = received.iter().map(|packet| packet.ssrc.0).collect();
    assert_eq!(ssrcs.len(), 1, "layers leave under one SSRC");
}

/// The layer that a camera wrote into its payload.
fn layer_of(packet: &Rtp) -> u8 {
    packet.payload[packet.payload.len() - 9]
}

/// Whether so many packets of each track came.
fn enough(log: &Log, count: usize) -> bool {
    log.count(Kind::Audio) > count && log.count(Kind::Video) > count
}

/// Checks that what was received is a piece of what was sent.
fn assert_same(sent: &[Sent], received: &[Rtp], kind: Kind) {
    let sent: Vec<_> = sent.iter().filter(|packet| packet.kind == kind).collect();
    let from = sent.iter().position(|packet| packet.payload == received[0].payload).unwrap();
    for (sent, received) in sent[from..].iter().zip(received) {
        assert_eq!(sent.payload, received.payload, "{kind} is passed on unchanged");
    }
}

/// The wall-clock time of a moment in the past.
fn wall_at(at: std::time::Instant) -> Ntp {
    let (now, wall) = whitewater::engine::wall_now();
    wall.plus_micros(-(now.saturating_duration_since(at).as_micros() as i64))
}
