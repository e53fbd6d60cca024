//! The sequence parameter set, read as far as the picture size (H.264 section 7.3.2.1.1).

use super::super::bits::Bits;

/// The cropped size of a picture, from an SPS without its NAL header byte.
pub(super) fn size(sps: &[u8]) -> Option<(u16, u16)> {
    read(sps).map(|(_, size)| size)
}

/// The set's id and the cropped size of a picture, from an SPS without its NAL header byte.
pub(super) fn read(sps: &[u8]) -> Option<(u8, (u16, u16))> {
    let mut bits = Bits::of_nal(sps);
    let profile_idc = bits.take(8)?;
    bits.skip(16)?; // constraint flags, level_idc
    let id = u8::try_from(bits.unsigned()?).ok()?;
    let chroma = match profile_idc {
        44 | 83 | 86 | 100 | 110 | 118 | 122 | 128 | 134 | 135 | 138 | 139 | 244 => {
            high_profile(&mut bits)?
        }
        _ => Chroma::YUV420,
    };
    bits.unsigned()?; // log2_max_frame_num_minus4
    picture_order(&mut bits)?;
    bits.unsigned()?; // max_num_ref_frames
    bits.flag()?; // gaps_in_frame_num_value_allowed_flag
    let width_in_mbs = u64::from(bits.unsigned()?) + 1;
    let height_in_units = u64::from(bits.unsigned()?) + 1;
    let frame_mbs_only = bits.flag()?;
    if !frame_mbs_only {
        bits.flag()?; // mb_adaptive_frame_field_flag
    }
    let fields = if frame_mbs_only { 1 } else { 2 };
    bits.flag()?; // direct_8x8_inference_flag
    let (mut crop_x, mut crop_y) = (0, 0);
    if bits.flag()? {
        crop_x = u64::from(bits.unsigned()?) + u64::from(bits.unsigned()?);
        crop_y = u64::from(bits.unsigned()?) + u64::from(bits.unsigned()?);
    }
    let width = (width_in_mbs * 16).checked_sub(crop_x * chroma.width)?;
    let height = (height_in_units * 16 * fields).checked_sub(crop_y * chroma.height * fields)?;
    let (width, height) = (u16::try_from(width).ok()?, u16::try_from(height).ok()?);
    (width != 0 && height != 0).then_some((id, (width, height)))
}

/// Luma samples per chroma sample, the units of cropping.
struct Chroma {
    width: u64,
    height: u64,
}

impl Chroma {
    const YUV420: Self = Self { width: 2, height: 2 };
    const YUV422: Self = Self { width: 2, height: 1 };
    const WHOLE: Self = Self { width: 1, height: 1 };
}

fn high_profile(bits: &mut Bits<'_>) -> Option<Chroma> {
    let chroma_format_idc = bits.unsigned()?;
    if chroma_format_idc == 3 {
        bits.flag()?; // separate_colour_plane_flag: the units are 1x1 either way
    }
    bits.unsigned()?; // bit_depth_luma_minus8
    bits.unsigned()?; // bit_depth_chroma_minus8
    bits.flag()?; // qpprime_y_zero_transform_bypass_flag
    if bits.flag()? {
        let lists = if chroma_format_idc == 3 { 12 } else { 8 };
        for list in 0..lists {
            if bits.flag()? {
                scaling_list(bits, if list < 6 { 16 } else { 64 })?;
            }
        }
    }
    match chroma_format_idc {
        1 => Some(Chroma::YUV420),
        2 => Some(Chroma::YUV422),
        0 | 3 => Some(Chroma::WHOLE),
        _ => None,
    }
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

fn picture_order(bits: &mut Bits<'_>) -> Option<()> {
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
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_read_from_every_profile_that_x264_writes() {
        let rows: [(&str, &[u8]); 5] = [
            (
                "baseline",
                &[
                    0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00, 0x00,
                    0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xF0, 0x3C, 0x58, 0xB9, 0x20,
                ],
            ),
            (
                "main",
                &[
                    0x4D, 0x40, 0x1E, 0xEC, 0xA0, 0x52, 0x17, 0xF1, 0x12, 0x60, 0x22, 0x00, 0x00,
                    0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x78, 0x1E, 0x2C, 0x5B, 0x2C,
                ],
            ),
            (
                "high",
                &[
                    0x64, 0x00, 0x1E, 0xAC, 0xD9, 0x40, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00,
                    0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xF0, 0x3C, 0x58, 0xB6, 0x58,
                ],
            ),
            (
                "high 4:2:2 interlaced",
                &[
                    0x7A, 0x00, 0x1E, 0xBC, 0xD9, 0x40, 0xA4, 0x63, 0xC4, 0x46, 0x60, 0x22, 0x00,
                    0x00, 0x03, 0x00, 0x02, 0x00, 0x00, 0x03, 0x00, 0x78, 0x3E, 0x28, 0x53, 0x2C,
                ],
            ),
            (
                "high 4:4:4",
                &[
                    0xF4, 0x00, 0x1E, 0x91, 0x9B, 0x28, 0x14, 0x85, 0xFC, 0x7C, 0xF8, 0x08, 0x80,
                    0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1E, 0x07, 0x8B, 0x16, 0xCB,
                ],
            ),
        ];
        for (name, sps) in rows {
            assert_eq!(size(sps), Some((642, 362)), "{name}");
        }
    }

    /// Writes the bits of a row as text: digits are bits, blanks only separate.
    fn bits(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        digits.chunks(8).map(|c| (0..8).fold(0, |v, i| v << 1 | c.get(i).unwrap_or(&0))).collect()
    }

    // profile 66, constraints, level 31, id 0, frame number ue(0).
    const BASE: &str = "01000010 00000000 00011111 1 1";

    #[test]
    fn the_size_is_read_past_optional_parts() {
        let rows = [
            // Picture order 2, 1 reference, no gaps, 80x45 macroblocks, progressive, not cropped.
            (format!("{BASE} 011 010 0 0000001010000 00000101101 1 1 0"), Some((1280, 720))),
            // Picture order 1 with two offsets.
            (format!("{BASE} 010 0 00101 1 011 010 1 010 0 00101 00100 1 1 0"), Some((80, 64))),
            // High profile with a scaling list that ends early, and one that runs through.
            (
                "01100100 00000000 00011111 1 010 1 1 0 1 1 000010001 0 1 \
                 1111111111111111 00000 1 1 1 010 0 010 1 1 1 0"
                    .to_owned(),
                Some((32, 16)),
            ),
            // 1088 lines cropped to 1080 with 4:2:0 units of two lines.
            (
                format!("{BASE} 011 010 0 0000001111000 0000001000100 1 1 1 1 1 1 00101"),
                Some((1920, 1080)),
            ),
            // Cropped to nothing, and beyond.
            (format!("{BASE} 011 010 0 1 1 1 1 1 1 0001001 1 1"), None),
            (format!("{BASE} 011 010 0 1 1 1 1 1 1 0001010 1 1"), None),
            // Wider than any RTP video: 4,097 macroblocks.
            (format!("{BASE} 011 010 0 0000000000001000000000001 1 1 1 0"), None),
        ];
        for (text, want) in rows {
            assert_eq!(size(&bits(&text)), want, "{text}");
        }
    }

    #[test]
    fn a_set_that_is_cut_short_has_no_size() {
        let whole = bits(&format!("{BASE} 011 010 0 0000001010000 00000101101 1 1 0"));
        assert!(size(&whole).is_some());
        for len in 0..whole.len() {
            assert_eq!(size(&whole[..len]), None, "{len}");
        }
    }
}
