//! Tests of what goes, and of what stays.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Stage, closed, now_s, settle, stream};
use crate::origin::Keeper;
use crate::storage::Error;
use crate::storage::memory::{Memory, Request};

#[tokio::test(start_paused = true)]
async fn a_full_disk_keeps_nobody_from_deleting() {
    let memory = Memory::default();
    closed(&memory, "a-1", 10, 3);
    let stage = Stage::open(&memory);
    settle().await;
    memory.fail(Request::Put, "", Error::Full("the disk is full".into()));
    stage.library.delete("a-1").await.unwrap();
    assert_eq!(memory.paths(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_tells_of_a_recording_goes_after_its_media() {
    let memory = Memory::default();
    closed(&memory, "a-1", 10, 3);
    let stage = Stage::open(&memory);
    settle().await;
    memory.fail(Request::Put, "", Error::Full("the disk is full".into()));
    memory.fail(Request::Delete, "v0/1.m4s", Error::Failed("input/output error".into()));
    assert!(stage.library.delete("a-1").await.is_err());
    assert!(memory.text("cam/a-1/recording.json").is_some(), "{:?}", memory.paths());
    assert!(memory.text("cam/a-1/end.json").is_some(), "{:?}", memory.paths());
}

#[tokio::test(start_paused = true)]
async fn a_live_players_way_back_outlives_the_limits() {
    let stage = Stage::open(&Memory::default());
    stage.keep.lock().unwrap().window = Duration::from_secs(600);
    let zero_s = now_s() - 20;
    let epoch = stage.epoch("e-1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    stage.library.stop(&stream()).unwrap();
    stage.max_bytes.store(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stage.ids(), ["e-1"]);
    stage.library.ended(&stream(), &epoch);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stage.ids(), [] as [&str; 0]);
}
