//! The sequence header, read as far as the largest frame size (AV1 section 5.5).

use super::super::bits::Bits;

/// The largest size a frame of the sequence has, from a sequence header OBU without its header.
pub(super) fn size(sequence: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits::new(sequence);
    bits.skip(3 + 1)?; // seq_profile, still_picture
    let reduced = bits.flag()?;
    if reduced {
        bits.skip(5)?; // seq_level_idx
    } else {
        operating_points(&mut bits)?;
    }
    let width_bits = bits.take(4)? + 1;
    let height_bits = bits.take(4)? + 1;
    let width = u16::try_from(bits.take(width_bits)? + 1).ok()?;
    let height = u16::try_from(bits.take(height_bits)? + 1).ok()?;
    Some((width, height))
}

fn operating_points(bits: &mut Bits<'_>) -> Option<()> {
    let mut delay_bits = None;
    if bits.flag()? {
        timing_info(bits)?;
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? + 1); // buffer_delay_length_minus_1
            bits.skip(32 + 5 + 5)?;
        }
    }
    let initial_display_delay = bits.flag()?;
    let points = bits.take(5)? + 1;
    for _ in 0..points {
        bits.skip(12)?; // operating_point_idc
        if bits.take(5)? > MAX_LEVEL_WITHOUT_TIER {
            bits.flag()?; // seq_tier
        }
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?; // operating_parameters_info
        }
        if initial_display_delay && bits.flag()? {
            bits.skip(4)?; // initial_display_delay_minus_1
        }
    }
    Some(())
}

fn timing_info(bits: &mut Bits<'_>) -> Option<()> {
    bits.skip(32 + 32)?; // num_units_in_display_tick, time_scale
    if bits.flag()? {
        bits.unsigned()?; // num_ticks_per_picture_minus_1
    }
    Some(())
}

const MAX_LEVEL_WITHOUT_TIER: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes the bits of a row as text: digits are bits, blanks only separate.
    fn bits(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        digits.chunks(8).map(|c| (0..8).fold(0, |v, i| v << 1 | c.get(i).unwrap_or(&0))).collect()
    }

    // Four bits for the width, three for the height: 10x6.
    const SIZE: &str = "0011 0010 1001 101";

    #[test]
    fn the_size_is_read_past_optional_parts() {
        let word = "0".repeat(32);
        let point = "000000000000 00000";
        let rows = [
            ("reduced", format!("000 1 1 00101 {SIZE}")),
            ("plain", format!("000 0 0 0 0 00000 {point} {SIZE}")),
            ("two points", format!("000 0 0 0 0 00001 {point} {point} {SIZE}")),
            ("tier", format!("000 0 0 0 0 00000 000000000000 01000 1 {SIZE}")),
            ("display delay", format!("000 0 0 0 1 00000 {point} 1 1010 {SIZE}")),
            ("timing", format!("000 0 0 1 {word} {word} 0 0 0 00000 {point} {SIZE}")),
            ("equal intervals", format!("000 0 0 1 {word} {word} 1 011 0 0 00000 {point} {SIZE}")),
            (
                "decoder model",
                format!(
                    "000 0 0 1 {word} {word} 0 1 00010 {word} 00000 00000 0 00000 {point} \
                     1 111 000 1 {SIZE}"
                ),
            ),
        ];
        for (name, text) in rows {
            assert_eq!(size(&bits(&text)), Some((10, 6)), "{name}");
        }
    }

    #[test]
    fn a_header_that_is_cut_short_has_no_size() {
        let libaom = [0x00, 0x00, 0x00, 0x0C, 0xC5, 0x03, 0x69];
        assert_eq!(size(&libaom), Some((642, 362)));
        for len in 0..libaom.len() {
            assert_eq!(size(&libaom[..len]), None, "{len}");
        }
    }

    #[test]
    fn the_largest_size_is_65_535_by_65_535() {
        let text = format!("000 1 1 00101 1111 1111 {} {}", "1".repeat(16), "1".repeat(16));
        assert_eq!(size(&bits(&text)), None);
        let text = format!("000 1 1 00101 1111 1111 {}0 {}0", "1".repeat(15), "1".repeat(15));
        assert_eq!(size(&bits(&text)), Some((65_535, 65_535)));
    }
}
