//! A housekeeper that lets go of what is too old or too much, and never of what live players may ask for.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tracing::{debug, info, warn};
use whitewater_signaling::control::StreamName;

use super::index::Line;
use super::layout::Layout;
use super::library::{Inner, Keep, Refused};
use super::recorder::Block;
use super::shelf::{Recording, State};
use crate::storage::Error;

/// A recording as it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Judged {
    id: String,
    stream: StreamName,
    bytes: u64,
    /// When it ended; `None` of one that goes on.
    ended_us: Option<i64>,
    /// Whether it is of an epoch that goes on: what is within the window may still be asked for.
    is_live: bool,
}

/// Keeps house until the library is gone.
pub(super) async fn keep_house(library: Weak<Inner>) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        let Some(inner) = library.upgrade() else { return };
        inner.forget_wishes();
        inner.clear_left().await;
        close_left(&inner).await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_us = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
        for judged in condemned(&inner, now_us) {
            let Judged { id, stream, .. } = judged;
            match inner.delete(&id).await {
                Ok(()) => {
                    info!(%stream, recording = %id, "a recording is deleted, as the limits say")
                }
                // Somebody was faster.
                Err(Refused::Missing) => {}
                Err(error) => {
                    warn!(%stream, recording = %id, %error, "a recording cannot be deleted")
                }
            }
        }
        cut(&inner, now_us).await;
        let spooled = (inner.config.spooled)();
        inner.config.metrics.spooled(spooled.bytes, spooled.failures);
        inner.config.metrics.kept(inner.book().shelf.all().map(Recording::bytes).sum());
    }
}

/// Closes what has ended and could not be closed before.
async fn close_left(inner: &Inner) {
    let left: Vec<_> = {
        let book = inner.book();
        let unclosed = book.shelf.all().filter_map(|one| match &one.state {
            State::Unclosed(unclosed) => {
                Some((one.header.id.clone(), one.layout.clone(), Arc::clone(unclosed)))
            }
            State::Going(_) | State::Over(_) => None,
        });
        unclosed.collect()
    };
    for (id, layout, unclosed) in left {
        if let Err(error) = unclosed.close(&*inner.objects, &layout).await {
            debug!(recording = %id, %error, "a recording cannot be closed yet");
            continue;
        }
        let is_there = match inner.book().shelf.get_mut(&id) {
            Some(recording) => {
                recording.state = State::Over(unclosed.end.clone());
                true
            }
            None => false,
        };
        if is_there {
            info!(recording = %id, "a recording is closed at last");
        } else {
            // It was deleted meanwhile.
            inner.clear(layout).await;
        }
    }
}

/// The recordings that have to go.
fn condemned(inner: &Inner, now_us: i64) -> Vec<Judged> {
    let all: Vec<Judged> = {
        let book = inner.book();
        let zeros = book.zeros();
        let judged = book.shelf.all().map(|recording| Judged {
            id: recording.header.id.clone(),
            stream: recording.header.stream.clone(),
            bytes: recording.bytes(),
            ended_us: match &recording.state {
                State::Going(_) => None,
                State::Over(end) => Some(end.ended_us),
                State::Unclosed(unclosed) => Some(unclosed.end.ended_us),
            },
            is_live: zeros.contains(&(&recording.header.stream, recording.header.zero_us)),
        });
        judged.collect()
    };
    let keep = |stream: &StreamName| (inner.config.keep)(stream.as_str());
    judge(&all, now_us, keep, (inner.config.max_bytes)())
}

/// Says which have to go: those that ended too long ago, and the oldest of those that are too much, save
/// what live players may ask for. `all` has the oldest first.
fn judge(
    all: &[Judged],
    now_us: i64,
    keep: impl Fn(&StreamName) -> Keep,
    max_bytes: u64,
) -> Vec<Judged> {
    let mut by_stream: HashMap<&StreamName, u64> = HashMap::new();
    let mut total = 0_u64;
    for one in all {
        *by_stream.entry(&one.stream).or_default() += one.bytes;
        total += one.bytes;
    }
    let mut going = Vec::new();
    for one in all {
        let Some(ended_us) = one.ended_us else { continue };
        let Keep { max_age, max_bytes: max_of_stream, window } = keep(&one.stream);
        let age = Duration::from_micros(u64::try_from(now_us - ended_us).unwrap_or(0));
        if one.is_live && age <= window + SLACK {
            continue;
        }
        let of_stream = by_stream.entry(&one.stream).or_default();
        let is_old = !max_age.is_zero() && age > max_age;
        let is_much = max_of_stream > 0 && *of_stream > max_of_stream;
        if is_old || is_much || (max_bytes > 0 && total > max_bytes) {
            *of_stream -= one.bytes;
            total -= one.bytes;
            going.push(one.clone());
        }
    }
    going
}

