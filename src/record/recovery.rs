//! A recovery that reads what the store has, and closes what a killed process left open.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use tracing::{debug, info, warn};
use whitewater_core::media::time::ticks_to_micros;
use whitewater_core::package::file::extent;
use whitewater_core::playlist::Kept;
use whitewater_signaling::control::StreamName;

use super::index::{End, Header, Index, Line, SegmentLine};
use super::layout::Layout;
use super::library::Inner;
use super::recorder::Unclosed;
use super::shelf::{Recording, State};
use crate::origin::EpochId;
use crate::storage::{Entry, Error, Objects, Path, is_telling};

/// What has not been read yet.
#[derive(Debug)]
enum Unread {
    Store,
    Stream(StreamName),
    Recording(StreamName, Path),
}

/// Puts all recordings of the store onto the shelf. What cannot be read is tried again, and keeps nobody
/// from the rest.
pub(super) async fn read_store(library: Weak<Inner>) {
    let mut pauses = ExponentialBuilder::default().without_max_times().with_jitter().build();
    let mut unread = vec![Unread::Store];
    loop {
        let Some(inner) = library.upgrade() else { return };
        unread = read_all(&inner, unread).await;
        if unread.is_empty() {
            return;
        }
        drop(inner);
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// Reads all that can be read, and gives what cannot be yet.
async fn read_all(inner: &Arc<Inner>, mut unread: Vec<Unread>) -> Vec<Unread> {
    let mut left = Vec::new();
    while !unread.is_empty() {
        let read = unread.into_iter().map(|one| async move { (one.read(inner).await, one) });
        let outcomes: Vec<_> = stream::iter(read).buffer_unordered(AT_ONCE).collect().await;
        unread = Vec::new();
        for (outcome, one) in outcomes {
            match outcome {
                Ok(found) => unread.extend(found),
                Err(error) => {
                    warn!(place = %one, %error, "the store of recordings cannot be read here yet");
                    left.push(one);
                }
            }
        }
    }
    left
}

// === impl Unread ===

impl Unread {
    /// Reads it, and gives what there is to be read in it.
    async fn read(&self, inner: &Arc<Inner>) -> Result<Vec<Self>, Error> {
        match self {
            Self::Store => {
                let folders = inner.objects.folders(&Path::default()).await?;
                let streams = folders.into_iter().filter_map(|folder| {
                    let name = folder.filename()?.parse::<StreamName>();
                    name.inspect_err(|_| debug!(%folder, "a folder in the store is no stream's"))
                        .ok()
                });
                Ok(streams.map(Self::Stream).collect())
            }
            Self::Stream(name) => {
                let folders = inner.objects.folders(&Path::from_iter([name.as_str()])).await?;
                Ok(folders.into_iter().map(|one| Self::Recording(name.clone(), one)).collect())
            }
            Self::Recording(name, folder) => {
                read_recording(inner, name, folder).await?;
                Ok(Vec::new())
            }
        }
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("all streams"),
            Self::Stream(name) => name.fmt(f),
            Self::Recording(_, folder) => folder.fmt(f),
        }
    }
}

/// Puts a recording onto the shelf. What is not ours, or is damaged, is left alone and harms nothing.
async fn read_recording(
    inner: &Arc<Inner>,
    stream: &StreamName,
    folder: &Path,
) -> Result<(), Error> {
    let id = folder.filename().and_then(|name| name.parse::<EpochId>().ok());
    let Some(id) = id else {
        debug!(%folder, "a folder in the store is no recording");
        return Ok(());
    };
    if inner.book().shelf.get(id.as_ref()).is_some() {
        // It was begun since, or read by an earlier try.
        return Ok(());
    }
    let layout = Layout::new(stream, id.as_ref());
    let objects = &*inner.objects;
    let Some(text) = found(objects.get(&layout.header()).await)? else {
        if found(objects.get(&layout.removed()).await)?.is_some() {
            return remove(objects, &layout).await;
        }
        debug!(%folder, "a folder in the store has no recording.json");
        return Ok(());
    };
    let header = serde_json::from_slice::<Header>(&text).ok();
    let Some(header) = header.filter(|header| header.fits(stream, &id)) else {
        warn!(%folder, "a recording is damaged, or another program's: it is left alone");
        return Ok(());
    };
    if found(objects.get(&layout.removed()).await)?.is_some() {
        return remove(objects, &layout).await;
    }
    let end = found(objects.get(&layout.end()).await)?;
    let state = match end.and_then(|text| serde_json::from_slice::<End>(&text).ok()) {
        Some(end) => State::Over(end),
        None if header.server != inner.config.server => {
            debug!(%folder, "another server is recording this");
            return Ok(());
        }
        None => {
            let all = objects.list(&layout.folder).await?;
            let unclosed = gather(objects, &header, &layout, &all).await?;
            if unclosed.end.bytes == 0 {
                if all.iter().any(|entry| entry.path.as_ref().ends_with(".m4s")) {
                    warn!(%folder, "nothing tells of a recording's media: it is left alone");
                    return Ok(());
                }
                return remove(objects, &layout).await;
            }
            match unclosed.close(objects, &layout).await {
                Ok(()) => {
                    let seconds = unclosed.end.duration_s;
                    info!(%stream, recording = %id, seconds, "a recording that was cut off is closed");
                    State::Over(unclosed.end)
                }
                Err(error) => {
                    warn!(%stream, recording = %id, %error, "a recording that was cut off cannot be closed yet");
                    State::Unclosed(Arc::new(unclosed))
                }
            }
        }
    };
    let recording = Recording { header: Arc::new(header), layout, state };
    let mut book = inner.book();
    if book.shelf.get(id.as_ref()).is_none() {
        book.shelf.put(recording);
    }
    Ok(())
}

/// Gathers what there is of a recording whose process was killed.
async fn gather(
    objects: &dyn Objects,
    header: &Header,
    layout: &Layout,
    all: &[Entry],
) -> Result<Unclosed, Error> {
    let mut index = read_index(objects, layout).await?;
    for r in 0..header.renditions.len() {
        take_unlisted(objects, layout, &mut index, r, all).await?;
    }
    let blocks = all.iter().filter_map(|entry| block_number(layout, entry)).collect();
    Ok(Unclosed { end: index.end(None), index: Arc::new(index), blocks })
}

/// Takes in segments that were written and not told of yet.
async fn take_unlisted(
    objects: &dyn Objects,
    layout: &Layout,
    index: &mut Index,
    r: usize,
    all: &[Entry],
) -> Result<(), Error> {
    let (name, timescale) = {
        let rendition = &index.header.renditions[r];
        (rendition.name.clone(), rendition.timescale)
    };
    let last = index.tracks[r].segments.last().map(|kept| kept.msn);
    let folder = layout.rendition(&name);
    let number = |entry: &Entry| {
        let mut rest = entry.path.prefix_match(&folder)?;
        let file = rest.next()?;
        let number: u64 = file.as_ref().strip_suffix(".m4s")?.parse().ok()?;
        last.is_none_or(|last| number > last).then_some(number)
    };
    let mut numbers: Vec<u64> = all.iter().filter_map(number).collect();
    numbers.sort_unstable();
    for msn in numbers {
        let Some(bytes) = found(objects.get(&layout.segment(&name, msn)).await)? else { continue };
        let init = index.tracks[r].inits.iter().rev().find(|init| init.from <= msn);
        let (Some((start, duration)), Some(init)) = (extent(&bytes), init.map(|init| init.init))
        else {
            warn!(recording = %layout.folder, rendition = name, msn, "a segment is damaged, and is left out");
            continue;
        };
        // The clock of the segment before still holds, or the one at the beginning.
        let zero_us = match index.tracks[r].segments.last() {
            Some(last) => last.wall_us.saturating_sub(ticks_to_micros(last.start, timescale)),
            None => index.header.zero_us,
        };
        let wall_us = zero_us.saturating_add(ticks_to_micros(start, timescale));
        let bytes = bytes.len() as u64;
        let kept = Kept { msn, start, duration, init, discontinuity: false, wall_us, bytes };
        index.take(Line::Segment(SegmentLine::of(r, &kept)));
    }
    Ok(())
}

/// Reads the index of a recording, in one piece or block by block.
pub(super) async fn read_index(objects: &dyn Objects, layout: &Layout) -> Result<Index, Error> {
    let header = objects.get(&layout.header()).await?;
    let header = serde_json::from_slice::<Header>(&header)
        .map_err(|error| Error::Failed(format!("recording.json: {error}").into()))?;
    let mut index = Index::new(header);
    let mut senseless = 0;
    if let Some(text) = found(objects.get(&layout.index()).await)? {
        senseless += index.read(&String::from_utf8_lossy(&text));
    }
    if index.bytes() == 0 {
        let blocks = objects.list(&layout.blocks()).await?;
        let mut numbers: Vec<u32> =
            blocks.iter().filter_map(|entry| block_number(layout, entry)).collect();
        numbers.sort_unstable();
        let read = numbers.into_iter().map(|number| {
            let path = layout.block(number);
            async move { objects.get(&path).await }
        });
        let texts: Vec<Bytes> = stream::iter(read).buffered(AT_ONCE).try_collect().await?;
        for text in texts {
            senseless += index.read(&String::from_utf8_lossy(&text));
        }
    }
    if senseless > 0 {
        warn!(recording = %layout.folder, senseless, "lines of a recording's index make no sense, and are left out");
    }
    Ok(index)
}

/// Says that a recording is to go: from then on it is gone, however long it takes. Where there is no room
/// to say so it goes all the same.
pub(super) async fn mark_removed(objects: &dyn Objects, layout: &Layout) -> Result<(), Error> {
    match objects.put(&layout.removed(), Bytes::from_static(b"{}\n")).await {
        Err(Error::Full(error)) => {
            info!(recording = %layout.folder, error, "a recording is deleted without a mark");
            Ok(())
        }
        done => done,
    }
}

/// Removes all that there is of a recording.
pub(super) async fn remove(objects: &dyn Objects, layout: &Layout) -> Result<(), Error> {
    let all = objects.list(&layout.folder).await?;
    let (header, marker) = (layout.header(), layout.removed());
    // What tells of the recording goes last, so that what is left after a crash is known to be rubbish.
    let mut turns: [Vec<Path>; 4] = Default::default();
    for Entry { path, .. } in all {
        let turn = match &path {
            path if *path == marker => 3,
            path if *path == header => 2,
            path if is_telling(path) => 1,
            _ => 0,
        };
        turns[turn].push(path);
    }
    for paths in turns {
        let delete = |path: Path| async move { objects.delete(&path).await };
        stream::iter(paths).map(delete).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
    }
    Ok(())
}

fn block_number(layout: &Layout, entry: &Entry) -> Option<u32> {
    let mut rest = entry.path.prefix_match(&layout.blocks())?;
    rest.next()?.as_ref().strip_suffix(".jsonl")?.parse().ok()
}

fn found(got: Result<Bytes, Error>) -> Result<Option<Bytes>, Error> {
    match got {
        Ok(bytes) => Ok(Some(bytes)),
        Err(Error::Missing(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Requests to the store at once.
const AT_ONCE: usize = 16;

const LONGEST_PAUSE: Duration = Duration::from_secs(60);
