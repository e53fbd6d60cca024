//! A file that is put together from the segments of several renditions: one fragmented MP4 to keep.
//!
//! Segments go in nearly as they are (ISO/IEC 14496-12 section 8.8): a track's number and time are
//! written over in place, so that the size of a file is known before it is read.

use mp4_atom::{Decode, Edts, Elst, ElstEntry, Encode, Ftyp, Moof, Moov, Sidx};

use super::cmaf::Unpackable;

/// A track of a file.
#[derive(Clone, Debug)]
pub struct Track<'a> {
    /// The initialization sections of its rendition, in the order in which segments refer to them.
    pub inits: Vec<&'a [u8]>,
    /// How much later than the file it begins. Its segments are placed from 0 on all the same.
    pub late: f64,
    /// How long it lasts.
    pub seconds: f64,
}

/// What a file has at one place: segments of all tracks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Bytes of all its segments.
    pub bytes: u64,
    /// Ticks of the first track.
    pub duration: u64,
}

/// Where a segment goes in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its track, from 1.
    pub track: u32,
    /// Which of the track's initialization sections it has, from 0.
    pub init: u32,
    /// Ticks that its times are too late for the file.
    pub earlier: u64,
    /// Its place among all segments; fragments count on from it.
    pub ordinal: u32,
}

/// The beginning of a file: `ftyp`, `moov`, and a `sidx` of the first track where there are references,
/// and room for them.
pub fn beginning(
    tracks: &[Track<'_>],
    seconds: f64,
    references: &[Reference],
) -> Result<Vec<u8>, Unpackable> {
    let mut whole: Option<Moov> = None;
    let mut first_timescale = 1;
    for (number, track) in (1_u32..).zip(tracks) {
        let mut inits = track.inits.iter().map(|bytes| read_moov(bytes));
        let mut moov = inits.next().ok_or(Unpackable::Malformed)??;
        let trak = moov.trak.first_mut().ok_or(Unpackable::Malformed)?;
        for other in inits {
            let other = other?.trak.into_iter().next().ok_or(Unpackable::Malformed)?;
            trak.mdia.minf.stbl.stsd.codecs.extend(other.mdia.minf.stbl.stsd.codecs);
        }
        let ticks = |seconds: f64, timescale: u32| (seconds * f64::from(timescale)) as u64;
        trak.tkhd.track_id = number;
        trak.tkhd.duration = ticks(track.late + track.seconds, MOVIE_TIMESCALE);
        if track.late > 0.0 {
            trak.edts = Some(waiting(ticks(track.late, MOVIE_TIMESCALE)));
        }
        trak.mdia.mdhd.duration = ticks(track.seconds, trak.mdia.mdhd.timescale);
        if number == 1 {
            first_timescale = trak.mdia.mdhd.timescale;
        }
        let mvex = moov.mvex.as_mut().ok_or(Unpackable::Malformed)?;
        mvex.trex.iter_mut().for_each(|trex| trex.track_id = number);
        match &mut whole {
            Some(whole) => {
                whole.trak.append(&mut moov.trak);
                let trex = moov.mvex.into_iter().flat_map(|mvex| mvex.trex);
                whole.mvex.as_mut().ok_or(Unpackable::Malformed)?.trex.extend(trex);
                whole.mvhd.next_track_id = number + 1;
            }
            None => {
                moov.mvhd.timescale = MOVIE_TIMESCALE;
                moov.mvhd.duration = ticks(seconds, MOVIE_TIMESCALE);
                moov.mvhd.next_track_id = number + 1;
                // FFmpeg takes it for how long each track is, and adds how late that begins.
                mvex.mehd = (!references.is_empty())
                    .then(|| mp4_atom::Mehd { fragment_duration: ticks(seconds, MOVIE_TIMESCALE) });
                whole = Some(moov);
            }
        }
    }
    let moov = whole.ok_or(Unpackable::Malformed)?;
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: vec![b"iso6".into(), b"mp41".into()],
    };
    let mut out = Vec::with_capacity(2_048 + 12 * references.len());
    let written = ftyp.encode(&mut out).and_then(|()| moov.encode(&mut out));
    written.map_err(|_| Unpackable::Malformed)?;
    if let Some(sidx) = sidx(first_timescale, references) {
        sidx.encode(&mut out).map_err(|_| Unpackable::Malformed)?;
    }
    Ok(out)
}

