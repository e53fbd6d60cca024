//! Tests of what players of a live stream get from its recordings.

use std::sync::Arc;

use bytes::Bytes;
use whitewater_core::media::Ntp;

use super::{Stage, media, name, now_s, settle, stream};
use crate::origin::Keeper;
use crate::record::View;
use crate::storage::memory::Memory;

async fn fetch(stage: &Stage, zero_s: i64, msn: u64) -> Option<Bytes> {
    let zero = Ntp::from_unix_micros(zero_s * 1_000_000);
    stage.library.fetch(&stream(), zero, &name(), msn).await
}

#[tokio::test(start_paused = true)]
async fn a_recording_begun_anew_serves_the_epoch_it_was_begun_in() {
    let stage = Stage::open(&Memory::default());
    let zero_s = now_s() - 100;
    let epoch = stage.epoch("e1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    stage.library.stop(&stream()).unwrap();
    stage.library.start(&stream()).unwrap();
    stage.segment(&epoch, zero_s, 1).await;
    stage.library.stop(&stream()).unwrap();
    settle().await;
    assert_eq!(stage.all().iter().filter(|one| !one.is_going).count(), 2);
    assert_eq!(fetch(&stage, zero_s, 0).await, Some(media(zero_s, 0)));
    assert_eq!(fetch(&stage, zero_s, 1).await, Some(media(zero_s, 1)));
    assert_eq!(fetch(&stage, zero_s, 2).await, None);
}

#[tokio::test(start_paused = true)]
async fn an_epoch_that_has_ended_is_never_answered_with_another_ones_media() {
    let stage = Stage::open(&Memory::default());
    let (old, new) = (now_s() - 200, now_s() - 100);
    let epoch = stage.epoch("e1", old);
    stage.segment(&epoch, old, 0).await;
    stage.library.ended(&stream(), &epoch);
    let epoch = stage.epoch("e2", new);
    stage.segment(&epoch, new, 0).await;
    stage.segment(&epoch, new, 1).await;
    assert_eq!(fetch(&stage, old, 0).await, Some(media(old, 0)));
    assert_eq!(fetch(&stage, old, 1).await, None, "only the new one has it");
    assert_eq!(fetch(&stage, new, 1).await, Some(media(new, 1)));
}

#[tokio::test(start_paused = true)]
async fn who_looks_at_a_recording_that_grows_shares_its_index() {
    let stage = Stage::open(&Memory::default());
    let zero_s = now_s() - 100;
    let epoch = stage.epoch("e1", zero_s);
    stage.segment(&epoch, zero_s, 0).await;
    let one = stage.library.view(&stream(), "e1").await.unwrap();
    let other = stage.library.view(&stream(), "e1").await.unwrap();
    assert!(Arc::ptr_eq(&one.index, &other.index));
    stage.segment(&epoch, zero_s, 1).await;
    let later = stage.library.view(&stream(), "e1").await.unwrap();
    let segments = |view: &View| view.index.tracks[0].segments.len();
    assert_eq!((segments(&one), segments(&later)), (1, 2));
}
