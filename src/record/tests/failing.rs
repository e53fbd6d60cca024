//! Tests of recordings that cannot go on.

use std::time::Duration;

use super::{Stage, now_s, settle, stream};
use crate::origin::Keeper;
use crate::storage::Error;
use crate::storage::memory::{Memory, Request};

fn full() -> Error {
    Error::Full("the disk is full".into())
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_fails_is_played_to_its_end_and_told_of() {
    let memory = Memory::default();
    let stage = Stage::open(&memory);
    let zero_s = now_s() - 20;
    let epoch = stage.epoch("e1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    stage.segment(&epoch, zero_s, 1).await;
    memory.fail(Request::Put, "", full());
    stage.segment(&epoch, zero_s, 2).await;
    let all = stage.all();
    assert_eq!((all[0].state(), all[0].end.duration_s), ("failed", 4.0));
    let view = stage.library.view(&stream(), "e1").await.unwrap();
    assert_eq!(view.index.tracks[0].segments.len(), 2, "what it says it has is there");
    assert_eq!(stage.told.lock().unwrap().len(), 1);
    memory.mend();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(memory.text("cam/e1/end.json").unwrap().contains("the disk is full"));
    let view = stage.library.view(&stream(), "e1").await.unwrap();
    assert_eq!(view.index.tracks[0].segments.len(), 2);
    assert_eq!(stage.all()[0].state(), "failed");
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_only_cannot_be_closed_has_not_failed() {
    let memory = Memory::default();
    let stage = Stage::open(&memory);
    let zero_s = now_s() - 20;
    let epoch = stage.epoch("e1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    memory.fail(Request::Put, "end.json", full());
    stage.library.ended(&stream(), &epoch);
    settle().await;
    assert_eq!(stage.all()[0].state(), "ready");
    assert!(stage.library.view(&stream(), "e1").await.is_ok());
    memory.mend();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(memory.text("cam/e1/end.json").is_some());
}

#[tokio::test(start_paused = true)]
async fn of_a_recording_that_fails_at_once_nothing_is_left() {
    let memory = Memory::default();
    let stage = Stage::open(&memory);
    let zero_s = now_s() - 20;
    let epoch = stage.epoch("e1", zero_s);
    memory.fail(Request::Put, ".m4s", full());
    stage.segment(&epoch, zero_s, 0).await;
    assert_eq!(stage.ids(), [] as [&str; 0]);
    assert_eq!(memory.paths(), [] as [&str; 0]);
    assert_eq!(stage.told.lock().unwrap().len(), 0);
}
