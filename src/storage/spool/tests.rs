//! Tests of the spool, with a store in memory behind it.
#![allow(clippy::unwrap_used)]

use super::super::memory::{Memory, Request};
use super::*;

/// A spool in a folder that goes away with it.
struct Stage {
    spool: Spool,
    far: Memory,
    _folder: tempfile::TempDir,
}

impl Stage {
    fn start(max_bytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let far = Memory::default();
        let spool = Spool::start(Bucket::folder(folder.path()).unwrap(), far.clone(), max_bytes);
        Self { spool, far, _folder: folder }
    }

    async fn put(&self, path: &str, bytes: &'static [u8]) -> Result<(), Error> {
        self.spool.put(&Path::from(path), Bytes::from_static(bytes)).await
    }

    /// Waits until something holds.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        for _ in 0..500 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never comes to pass that {what}: {:?}", self.far.paths());
    }
}

#[tokio::test]
async fn a_full_spool_takes_what_tells_of_others() {
    let stage = Stage::start(10);
    stage.far.fail(Request::Put, "", Error::Failed("away".into()));
    stage.put("cam/a-1/v0/0.m4s", b"0123456789").await.unwrap();
    let refused = stage.put("cam/a-1/v0/1.m4s", b"0").await;
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    stage.put("cam/a-1/removed.json", b"{}").await.unwrap();
    stage.put("cam/a-1/index/00000000.jsonl", b"{}").await.unwrap();
}

#[tokio::test]
async fn what_is_deleted_while_it_goes_up_is_gone() {
    let stage = Stage::start(1_000);
    stage.far.slow_down("", Duration::from_millis(100));
    stage.put("cam/a-1/v0/0.m4s", b"0123456789").await.unwrap();
    stage.until("it goes up", |stage| stage.far.most_at_once() > 0).await;
    stage.spool.delete(&Path::from("cam/a-1/v0/0.m4s")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(stage.far.paths(), [] as [&str; 0]);
    assert_eq!(stage.spool.counted(), Spooled::default());
}

#[tokio::test]
async fn what_is_written_anew_while_it_goes_up_is_there_as_it_was_written_last() {
    let stage = Stage::start(1_000);
    stage.far.slow_down("", Duration::from_millis(100));
    stage.put("cam/a-1/index/00000000.jsonl", b"first").await.unwrap();
    stage.until("it goes up", |stage| stage.far.most_at_once() > 0).await;
    stage.put("cam/a-1/index/00000000.jsonl", b"second").await.unwrap();
    stage.until("all is up", |stage| stage.spool.counted().objects == 0).await;
    let there = stage.far.text("cam/a-1/index/00000000.jsonl");
    assert_eq!(there.as_deref(), Some("second"));
}

#[tokio::test]
async fn media_goes_up_together_and_what_tells_of_it_after_it() {
    let stage = Stage::start(1_000);
    stage.far.slow_down(".m4s", Duration::from_millis(50));
    for msn in 0..8 {
        stage.put(&format!("cam/a-1/v0/{msn}.m4s"), b"media").await.unwrap();
    }
    stage.put("cam/a-1/index/00000000.jsonl", b"{}").await.unwrap();
    stage.put("cam/a-1/v0/8.m4s", b"media").await.unwrap();
    let told = |stage: &Stage| stage.far.text("cam/a-1/index/00000000.jsonl").is_some();
    stage.until("it is told of", told).await;
    let media = stage.far.paths().iter().filter(|path| path.ends_with(".m4s")).count();
    assert_eq!(media, 8, "{:?}", stage.far.paths());
    stage.until("all is up", |stage| stage.spool.counted().objects == 0).await;
    let most = stage.far.most_at_once();
    assert!((2..=AT_ONCE).contains(&most), "{most} at once");
}
