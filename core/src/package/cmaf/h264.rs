//! A sequence parameter set that tells what `avcC`, `pasp` and `colr` repeat (H.264 section 7.3.2.1.1
//! and annex E).

use super::entry::{Colour, SQUARE};
use crate::media::codec::Bits;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sps {
    pub(super) profile: u8,
    pub(super) constraints: u8,
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
        let mut bits = Bits::of_nal(nal.get(1..)?);
        let mut sps = Self {
            profile: bits.take(8)? as u8,
            constraints: bits.take(8)? as u8,
            level: bits.take(8)? as u8,
            chroma_format: 1,
            bit_depth: (8, 8),
            aspect: SQUARE,
            colour: None,
        };
        bits.unsigned()?; // seq_parameter_set_id
        if matches!(
            sps.profile,
            44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244
        ) {
            sps.high_profile(&mut bits)?;
        }
        to_vui(&mut bits)?;
        if bits.flag()? {
            // What is broken here is only not known.
            let _ = sps.vui(&mut bits);
        }
        Some(sps)
    }

    fn high_profile(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.chroma_format = u8::try_from(bits.unsigned()?).ok().filter(|format| *format <= 3)?;
        if self.chroma_format == 3 {
            bits.flag()?; // separate_colour_plane_flag
        }
        self.bit_depth = (bit_depth(bits)?, bit_depth(bits)?);
        bits.flag()?; // qpprime_y_zero_transform_bypass_flag
        if bits.flag()? {
            let lists = if self.chroma_format == 3 { 12 } else { 8 };
            for list in 0..lists {
                if bits.flag()? {
                    scaling_list(bits, if list < 6 { 16 } else { 64 })?;
                }
            }
        }
        Some(())
    }

    fn vui(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        let aspect = aspect(bits)?;
        self.aspect = aspect.unwrap_or(SQUARE);
        self.colour = colour(bits)?;
        Some(())
    }
}

/// Reads the depth of luma or chroma samples, 8 to 14 bits.
pub(super) fn bit_depth(bits: &mut Bits<'_>) -> Option<u8> {
    let more = bits.unsigned()?;
    (more <= 6).then(|| 8 + more as u8)
}

/// Reads `aspect_ratio_info` of a VUI, which H.265 has too.
pub(super) fn aspect(bits: &mut Bits<'_>) -> Option<Option<(u16, u16)>> {
    if !bits.flag()? {
        return Some(None);
    }
    let index = bits.take(8)?;
    let (width, height) = match index {
        EXTENDED_SAR => (bits.take(16)? as u16, bits.take(16)? as u16),
        _ => ASPECTS.get(index as usize).copied().unwrap_or_default(),
    };
    Some((width != 0 && height != 0).then_some((width, height)))
}

/// Reads `overscan_info` and the `video_signal_type` behind it, which H.265 has too.
pub(super) fn colour(bits: &mut Bits<'_>) -> Option<Option<Colour>> {
    if bits.flag()? {
        bits.flag()?; // overscan_appropriate_flag
    }
    if !bits.flag()? {
        return Some(None);
    }
    bits.skip(3)?; // video_format
    let full_range = bits.flag()?;
    if !bits.flag()? {
        return Some(None);
    }
    let [primaries, transfer, matrix] =
        [bits.take(8)? as u8, bits.take(8)? as u8, bits.take(8)? as u8];
    Some(Some(Colour { primaries, transfer, matrix, full_range }))
}

/// Passes over what stands between the profile and `vui_parameters_present_flag`.
fn to_vui(bits: &mut Bits<'_>) -> Option<()> {
    bits.unsigned()?; // log2_max_frame_num_minus4
    match bits.unsigned()? {
        0 => {
            bits.unsigned()?; // log2_max_pic_order_cnt_lsb_minus4
        }
        1 => {
            bits.flag()?; // delta_pic_order_always_zero_flag
            bits.signed()?; // offset_for_non_ref_pic
            bits.signed()?; // offset_for_top_to_bottom_field
            for _ in 0..bits.unsigned()? {
                bits.signed()?; // offset_for_ref_frame
            }
        }
        _ => {}
    }
    bits.unsigned()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    bits.unsigned()?; // pic_width_in_mbs_minus1
    bits.unsigned()?; // pic_height_in_map_units_minus1
    if !bits.flag()? {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    bits.flag()?; // direct_8x8_inference_flag
    if bits.flag()? {
        for _ in 0..4 {
            bits.unsigned()?; // frame cropping
        }
    }
    Some(())
}

fn scaling_list(bits: &mut Bits<'_>, size: usize) -> Option<()> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..size {
        if next != 0 {
            next = (last + bits.signed()?).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Some(())
}

const EXTENDED_SAR: u32 = 255;

/// Table E-1.
const ASPECTS: [(u16, u16); 17] = [
    (0, 0),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    // As x264 writes them, 64x64.
    const HIGH: [u8; 26] = [
        0x67, 0x64, 0x00, 0x0A, 0xAC, 0xB2, 0x08, 0x4D, 0x87, 0x37, 0x01, 0x01, 0x01, 0x40, 0x00,
        0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0F, 0x03, 0xC4, 0x89, 0x92,
    ];
    const HIGH_422_10: [u8; 28] = [
        0x67, 0x7A, 0x00, 0x0A, 0xB6, 0xCD, 0x94, 0x42, 0x6F, 0xFC, 0x00, 0x1C, 0x00, 0x14, 0x40,
        0x00, 0x00, 0x03, 0x00, 0x40, 0x00, 0x00, 0x0F, 0x03, 0xC4, 0x89, 0x65, 0x80,
    ];

    #[test]
    fn the_shape_and_colour_of_samples_are_read_where_they_are_said() {
        let colour = Colour { primaries: 1, transfer: 1, matrix: 1, full_range: true };
        let high = Sps {
            profile: 100,
            constraints: 0,
            level: 10,
            chroma_format: 1,
            bit_depth: (8, 8),
            aspect: (4, 3),
            colour: Some(colour),
        };
        assert_eq!(Sps::parse(&HIGH), Some(high));
        let high_422 = Sps {
            profile: 122,
            chroma_format: 2,
            bit_depth: (10, 10),
            aspect: (7, 5),
            colour: None,
            ..high
        };
        assert_eq!(Sps::parse(&HIGH_422_10), Some(high_422));
    }

    #[test]
    fn a_set_that_is_cut_in_its_vui_tells_the_rest() {
        assert_eq!(Sps::parse(&HIGH[..6]), None);
        let cut = Sps::parse(&HIGH[..10]).unwrap();
        assert_eq!((cut.profile, cut.bit_depth, cut.colour), (100, (8, 8), None));
    }
}
