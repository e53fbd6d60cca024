//! Tests of multivariant playlists and of streams that come and go.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use whitewater::origin::{Limits, OpenError, PushError, Store, Wanted};
use whitewater_core::media::Kind;
use whitewater_core::playlist::Unfit;

use super::kit::{
    Origin, Stage, both, end_of, epoch, header, init, name, offered, part, segments, stream, text,
};

#[tokio::test]
async fn the_index_leads_to_the_epoch() {
    let stage = Stage::with_segments(1).await;
    let response = stage.get("live/index.m3u8").await;
    assert_eq!(header(&response, "content-type"), "application/vnd.apple.mpegurl", "H2");
    assert_eq!(header(&response, "cache-control"), "max-age=1");
    assert!(!header(&response, "etag").is_empty());
    let index = text(response).await;
    let want = "#EXT-X-STREAM-INF:BANDWIDTH=2890800,AVERAGE-BANDWIDTH=2628000,\
                CODECS=\"avc1.42c01f,mp4a.40.2\",RESOLUTION=1280x720,FRAME-RATE=30,\
                AUDIO=\"audio-0\",CLOSED-CAPTIONS=NONE\ne1/video.m3u8\n";
    assert!(index.contains(want), "H80, H81, H85, H86: {index}");
    for uri in ["e1/video.m3u8", "e1/audio.m3u8"] {
        assert!(index.contains(uri), "{index}");
        assert_eq!(stage.get(&format!("live/{uri}")).await.status(), 200, "{uri}");
    }
    stage.push("video", segments(1..9));
    stage.push("audio", segments(1..9));
    assert_eq!(text(stage.get("live/index.m3u8").await).await, index, "H80: stable");
    stage.push("video", [init(1, "avc1.64001f"), part(9, 0)]);
    let changed = text(stage.get("live/index.m3u8").await).await;
    assert!(changed.contains("CODECS=\"avc1.64001f,mp4a.40.2\""), "H81: {changed}");
    assert!(changed.contains("BANDWIDTH=2890800,"), "H80: stable: {changed}");
}

#[tokio::test]
async fn what_was_measured_is_told_where_nobody_asked_before() {
    let stage = Stage::with_segments(3).await;
    let index = text(stage.get("live/index.m3u8").await).await;
    // 30 bytes in three seconds, twice.
    assert!(index.contains("BANDWIDTH=160,AVERAGE-BANDWIDTH=160,"), "H80: {index}");
}

#[tokio::test]
async fn a_stream_that_is_not_live_is_404_and_worth_asking_again() {
    let stage = Stage::with_segments(1).await;
    let response = stage.get("other/index.m3u8").await;
    assert_eq!(response.status(), 404);
    assert_eq!(header(&response, "retry-after"), "1");
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    assert_eq!(header(&response, "access-control-allow-origin"), "*", "H68");
    let body = response.text().await.unwrap();
    assert!(body.contains("nobody publishes this stream"), "{body}");
}

#[tokio::test]
async fn a_stream_that_is_wanted_is_packaged_and_then_answered() {
    let store = Store::new(Limits::default());
    let wanted = Arc::new(Mutex::new(Vec::new()));
    let go = Arc::new(Notify::new());
    let (seen, gone) = (Arc::clone(&wanted), Arc::clone(&go));
    let hooks = move |stream: whitewater_signaling::control::StreamName| {
        seen.lock().unwrap().push(stream.to_string());
        let go = Arc::clone(&gone);
        async move {
            go.notified().await;
            Wanted::Ready
        }
    };
    let origin = Origin::serve(store.clone(), hooks).await;
    let url = origin.url("live/index.m3u8");
    let request = tokio::spawn(async move { reqwest::get(url).await.unwrap() });
    while store.held_requests() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(*wanted.lock().unwrap(), ["live"]);
    let writer = store.open(stream("live"), epoch("e7"), both()).unwrap();
    go.notify_one();
    writer.push(&name("video"), [init(0, "avc1.42c01f")]).unwrap();
    writer.push(&name("video"), segments(0..1)).unwrap();
    writer.push(&name("audio"), [init(0, "Opus"), part(0, 0)]).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!request.is_finished(), "it waits for a whole segment of the sound, too");
    writer.push(&name("audio"), (1..6).map(|index| part(0, index)).chain([end_of(0)])).unwrap();
    let index = text(request.await.unwrap()).await;
    assert!(index.contains("CODECS=\"avc1.42c01f,Opus\""), "H81: {index}");
    assert!(index.contains("\ne7/video.m3u8\n"), "{index}");
    assert!(writer.idle() < Duration::from_secs(5), "somebody asked");
    for offered in [false, true] {
        writer.offer(&name("audio"), offered).unwrap();
        let index = text(origin.get("live/index.m3u8").await).await;
        assert_eq!(index.contains("Opus"), offered, "{index}");
        let own = origin.get("live/e7/audio.m3u8").await;
        assert_eq!(own.status(), 200, "its own playlist goes on either way");
    }
}

