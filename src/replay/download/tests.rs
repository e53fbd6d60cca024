//! Tests of how downloads are answered.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use axum::http::Request;

use super::*;
use crate::record::tests::{Stage, left};
use crate::storage::memory::Memory;

/// Who serves, and a recording that has so many segments.
fn stage(segments: u64, growth: Growth) -> (Arc<Replay>, View) {
    let memory = Memory::default();
    let (_, index) = left(&memory, "here", "a-1", 10, segments);
    (
        Arc::new(Replay::new(Stage::open(&memory).library, crate::origin::OpenDoors)),
        View { index: Arc::new(index), growth },
    )
}

/// A plan of a file of 110 bytes.
fn planned(beginning: &'static [u8; 10]) -> Plan {
    let place = Place { track: 1, init: 0, earlier: 0, ordinal: 0 };
    let piece = Piece { object: "cam/a-1/v0/0.m4s".into(), bytes: 100, place };
    Plan { beginning: Bytes::from_static(beginning), pieces: vec![piece], len: Some(110) }
}

/// An answer with a plan of that beginning.
fn answered(
    replay: &Replay,
    view: &View,
    beginning: &'static [u8; 10],
    asked: &request::Parts,
) -> Response {
    let slot = Arc::clone(&replay.downloads).try_acquire_owned().unwrap();
    answer(replay, view, planned(beginning), asked, slot)
}

fn head(headers: &[(header::HeaderName, &str)]) -> request::Parts {
    let mut request = Request::head("/");
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn field(response: &Response, name: header::HeaderName) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn of_a_recording_that_grows_no_range_is_given() {
    let (replay, view) = stage(3, Growth::Growing);
    let asked = head(&[(header::RANGE, "bytes=5-")]);
    let response = answered(&replay, &view, b"0123456789", &asked);
    assert_eq!(response.status(), 200);
    assert_eq!(field(&response, header::ACCEPT_RANGES).as_deref(), Some("none"));
    assert_eq!(field(&response, header::CONTENT_LENGTH).as_deref(), Some("110"));
    assert_eq!(field(&response, header::ETAG), None);
}

#[tokio::test]
async fn of_a_complete_recording_the_rest_is_given_of_the_same_file_only() {
    let (replay, view) = stage(3, Growth::Complete);
    let whole = answered(&replay, &view, b"0123456789", &head(&[]));
    let tag = field(&whole, header::ETAG).unwrap();
    assert!(tag.starts_with('"'), "it is a strong one: {tag}");
    let asked = head(&[(header::RANGE, "bytes=5-"), (header::IF_RANGE, &tag)]);
    let rest = answered(&replay, &view, b"0123456789", &asked);
    assert_eq!(rest.status(), 206);
    assert_eq!(field(&rest, header::CONTENT_RANGE).as_deref(), Some("bytes 5-109/110"));
    let other = answered(&replay, &view, b"another 10", &asked);
    assert_eq!(other.status(), 200, "it is another file");
}

#[tokio::test]
async fn a_download_keeps_its_slot_until_it_is_over() {
    let (replay, view) = stage(3, Growth::Complete);
    let free = || replay.downloads.available_permits();
    let asked = Request::get("/").body(()).unwrap().into_parts().0;
    let all = free();
    let responses: Vec<_> =
        (0..all).map(|_| answered(&replay, &view, b"0123456789", &asked)).collect();
    assert_eq!(free(), 0);
    let path = || super::super::path::parse("/replay/cam/a-1/download.mp4").unwrap();
    let refused = replay.find(path(), &asked, None).await;
    assert_eq!(refused.status(), 503);
    assert!(field(&refused, header::RETRY_AFTER).is_some());
    drop(responses);
    assert_eq!(free(), all);
    // There is no such recording here.
    assert_eq!(replay.find(path(), &asked, None).await.status(), 404);
    assert_eq!(free(), all);
}
