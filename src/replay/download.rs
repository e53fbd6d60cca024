//! A download: all of a recording as one MP4, sent as it is read.
//!
//! Its size is known before, save where parameters change. Of a recording that is complete a download that
//! broke off can go on; one that still grows is another file each time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header, request};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::OwnedSemaphorePermit;
use whitewater_core::media::Kind;
use whitewater_core::package::file::{self, Place, Reference};
use whitewater_core::playlist::recorded::Growth;
use whitewater_core::playlist::{Kept, Recorded};

use super::{Replay, refuse};
use crate::origin::answer::{self, Age};
use crate::record::Layout;
use crate::record::{Refused, View};
use crate::storage::Error;

/// A file that is about to be sent.
struct Plan {
    beginning: Bytes,
    pieces: Vec<Piece>,
    /// Bytes of all of it, where that is known.
    len: Option<u64>,
}

/// A segment of it.
#[derive(Clone, Debug)]
struct Piece {
    object: crate::storage::Path,
    bytes: u64,
    place: Place,
}

/// A track of it.
struct Track {
    recorded: Recorded,
    inits: Vec<(u32, Bytes)>,
}

/// Answers with a file. Its body keeps the slot.
pub(super) async fn serve(
    replay: &Replay,
    view: &View,
    parts: &request::Parts,
    slot: OwnedSemaphorePermit,
) -> Response {
    let Ok(wanted) = asked(parts.uri.query().unwrap_or_default()) else {
        let detail = "the query may be rendition=NAME and token=TOKEN only";
        return answer::problem(StatusCode::BAD_REQUEST, detail, Age::NONE);
    };
    let tracks = choose(view.index.raw(), wanted.as_deref());
    if tracks.is_empty() {
        return answer::nowhere(Age::SHORT);
    }
    let plan = match plan(replay, view, tracks).await {
        Ok(plan) => plan,
        Err(Error::Missing(_)) => return refuse(&Refused::Missing),
        Err(error) => return refuse(&Refused::Store(error.to_string())),
    };
    answer(replay, view, plan, parts, slot)
}

/// The rendition of the picture that is asked for.
fn asked(query: &str) -> Result<Option<String>, ()> {
    let mut wanted = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("rendition", name)) => wanted = Some(name.to_owned()),
            Some(("token", _)) => {}
            Some(_) | None => return Err(()),
        }
    }
    Ok(wanted)
}

/// The tracks of a file: the best picture or the one that is asked for, and sound that most players take.
fn choose(all: Vec<(usize, Recorded)>, wanted: Option<&str>) -> Vec<(usize, Recorded)> {
    let of = |kind: Kind| {
        let fits = move |one: &&(usize, Recorded)| one.1.kind == kind;
        all.iter().filter(fits)
    };
    let is_wanted = |one: &&(usize, Recorded)| wanted.is_none_or(|w| w == one.1.name.as_ref());
    let sounds_wanted = wanted.is_some() && of(Kind::Audio).any(|one| is_wanted(&one));
    let picture = of(Kind::Video)
        .filter(is_wanted)
        .max_by_key(|(_, recorded)| (recorded.segments.len() / 4, recorded.bandwidth().peak_bps));
    let sound = of(Kind::Audio)
        .filter(|one| !sounds_wanted || is_wanted(one))
        .max_by_key(|(_, recorded)| recorded.name.as_ref() == "aac");
    if wanted.is_some() && picture.is_none() && !sounds_wanted {
        return Vec::new();
    }
    let picture = picture.filter(|_| !sounds_wanted);
    picture.into_iter().chain(sound).cloned().collect()
}

