//! The sequence parameter set, read as far as the picture size (H.265 section 7.3.2.2).

use super::super::bits::Bits;

/// The size within the conformance window, from an SPS without its NAL header.
pub(super) fn size(sps: &[u8]) -> Option<(u16, u16)> {
    read(sps).map(|(_, size)| size)
}

/// The set's id and the size within the conformance window, from an SPS without its NAL header.
pub(super) fn read(sps: &[u8]) -> Option<(u8, (u16, u16))> {
    let mut bits = Bits::of_nal(sps);
    bits.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = bits.take(3)?; // sps_max_sub_layers_minus1
    bits.flag()?; // sps_temporal_id_nesting_flag
    profile_tier_level(&mut bits, sub_layers)?;
    let id = u8::try_from(bits.unsigned()?).ok()?;
    let (unit_x, unit_y) = match bits.unsigned()? {
        0 => (1, 1),
        1 => (2, 2),
        2 => (2, 1),
        3 => {
            bits.flag()?; // separate_colour_plane_flag: the units are 1x1 either way
            (1, 1)
        }
        _ => return None,
    };
    let width = u64::from(bits.unsigned()?);
    let height = u64::from(bits.unsigned()?);
    let (mut window_x, mut window_y) = (0, 0);
    if bits.flag()? {
        window_x = u64::from(bits.unsigned()?) + u64::from(bits.unsigned()?);
        window_y = u64::from(bits.unsigned()?) + u64::from(bits.unsigned()?);
    }
    let width = u16::try_from(width.checked_sub(window_x * unit_x)?).ok()?;
    let height = u16::try_from(height.checked_sub(window_y * unit_y)?).ok()?;
    (width != 0 && height != 0).then_some((id, (width, height)))
}

/// Passes over `profile_tier_level(1, sub_layers)` (section 7.3.3).
fn profile_tier_level(bits: &mut Bits<'_>, sub_layers: u32) -> Option<()> {
    bits.skip(PROFILE_BITS + LEVEL_BITS)?;
    if sub_layers == 0 {
        return Some(());
    }
    let mut present = 0;
    for _ in 0..sub_layers {
        present += if bits.flag()? { PROFILE_BITS } else { 0 };
        present += if bits.flag()? { LEVEL_BITS } else { 0 };
    }
    bits.skip(2 * (8 - sub_layers))?; // reserved_zero_2bits
    bits.skip(present)
}

const PROFILE_BITS: u32 = 88;
const LEVEL_BITS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_read_from_sets_that_x265_writes() {
        let rows: [(&str, &[u8]); 2] = [
            (
                "main",
                &[
                    0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
                    0x03, 0x00, 0x3F, 0xA0, 0x05, 0x12, 0x01, 0x71, 0xC9, 0x26, 0x59, 0x59, 0xA4,
                    0x93, 0x2B,
                ],
            ),
            (
                "main 4:2:2 10 with two temporal layers",
                &[
                    0x02, 0x04, 0x08, 0x00, 0x00, 0x03, 0x00, 0x9D, 0x08, 0x00, 0x00, 0x03, 0x00,
                    0x00, 0x3F, 0x00, 0x00, 0xB0, 0x05, 0x12, 0x01, 0x71, 0xC9, 0x3B, 0x65, 0x95,
                    0x98, 0xAC,
                ],
            ),
        ];
        for (name, sps) in rows {
            assert_eq!(size(sps), Some((642, 362)), "{name}");
        }
    }

    /// An SPS whose last byte of `profile_tier_level` is followed by the bits of `text`.
    fn sps(sub_layers: u8, sub_layer_bytes: &[u8], text: &str) -> Vec<u8> {
        let mut bytes = vec![sub_layers << 1 | 1];
        bytes.extend([0x55; 12]);
        bytes.extend(sub_layer_bytes);
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        let octet = |c: &[u8]| (0..8).fold(0, |v, i| v << 1 | c.get(i).unwrap_or(&0));
        bytes.extend(digits.chunks(8).map(octet));
        bytes
    }

    #[test]
    fn the_size_is_read_past_optional_parts() {
        // Presence flags of two sub-layers (profile and level, level only), reserved bits, data.
        let two_layers = [&[0b1101_0000, 0][..], &[0x77; 11 + 1 + 1]].concat();
        type Row<'a> = (u8, &'a [u8], &'a str, Option<(u16, u16)>);
        let rows: [Row<'_>; 8] = [
            (0, &[], "1 010 000000000010100000001 0000000001011010001 0", Some((1280, 720))),
            (0, &[], "1 010 0001001 00000100000 0", Some((8, 31))),
            (2, &two_layers, "1 010 0001001 00000100000 0", Some((8, 31))),
            // 4:2:2 counts lines one by one, 4:4:4 and monochrome columns too.
            (0, &[], "1 011 0001001 0001001 1 1 010 1 010", Some((6, 7))),
            (0, &[], "1 00100 0 0001001 0001001 1 1 010 1 010", Some((7, 7))),
            (0, &[], "1 1 0001001 0001001 1 1 010 1 010", Some((7, 7))),
            // Nothing left within the window; no such chroma format.
            (0, &[], "1 010 0001001 0001001 1 00101 1 1 1", None),
            (0, &[], "1 00101 0001001 0001001 0", None),
        ];
        for (layers, data, text, want) in rows {
            assert_eq!(size(&sps(layers, data, text)), want, "{text}");
        }
    }

    #[test]
    fn a_set_that_is_cut_short_has_no_size() {
        let whole = sps(0, &[], "1 010 0001001 00000100000 0");
        assert!(size(&whole).is_some());
        for len in 0..whole.len() {
            assert_eq!(size(&whole[..len]), None, "{len}");
        }
    }
}
