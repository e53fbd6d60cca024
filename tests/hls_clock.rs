//! A test of the time of day on HLS and on WHEP: both name the same time of one picture.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod support;

use std::collections::HashMap;
use std::time::Duration;

use mp4_atom::{Atom, Decode, Header, Moof};
use support::Server;
use support::camera::{Camera, Style, captured_us};
use support::peer::{Ask, Peer, Rtp};
use whitewater_core::media::{Codec, Format, Kind};

const DAY_MS: f64 = 86_400_000.0;

async fn get(server: &Server, path: &str) -> Option<bytes::Bytes> {
    let response = reqwest::get(server.url(path)).await.unwrap();
    response.error_for_status().ok()?.bytes().await.ok()
}

async fn text(server: &Server, path: &str) -> Option<String> {
    Some(String::from_utf8(get(server, path).await?.to_vec()).unwrap())
}

/// The complete segments of a playlist: milliseconds of the day by EXT-X-PROGRAM-DATE-TIME, and address.
fn segments(playlist: &str) -> Vec<(f64, String)> {
    let mut all = Vec::new();
    let mut begins = None;
    for line in playlist.lines() {
        if let Some(date) = line.strip_prefix("#EXT-X-PROGRAM-DATE-TIME:") {
            let time = date.split_once('T').unwrap().1.strip_suffix('Z').unwrap();
            let [hours, minutes, seconds] =
                time.splitn(3, ':').map(|it| it.parse().unwrap()).collect::<Vec<f64>>()[..]
            else {
                panic!("{line}")
            };
            begins = Some(((hours * 60.0 + minutes) * 60.0 + seconds) * 1000.0);
        } else if !line.starts_with('#') && !line.is_empty() {
            all.push((begins.take().expect("H19"), line.to_owned()));
        }
    }
    all
}

/// The samples of a segment: milliseconds since it began, and bytes.
fn samples(segment: &[u8]) -> Vec<(f64, &[u8])> {
    let mut rest = segment;
    let (mut first, mut moof) = (None, None);
    let mut samples = Vec::new();
    while !rest.is_empty() {
        let header = Header::decode(&mut rest).unwrap();
        let (mut body, after) = rest.split_at(header.size.unwrap());
        rest = after;
        if header.kind == Moof::KIND {
            moof = Some(Moof::decode_body(&mut body).unwrap());
        } else if header.kind == mp4_atom::FourCC::new(b"mdat") {
            let traf = &moof.take().unwrap().traf[0];
            let mut ticks = traf.tfdt.as_ref().unwrap().base_media_decode_time as f64;
            let begins = *first.get_or_insert(ticks);
            for entry in traf.trun.iter().flat_map(|trun| trun.samples.iter()) {
                let (data, after) = body.split_at(entry.size.unwrap() as usize);
                samples.push(((ticks - begins) / 90.0, data));
                ticks += f64::from(entry.duration.or(traf.tfhd.default_sample_duration).unwrap());
                body = after;
            }
        }
    }
    samples
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_playlist_and_sender_reports_name_the_same_time_of_a_picture() {
    let server = Server::start().await;
    // HLS takes VP9 as it is, and the publisher's clock is wrong by minutes.
    let vp9 = Ask { video: Format::video(Codec::Vp9, "profile-id=0"), ..Ask::default() };
    let publisher = Peer::publish(&server, "show", &vp9).await.connected().await;
    let style = Style { codec: Codec::Vp9, clock_error_us: -150_000_000, ..Style::default() };
    let _camera = Camera::start(&publisher, style);
    let mut index = None;
    for _ in 0..160 {
        index = text(&server, "/hls/show/index.m3u8").await;
        if index.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let index = index.expect("HLS begins");
    let viewer = Peer::watch(&server, "show", &Ask::default()).await.connected().await;
    viewer.until("it sees some seconds", 30, |log| log.count(Kind::Video) > 600).await;
    tokio::time::sleep(Duration::from_secs(3)).await;

    // What time of day it was by sender reports when each picture was captured.
    let (packets, reports) = viewer.log(|log| (log.of(Kind::Video), log.reports.clone()));
    let ssrc = packets[0].ssrc;
    let report = reports.iter().rev().find(|it| it.report.ssrc == ssrc).unwrap().report;
    let reported_ms = |packet: &Rtp| {
        let since = packet.timestamp.wrapping_sub(report.rtp_timestamp) as i32;
        (report.ntp.unix_micros() as f64 / 1000.0 + f64::from(since) / 90.0).rem_euclid(DAY_MS)
    };
    // A joiner's first pictures are squeezed together on purpose.
    let joined = packets[0].at + Duration::from_secs(2);
    let reported: HashMap<u64, f64> = packets
        .iter()
        .filter(|it| it.marker && it.at > joined)
        .map(|it| (captured_us(&it.payload), reported_ms(it)))
        .collect();

    let path = index.lines().find(|line| !line.starts_with('#') && !line.is_empty()).unwrap();
    let playlist = text(&server, &format!("/hls/show/{path}")).await.unwrap();
    let base = format!("/hls/show/{}", path.rsplit_once('/').unwrap().0);
    let mut differences = Vec::new();
    for (begins_ms, uri) in segments(&playlist) {
        let segment = get(&server, &format!("{base}/{uri}")).await.unwrap();
        for (at_ms, data) in samples(&segment) {
            let Some(reported_ms) = reported.get(&captured_us(data)) else { continue };
            let later = (begins_ms + at_ms - reported_ms).rem_euclid(DAY_MS);
            differences.push(if later > DAY_MS / 2.0 { later - DAY_MS } else { later });
        }
    }
    differences.sort_by(f64::total_cmp);
    let (first, last) = (differences.first(), differences.last());
    let figures = format!("{} pictures, later by {first:?} to {last:?} ms", differences.len());
    eprintln!("the playlist's time against sender reports: {figures}");
    assert!(differences.len() > 50, "{figures}");
    assert!(differences.iter().all(|ms| ms.abs() <= 100.0), "{figures}");
}