async fn plan(replay: &Replay, view: &View, all: Vec<(usize, Recorded)>) -> Result<Plan, Error> {
    let header = &view.index.header;
    let layout = Layout::new(&header.stream, &header.id);
    let mut tracks = Vec::new();
    for (r, recorded) in all {
        let mut inits = Vec::new();
        for init in &view.index.tracks[r].inits {
            if recorded.segments.iter().any(|kept| kept.init == init.init) {
                let object = layout.init(recorded.name.as_ref(), init.init);
                inits.push((init.init, replay.object(&object).await?));
            }
        }
        tracks.push(Track { recorded, inits });
    }
    let seconds = |track: &Track, ticks: i64| ticks as f64 / f64::from(track.recorded.timescale);
    let ends = |of: fn(&[Kept]) -> Option<i64>| {
        let of = move |track: &Track| Some(seconds(track, of(&track.recorded.segments)?));
        tracks.iter().filter_map(of).collect::<Vec<_>>()
    };
    let first = ends(|all| all.first().map(|kept| kept.start)).into_iter().fold(f64::MAX, f64::min);
    let last = ends(|all| all.last().map(Kept::end)).into_iter().fold(0.0, f64::max);
    let first = first.clamp(0.0, last);
    let (pieces, references) = arrange(&tracks, &layout);
    let in_file: Vec<_> = tracks
        .iter()
        .map(|track| {
            let segments = &track.recorded.segments;
            let from = segments.first().map_or(0, |kept| kept.start);
            let to = segments.last().map_or(0, Kept::end);
            let inits = track.inits.iter().map(|(_, bytes)| &bytes[..]).collect();
            let late = seconds(track, from) - first;
            file::Track { inits, late, seconds: seconds(track, to.saturating_sub(from)) }
        })
        .collect();
    let is_plain = tracks.iter().all(|track| track.inits.len() == 1);
    // Sizes that are not known cannot be listed. Where a track begins late, FFmpeg takes a list of the first
    // one for all of them, and the file for longer than it is.
    let late = tracks
        .iter()
        .filter_map(|track| Some(seconds(track, track.recorded.segments.first()?.start) - first));
    let begin_together = late.fold(0.0, f64::max) < 0.1;
    let listed: &[Reference] = if is_plain && begin_together { &references } else { &[] };
    let beginning = file::beginning(&in_file, last - first, listed)
        .map_err(|error| Error::Failed(error.to_string().into()))?;
    let media: u64 = pieces.iter().map(|piece| piece.bytes).sum();
    let len = is_plain.then(|| beginning.len() as u64 + media);
    Ok(Plan { beginning: beginning.into(), pieces, len })
}

/// Puts the segments of all tracks in order: beside each of the first track those that go with it.
fn arrange(tracks: &[Track], layout: &Layout) -> (Vec<Piece>, Vec<Reference>) {
    let Some(lead) = tracks.first() else { return Default::default() };
    let mut groups: Vec<(u64, Vec<(usize, Kept)>)> =
        lead.recorded.segments.iter().map(|kept| (kept.msn, vec![(0, *kept)])).collect();
    for (t, track) in tracks.iter().enumerate().skip(1) {
        for kept in &track.recorded.segments {
            let at = groups.partition_point(|(msn, _)| *msn <= kept.msn).saturating_sub(1);
            groups[at].1.push((t, *kept));
        }
    }
    let (mut pieces, mut references) = (Vec::new(), Vec::new());
    let starts: Vec<i64> = lead.recorded.segments.iter().map(|kept| kept.start).collect();
    for (at, (_, group)) in groups.into_iter().enumerate() {
        let own = group.first().map_or(0, |(_, kept)| kept.duration);
        let to_next = starts.get(at + 1).map(|next| next.saturating_sub(starts[at]));
        let duration = to_next.and_then(|ticks| u64::try_from(ticks).ok()).unwrap_or(own);
        references
            .push(Reference { bytes: group.iter().map(|(_, kept)| kept.bytes).sum(), duration });
        for (t, kept) in group {
            let Track { recorded, inits } = &tracks[t];
            let begins = recorded.segments.first().map_or(0, |kept| kept.start);
            let init = inits.iter().position(|(version, _)| *version == kept.init).unwrap_or(0);
            let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
            pieces.push(Piece {
                object: layout.segment(recorded.name.as_ref(), kept.msn),
                bytes: kept.bytes,
                place: Place {
                    track: count(t + 1),
                    init: count(init),
                    earlier: begins.max(0).unsigned_abs(),
                    ordinal: count(pieces.len()),
                },
            });
        }
    }
    (pieces, references)
}

