//! A chunk that is written: `styp`, `prft`, one `moof` and its `mdat` (ISO/IEC 14496-12 section 8.8).
//!
//! Written by hand rather than from box types: the layout is fixed, versions must not depend on how
//! long a stream has run, and nothing is encoded twice to learn an offset.

use bytes::{BufMut, Bytes, BytesMut};

use super::TRACK;
use crate::media::Ntp;

/// A frame with its place in decoding order.
#[derive(Clone, Debug)]
pub(in crate::package) struct Sample {
    pub(in crate::package) dts: i64,
    pub(in crate::package) pts: i64,
    pub(in crate::package) keyframe: bool,
    pub(in crate::package) data: Bytes,
    pub(in crate::package) capture: Option<Ntp>,
}

/// What a chunk is written from.
pub(in crate::package) struct Chunk<'a> {
    /// Counts the fragments of a rendition.
    pub(in crate::package) sequence: u32,
    /// Whether it is the first of its segment that has bytes.
    pub(in crate::package) opens_segment: bool,
    /// At least one, in decoding order.
    pub(in crate::package) samples: &'a [Sample],
    /// Where the last sample ends.
    pub(in crate::package) end: i64,
}

// === impl Chunk ===

impl Chunk<'_> {
    /// The chunk's bytes.
    pub(in crate::package) fn write(&self) -> Bytes {
        let payload: usize = self.samples.iter().map(|sample| sample.data.len()).sum();
        let mut out = BytesMut::with_capacity(payload + HEAD + self.samples.len() * PER_SAMPLE);
        self.styp(&mut out);
        self.prft(&mut out);
        self.moof(&mut out);
        boxed(&mut out, b"mdat", |out| {
            for sample in self.samples {
                out.put_slice(&sample.data);
            }
        });
        out.freeze()
    }

    fn styp(&self, out: &mut BytesMut) {
        let brands: &[&[u8; 4]] =
            if self.opens_segment { &[b"cmfs", b"cmff", b"msdh"] } else { &[b"cmfl"] };
        boxed(out, b"styp", |out| {
            out.put_slice(brands[0]);
            out.put_u32(0); // minor_version
            brands.iter().for_each(|brand| out.put_slice(*brand));
        });
    }

    /// The wall clock at the first frame, where it is known (section 8.16.5).
    fn prft(&self, out: &mut BytesMut) {
        let Some(first) = self.samples.first() else { return };
        let Some(Ntp(capture)) = first.capture else { return };
        full(out, b"prft", 1, CAPTURED, |out| {
            out.put_u32(TRACK);
            out.put_u64(capture);
            out.put_u64(unsigned(first.pts));
        });
    }

    fn moof(&self, out: &mut BytesMut) {
        let start = out.len();
        let mut offset_at = 0;
        boxed(out, b"moof", |out| {
            full(out, b"mfhd", 0, 0, |out| out.put_u32(self.sequence));
            boxed(out, b"traf", |out| {
                let defaults = self.tfhd(out);
                let first = self.samples.first().map_or(0, |sample| sample.dts);
                full(out, b"tfdt", 1, 0, |out| out.put_u64(unsigned(first)));
                offset_at = self.trun(out, defaults);
            });
        });
        let offset = (out.len() - start + BOX) as u32;
        out[offset_at..offset_at + 4].copy_from_slice(&offset.to_be_bytes());
    }

    fn tfhd(&self, out: &mut BytesMut) -> Defaults {
        let defaults = Defaults {
            duration: self.durations().next().unwrap_or(0),
            flags: self.samples.last().map_or(SYNC, flags),
        };
        full(out, b"tfhd", 0, DEFAULT_BASE_IS_MOOF | DEFAULT_DURATION | DEFAULT_FLAGS, |out| {
            out.put_u32(TRACK);
            out.put_u32(defaults.duration);
            out.put_u32(defaults.flags);
        });
        defaults
    }

    /// Writes the samples, and returns where the offset of the data stands.
    fn trun(&self, out: &mut BytesMut, defaults: Defaults) -> usize {
        let durations = self.durations().any(|duration| duration != defaults.duration);
        let later_flags = self.samples.iter().skip(1).any(|sample| flags(sample) != defaults.flags);
        let first_flags = self.samples.first().map_or(SYNC, flags);
        let first_only = !later_flags && first_flags != defaults.flags;
        let compositions = self.samples.iter().any(|sample| sample.pts != sample.dts);
        let fields = DATA_OFFSET
            | SIZES
            | if durations { DURATIONS } else { 0 }
            | if first_only { FIRST_FLAGS } else { 0 }
            | if later_flags { FLAGS } else { 0 }
            | if compositions { COMPOSITIONS } else { 0 };
        let mut offset_at = 0;
        full(out, b"trun", 1, fields, |out| {
            out.put_u32(self.samples.len() as u32);
            offset_at = out.len();
            out.put_u32(0);
            if first_only {
                out.put_u32(first_flags);
            }
            for (sample, duration) in self.samples.iter().zip(self.durations()) {
                if durations {
                    out.put_u32(duration);
                }
                out.put_u32(sample.data.len() as u32);
                if later_flags {
                    out.put_u32(flags(sample));
                }
                if compositions {
                    out.put_i32((sample.pts - sample.dts) as i32);
                }
            }
        });
        offset_at
    }

    fn durations(&self) -> impl Iterator<Item = u32> {
        let ends = self.samples.iter().skip(1).map(|sample| sample.dts).chain([self.end]);
        self.samples.iter().zip(ends).map(|(sample, end)| (end - sample.dts) as u32)
    }
}

#[derive(Clone, Copy)]
struct Defaults {
    duration: u32,
    flags: u32,
}

/// `sample_depends_on` and `sample_is_non_sync_sample`.
fn flags(sample: &Sample) -> u32 {
    if sample.keyframe { SYNC } else { NON_SYNC }
}

fn unsigned(time: i64) -> u64 {
    u64::try_from(time).unwrap_or(0)
}

fn boxed(out: &mut BytesMut, kind: &[u8; 4], body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    out.put_u32(0);
    out.put_slice(kind);
    body(out);
    let len = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
}

fn full(
    out: &mut BytesMut,
    kind: &[u8; 4],
    version: u8,
    flags: u32,
    body: impl FnOnce(&mut BytesMut),
) {
    boxed(out, kind, |out| {
        out.put_u32(u32::from(version) << 24 | flags);
        body(out);
    });
}

const BOX: usize = 8;
/// Room for all boxes but what each sample takes.
const HEAD: usize = 220;
const PER_SAMPLE: usize = 16;
/// The wall clock of `prft` is the source's: `consistent_offset` and `real_time`.
const CAPTURED: u32 = 24;
const SYNC: u32 = 0x0200_0000;
const NON_SYNC: u32 = 0x0101_0000;
const DEFAULT_BASE_IS_MOOF: u32 = 0x02_0000;
const DEFAULT_DURATION: u32 = 0x08;
const DEFAULT_FLAGS: u32 = 0x20;
const DATA_OFFSET: u32 = 0x001;
const FIRST_FLAGS: u32 = 0x004;
const DURATIONS: u32 = 0x100;
const SIZES: u32 = 0x200;
const FLAGS: u32 = 0x400;
const COMPOSITIONS: u32 = 0x800;

#[cfg(test)]
mod tests;