#[tokio::test]
async fn what_is_not_offered_is_not_waited_for() {
    let store = Store::new(Limits::default());
    let origin = Origin::serve(store.clone(), super::kit::not_live).await;
    let writer = store.open(stream("live"), epoch("e1"), both()).unwrap();
    writer.push(&name("video"), [init(0, "avc1.42c01f")]).unwrap();
    writer.push(&name("video"), segments(0..1)).unwrap();
    writer.offer(&name("audio"), false).unwrap();
    let index = text(origin.get("live/index.m3u8").await).await;
    assert!(index.contains("e1/video.m3u8") && !index.contains("audio"), "{index}");
}

#[tokio::test]
async fn a_stream_that_is_not_ready_in_time_is_503() {
    let store = Store::new(Limits { max_wait: Duration::from_millis(200), ..Limits::default() });
    let hooks = |stream: whitewater_signaling::control::StreamName| async move {
        if stream.as_str() == "slow" { std::future::pending().await } else { Wanted::NotReady }
    };
    let origin = Origin::serve(store.clone(), hooks).await;
    // An epoch without a part is not ready either.
    let _writer = store.open(stream("empty"), epoch("e1"), both()).unwrap();
    for name in ["early", "slow", "empty"] {
        let response = origin.get(&format!("{name}/index.m3u8")).await;
        assert_eq!(response.status(), 503, "{name}");
        assert_eq!(header(&response, "retry-after"), "1", "{name}");
        assert_eq!(header(&response, "cache-control"), "max-age=1", "H63: {name}");
    }
    assert_eq!(store.held_requests(), 0);
}

#[tokio::test]
async fn a_withdrawn_rendition_is_nowhere() {
    let stage = Stage::with(Limits::default(), three(), 2).await;
    let held = stage.held("live/e1/low.m3u8?_HLS_msn=2").await;
    stage.writer.withdraw(&name("low")).unwrap();
    assert_eq!(held.await.unwrap().status(), 404);
    let index = text(stage.get("live/index.m3u8").await).await;
    assert!(!index.contains("low.m3u8") && index.contains("high.m3u8"), "{index}");
    stage.push("high", [part(2, 0)]);
    let high = text(stage.get("live/e1/high.m3u8").await).await;
    assert!(!high.contains("low.m3u8") && high.contains("audio.m3u8"), "H18: {high}");
    assert_eq!(stage.get("live/e1/low.m3u8").await.status(), 404);
}

#[tokio::test]
async fn higher_bit_rates_are_never_more_urgent() {
    let stage = Stage::with(Limits::default(), three(), 2).await;
    for (rendition, urgency) in [("audio", "u=2"), ("low", "u=3"), ("high", "u=4")] {
        let response = stage.get(&format!("live/e1/{rendition}/0.m4s")).await;
        assert_eq!(header(&response, "priority"), urgency, "H61: {rendition}");
    }
}

#[tokio::test]
async fn a_new_epoch_takes_over_and_the_old_one_can_be_read_until_it_is_let_go() {
    let stage = Stage::with_segments(2).await;
    let taken = stage.store.open(stream("live"), epoch("e1"), both()).err();
    assert_eq!(taken, Some(OpenError::Taken(epoch("e1"))));
    let twice = vec![offered("a", Kind::Audio, 1), offered("a", Kind::Video, 1)];
    let twice = stage.store.open(stream("live"), epoch("e2"), twice).err();
    assert_eq!(twice, Some(OpenError::Twice(name("a"))));
    let nothing = stage.store.open(stream("live"), epoch("e2"), Vec::new()).err();
    assert_eq!(nothing, Some(OpenError::Nothing));

    let next = stage.store.open(stream("live"), epoch("e2"), both()).unwrap();
    for (rendition, codecs) in [("video", "avc1.42c01f"), ("audio", "mp4a.40.2")] {
        next.push(&name(rendition), [init(0, codecs)]).unwrap();
        next.push(&name(rendition), segments(0..1)).unwrap();
    }
    assert!(text(stage.get("live/index.m3u8").await).await.contains("e2/video.m3u8"));
    assert_eq!(stage.get("live/e1/video/1.m4s").await.status(), 200);
    drop(stage.writer);
    assert_eq!(stage.origin.get("live/e1/video/1.m4s").await.status(), 404);
    assert_eq!(stage.origin.get("live/e2/video/0.0.m4s").await.status(), 200);
    drop(next);
    assert_eq!(stage.origin.get("live/index.m3u8").await.status(), 404);
}

#[tokio::test]
async fn writers_are_told_what_does_not_fit() {
    let stage = Stage::with_segments(2).await;
    let unknown = stage.writer.push(&name("other"), [part(2, 0)]);
    assert_eq!(unknown, Err(PushError::NoRendition(name("other"))));
    let twice = stage.writer.push(&name("video"), [part(2, 0), part(2, 0), part(2, 1)]);
    assert_eq!(twice, Err(PushError::Unfit(Unfit::OutOfOrder)));
    assert_eq!(text(stage.get("live/e1/video/2.0.m4s").await).await, "<2.0>", "the first is taken");
}

fn three() -> Vec<whitewater::origin::Offered> {
    vec![
        offered("high", Kind::Video, 2_500),
        offered("low", Kind::Video, 700),
        offered("audio", Kind::Audio, 128),
    ]
}
