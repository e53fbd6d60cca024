//! Tests of what a cache passes on, what it keeps, and for how long.

use std::time::{Duration, Instant};

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, Response};
use whitewater::origin::{Doors, Pass};
use whitewater_signaling::auth::{Ask, Decision, Denied};
use whitewater_signaling::control::StreamName;

use super::feed;
use super::origin::{Origin, not_live};
use super::varnish::Varnish;

async fn get(varnish: &Varnish, path: &str) -> Response {
    Client::new().get(varnish.url(path)).send().await.unwrap()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn asked(origin: &Origin, path: &str) -> usize {
    origin.counts().get(&format!("/hls/{path}")).copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_keep_their_headers_and_are_fetched_once() {
    let origin = Origin::serve().await;
    let varnish = Varnish::before(origin.counted).await;
    let _writer = feed::open(&origin.store, 20);
    let rows = [
        ("live/index.m3u8", "max-age=1", "application/vnd.apple.mpegurl"),
        ("live/e1/low.m3u8", "max-age=1", "application/vnd.apple.mpegurl"),
        ("live/e1/low.m3u8?_HLS_msn=19&_HLS_part=5", "max-age=18", "application/vnd.apple.mpegurl"),
        ("live/e1/low/19.5.m4s", "max-age=", "video/mp4"),
        ("live/e1/audio/init-0.mp4", "max-age=", "audio/mp4"),
    ];
    for (path, age, kind) in rows {
        let direct = reqwest::get(format!("http://{}/hls/{path}", origin.direct)).await.unwrap();
        let edge = get(&varnish, path).await;
        assert_eq!(edge.status(), 200, "{path}");
        assert!(header(edge.headers(), "cache-control").starts_with(age), "H63: {path}");
        assert_eq!(header(edge.headers(), "content-type"), kind, "H69: {path}");
        for name in [
            "access-control-allow-origin",
            "access-control-expose-headers",
            "priority",
            "cache-control",
        ] {
            let want = header(direct.headers(), name);
            assert!(!want.is_empty(), "{name} of {path}");
            assert_eq!(header(edge.headers(), name), want, "H68: {name} of {path}");
        }
        assert_eq!(header(edge.headers(), "age"), "0", "H65: the cache says how old it is: {path}");
        assert_eq!(edge.bytes().await.unwrap(), direct.bytes().await.unwrap(), "{path}");
    }
    let media = "live/e1/low/19.5.m4s";
    for query in ["", "?a=1", "?_HLS_msn=3"] {
        assert_eq!(get(&varnish, &format!("{media}{query}")).await.status(), 200);
    }
    assert_eq!(asked(&origin, media), 1, "a query means nothing to media");
    let swapped = "live/e1/low.m3u8?_HLS_part=5&_HLS_msn=19";
    assert_eq!(get(&varnish, swapped).await.status(), 200, "H66");
    assert_eq!(asked(&origin, swapped), 0, "H66: the order of a query means nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_media_conditions_and_compression_are_the_cache_s_own() {
    let origin = Origin::serve().await;
    let varnish = Varnish::before(origin.counted).await;
    let _writer = feed::open(&origin.store, 20);
    let (client, media) = (Client::new(), "live/e1/low/19.m4s");
    let whole = get(&varnish, media).await.bytes().await.unwrap();
    let range = |range: &'static str| client.get(varnish.url(media)).header("Range", range).send();
    let some = range("bytes=100-199").await.unwrap();
    assert_eq!(some.status(), 206, "H17");
    assert_eq!(some.bytes().await.unwrap(), whole[100..200], "H17");
    let rest = range("bytes=100-9007199254740991").await.unwrap();
    assert_eq!(rest.status(), 206, "H17");
    assert_eq!(rest.bytes().await.unwrap(), whole[100..], "H17");
    let head = client.head(varnish.url(media)).send().await.unwrap();
    assert_eq!(header(head.headers(), "content-length"), whole.len().to_string());
    assert_eq!(asked(&origin, media), 1, "all of this comes out of the cache");

    let playlist = "live/e1/low.m3u8?_HLS_msn=10";
    let url = varnish.url(playlist);
    let zipped = client.get(&url).header("Accept-Encoding", "gzip").send().await.unwrap();
    assert_eq!(header(zipped.headers(), "content-encoding"), "gzip", "H62");
    let tag = header(zipped.headers(), "etag").to_owned();
    let plain = get(&varnish, playlist).await;
    assert_eq!(header(plain.headers(), "content-encoding"), "", "H62");
    assert!(plain.text().await.unwrap().starts_with("#EXTM3U\n"), "H62");
    let same = client.get(&url).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!(same.status(), 304);
    assert_eq!(asked(&origin, playlist), 1, "H62: with and without compression it is one request");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_are_kept_as_long_as_the_origin_says_and_no_longer() {
    let origin = Origin::serve().await;
    let varnish = Varnish::before(origin.counted).await;
    let index = "live/index.m3u8";
    let nothing = get(&varnish, index).await;
    assert_eq!(nothing.status(), 404, "nobody publishes");
    assert_eq!(header(nothing.headers(), "access-control-allow-origin"), "*", "H68");
    assert_eq!(get(&varnish, index).await.status(), 404);
    assert_eq!(asked(&origin, index), 1, "H63: an error is kept for a moment");
    let _writer = feed::open(&origin.store, 3);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert_eq!(get(&varnish, index).await.status(), 200, "H63: and then it is over");

    let missing = "live/e1/low/99.0.m4s";
    for _ in 0..3 {
        let answer = get(&varnish, missing).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(header(answer.headers(), "cache-control"), "max-age=3", "H63");
    }
    assert_eq!(asked(&origin, missing), 1, "H63");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_playlist_is_never_staler_than_its_lifetime() {
    let origin = Origin::serve().await;
    let varnish = Varnish::before(origin.counted).await;
    let feeding = feed::go_on(feed::open(&origin.store, 3), 3);
    let mut parts = Vec::new();
    for _ in 0..4 {
        let playlist = get(&varnish, "live/e1/low.m3u8").await.text().await.unwrap();
        parts.push(
            playlist.matches("#EXT-X-PART:").count() + 6 * playlist.matches(".m4s\n").count(),
        );
        tokio::time::sleep(Duration::from_millis(1_300)).await;
    }
    feeding.abort();
    let grew = parts.windows(2).all(|pair| pair[0] < pair[1]);
    assert!(grew, "H63: kept for a second, each is newer than the one before: {parts:?}");
}

/// Doors that one token opens, to what lies below one pass.
struct Closed;

impl Doors for Closed {
    fn is_open(&self, _: &StreamName) -> bool {
        false
    }

    fn admits(&self, _: &StreamName, pass: &str) -> bool {
        pass == "~1.x"
    }

    fn admit(&self, ask: Ask) -> Decision<'_, Pass> {
        let known = ask.token.as_deref() == Some("good");
        let answer = if known { Ok(Pass("~1.x".into())) } else { Err(Denied::Missing) };
        Box::pin(std::future::ready(answer))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_a_token_are_nobody_else_s_and_what_they_name_is_shared() {
    let origin = Origin::serve_with(not_live, Closed).await;
    let varnish = Varnish::before(origin.counted).await;
    let _writer = feed::open(&origin.store, 4);
    let index = "live/index.m3u8";
    for _ in 0..2 {
        let named = get(&varnish, &format!("{index}?token=good")).await;
        assert_eq!(named.status(), 200);
        assert!(header(named.headers(), "cache-control").contains("private"), "H72");
        assert!(named.text().await.unwrap().contains("~1.x/e1/low.m3u8"), "H72");
        let bearer = Client::new().get(varnish.url(index)).bearer_auth("good").send().await;
        assert_eq!(bearer.unwrap().status(), 200);
        assert_eq!(get(&varnish, index).await.status(), 401, "H72: nobody else gets it");
        assert_eq!(get(&varnish, &format!("{index}?token=bad")).await.status(), 401, "H72");
    }
    assert_eq!(asked(&origin, &format!("{index}?token=good")), 2, "H72: it is not kept");
    let media = "live/~1.x/e1/low/3.5.m4s";
    for _ in 0..3 {
        assert_eq!(get(&varnish, media).await.status(), 200);
    }
    assert_eq!(asked(&origin, media), 1, "H72: one copy for all who have the pass");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_is_kept_as_an_index_is() {
    let manifest = "dash/live/manifest.mpd";
    let times = |origin: &Origin, query: &str| {
        origin.counts().get(&format!("/{manifest}{query}")).copied().unwrap_or(0)
    };
    let origin = Origin::serve().await;
    let varnish = Varnish::before(origin.counted).await;
    let _writer = feed::open(&origin.store, 4);
    let began = Instant::now();
    for query in ["", "?a=1", ""] {
        let answer = reqwest::get(varnish.root(&format!("{manifest}{query}"))).await.unwrap();
        assert_eq!(header(answer.headers(), "cache-control"), "max-age=1");
        assert!(answer.text().await.unwrap().contains("<MPD"));
    }
    let most = began.elapsed().as_secs_f64() + 1.0;
    assert!(times(&origin, "") as f64 <= most, "one a second: {:?}", origin.counts());
    assert_eq!(times(&origin, "?a=1"), 0, "a query means nothing to it");

    let origin = Origin::serve_with(not_live, Closed).await;
    let varnish = Varnish::before(origin.counted).await;
    let _writer = feed::open(&origin.store, 4);
    for _ in 0..2 {
        let url = varnish.root(&format!("{manifest}?token=good"));
        let answer = reqwest::get(url).await.unwrap();
        assert!(header(answer.headers(), "cache-control").contains("private"));
        assert!(answer.text().await.unwrap().contains("hls/live/~1.x/e1/"));
        let other = reqwest::get(varnish.root(manifest)).await.unwrap();
        assert_eq!(other.status(), 401, "nobody else gets it");
    }
    assert_eq!(times(&origin, "?token=good"), 2, "it is not kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_segment_that_is_being_made_comes_part_by_part_and_once() {
    let origin = Origin::serve().await;
    let varnish = Varnish::before(origin.counted).await;
    let feeding = feed::go_on(feed::open(&origin.store, 3), 3);
    let segment = "live/e1/low/3.m4s";
    let play = async |later: Duration| {
        tokio::time::sleep(later).await;
        let mut answer = get(&varnish, segment).await;
        assert_eq!(answer.status(), 200);
        let (mut bytes, mut first) = (Vec::new(), None);
        while let Some(more) = answer.chunk().await.unwrap() {
            first.get_or_insert_with(Instant::now);
            bytes.extend_from_slice(&more);
        }
        (bytes, first.unwrap().elapsed())
    };
    // It takes two seconds; the second player comes in between.
    let (one, other) = tokio::join!(play(Duration::ZERO), play(Duration::from_millis(700)));
    feeding.abort();
    assert!(one.1 > Duration::from_millis(500), "the first parts do not wait: {:?}", one.1);
    assert_eq!(one.0, other.0);
    assert_eq!(one.0, get(&varnish, segment).await.bytes().await.unwrap());
    assert_eq!(asked(&origin, segment), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_for_a_cache_passes_it() {
    let origin = Origin::serve().await;
    let varnish = Varnish::before(origin.counted).await;
    let url = varnish.url("live/index.m3u8");
    let client = Client::new();
    let preflight = client
        .request(Method::OPTIONS, &url)
        .header("Origin", "https://player.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "range")
        .send()
        .await
        .unwrap();
    assert_eq!(preflight.status(), 204, "H68");
    assert_eq!(header(preflight.headers(), "access-control-allow-origin"), "*", "H68");
    assert!(header(preflight.headers(), "access-control-allow-headers").contains("Range"), "H68");
    assert_eq!(client.post(&url).send().await.unwrap().status(), 405);

    drop(origin);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let gone = get(&varnish, "live/e1/low.m3u8").await;
    assert_eq!(gone.status(), 503, "the origin cannot be reached");
    assert_eq!(header(gone.headers(), "access-control-allow-origin"), "*", "H68: pages may see it");
    let body: serde_json::Value = gone.json().await.unwrap();
    assert_eq!(body["status"], 503, "{body}");
}