fn answer(
    replay: &Replay,
    view: &View,
    plan: Plan,
    parts: &request::Parts,
    slot: OwnedSemaphorePermit,
) -> Response {
    let tag = (view.growth == Growth::Complete).then(|| plan.tag());
    let size = plan.len.and_then(|len| usize::try_from(len).ok()).filter(|_| tag.is_some());
    let range = size.map_or(Ok(None), |size| answer::range(&parts.headers, size, tag.as_ref()));
    let range = match range {
        Ok(range) => range.map(|range| range.start as u64..range.end as u64),
        Err(()) => {
            let said = format!("bytes */{}", plan.len.unwrap_or(0));
            return (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, said)])
                .into_response();
        }
    };
    let (len, sent) = (plan.len, range.clone().unwrap_or(0..plan.len.unwrap_or(u64::MAX)));
    let body = match parts.method == axum::http::Method::HEAD {
        true => Body::empty(),
        false => body(replay, plan, &sent, slot),
    };
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("video/mp4"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, max-age=60"));
    let name = name_of(view);
    if let Ok(attached) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, attached);
    }
    let ranges = if size.is_some() { "bytes" } else { "none" };
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static(ranges));
    if let Some(tag) = tag {
        headers.insert(header::ETAG, tag);
    }
    if let Some(len) = len {
        headers.insert(header::CONTENT_LENGTH, (sent.end - sent.start).into());
        if range.is_some() {
            let said = format!("bytes {}-{}/{len}", sent.start, sent.end.saturating_sub(1));
            headers.insert(header::CONTENT_RANGE, HeaderValue::try_from(said).expect("digits"));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
    }
    response
}

// === impl Plan ===

impl Plan {
    /// A strong tag: another file has another one.
    fn tag(&self) -> HeaderValue {
        let mut hasher = DefaultHasher::new();
        hasher.write(&self.beginning);
        for Piece { object, bytes, place } in &self.pieces {
            (object.as_ref(), bytes, place.track, place.init, place.earlier).hash(&mut hasher);
        }
        HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish())).expect("digits")
    }
}

/// The stream's name and when it began, as file systems take it.
fn name_of(view: &View) -> String {
    let header = &view.index.header;
    let began = std::time::UNIX_EPOCH
        + std::time::Duration::from_micros(u64::try_from(header.began_us).unwrap_or(0));
    let began = humantime::format_rfc3339_seconds(began).to_string().replace(':', "");
    format!("{}-{began}.mp4", header.stream)
}

/// The bytes of a range, read as they are sent.
fn body(replay: &Replay, plan: Plan, range: &Range<u64>, slot: OwnedSemaphorePermit) -> Body {
    let library = replay.library.clone();
    let mut at = plan.beginning.len() as u64;
    let mut first = (range.start < at).then(|| slice(&plan.beginning, 0, range));
    if first.as_ref().is_some_and(Bytes::is_empty) {
        first = None;
    }
    let mut wanted = Vec::new();
    for piece in plan.pieces {
        let from = at;
        at += piece.bytes;
        // Where sizes are not known all is wanted.
        if plan.len.is_none() || (from < range.end && at > range.start) {
            wanted.push((from, piece));
        }
    }
    let (range, knows) = (range.clone(), plan.len.is_some());
    let pieces = stream::iter(wanted).map(move |(from, piece)| {
        let _kept = &slot;
        let (library, range) = (library.clone(), range.clone());
        async move {
            let bytes = library.object(&piece.object).await.map_err(std::io::Error::other)?;
            if bytes.len() as u64 != piece.bytes {
                return Err(std::io::Error::other("a segment has another size than was written"));
            }
            let mut out = Vec::with_capacity(bytes.len() + 64);
            file::place(&bytes, piece.place, &mut out).map_err(std::io::Error::other)?;
            let out = Bytes::from(out);
            Ok(if knows { slice(&out, from, &range) } else { out })
        }
    });
    let first = stream::iter(first.map(Ok::<_, std::io::Error>));
    Body::from_stream(first.chain(pieces.buffered(READ_AHEAD)))
}

/// What of some bytes that lie at `from` is within a range.
fn slice(bytes: &Bytes, from: u64, range: &Range<u64>) -> Bytes {
    let within =
        |at: u64| usize::try_from(at.saturating_sub(from)).unwrap_or(usize::MAX).min(bytes.len());
    bytes.slice(within(range.start)..within(range.end))
}

/// Segments that are read before they are sent.
const READ_AHEAD: usize = 2;

#[cfg(test)]
mod tests;
