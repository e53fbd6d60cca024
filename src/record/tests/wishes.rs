//! Tests of what the API wishes.

use std::sync::atomic::Ordering;

use super::{Stage, now_s, settle, stream};
use crate::origin::Keeper;
use crate::storage::memory::Memory;

#[tokio::test(start_paused = true)]
async fn a_wish_ends_with_the_life_of_its_stream() {
    let stage = Stage::open(&Memory::default());
    let zero_s = now_s() - 20;
    stage.library.stop(&stream()).unwrap();
    assert!(!stage.library.wants(&stream()));
    // The same name is published anew before anybody has looked.
    stage.life.store(2, Ordering::Relaxed);
    assert!(stage.library.wants(&stream()));
    let epoch = stage.epoch("e2", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    assert_eq!(stage.ids(), ["e2"]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_holds_as_long_as_its_stream_lives() {
    let stage = Stage::open(&Memory::default());
    stage.always.store(false, Ordering::Relaxed);
    let zero_s = now_s() - 20;
    let epoch = stage.epoch("e1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    assert_eq!(stage.ids(), [] as [&str; 0]);
    stage.library.start(&stream()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    stage.segment(&epoch, zero_s, 1).await;
    assert_eq!(stage.ids(), ["e1"]);
    stage.library.ended(&stream(), &epoch);
    settle().await;
    stage.life.store(0, Ordering::Relaxed);
    tokio::time::sleep(std::time::Duration::from_secs(20)).await;
    stage.life.store(1, Ordering::Relaxed);
    assert!(!stage.library.wants(&stream()), "it is forgotten");
}

#[tokio::test(start_paused = true)]
async fn who_starts_after_a_stop_is_told_of_the_recording_that_begins() {
    let stage = Stage::open(&Memory::default());
    let zero_s = now_s() - 20;
    let epoch = stage.epoch("e1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    stage.library.stop(&stream()).unwrap();
    stage.library.start(&stream()).unwrap();
    assert_eq!(stage.library.going(&stream()), None, "what there is ends");
    stage.segment(&epoch, zero_s, 1).await;
    let going = stage.library.going(&stream()).unwrap();
    assert_ne!(going.header.id, "e1");
}

#[tokio::test(start_paused = true)]
async fn what_begins_long_after_its_epoch_has_a_later_name() {
    let stage = Stage::open(&Memory::default());
    let zero_s = now_s() - 3_600;
    let name = crate::origin::EpochId::new(zero_s as u64 * 1_000, 1).to_string();
    let epoch = stage.epoch(&name, zero_s);
    stage.segment(&epoch, zero_s, 1_700).await;
    let ids = stage.ids();
    assert!(ids.len() == 1 && ids[0] > name, "{ids:?}");
}
