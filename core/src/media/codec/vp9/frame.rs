//! The uncompressed header of a VP9 frame, read as far as a keyframe's size.

use super::super::bits::Bits;

/// What the uncompressed header of a keyframe tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keyframe {
    /// Width and height in pixels.
    pub size: (u16, u16),
    /// Profile, 0 to 3.
    pub profile: u8,
    /// Bits per sample: 8, 10 or 12.
    pub bit_depth: u8,
    /// Whether chroma has half the columns, and half the lines.
    pub subsampling: (bool, bool),
    /// Whether samples use the full range.
    pub full_range: bool,
}

/// Whether a frame's uncompressed header is that of a keyframe.
pub fn is_keyframe(frame: &[u8]) -> bool {
    keyframe(frame).is_some()
}

/// The size that a frame's uncompressed header gives; `None` unless it is a keyframe.
pub(super) fn keyframe_size(frame: &[u8]) -> Option<(u16, u16)> {
    read_keyframe(frame).map(|keyframe| keyframe.size)
}

/// Reads a frame's uncompressed header; `None` unless it is a keyframe.
pub fn read_keyframe(frame: &[u8]) -> Option<Keyframe> {
    let (profile, mut bits) = keyframe(frame)?;
    bits.skip(2)?; // show_frame, error_resilient_mode
    if bits.take(24)? != SYNC_CODE {
        return None;
    }
    let bit_depth = match profile >= 2 {
        true => 10 + 2 * bits.take(1)? as u8, // ten_or_twelve_bit
        false => 8,
    };
    let srgb = bits.take(3)? == COLOR_SPACE_SRGB;
    let full_range = srgb || bits.flag()?;
    let mut subsampling = (!srgb, !srgb);
    if profile % 2 == 1 {
        if !srgb {
            subsampling = (bits.flag()?, bits.flag()?);
        }
        bits.flag()?; // reserved_zero
    }
    let width = u16::try_from(bits.take(16)? + 1).ok()?;
    let height = u16::try_from(bits.take(16)? + 1).ok()?;
    let profile = profile as u8;
    Some(Keyframe { size: (width, height), profile, bit_depth, subsampling, full_range })
}

/// Reads a keyframe's header up to the frame type: the profile, and what follows.
fn keyframe(frame: &[u8]) -> Option<(u32, Bits<'_>)> {
    let mut bits = Bits::new(frame);
    if bits.take(2)? != FRAME_MARKER {
        return None;
    }
    let profile = bits.take(1)? | bits.take(1)? << 1;
    if profile == 3 {
        bits.flag()?; // reserved_zero
    }
    if bits.flag()? {
        return None; // show_existing_frame
    }
    if bits.flag()? {
        return None; // frame_type: not a keyframe
    }
    Some((profile, bits))
}

const FRAME_MARKER: u32 = 2;
const SYNC_CODE: u32 = 0x49_83_42;
const COLOR_SPACE_SRGB: u32 = 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_read_from_keyframes_that_libvpx_writes() {
        let profile_0 = [0x82, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06];
        assert_eq!(keyframe_size(&profile_0), Some((642, 362)));
        let profile_1 = [0xA2, 0x49, 0x83, 0x42, 0x00, 0x05, 0x02, 0x02, 0xD2, 0xC0];
        assert_eq!(keyframe_size(&profile_1), Some((642, 362)));
        for len in 0..9 {
            assert_eq!(keyframe_size(&profile_0[..len]), None, "{len}");
        }
    }

    #[test]
    fn higher_profiles_have_more_bits_ahead_of_the_size() {
        // Profile 2: one bit of depth. Then space, range, width 1, height 2.
        let profile_2 = [0x92, 0x49, 0x83, 0x42, 0x00, 0x00, 0x00, 0x00, 0x08];
        assert_eq!(keyframe_size(&profile_2), Some((1, 2)));
        // Profile 3: a reserved bit ahead, and sRGB without a range.
        let profile_3 = [0xB1, 0x24, 0xC1, 0xA1, 0x38, 0x00, 0x00, 0x00, 0x04];
        assert_eq!(keyframe_size(&profile_3), Some((1, 2)));
        let read = |frame: &[u8]| {
            let read = read_keyframe(frame).unwrap();
            (read.profile, read.bit_depth, read.subsampling, read.full_range)
        };
        assert_eq!(read(&profile_2), (2, 10, (true, true), false));
        assert_eq!(read(&profile_3), (3, 10, (false, false), true));
    }

    #[test]
    fn anything_but_a_keyframe_has_no_size() {
        let rows: [&[u8]; 4] = [
            &[0x86, 0x00, 0x40, 0x92, 0xF0, 0xC1, 0x40, 0x04, 0x00, 0x70],
            &[0x8A, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06],
            &[0x82, 0x49, 0x83, 0x43, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06],
            &[0x42, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06],
        ];
        for frame in rows {
            assert_eq!(keyframe_size(frame), None, "{frame:x?}");
        }
        assert_eq!(rows.map(is_keyframe), [false, false, true, false]);
    }
}
