//! Tests of what a start makes of what is in the store.

use std::time::Duration;

use super::{Stage, closed, cut_off, left, settle, stream};
use crate::storage::Error;
use crate::storage::memory::{Memory, Request};

fn failed() -> Error {
    Error::Failed("input/output error".into())
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_cannot_be_read_hides_no_other_and_is_tried_again() {
    let memory = Memory::default();
    for (id, began_s) in [("a-1", 10), ("b-2", 20), ("c-3", 30)] {
        closed(&memory, id, began_s, 3);
    }
    memory.fail(Request::Get, "b-2/recording.json", failed());
    let stage = Stage::open(&memory);
    settle().await;
    assert_eq!(stage.ids(), ["c-3", "a-1"]);
    memory.mend();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(stage.ids(), ["c-3", "b-2", "a-1"]);
}

#[tokio::test(start_paused = true)]
async fn a_recording_that_cannot_be_closed_is_played_and_closed_later() {
    let memory = Memory::default();
    let layout = cut_off(&memory, "a-1", 10, 3);
    memory.fail(Request::Put, "a-1/", Error::Full("the disk is full".into()));
    let stage = Stage::open(&memory);
    settle().await;
    let all = stage.all();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].state(), all[0].end.duration_s), ("ready", 6.0));
    let view = stage.library.view(&stream(), "a-1").await.unwrap();
    assert_eq!(view.index.tracks[0].segments.len(), 3);
    memory.mend();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(memory.text(layout.end().as_ref()).is_some(), "{:?}", memory.paths());
    assert!(memory.text(layout.block(0).as_ref()).is_none(), "{:?}", memory.paths());
    assert_eq!(stage.all()[0].state(), "ready");
}

#[tokio::test(start_paused = true)]
async fn media_is_never_removed_because_nothing_tells_of_it() {
    let memory = Memory::default();
    let layout = closed(&memory, "a-1", 10, 3);
    memory.set(layout.index().as_ref(), "");
    memory.set(layout.end().as_ref(), "");
    closed(&memory, "b-2", 20, 3);
    let stage = Stage::open(&memory);
    settle().await;
    assert_eq!(stage.ids(), ["b-2"]);
    assert!(memory.text(layout.segment("v0", 2).as_ref()).is_some(), "{:?}", memory.paths());
}

#[tokio::test(start_paused = true)]
async fn where_the_index_is_empty_its_blocks_tell() {
    let memory = Memory::default();
    let layout = cut_off(&memory, "a-1", 10, 3);
    memory.set(layout.index().as_ref(), "");
    memory.set(layout.end().as_ref(), "");
    let stage = Stage::open(&memory);
    settle().await;
    assert_eq!(stage.all()[0].end.duration_s, 6.0);
    assert!(memory.text(layout.index().as_ref()).unwrap().lines().count() >= 4);
}

#[tokio::test(start_paused = true)]
async fn what_begot_nothing_is_removed_and_what_another_server_damaged_is_not() {
    let memory = Memory::default();
    left(&memory, "here", "a-1", 10, 0);
    let (layout, _) = left(&memory, "there", "b-2", 20, 0);
    memory.set(layout.end().as_ref(), "");
    let stage = Stage::open(&memory);
    settle().await;
    assert_eq!(stage.ids(), [] as [&str; 0]);
    assert!(memory.paths().iter().all(|path| path.starts_with("cam/b-2/")), "{:?}", memory.paths());
    assert_eq!(memory.paths().len(), 3);
}
