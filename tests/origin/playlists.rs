//! Tests of media playlists.

use std::io::Read;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use reqwest::Client;
use whitewater::origin::Limits;
use whitewater_core::media::Kind;

use super::kit::{Stage, end_of, header, offered, part, segments, text};

const VIDEO: &str = "live/e1/video.m3u8";

#[tokio::test]
async fn a_playlist_has_the_headers_that_caches_and_browsers_need() {
    let stage = Stage::with_segments(7).await;
    let response = stage.get(VIDEO).await;
    let rows = [
        ("H2", "content-type", "application/vnd.apple.mpegurl"),
        ("H61", "priority", "u=1"),
        ("H62", "vary", "Accept-Encoding"),
        ("H62", "content-encoding", ""),
        ("H63", "cache-control", "max-age=1"),
        ("H65", "age", ""),
        ("H65", "access-control-expose-headers", "Age, Date"),
        ("H68", "access-control-allow-origin", "*"),
    ];
    for (item, name, want) in rows {
        assert_eq!(header(&response, name), want, "{item}: {name}");
    }
    assert!(!header(&response, "date").is_empty(), "H65");
    let tag = header(&response, "etag").to_owned();
    let length = response.content_length();
    let plain = text(response).await;
    assert!(plain.starts_with("#EXTM3U\n") && plain.ends_with('\n'), "H1: {plain}");
    assert!(!plain.contains("\n\n") && !plain.contains(['\r', '\u{feff}']), "H1: {plain}");
    for tag in ["#EXTM3U", "#EXT-X-VERSION", "#EXT-X-TARGETDURATION", "#EXT-X-SERVER-CONTROL"] {
        assert_eq!(plain.matches(tag).count(), 1, "H1: {tag} in {plain}");
    }
    assert!(stage.origin.url(VIDEO).ends_with(".m3u8"), "H2");

    let client = Client::new();
    let url = stage.origin.url(VIDEO);
    let head = client.head(&url).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "etag")), (200, tag.as_str()));
    assert_eq!(header(&head, "content-length"), length.unwrap().to_string());
    assert_eq!(head.bytes().await.unwrap(), "");

    let zipped = client.get(&url).header("Accept-Encoding", "gzip").send().await.unwrap();
    assert_eq!(header(&zipped, "content-encoding"), "gzip", "H62");
    let zipped = zipped.bytes().await.unwrap();
    let mut unzipped = String::new();
    GzDecoder::new(&zipped[..]).read_to_string(&mut unzipped).unwrap();
    assert_eq!(unzipped, plain, "H62");
    assert!(zipped.len() * 3 < plain.len(), "{} of {} bytes", zipped.len(), plain.len());

    let again = client.get(&url).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.as_str()));
    stage.push("video", [part(7, 0)]);
    let again = client.get(&url).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!(again.status(), 200, "it has changed");
}

#[tokio::test]
async fn two_players_are_answered_by_the_part_that_they_wait_for() {
    let stage = Stage::with_segments(4).await;
    let one = stage.held(&format!("{VIDEO}?_HLS_msn=4&_HLS_part=0")).await;
    let other = stage.held(&format!("{VIDEO}?_HLS_part=1&_HLS_msn=4")).await;
    stage.push("video", [part(4, 0)]);
    let first = one.await.unwrap();
    assert_eq!(header(&first, "cache-control"), "max-age=18", "H63");
    let first = text(first).await;
    assert!(first.contains("video/4.0.m4s\",INDEPENDENT=YES\n"), "H42: {first}");
    assert!(first.contains("PRELOAD-HINT:TYPE=PART,URI=\"video/4.1.m4s\""), "H15: {first}");
    assert!(!other.is_finished(), "H42");
    stage.push("video", [part(4, 1)]);
    assert!(
        text(other.await.unwrap()).await.contains("EXT-X-PART:DURATION=0.50000,URI=\"video/4.1")
    );
    assert_eq!(stage.store.held_requests(), 0);
}

#[tokio::test]
async fn a_segment_is_waited_for_until_it_is_complete() {
    let stage = Stage::with_segments(4).await;
    let segment = stage.held(&format!("{VIDEO}?_HLS_msn=4")).await;
    let beyond = stage.held(&format!("{VIDEO}?_HLS_msn=4&_HLS_part=3")).await;
    stage.push("video", [part(4, 0), part(4, 1)]);
    stage.until_held(2).await;
    stage.push("video", [part(4, 2), end_of(4)]);
    let complete = text(segment.await.unwrap()).await;
    assert!(complete.contains("\nvideo/4.m4s\n"), "H41: {complete}");
    assert!(!beyond.is_finished(), "H43");
    stage.push("video", [part(5, 0)]);
    let next = text(beyond.await.unwrap()).await;
    assert!(next.contains("video/5.0.m4s"), "H43: the first part of the next segment: {next}");
}

