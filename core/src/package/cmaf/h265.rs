//! A sequence parameter set that tells what `hvcC`, `pasp`, `colr` and the codec's name repeat (H.265
//! section 7.3.2.2).

mod vui;

use std::fmt::Write;

use super::entry::{Colour, SQUARE};
use super::h264::bit_depth;
use crate::media::codec::Bits;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    pub(super) temporal_layers: u8,
    pub(super) nested: bool,
    pub(super) profile_space: u8,
    pub(super) high_tier: bool,
    pub(super) profile: u8,
    pub(super) compatibility: u32,
    pub(super) constraints: [u8; 6],
    pub(super) level: u8,
    pub(super) chroma_format: u8,
    /// Of luma and chroma.
    pub(super) bit_depth: (u8, u8),
    /// Width and height of a sample.
    pub(super) aspect: (u16, u16),
    pub(super) colour: Option<Colour>,
}

// === impl Sps ===

impl Sps {
    /// Reads a whole NAL unit.
    pub(super) fn parse(nal: &[u8]) -> Option<Self> {
        let mut bits = Bits::of_nal(nal.get(2..)?);
        bits.skip(4)?; // sps_video_parameter_set_id
        let sub_layers = bits.take(3)?; // sps_max_sub_layers_minus1
        let nested = bits.flag()?;
        let profile_space = bits.take(2)? as u8;
        let high_tier = bits.flag()?;
        let profile = bits.take(5)? as u8;
        let compatibility = bits.take(32)?;
        let mut constraints = [0; 6];
        for byte in &mut constraints {
            *byte = bits.take(8)? as u8;
        }
        let level = bits.take(8)? as u8;
        skip_sub_layers(&mut bits, sub_layers)?;
        bits.unsigned()?; // sps_seq_parameter_set_id
        let chroma_format = u8::try_from(bits.unsigned()?).ok().filter(|format| *format <= 3)?;
        if chroma_format == 3 {
            bits.flag()?; // separate_colour_plane_flag
        }
        bits.unsigned()?; // pic_width_in_luma_samples
        bits.unsigned()?; // pic_height_in_luma_samples
        if bits.flag()? {
            for _ in 0..4 {
                bits.unsigned()?; // conformance window
            }
        }
        let bit_depth = (bit_depth(&mut bits)?, bit_depth(&mut bits)?);
        // Decoders need the set itself; what is told beside it may be missing.
        let told = vui::read(&mut bits, sub_layers).unwrap_or_default();
        Some(Self {
            temporal_layers: sub_layers as u8 + 1,
            nested,
            profile_space,
            high_tier,
            profile,
            compatibility,
            constraints,
            level,
            chroma_format,
            bit_depth,
            aspect: told.aspect.unwrap_or(SQUARE),
            colour: told.colour,
        })
    }

    /// The codec's name (ISO/IEC 14496-15 annex E.3).
    pub(super) fn codecs(&self) -> String {
        let space = ["", "A", "B", "C"][usize::from(self.profile_space & 3)];
        let tier = if self.high_tier { 'H' } else { 'L' };
        let compatibility = self.compatibility.reverse_bits();
        let mut codecs =
            format!("hvc1.{space}{}.{compatibility:X}.{tier}{}", self.profile, self.level);
        let used = self.constraints.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        for byte in &self.constraints[..used] {
            let _ = write!(codecs, ".{byte:X}");
        }
        codecs
    }
}

fn skip_sub_layers(bits: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    if sub_layers == 0 {
        return Some(());
    }
    let mut present = 0;
    for _ in 0..sub_layers {
        present += if bits.flag()? { 88 } else { 0 }; // profile
        present += if bits.flag()? { 8 } else { 0 }; // level
    }
    bits.skip(2 * (8 - sub_layers))?; // reserved_zero_2bits
    bits.skip(present)
}

/// NAL unit types of the parameter sets.
pub(super) const VPS: u8 = 32;
pub(super) const SPS: u8 = 33;
pub(super) const PPS: u8 = 34;

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
    }

    /// Both by x265 3.5: with B-frames and four reference pictures, and with its own scaling lists.
    #[test]
    fn colours_are_read_behind_reference_picture_sets_and_scaling_lists() {
        let rows = [
            (
                "42010102200000030090000003000003003fa00502016936595964932bc05a848804820000030002000003003c10",
                16,
            ),
            (
                "42010102200000030090000003000003003fa00502016936592a49395e02d424482410000003001000000301e080",
                18,
            ),
        ];
        for (hex, transfer) in rows {
            let sps = bytes(hex);
            let read = Sps::parse(&sps).unwrap();
            let colour = Colour { primaries: 9, transfer, matrix: 9, full_range: false };
            assert_eq!((read.colour, read.aspect), (Some(colour), (1, 1)));
            assert_eq!((read.profile, read.bit_depth), (2, (10, 10)));
            // Cut off within the VUI, everything before it is still known.
            let cut = Sps::parse(&sps[..28]).unwrap();
            assert_eq!(cut, Sps { colour: None, ..read });
        }
    }
}
