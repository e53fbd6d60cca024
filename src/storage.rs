//! A store of objects: a local folder, or a bucket of S3 behind a spool on disk.
//!
//! Objects have one final name and are written whole. Whoever writes one again writes the same bytes.

mod bucket;
mod folder;
#[cfg(test)]
pub(crate) mod memory;
mod spool;

use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use bucket::{Bucket, S3};
pub use object_store::path::Path;
pub use spool::{Spool, Spooled};

/// A place where objects are kept.
pub trait Objects: Send + Sync + 'static {
    /// Keeps an object. Afterwards it is there, whatever becomes of this process; one of JSON, whatever
    /// becomes of this machine.
    fn put(&self, path: &Path, bytes: Bytes) -> BoxFuture<'_, Result<(), Error>>;

    /// An object, whole.
    fn get(&self, path: &Path) -> BoxFuture<'_, Result<Bytes, Error>>;

    /// The objects below a folder, however deep.
    fn list(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Entry>, Error>>;

    /// The folders in a folder.
    fn folders(&self, folder: &Path) -> BoxFuture<'_, Result<Vec<Path>, Error>>;

    /// Removes an object; one that is not there is removed.
    fn delete(&self, path: &Path) -> BoxFuture<'_, Result<(), Error>>;
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub path: Path,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was written.
    pub modified: SystemTime,
}

/// Why a store did not do it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object.
    #[error("there is no {0}")]
    Missing(Path),
    /// There is no room.
    #[error("{0}")]
    Full(String),
    /// Something else, which may pass.
    #[error("{0}")]
    Failed(Arc<str>),
}

/// Whether an object is one of JSON, which tells of others: small, and never to be lost.
pub fn is_telling(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "json" || extension == "jsonl")
}

// === impl Error ===

impl Error {
    fn of(path: &Path, error: object_store::Error) -> Self {
        if let object_store::Error::NotFound { .. } = error {
            return Self::Missing(path.clone());
        }
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(found) = cause {
            let full = found.downcast_ref::<io::Error>().map(io::Error::kind);
            if let Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) = full {
                return Self::Full("the disk is full".into());
            }
            cause = found.source();
        }
        Self::Failed(error.to_string().into())
    }
}
