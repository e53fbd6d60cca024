//! Tests of DASH: manifests, and segments that are sent as they come.

use std::time::{Duration, Instant};

use reqwest::Client;
use whitewater_core::media::{Packaged, Part};

use super::kit::{Stage, end_of, header, init, part, segments, text};

#[tokio::test]
async fn a_manifest_names_the_files_of_the_playlists() {
    let stage = Stage::with_segments(3).await;
    let url = stage.origin.root("dash/live/manifest.mpd");
    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type"), "application/dash+xml");
    assert_eq!(header(&response, "access-control-allow-origin"), "*");
    assert_eq!(header(&response, "cache-control"), "max-age=1");
    let manifest = text(response).await;
    let base = manifest.split("<BaseURL>").nth(1).unwrap().split('<').next().unwrap();
    let base = reqwest::Url::parse(&url).unwrap().join(base).unwrap();
    assert_eq!(base.path(), "/hls/live/e1/", "D18");
    for part in [
        "availabilityTimeOffset=\"2.500\" availabilityTimeComplete=\"false\"",
        "codecs=\"avc1.42c01f\"",
        "contentType=\"audio\"",
        "duration=\"3000\" startNumber=\"0\"",
        "http-iso:2014\" value=\"/time?iso\"",
    ] {
        assert!(manifest.contains(part), "D3, D6, D7: {part}: {manifest}");
    }
    for (file, body) in
        [("video/init-0.mp4", "init 0"), ("video/2.m4s", "<2.0><2.1><2.2><2.3><2.4><2.5>")]
    {
        let got = text(reqwest::get(base.join(file).unwrap()).await.unwrap()).await;
        assert_eq!(got, body, "D18: {file}");
    }
    for nowhere in ["dash/live/manifest.mpd/", "dash/live/e1/video/2.m4s"] {
        let status = reqwest::get(stage.origin.root(nowhere)).await.unwrap().status();
        assert_eq!(status, 404, "{nowhere}");
    }
}

#[tokio::test]
async fn a_manifest_is_as_the_low_latency_guidelines_ask() {
    let stage = Stage::with_segments(3).await;
    let url = stage.origin.root("dash/live/manifest.mpd");
    let manifest = text(reqwest::get(&url).await.unwrap()).await;
    let rows = [
        ("D1", "http://www.dashif.org/guidelines/low-latency-live-v5"),
        ("D1", "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"),
        ("D2", "<Latency referenceId=\"0\" target=\"3000\" min=\"1500\" max=\"9000\"/>"),
        ("D2", "<PlaybackRate min=\"0.96\" max=\"1.04\"/>"),
        ("D3", "<UTCTiming schemeIdUri=\"urn:mpeg:dash:utc:http-iso:2014\" value=\"/time?iso\"/>"),
        ("D5", "<ProducerReferenceTime id=\"0\" type=\"encoder\" inband=\"true\" wallClockTime=\""),
        ("D5", "presentationTime=\"0\"><UTCTiming"),
        ("D7", "availabilityTimeOffset=\"2.500\" availabilityTimeComplete=\"false\""),
        ("D9", "<Resync type=\"1\" dT=\"3000\" marker=\"true\"/>"),
        ("D9", "qualityRanking=\"1\""),
        ("D11", "contentType=\"video\" mimeType=\"video/mp4\" segmentAlignment=\"true\""),
        ("D11", "contentType=\"audio\" mimeType=\"audio/mp4\" segmentAlignment=\"true\""),
        ("D11", "timescale=\"1000\""),
        (
            "D12",
            "type=\"dynamic\" availabilityStartTime=\"2026-11-28T17:17:29.040Z\" publishTime=\"",
        ),
        ("D12", "timeShiftBufferDepth=\"PT"),
        ("D12", "minBufferTime=\"PT0.500S\" maxSegmentDuration=\"PT4.500S\""),
    ];
    for (item, part) in rows {
        assert!(manifest.contains(part), "{item}: {part} is not in {manifest}");
    }
    let template = manifest.split("<SegmentTemplate").nth(1).unwrap();
    assert!(!template.contains("SegmentTimeline"), "D6: never both: {manifest}");
    let ids: Vec<_> = manifest.split(" id=\"").skip(1).collect();
    assert!(ids.len() >= 5, "D12: {manifest}");
}

