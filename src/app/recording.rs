//! What records: the store, the claim on its folder, and the library.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;

use crate::bridge::Recorded;
use crate::config::{Config, Hls, HlsSound, Live, Policy, Record};
use crate::control::{self, Control};
use crate::metrics;
use crate::record::{self, Claim, Keep, Library};
use crate::storage::{Bucket, Objects, S3, Spool};

/// What records while it is held.
pub(super) struct Recording {
    pub(super) library: Library,
    _claim: Claim,
}

/// Opens the store of recordings; `None` where nothing is to be recorded.
pub(super) fn open(
    config: &Config,
    live: &Live,
    control: &Arc<Control>,
    metrics: metrics::Recording,
) -> anyhow::Result<Option<Recording>> {
    if !config.recording.enabled {
        return Ok(None);
    }
    let claim = Claim::new(&config.data)?;
    let folder = |name: &str| {
        let folder = config.data.join(name);
        let shown = folder.display().to_string();
        Bucket::folder(&folder).with_context(|| format!("{shown} cannot be written to"))
    };
    let (objects, spool): (Arc<dyn Objects>, _) = match bucket(config)? {
        None => (Arc::new(folder("recordings")?), None),
        Some(far) => {
            let spool = Spool::start(folder("spool")?, far, config.recording.spool_size);
            (Arc::new(spool.clone()), Some(spool))
        }
    };
    let (always, renditions, keep) = (live.clone(), live.clone(), live.clone());
    let (living, telling) = (Arc::downgrade(control), Arc::downgrade(control));
    let max_bytes = config.recording.max_size;
    let library = record::Config {
        always: Box::new(move |name| always.get().policy(name).record == Record::Always),
        renditions: Box::new(move |name| chosen(renditions.get().policy(name))),
        keep: Box::new(move |name| {
            let policy = keep.get().policy(name);
            Keep {
                max_age: policy.record_max_age,
                max_bytes: policy.record_max_size,
                window: policy.hls_window,
            }
        }),
        max_bytes: Box::new(move || max_bytes),
        life: Box::new(move |stream| living.upgrade()?.place(stream).map(|(life, _)| life)),
        ready: Box::new(move |ready| {
            let hls = format!("/replay/{}/{}/index.m3u8", ready.stream, ready.id);
            let duration_ms = (ready.end.duration_s * 1_000.0) as u64;
            let recorded = control::Recorded { id: ready.id, hls, duration_ms };
            if let Some(control) = telling.upgrade() {
                control.note_recorded(&ready.stream, recorded);
            }
        }),
        spooled: Box::new(move || spool.as_ref().map(Spool::counted).unwrap_or_default()),
        queue_bytes: usize::try_from(config.recording.queue_size).unwrap_or(usize::MAX),
        server: server_id(&config.data).context("the data folder cannot be written to")?,
        metrics,
    };
    let library = Library::open(objects, library);
    Ok(Some(Recording { library, _claim: claim }))
}

/// What is recorded of a stream. Where players can go back further than memory does, their sound is: else
/// there would be none of the time before they came.
fn chosen(policy: Policy) -> Vec<String> {
    let mut renditions = policy.record_renditions;
    let goes_back = policy.hls_window > policy.hls_memory && policy.hls != Hls::Off;
    if goes_back && policy.hls_sound != HlsSound::Opus && !renditions.iter().any(|one| one == "aac")
    {
        renditions.push("aac".into());
    }
    renditions
}

/// What the bridge is told of a stream.
pub(super) fn recorded(library: &Library, stream: &super::StreamName) -> Option<Recorded> {
    library.wants(stream).then(|| {
        let chosen = library.chosen(stream.as_str());
        let names = |wanted: &str| chosen.iter().any(|name| name == wanted);
        let names_rung = chosen
            .iter()
            .any(|name| name.strip_prefix('t').is_some_and(|index| index.parse::<u8>().is_ok()));
        Recorded { aac: names("aac"), ladder: names("ladder") || names_rung }
    })
}

fn bucket(config: &Config) -> anyhow::Result<Option<Bucket>> {
    let recording = &config.recording;
    let Some(bucket) = recording.s3_bucket.clone() else { return Ok(None) };
    let secret = recording.s3_secret_access_key.as_ref().map(|secret| secret.reveal().to_owned());
    let s3 = S3 {
        bucket,
        prefix: recording.s3_prefix.clone(),
        endpoint: recording.s3_endpoint.clone(),
        region: recording.s3_region.clone(),
        key: recording.s3_access_key_id.clone().zip(secret),
    };
    Ok(Some(Bucket::s3(&s3).context("recording.s3_bucket cannot be used")?))
}

/// A name for this server that survives its end: 80 random bits.
fn server_id(data: &Path) -> std::io::Result<String> {
    let file = data.join("server-id");
    match std::fs::read_to_string(&file) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let id: String = std::iter::repeat_with(fastrand::alphanumeric).take(14).collect();
    std::fs::write(&file, format!("{id}\n"))?;
    Ok(id)
}
