//! A claim on a folder: no two processes write to one.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A folder that is this process's own until this is dropped.
#[derive(Debug)]
pub struct Claim {
    _lock: File,
}

/// Why a folder cannot be claimed.
#[derive(Debug, thiserror::Error)]
pub enum Claimed {
    /// Another process has it.
    #[error(
        "{0} is in use by another process: two servers need two data folders (set data to another one)"
    )]
    Already(PathBuf),
    /// It cannot be written to.
    #[error(
        "recordings cannot be written to {0} ({1}): set data to a folder that can be written to, or \
         recording.enabled = false"
    )]
    Unwritable(PathBuf, io::Error),
}

// === impl Claim ===

impl Claim {
    /// Claims a folder, which is made where there is none.
    pub fn new(folder: &Path) -> Result<Self, Claimed> {
        let unwritable = |error| Claimed::Unwritable(folder.into(), error);
        std::fs::create_dir_all(folder).map_err(unwritable)?;
        let lock = File::create(folder.join("lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Claimed::Already(folder.into())),
            Err(TryLockError::Error(error)) => Err(unwritable(error)),
        }
    }
}
