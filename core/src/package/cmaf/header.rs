//! A header that is written: `ftyp` and `moov`, without samples (ISO/IEC 23000-19 section 7.3.1).

use bytes::Bytes;
use mp4_atom::{
    Dinf, Dref, Encode, FourCC, Ftyp, Hdlr, Mdhd, Mdia, Minf, Moov, Mvex, Mvhd, Smhd, Stbl, Stco,
    Stsd, Tkhd, Trak, Trex, Url, Vmhd,
};

use super::entry::{Entry, entry};
use super::{TRACK, Unpackable};
use crate::media::{Kind, Setup, VideoRange};

/// The header of a rendition, and how manifests name its codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `ftyp` and `moov`.
    pub bytes: Bytes,
    /// The codec as RFC 6381 writes it.
    pub codecs: String,
    /// The range of brightness of a picture.
    pub range: VideoRange,
}

/// Writes the header for what a decoder has to know.
pub fn header(setup: &Setup, timescale: u32) -> Result<Header, Unpackable> {
    let entry = entry(setup)?;
    let mut bytes = Vec::with_capacity(1024);
    let written = ftyp(&entry)
        .encode(&mut bytes)
        .and_then(|()| moov(&entry, setup, timescale).encode(&mut bytes));
    written.map_err(|_| Unpackable::Malformed)?;
    Ok(Header { bytes: bytes.into(), codecs: entry.codecs, range: entry.range })
}

fn ftyp(entry: &Entry) -> Ftyp {
    let brands = [b"iso6", b"cmfc", b"cmf2"].into_iter().chain(entry.brand);
    Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: brands.map(FourCC::new).collect(),
    }
}

fn moov(entry: &Entry, setup: &Setup, timescale: u32) -> Moov {
    let (width, height) = entry.shown;
    let audio = setup.kind() == Kind::Audio;
    let (handler, name) = if audio { (b"soun", "sound") } else { (b"vide", "picture") };
    let stbl = Stbl {
        stsd: Stsd { codecs: vec![entry.codec.clone()] },
        stco: Some(Stco::default()),
        ..Stbl::default()
    };
    let minf = Minf {
        vmhd: (!audio).then(Vmhd::default),
        smhd: audio.then(Smhd::default),
        dinf: Dinf { dref: Dref { entries: vec![Url::default().into()] } },
        stbl,
        ..Minf::default()
    };
    let trak = Trak {
        tkhd: Tkhd {
            track_id: TRACK,
            enabled: true,
            in_movie: true,
            width: width.into(),
            height: height.into(),
            volume: u8::from(audio).into(),
            ..Tkhd::default()
        },
        mdia: Mdia {
            mdhd: Mdhd { timescale, language: "und".into(), ..Mdhd::default() },
            hdlr: Hdlr { handler: FourCC::new(handler), name: name.into() },
            minf,
        },
        ..Trak::default()
    };
    let trex = Trex { track_id: TRACK, default_sample_description_index: 1, ..Trex::default() };
    Moov {
        mvhd: Mvhd {
            timescale,
            next_track_id: TRACK + 1,
            rate: 1.into(),
            volume: 1.into(),
            ..Mvhd::default()
        },
        trak: vec![trak],
        mvex: Some(Mvex { mehd: None, trex: vec![trex] }),
        ..Moov::default()
    }
}

#[cfg(test)]
mod tests;