#[tokio::test]
async fn the_open_segment_is_sent_as_it_comes_and_is_the_whole_one_in_the_end() {
    let stage = Stage::with_segments(2).await;
    stage.push("video", [part(2, 0), part(2, 1)]);
    let mut response =
        Client::new().get(stage.origin.url("live/e1/video/2.m4s")).send().await.unwrap();
    assert_eq!(response.status(), 200, "D13");
    assert_eq!(header(&response, "transfer-encoding"), "chunked", "D13");
    let mut got = Vec::new();
    while got.len() < 10 {
        got.extend_from_slice(&response.chunk().await.unwrap().unwrap());
    }
    assert_eq!(got, b"<2.0><2.1>", "D13: whole chunks that are there");
    stage.push("video", [part(2, 2)]);
    let next = response.chunk().await.unwrap().unwrap();
    assert_eq!(&next[..], b"<2.2>", "D13: each when it comes");
    got.extend_from_slice(&next);
    stage.push("video", [part(2, 3), end_of(2)]);
    while let Some(more) = response.chunk().await.unwrap() {
        got.extend_from_slice(&more);
    }
    let whole = text(reqwest::get(stage.origin.url("live/e1/video/2.m4s")).await.unwrap()).await;
    assert_eq!(String::from_utf8(got).unwrap(), whole, "D18");
}

#[tokio::test]
async fn a_segment_that_breaks_off_is_no_whole_answer() {
    let stage = Stage::with_segments(2).await;
    stage.push("video", [part(2, 0)]);
    let response = reqwest::get(stage.origin.url("live/e1/video/2.m4s")).await.unwrap();
    let gap =
        Part { segment: 2, index: 1, start: 6_500, duration: 500, independent: false, bytes: None };
    let gap = Packaged::Part(gap);
    stage.push("video", [gap, end_of(2)]);
    assert!(response.bytes().await.is_err(), "half a segment would be kept by caches");
}

#[tokio::test]
async fn the_next_segment_is_waited_for_a_second() {
    let stage = Stage::with_segments(2).await;
    let url = stage.origin.url("live/e1/video/2.m4s");
    let asked = tokio::spawn(async move { text(reqwest::get(url).await.unwrap()).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    stage.push("video", segments(2..3));
    assert_eq!(asked.await.unwrap(), "<2.0><2.1><2.2><2.3><2.4><2.5>");
    let began = Instant::now();
    let late = reqwest::get(stage.origin.url("live/e1/video/3.m4s")).await.unwrap();
    assert_eq!(late.status(), 404, "D15");
    assert!((900..3_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    let began = Instant::now();
    let far = reqwest::get(stage.origin.url("live/e1/video/9.m4s")).await.unwrap();
    assert_eq!(far.status(), 404, "D15");
    assert!(began.elapsed() < Duration::from_millis(800), "{:?}", began.elapsed());
}

#[tokio::test]
async fn other_parameters_begin_a_period_and_an_end_is_told() {
    let stage = Stage::with_segments(2).await;
    stage.push("video", [init(1, "avc1.64001f")]);
    stage.push("video", segments(2..4));
    stage.push("audio", segments(2..4));
    let url = stage.origin.root("dash/live/manifest.mpd");
    let manifest = text(reqwest::get(&url).await.unwrap()).await;
    let periods: Vec<_> = manifest.split("<Period ").skip(1).collect();
    assert_eq!(periods.len(), 2, "{manifest}");
    assert!(periods[0].starts_with("id=\"e1-0\" start=\"PT0.000S\""), "{manifest}");
    assert!(periods[0].contains("init-0.mp4") && !periods[0].contains("init-1.mp4"), "{manifest}");
    assert!(periods[1].starts_with("id=\"e1-2\" start=\"PT6.000S\""), "{manifest}");
    let from = "startNumber=\"2\" presentationTimeOffset=\"6000\"";
    assert_eq!(periods[1].matches(from).count(), 2, "D6: sound too: {manifest}");
    assert!(periods[1].contains("init-1.mp4"), "{manifest}");
    assert!(manifest.contains("minimumUpdatePeriod"), "D12: {manifest}");
    let Stage { writer, origin, store: _store } = stage;
    writer.end();
    let ended = text(reqwest::get(&url).await.unwrap()).await;
    assert!(ended.contains("mediaPresentationDuration=\"PT12.000S\""), "{ended}");
    assert!(!ended.contains("minimumUpdatePeriod"), "{ended}");
    drop(origin);
}
