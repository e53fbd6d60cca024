//! The `[recording]` section: where recordings are kept, and how much of them.

use super::auth::Secret;
use super::options::{Arity, Key};
use super::value;

/// Where recordings are kept, and how much of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    /// Whether anything can be recorded and replayed.
    pub enabled: bool,
    /// Bytes of all recordings together; 0 is no limit.
    pub max_size: u64,
    /// Bytes that may wait in memory for the store.
    pub queue_size: u64,
    /// The bucket of S3 that recordings are kept in; `None` is the folder `recordings` in `data`.
    pub s3_bucket: Option<String>,
    /// What the names of all objects begin with.
    pub s3_prefix: String,
    /// The address of a server that is not Amazon's.
    pub s3_endpoint: Option<String>,
    /// The region.
    pub s3_region: Option<String>,
    /// The name of the access key.
    pub s3_access_key_id: Option<String>,
    /// The secret of the access key.
    pub s3_secret_access_key: Option<Secret>,
    /// Bytes that may wait on disk for the bucket.
    pub spool_size: u64,
}

// === impl Recording ===

impl Recording {
    /// What is wrong with it as a whole, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.s3_bucket.is_none() {
            let set = [
                ("s3_endpoint", self.s3_endpoint.is_some()),
                ("s3_prefix", !self.s3_prefix.is_empty()),
                ("s3_region", self.s3_region.is_some()),
                ("s3_access_key_id", self.s3_access_key_id.is_some()),
                ("s3_secret_access_key", self.s3_secret_access_key.is_some()),
            ];
            if let Some((key, _)) = set.iter().find(|(_, set)| *set) {
                return Err(format!("recording.{key} is set, but recording.s3_bucket is not"));
            }
        }
        if self.s3_access_key_id.is_some() != self.s3_secret_access_key.is_some() {
            return Err(
                "recording.s3_access_key_id and recording.s3_secret_access_key go together".into(),
            );
        }
        Ok(())
    }
}

impl Default for Recording {
    fn default() -> Self {
        let mut recording = Self {
            enabled: false,
            max_size: 0,
            queue_size: 0,
            s3_bucket: None,
            s3_prefix: String::new(),
            s3_endpoint: None,
            s3_region: None,
            s3_access_key_id: None,
            s3_secret_access_key: None,
            spool_size: 0,
        };
        for key in RECORDING_KEYS.iter().filter(|key| !key.default.is_empty()) {
            (key.set)(&mut recording, &[key.default.to_owned()]).expect("defaults are valid");
        }
        recording
    }
}

fn some(slot: &mut Option<String>, text: &str) -> value::Parsed<()> {
    if text.is_empty() {
        return Err("it is empty".into());
    }
    *slot = Some(text.to_owned());
    Ok(())
}

pub(super) const RECORDING_KEYS: &[Key<Recording>] = &[
    Key {
        name: "enabled",
        default: "true",
        help: "Whether anything can be [recorded](recording.md) and replayed. Which streams are, \
               `streams.record` says.",
        arity: Arity::One,
        set: |recording, v| value::boolean(&v[0]).map(|enabled| recording.enabled = enabled),
    },
    Key {
        name: "max_size",
        default: "0",
        help: "Bytes of all recordings together, such as `500G`; the oldest are deleted above it. 0 \
               is no limit.",
        arity: Arity::One,
        set: |recording, v| value::size(&v[0]).map(|bytes| recording.max_size = bytes),
    },
    Key {
        name: "queue_size",
        default: "64M",
        help: "Bytes that may wait in memory for the disk. Above it what is recorded fails, and the \
               streams go on.",
        arity: Arity::One,
        set: |recording, v| value::size(&v[0]).map(|bytes| recording.queue_size = bytes),
    },
    Key {
        name: "s3_bucket",
        default: "",
        help: "The bucket of S3, or of what speaks its language, that recordings are kept in. \
               Without one they are in the folder `recordings` in `data`.",
        arity: Arity::One,
        set: |recording, v| some(&mut recording.s3_bucket, &v[0]),
    },
    Key {
        name: "s3_prefix",
        default: "",
        help: "What the names of all objects in the bucket begin with, as a folder.",
        arity: Arity::One,
        set: |recording, v| {
            recording.s3_prefix.clone_from(&v[0]);
            Ok(())
        },
    },
    Key {
        name: "s3_endpoint",
        default: "",
        help: "The URL of a server of S3 that is not Amazon's.",
        arity: Arity::One,
        set: |recording, v| {
            value::http_url(&v[0])?;
            some(&mut recording.s3_endpoint, &v[0])
        },
    },
    Key {
        name: "s3_region",
        default: "",
        help: "The region; without it `AWS_REGION` is taken.",
        arity: Arity::One,
        set: |recording, v| some(&mut recording.s3_region, &v[0]),
    },
    Key {
        name: "s3_access_key_id",
        default: "",
        help: "The access key; without it `AWS_ACCESS_KEY_ID` or the machine's role is taken \
               ([what else](recording.md#where-it-is-kept)).",
        arity: Arity::One,
        set: |recording, v| some(&mut recording.s3_access_key_id, &v[0]),
    },
    Key {
        name: "s3_secret_access_key",
        default: "",
        help: "Its secret; without it `AWS_SECRET_ACCESS_KEY` is taken.",
        arity: Arity::One,
        set: |recording, v| {
            recording.s3_secret_access_key = Some(Secret::new(&v[0]));
            Ok(())
        },
    },
    Key {
        name: "spool_size",
        default: "10G",
        help: "Bytes that may wait on disk, in the folder `spool` in `data`, while the bucket takes \
               nothing. Above it what is recorded fails.",
        arity: Arity::One,
        set: |recording, v| value::size(&v[0]).map(|bytes| recording.spool_size = bytes),
    },
];