/// Writes a segment as a file has it.
pub fn place(segment: &[u8], place: Place, out: &mut Vec<u8>) -> Result<(), Unpackable> {
    let mut chunk = 0;
    for child in Boxes(segment) {
        let (kind, bytes) = child?;
        match &kind {
            b"moof" => {
                let sequence = (place.ordinal.saturating_mul(CHUNKS)).saturating_add(chunk + 1);
                chunk += 1;
                place_moof(bytes, place, sequence, out)?;
            }
            // What is for streams says nothing here, and the size stays.
            b"styp" | b"prft" => {
                out.extend_from_slice(&bytes[..4]);
                out.extend_from_slice(b"free");
                out.extend_from_slice(&bytes[8..]);
            }
            _ => out.extend_from_slice(bytes),
        }
    }
    Ok(())
}

/// When a segment begins and how long it lasts, in ticks; `None` of what is no whole segment.
pub fn extent(segment: &[u8]) -> Option<(i64, u64)> {
    let (mut begins, mut ends) = (None, 0_u64);
    for child in Boxes(segment) {
        let (kind, bytes) = child.ok()?;
        if &kind != b"moof" {
            continue;
        }
        let moof = Moof::decode(&mut &bytes[..]).ok()?;
        let traf = moof.traf.first()?;
        let start = traf.tfdt.as_ref()?.base_media_decode_time;
        let usual = traf.tfhd.default_sample_duration.unwrap_or(0);
        let samples = traf.trun.iter().flat_map(|trun| trun.samples.iter());
        let lasts = samples.map(|one| u64::from(one.duration.unwrap_or(usual)));
        let lasts = lasts.take(MAX_SAMPLES).sum::<u64>();
        begins.get_or_insert(start);
        ends = start.checked_add(lasts)?;
    }
    let begins = begins?;
    Some((i64::try_from(begins).ok()?, ends.checked_sub(begins).filter(|ticks| *ticks > 0)?))
}

/// The boxes of a file one after the other.
struct Boxes<'a>(&'a [u8]);

// === impl Boxes ===

impl<'a> Iterator for Boxes<'a> {
    type Item = Result<([u8; 4], &'a [u8]), Unpackable>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let (Some(size), Some(kind)) = (self.0.get(..4), self.0.get(4..8)) else {
            self.0 = &[];
            return Some(Err(Unpackable::Malformed));
        };
        let size = u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize;
        let kind = [kind[0], kind[1], kind[2], kind[3]];
        match self.0.split_at_checked(size).filter(|_| size >= 8) {
            Some((bytes, rest)) => {
                self.0 = rest;
                Some(Ok((kind, bytes)))
            }
            None => {
                self.0 = &[];
                Some(Err(Unpackable::Malformed))
            }
        }
    }
}

/// An edit that shows nothing for a while, and then the media from its beginning.
fn waiting(movie_ticks: u64) -> Edts {
    let entry = |segment_duration, media_time| ElstEntry {
        segment_duration,
        media_time,
        media_rate: 1.into(),
    };
    // Of media that comes in fragments the length is not said (0).
    Edts { elst: Some(Elst { entries: vec![entry(movie_ticks, None), entry(0, Some(0))] }) }
}

fn read_moov(init: &[u8]) -> Result<Moov, Unpackable> {
    let moov = Boxes(init).find_map(|child| match child {
        Ok((kind, bytes)) if &kind == b"moov" => Some(Moov::decode(&mut &bytes[..])),
        Ok(_) | Err(_) => None,
    });
    moov.and_then(Result::ok).ok_or(Unpackable::Malformed)
}

