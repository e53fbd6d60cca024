//! A stage with an origin, a stream of tiny parts, and players.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Response, StatusCode};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use whitewater::origin::{self, EpochId, Hooks, Limits, Offered, Store, Wanted, Writer};
use whitewater_core::media::{Init, Kind, Ntp, Packaged, Part, VideoRange};
use whitewater_core::playlist::{Bandwidth, Config, Name};
use whitewater_signaling::control::StreamName;

/// Ticks per second.
const HZ: u32 = 1_000;

pub(crate) struct Stage {
    pub(crate) store: Store,
    pub(crate) writer: Writer,
    pub(crate) origin: Origin,
}

/// A served origin, until it is dropped.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn stream(text: &str) -> StreamName {
    text.parse().unwrap()
}

pub(crate) fn epoch(text: &str) -> EpochId {
    text.parse().unwrap()
}

pub(crate) fn offered(rendition: &str, kind: Kind, kbps: u64) -> Offered {
    let epoch = Ntp::from_unix_micros(1_795_886_249_040_000);
    let mut config = Config::new(name(rendition), HZ, epoch);
    config.segment = Duration::from_secs(3);
    Offered {
        config,
        kind,
        nominal: Bandwidth { peak_bps: kbps * 1_100, average_bps: kbps * 1_000 },
        frame_rate: (kind == Kind::Video).then_some(30.0),
        channels: (kind == Kind::Audio).then_some(2),
    }
}

/// Sound and pictures.
pub(crate) fn both() -> Vec<Offered> {
    vec![offered("video", Kind::Video, 2_500), offered("audio", Kind::Audio, 128)]
}

pub(crate) fn init(version: u32, codecs: &str) -> Packaged {
    let bytes = Bytes::from(format!("init {version}"));
    let size = codecs.starts_with("avc1").then_some((1_280, 720));
    Packaged::Init(Init { version, bytes, codecs: codecs.into(), size, range: VideoRange::Sdr })
}

pub(crate) fn part(segment: u64, index: u32) -> Packaged {
    part_of(segment, index, Bytes::from(format!("<{segment}.{index}>")))
}

pub(crate) fn part_of(segment: u64, index: u32, bytes: Bytes) -> Packaged {
    let start = segment as i64 * 3_000 + i64::from(index) * 500;
    let independent = index == 0;
    Packaged::Part(Part { segment, index, start, duration: 500, independent, bytes: Some(bytes) })
}

pub(crate) fn end_of(segment: u64) -> Packaged {
    Packaged::SegmentEnd { segment, duration: 3_000 }
}

/// Complete segments of three seconds.
pub(crate) fn segments(numbers: std::ops::Range<u64>) -> Vec<Packaged> {
    let whole = |segment| (0..6).map(move |index| part(segment, index)).chain([end_of(segment)]);
    numbers.flat_map(whole).collect()
}

/// Nobody publishes anything else.
pub(crate) async fn not_live(_: StreamName) -> Wanted {
    std::future::ready(Wanted::NotLive).await
}

// === impl Stage ===

impl Stage {
    /// A stream `live` whose epoch `e1` has so many segments and nothing of the next one.
    pub(crate) async fn with_segments(count: u64) -> Self {
        Self::with(Limits::default(), both(), count).await
    }

    pub(crate) async fn with(limits: Limits, offered: Vec<Offered>, count: u64) -> Self {
        let store = Store::new(limits);
        let writer = store.open(stream("live"), epoch("e1"), offered.clone()).unwrap();
        let origin = Origin::serve(store.clone(), not_live).await;
        for one in offered {
            let codecs = if one.kind == Kind::Video { "avc1.42c01f" } else { "mp4a.40.2" };
            writer.push(&one.config.name, [init(0, codecs)]).unwrap();
            writer.push(&one.config.name, segments(0..count)).unwrap();
        }
        Self { store, writer, origin }
    }

    pub(crate) fn push(&self, rendition: &str, items: impl IntoIterator<Item = Packaged>) {
        self.writer.push(&name(rendition), items).unwrap();
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        self.origin.get(path).await
    }

    /// A request under way, and proof that it is held.
    pub(crate) async fn held(&self, path: &str) -> JoinHandle<Response> {
        let before = self.store.held_requests();
        let url = self.origin.url(path);
        let request = tokio::spawn(async move { reqwest::get(url).await.unwrap() });
        self.until_held(before + 1).await;
        assert!(!request.is_finished(), "{path} is held");
        request
    }

    pub(crate) async fn until_held(&self, count: usize) {
        let reached = async {
            while self.store.held_requests() != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let within = tokio::time::timeout(Duration::from_secs(20), reached).await;
        assert!(within.is_ok(), "{} of {count} are held", self.store.held_requests());
    }
}

// === impl Origin ===

impl Origin {
    pub(crate) async fn serve(store: Store, hooks: impl Hooks) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = origin::router(store, hooks, origin::OpenDoors);
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, task }
    }

    pub(crate) fn root(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/hls/{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        Client::new().get(self.url(path)).send().await.unwrap()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

/// The text of an answer that must be 200.
pub(crate) async fn text(response: Response) -> String {
    let (status, url) = (response.status(), response.url().clone());
    let text = response.text().await.unwrap();
    assert_eq!(status, StatusCode::OK, "{url}: {text}");
    text
}
