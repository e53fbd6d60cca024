//! A part: what a packager hands to playlists, bytes and their place on the timeline.

use bytes::Bytes;

use super::Ntp;

/// What a rendition's packager puts out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packaged {
    /// The initialization section of what follows; the first one, or new parameters.
    Init(Init),
    /// The next part of a segment. The first part of another segment opens it.
    Part(Part),
    /// The segment that was open is complete.
    SegmentEnd {
        /// The segment.
        segment: u64,
        /// Ticks from its first frame to the next segment's.
        duration: u64,
    },
    /// What follows does not continue what came before: a publisher returned.
    Discontinuity,
    /// The publisher's clock drifts: from a tick on, tick 0 is another time in the server's clock. It is
    /// told of before anything that begins there.
    Wall {
        /// In ticks of the rendition.
        from: i64,
        /// The wall-clock time of tick 0.
        zero: Ntp,
    },
}

/// An initialization section (CMAF header).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// Counts them, from 0.
    pub version: u32,
    /// `ftyp` and `moov`.
    pub bytes: Bytes,
    /// The codec as RFC 6381 writes it, such as `avc1.42c01f`.
    pub codecs: String,
    /// Width and height of a picture.
    pub size: Option<(u16, u16)>,
    /// The range of brightness of a picture.
    pub range: VideoRange,
}

/// How brightness is to be understood.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VideoRange {
    /// Standard dynamic range.
    #[default]
    Sdr,
    /// Hybrid log-gamma (ITU-R BT.2100).
    Hlg,
    /// Perceptual quantization (SMPTE ST 2084).
    Pq,
}

/// A part (CMAF chunk), or the place of one for which nothing came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its segment: the place on the absolute grid, and the media sequence number.
    pub segment: u64,
    /// Its place in the segment, from 0.
    pub index: u32,
    /// Decode time of its first frame, in ticks of the rendition since the epoch began.
    pub start: i64,
    /// Ticks to the next part.
    pub duration: u64,
    /// Whether decoding can begin at a frame of it: the first, but where a joiner made another ask for one.
    pub independent: bool,
    /// `moof` and `mdat`; `None` where nothing came (GAP).
    pub bytes: Option<Bytes>,
}
