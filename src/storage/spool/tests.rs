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