#[tokio::test]
async fn what_is_past_is_answered_at_once_and_what_is_far_ahead_is_refused() {
    let stage = Stage::with_segments(50).await;
    let rows = [
        ("H40", "", 200, "max-age=1"),
        ("H44", "_HLS_msn=0", 200, "max-age=18"),
        ("H44", "_HLS_msn=49&_HLS_part=5", 200, "max-age=18"),
        ("H45", "_HLS_part=0", 400, "max-age=12"),
        ("H46", "_HLS_msn=52", 400, "max-age=12"),
        ("H46", "_HLS_msn=50&_HLS_part=7", 400, "max-age=12"),
        ("H52", "_HLS_msn=-1", 400, "max-age=12"),
        ("H52", "_HLS_msn=18446744073709551616", 400, "max-age=12"),
        ("H52", "_HLS_nonsense=-1", 200, "max-age=1"),
    ];
    for (item, query, status, age) in rows {
        let response = stage.get(&format!("{VIDEO}?{query}")).await;
        assert_eq!(response.status().as_u16(), status, "{item}: {query}");
        assert_eq!(header(&response, "cache-control"), age, "H63: {query}");
        assert_eq!(header(&response, "access-control-allow-origin"), "*", "H68: {query}");
        let body = response.text().await.unwrap();
        assert_eq!(body.starts_with("#EXTM3U"), status == 200, "{item}: {query}: {body}");
    }
    let delta = text(stage.get(&format!("{VIDEO}?_HLS_skip=YES")).await).await;
    assert!(delta.contains("#EXT-X-SKIP:SKIPPED-SEGMENTS=34\n"), "H50: {delta}");
    let full = text(stage.get(&format!("{VIDEO}?_HLS_msn=12&_HLS_skip=YES")).await).await;
    assert!(!full.contains("EXT-X-SKIP"), "H44: such a client has not what a delta leaves out");
}

#[tokio::test]
async fn renditions_tell_of_each_other() {
    let stage = Stage::with_segments(3).await;
    stage.push("audio", [part(3, 0), part(3, 1)]);
    stage.push("video", [part(3, 0)]);
    let video = text(stage.get(VIDEO).await).await;
    let report = "#EXT-X-RENDITION-REPORT:URI=\"audio.m3u8\",LAST-MSN=3,LAST-PART=1\n";
    assert!(video.contains(report), "H18: {video}");
    assert_eq!(video.matches("RENDITION-REPORT").count(), 1, "H18: none about itself");
    let audio = text(stage.get("live/e1/audio.m3u8").await).await;
    let control = |text: &str| {
        text.lines().find(|line| line.starts_with("#EXT-X-SERVER-CONTROL")).unwrap().to_owned()
    };
    assert_eq!(control(&video), control(&audio), "H7");
}

#[tokio::test]
async fn nothing_for_three_target_durations_is_503() {
    let mut offered = vec![offered("video", Kind::Video, 500)];
    offered[0].config.target_duration_s = 1;
    offered[0].config.part_target = Duration::from_millis(250);
    let stage = Stage::with(Limits::default(), offered, 0).await;
    let began = Instant::now();
    let playlist = stage.held(VIDEO).await;
    let response = playlist.await.unwrap();
    assert_eq!(response.status(), 503, "H48");
    assert_eq!(header(&response, "cache-control"), "max-age=1", "H63");
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(2_900), "H48: after {waited:?}");
    assert_eq!(stage.store.held_requests(), 0);
}

#[tokio::test]
async fn a_stream_that_ends_answers_whoever_waits() {
    let limits = Limits { linger: Duration::from_millis(800), ..Limits::default() };
    let stage = Stage::with(limits, super::kit::both(), 4).await;
    let waiting = stage.held(&format!("{VIDEO}?_HLS_msn=5")).await;
    let Stage { store, writer, origin } = stage;
    writer.end();
    let ended = text(waiting.await.unwrap()).await;
    assert!(ended.ends_with("\n#EXT-X-ENDLIST\n"), "H28: {ended}");
    for query in ["_HLS_msn=99&_HLS_part=3", "_HLS_skip=YES", "_HLS_part=1", "_HLS_msn=x"] {
        let again = text(origin.get(&format!("{VIDEO}?{query}")).await).await;
        assert_eq!(again, ended, "H49: {query}");
    }
    assert_eq!(origin.get("live/e1/video/3.m4s").await.status(), 200, "H27");
    assert_eq!(origin.get("live/index.m3u8").await.status(), 404, "nothing is live");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    assert_eq!(origin.get(VIDEO).await.status(), 404, "released");
    assert_eq!(store.held_requests(), 0);
}

#[tokio::test]
async fn concurrent_readers_never_see_half_a_change() {
    let stage = Stage::with_segments(3).await;
    let url = stage.origin.url(VIDEO);
    let reader = || {
        let url = url.clone();
        tokio::spawn(async move {
            let client = Client::new();
            let mut seen = 0;
            for _ in 0..60 {
                let text = client.get(&url).send().await.unwrap().text().await.unwrap();
                let segments = text.matches("#EXTINF").count();
                assert!(segments >= seen, "H29: {segments} after {seen}");
                assert!(text.matches("INDEPENDENT").count() <= 4, "H29: {text}");
                assert!(!text.contains(".3.m4s\"\n#EXT-X-PRELOAD"), "H29: half a segment: {text}");
                seen = segments;
            }
        })
    };
    let readers = [reader(), reader(), reader()];
    for segment in 3..23 {
        stage.push("video", segments(segment..segment + 1));
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}