/// Lets go of the beginnings of recordings that go on, block by block.
async fn cut(inner: &Arc<Inner>, now_us: i64) {
    let due: Vec<(Layout, Block)> = {
        let book = inner.book();
        let total: u64 = book.shelf.all().map(Recording::bytes).sum();
        let max_bytes = (inner.config.max_bytes)();
        let going = book.shelf.all().filter_map(|recording| {
            let State::Going(shared) = &recording.state else { return None };
            let keep = (inner.config.keep)(recording.header.stream.as_str());
            let oldest = shared.blocks().first().copied()?;
            let age = Duration::from_micros(u64::try_from(now_us - oldest.newest_us).unwrap_or(0));
            let bytes = recording.bytes();
            let is_old = !keep.max_age.is_zero() && age > keep.max_age;
            let is_much = (keep.max_bytes > 0 && bytes > keep.max_bytes)
                || (max_bytes > 0 && total > max_bytes);
            let is_asked_for = age <= keep.window + SLACK;
            ((is_old || is_much) && !is_asked_for).then(|| (recording.layout.clone(), oldest))
        });
        going.collect()
    };
    for (layout, block) in due {
        if let Err(error) = cut_block(inner, &layout, block).await {
            warn!(recording = %layout.folder, %error, "the beginning of a recording cannot be deleted");
        }
    }
}

/// Lets go of the segments that a block tells of, and of the block.
async fn cut_block(inner: &Arc<Inner>, layout: &Layout, block: Block) -> Result<(), Error> {
    let path = layout.block(block.number);
    let text = match inner.objects.get(&path).await {
        Ok(text) => text,
        Err(Error::Missing(_)) => Default::default(),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let mut gone = Vec::new();
    let mut inits = String::new();
    {
        let book = inner.book();
        let id = layout.folder.filename().unwrap_or_default();
        let Some(Recording { state: State::Going(shared), .. }) = book.shelf.get(id) else {
            return Ok(());
        };
        let mut index = shared.lock();
        let index = Arc::make_mut(&mut index);
        for line in lines {
            match line {
                Line::Segment(segment) => {
                    if let Some(rendition) = index.forget(segment.r, segment.n) {
                        gone.push(layout.segment(&rendition, segment.n));
                    }
                }
                // Later segments may still have it.
                Line::Init(_) => super::index::push_line(&mut inits, &line),
            }
        }
        index.is_cut = true;
        let mut blocks = shared.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        blocks.retain(|other| other.number != block.number);
    }
    // First what tells of them: a process that ends here leaves rubbish, not an index of what is gone.
    if inits.is_empty() {
        inner.objects.delete(&path).await?;
    } else {
        inner.objects.put(&path, inits.into()).await?;
    }
    for path in gone {
        inner.objects.delete(&path).await?;
    }
    Ok(())
}

/// How often the housekeeper looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// Players may ask for what has only just left the window.
const SLACK: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(id: &str, stream: &str, bytes: u64, ended_s: Option<i64>) -> Judged {
        let stream = stream.parse().expect("a name");
        let ended_us = ended_s.map(|s| s * 1_000_000);
        Judged { id: id.into(), stream, bytes, ended_us, is_live: false }
    }

    #[test]
    fn the_oldest_go_first_and_what_goes_on_stays() {
        let all = [
            judged("1", "a", 100, Some(10)),
            judged("2", "b", 100, Some(20)),
            judged("3", "a", 100, Some(900)),
            judged("4", "a", 500, None),
        ];
        let now_us = 1_000_000_000;
        type Row = (&'static str, (u64, u64), u64, &'static [&'static str]);
        let rows: [Row; 6] = [
            ("no limits", (0, 0), 0, &[]),
            ("age", (500, 0), 0, &["1", "2"]),
            ("all together", (0, 0), 750, &["1"]),
            ("one byte too much", (0, 0), 799, &["1"]),
            ("of a stream, whatever goes on", (0, 650), 0, &["1"]),
            ("nothing helps", (0, 0), 10, &["1", "2", "3"]),
        ];
        for (what, (age_s, of_stream), total, want) in rows {
            let max_age = Duration::from_secs(age_s);
            let keep = |_: &StreamName| Keep { max_age, max_bytes: of_stream, ..Keep::default() };
            let going = judge(&all, now_us, keep, total);
            let ids: Vec<_> = going.iter().map(|one| one.id.as_str()).collect();
            assert_eq!(ids, want, "{what}");
        }
    }

    #[test]
    fn what_a_live_playlist_still_lists_stays() {
        let all = [
            Judged { is_live: true, ..judged("1", "a", 100, Some(700)) },
            Judged { is_live: true, ..judged("2", "a", 100, Some(900)) },
            judged("3", "a", 100, Some(950)),
        ];
        let window = Duration::from_secs(120);
        let keep = |_: &StreamName| Keep { max_bytes: 10, window, ..Keep::default() };
        let going = judge(&all, 1_000_000_000, keep, 10);
        let ids: Vec<_> = going.iter().map(|one| one.id.as_str()).collect();
        assert_eq!(ids, ["1", "3"]);
    }
}
