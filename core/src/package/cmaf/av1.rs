//! A sequence header that tells what `av1C` and `colr` repeat (AV1 section 5.5).

use super::entry::Colour;
use crate::media::codec::Bits;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) profile: u8,
    /// Level and tier of the first operating point.
    pub(super) level: u8,
    pub(super) high_tier: bool,
    pub(super) bit_depth: u8,
    pub(super) monochrome: bool,
    /// Whether chroma has half the columns, and half the lines.
    pub(super) subsampling: (bool, bool),
    pub(super) sample_position: u8,
    pub(super) colour: Option<Colour>,
}

// === impl Sequence ===

impl Sequence {
    /// Reads a whole OBU with its size field.
    pub(super) fn parse(obu: &[u8]) -> Option<Self> {
        let mut bits = Bits::new(body(obu)?);
        let profile = bits.take(3)? as u8;
        bits.flag()?; // still_picture
        let reduced = bits.flag()?;
        let (level, high_tier) =
            if reduced { (bits.take(5)? as u8, false) } else { operating_points(&mut bits)? };
        let width_bits = bits.take(4)? + 1;
        let height_bits = bits.take(4)? + 1;
        bits.skip(width_bits + height_bits)?;
        skip_tools(&mut bits, reduced)?;
        let mut sequence = Self {
            profile,
            level,
            high_tier,
            bit_depth: 8,
            monochrome: false,
            subsampling: (true, true),
            sample_position: 0,
            colour: None,
        };
        sequence.color_config(&mut bits)?;
        Some(sequence)
    }

    fn color_config(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        if bits.flag()? {
            self.bit_depth = if self.profile == 2 && bits.flag()? { 12 } else { 10 };
        }
        self.monochrome = self.profile != 1 && bits.flag()?;
        let described = match bits.flag()? {
            true => Some([bits.take(8)? as u8, bits.take(8)? as u8, bits.take(8)? as u8]),
            false => None,
        };
        let srgb = !self.monochrome && described == Some(SRGB);
        let full_range = srgb || bits.flag()?;
        self.colour = described.map(|[primaries, transfer, matrix]| Colour {
            primaries,
            transfer,
            matrix,
            full_range,
        });
        if self.monochrome {
            return Some(());
        }
        self.subsampling = match self.profile {
            _ if srgb => (false, false),
            0 => (true, true),
            1 => (false, false),
            _ if self.bit_depth == 12 => {
                let columns = bits.flag()?;
                (columns, columns && bits.flag()?)
            }
            _ => (true, false),
        };
        if self.subsampling == (true, true) {
            self.sample_position = bits.take(2)? as u8;
        }
        Some(())
    }
}

/// What stands behind an OBU's header and size.
fn body(obu: &[u8]) -> Option<&[u8]> {
    let (head, rest) = obu.split_first()?;
    if head >> 3 & 15 != SEQUENCE_HEADER || head & HAS_SIZE == 0 {
        return None;
    }
    let rest = if head & HAS_EXTENSION != 0 { rest.get(1..)? } else { rest };
    // A size of more than two bytes would be that of no sequence header.
    match *rest {
        [size, ref body @ ..] if size < 0x80 => body.get(..usize::from(size)),
        [low, high, ref body @ ..] if high < 0x80 => {
            body.get(..usize::from(low & 0x7F) | usize::from(high) << 7)
        }
        _ => None,
    }
}

/// Passes over the operating points; level and tier of the first.
fn operating_points(bits: &mut Bits<'_>) -> Option<(u8, bool)> {
    let mut delay_bits = None;
    if bits.flag()? {
        bits.skip(32 + 32)?; // num_units_in_display_tick, time_scale
        if bits.flag()? {
            bits.unsigned()?; // num_ticks_per_picture_minus_1
        }
        if bits.flag()? {
            delay_bits = Some(bits.take(5)? + 1); // buffer_delay_length_minus_1
            bits.skip(32 + 5 + 5)?;
        }
    }
    let initial_display_delay = bits.flag()?;
    let points = bits.take(5)? + 1;
    let mut first = None;
    for _ in 0..points {
        bits.skip(12)?; // operating_point_idc
        let level = bits.take(5)? as u8;
        let high_tier = level > 7 && bits.flag()?;
        first = first.or(Some((level, high_tier)));
        if let Some(delay_bits) = delay_bits
            && bits.flag()?
        {
            bits.skip(2 * delay_bits + 1)?; // operating_parameters_info
        }
        if initial_display_delay && bits.flag()? {
            bits.skip(4)?; // initial_display_delay_minus_1
        }
    }
    first
}

