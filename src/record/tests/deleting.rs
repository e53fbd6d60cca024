//! Tests of what goes, and of what stays.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Stage, closed, now_s, settle, stream};
use crate::origin::{EpochId, Keeper};
use crate::record::Which;
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
async fn what_cannot_be_removed_yet_is_removed_later() {
    let memory = Memory::default();
    closed(&memory, "a-1", 10, 3);
    let stage = Stage::open(&memory);
    settle().await;
    memory.fail(Request::Put, "", Error::Full("the disk is full".into()));
    memory.fail(Request::Delete, "v0/1.m4s", Error::Failed("input/output error".into()));
    stage.library.delete("a-1").await.unwrap();
    assert_eq!(stage.ids(), [] as [&str; 0]);
    assert!(memory.text("cam/a-1/recording.json").is_some(), "{:?}", memory.paths());
    assert!(memory.text("cam/a-1/end.json").is_some(), "{:?}", memory.paths());
    memory.mend();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(memory.paths(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_tells_of_a_recording_goes_after_its_media_and_the_mark_last() {
    let memory = Memory::default();
    closed(&memory, "a-1", 10, 20);
    let stage = Stage::open(&memory);
    settle().await;
    stage.library.delete("a-1").await.unwrap();
    let deleted = memory.deleted();
    let told = |path: &&String| path.contains("json");
    assert_eq!(deleted.iter().position(|path| told(&path)), Some(21), "{deleted:?}");
    let last: Vec<_> = deleted.iter().skip(23).map(String::as_str).collect();
    assert_eq!(last, ["cam/a-1/recording.json", "cam/a-1/removed.json"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_deleted_goes_whoever_stays_to_hear_of_it() {
    let memory = Memory::default();
    closed(&memory, "a-1", 10, 3);
    let stage = Stage::open(&memory);
    settle().await;
    let heard = tokio::time::timeout(Duration::ZERO, stage.library.delete("a-1")).await;
    assert!(heard.is_err(), "who asks goes away");
    settle().await;
    assert_eq!(memory.paths(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn the_page_after_one_that_is_deleted_has_what_follows() {
    let memory = Memory::default();
    let ids: Vec<_> = (1..=6).map(|n| EpochId::new(n * 1_000_000, n).to_string()).collect();
    for (id, n) in ids.iter().zip(1..) {
        // They begin a while after they are named.
        closed(&memory, id, n * 1_000 + 5, 1);
    }
    let stage = Stage::open(&memory);
    settle().await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let which = Which { limit: 2, after: after.take(), ..Which::default() };
        let (page, more) = stage.library.page(&which, &|_| true);
        for about in &page {
            stage.library.delete(&about.header.id).await.unwrap();
            seen.push(about.header.id.clone());
        }
        if !more {
            break;
        }
        after = page.last().map(|last| last.header.id.clone());
    }
    seen.reverse();
    assert_eq!(seen, ids);
}

#[tokio::test(start_paused = true)]
async fn a_live_players_way_back_outlives_the_limits() {
    let stage = Stage::open(&Memory::default());
    stage.keep.lock().unwrap().window = Duration::from_secs(600);
    let zero_s = now_s() - 20;
    let epoch = stage.epoch("e1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    stage.library.stop(&stream()).unwrap();
    stage.max_bytes.store(1, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stage.ids(), ["e1"]);
    stage.library.ended(&stream(), &epoch);
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(stage.ids(), [] as [&str; 0]);
}