/// A list of what may be sought, unless there is more than such a list has room for.
fn sidx(timescale: u32, references: &[Reference]) -> Option<Sidx> {
    let one = |reference: &Reference| {
        Some(mp4_atom::SegmentReference {
            reference_type: false,
            referenced_size: u32::try_from(reference.bytes).ok().filter(|size| *size < 1 << 31)?,
            subsegment_duration: u32::try_from(reference.duration).ok()?,
            starts_with_sap: true,
            sap_type: 1,
            sap_delta_time: 0,
        })
    };
    let references: Vec<_> = references.iter().map(one).collect::<Option<_>>()?;
    let fits = (1..=usize::from(u16::MAX)).contains(&references.len());
    fits.then_some(Sidx {
        reference_id: 1,
        timescale,
        earliest_presentation_time: 0,
        first_offset: 0,
        references,
    })
}

/// Writes a `moof` for its track and time.
fn place_moof(
    moof: &[u8],
    place: Place,
    sequence: u32,
    out: &mut Vec<u8>,
) -> Result<(), Unpackable> {
    let at = out.len();
    match place.init {
        0 => out.extend_from_slice(moof),
        _ => with_description(moof, place.init + 1, out)?,
    }
    write_over(&mut out[at..], place, sequence).ok_or(Unpackable::Malformed)
}

/// Writes number, track and time over those of a `moof`.
fn write_over(moof: &mut [u8], place: Place, sequence: u32) -> Option<()> {
    let mut at = 8;
    while at < moof.len() {
        let size = usize::try_from(u32_at(moof, at)?).ok().filter(|size| *size >= 8)?;
        let kind = moof.get(at + 4..at + 8)?;
        match kind {
            b"mfhd" => put_u32(moof, at + 12, sequence)?,
            b"tfhd" => put_u32(moof, at + 12, place.track)?,
            b"tfdt" if moof.get(at + 8) == Some(&1) => {
                let (high, low) = (u32_at(moof, at + 12)?, u32_at(moof, at + 16)?);
                let time = (u64::from(high) << 32 | u64::from(low)).saturating_sub(place.earlier);
                moof.get_mut(at + 12..at + 20)?.copy_from_slice(&time.to_be_bytes());
            }
            b"tfdt" => {
                let time = u64::from(u32_at(moof, at + 12)?).saturating_sub(place.earlier);
                put_u32(moof, at + 12, u32::try_from(time).ok()?)?;
            }
            // Its children follow.
            b"traf" => {
                at += 8;
                continue;
            }
            _ => {}
        }
        at += size;
    }
    Some(())
}

/// Writes a `moof` whose samples have another description than the first.
fn with_description(moof: &[u8], description: u32, out: &mut Vec<u8>) -> Result<(), Unpackable> {
    let mut read = Moof::decode(&mut &moof[..]).map_err(|_| Unpackable::Malformed)?;
    for traf in &mut read.traf {
        traf.tfhd.sample_description_index = Some(description);
    }
    let mut again = Vec::with_capacity(moof.len() + 8);
    read.encode(&mut again).map_err(|_| Unpackable::Malformed)?;
    let len = |bytes: &[u8]| i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    let longer = len(&again).saturating_sub(len(moof));
    let runs = read.traf.iter_mut().flat_map(|traf| &mut traf.trun);
    for offset in runs.filter_map(|trun| trun.data_offset.as_mut()) {
        *offset = offset.saturating_add(longer);
    }
    again.clear();
    read.encode(&mut again).map_err(|_| Unpackable::Malformed)?;
    out.append(&mut again);
    Ok(())
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

fn put_u32(bytes: &mut [u8], at: usize, value: u32) -> Option<()> {
    bytes.get_mut(at..at + 4)?.copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// Ticks per second of what holds for all tracks.
const MOVIE_TIMESCALE: u32 = 1_000;

/// More than a segment has.
const CHUNKS: u32 = 1_024;

/// Samples of a fragment that are counted: a minute of sound, and more than a second of any picture.
const MAX_SAMPLES: usize = 10_000;