/// Passes over what stands between the size and `color_config`.
fn skip_tools(bits: &mut Bits<'_>, reduced: bool) -> Option<()> {
    if !reduced && bits.flag()? {
        bits.skip(4 + 3)?; // lengths of frame ids
    }
    bits.skip(3)?; // use_128x128_superblock, enable_filter_intra, enable_intra_edge_filter
    if !reduced {
        bits.skip(4)?; // enable_interintra_compound and the three flags behind it
        let order_hint = bits.flag()?;
        if order_hint {
            bits.skip(2)?; // enable_jnt_comp, enable_ref_frame_mvs
        }
        let screen_content = bits.flag()? || bits.flag()?;
        if screen_content && !bits.flag()? {
            bits.flag()?; // seq_force_integer_mv
        }
        if order_hint {
            bits.skip(3)?; // order_hint_bits_minus_1
        }
    }
    bits.skip(3) // enable_superres, enable_cdef, enable_restoration
}

const SEQUENCE_HEADER: u8 = 1;
const HAS_SIZE: u8 = 0x02;
const HAS_EXTENSION: u8 = 0x04;
/// Primaries, transfer and matrix that leave the range and the subsampling unsaid.
const SRGB: [u8; 3] = [1, 13, 0];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_av1c_repeats_is_read_from_sequences_of_every_profile() {
        // As SVT-AV1 and libaom write them, 64x64.
        let hdr = Colour { primaries: 9, transfer: 16, matrix: 9, full_range: false };
        let rows: [(&str, &[u8], Sequence); 4] = [
            (
                "10 bits, BT.2020",
                &[
                    0x0A, 0x0D, 0x00, 0x00, 0x00, 0x02, 0xAF, 0xFF, 0x80, 0x5F, 0x0A, 0x12, 0x20,
                    0x12, 0x08,
                ],
                sequence(0, 10, (true, true), Some(hdr)),
            ),
            (
                "4:4:4",
                &[0x0A, 0x0A, 0x20, 0x00, 0x00, 0x02, 0xAF, 0xFF, 0x9B, 0x5F, 0x20, 0x40],
                sequence(1, 8, (false, false), None),
            ),
            (
                "12 bits, grey",
                &[0x0A, 0x0A, 0x40, 0x00, 0x00, 0x02, 0xAF, 0xFF, 0x9B, 0x5F, 0x2E, 0xA0],
                Sequence { monochrome: true, ..sequence(2, 12, (true, true), None) },
            ),
            (
                "12 bits, 4:2:2",
                &[0x0A, 0x0A, 0x40, 0x00, 0x00, 0x02, 0xAF, 0xFF, 0x9B, 0x5F, 0x2C, 0x44],
                sequence(2, 12, (true, false), None),
            ),
        ];
        for (name, obu, want) in rows {
            assert_eq!(Sequence::parse(obu), Some(want), "{name}");
            for len in 0..obu.len() {
                assert_eq!(Sequence::parse(&obu[..len]), None, "{name} {len}");
            }
        }
    }

    #[test]
    fn only_a_sequence_header_with_a_size_is_read() {
        let body = [0x20, 0x00, 0x00, 0x02, 0xAF, 0xFF, 0x9B, 0x5F, 0x20, 0x40];
        let whole = |head: &[u8]| Sequence::parse(&[head, &body].concat());
        assert!(whole(&[0x0A, 10]).is_some());
        assert!(whole(&[0x0E, 0x20, 10]).is_some());
        assert!(whole(&[0x0A, 0x8A, 0x00]).is_some());
        for head in [&[0x08][..], &[0x12, 10], &[0x0A, 11], &[0x0A, 0x8A, 0x80, 0x00]] {
            assert_eq!(whole(head), None, "{head:x?}");
        }
    }

    fn sequence(
        profile: u8,
        bit_depth: u8,
        subsampling: (bool, bool),
        colour: Option<Colour>,
    ) -> Sequence {
        Sequence {
            profile,
            level: 0,
            high_tier: false,
            bit_depth,
            monochrome: false,
            subsampling,
            sample_position: 0,
            colour,
        }
    }
}
