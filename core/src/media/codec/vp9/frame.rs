//! The uncompressed header of a VP9 frame, read as far as a keyframe's size.

use super::super::bits::Bits;

/// Whether a frame's uncompressed header is that of a keyframe.
pub(super) fn is_keyframe(frame: &[u8]) -> bool {
    keyframe(frame).is_some()
}

/// The size that a frame's uncompressed header gives; `None` unless it is a keyframe.
pub(super) fn keyframe_size(frame: &[u8]) -> Option<(u16, u16)> {
    let (profile, mut bits) = keyframe(frame)?;
    bits.skip(2)?; // show_frame, error_resilient_mode
    if bits.take(24)? != SYNC_CODE {
        return None;
    }
    if profile >= 2 {
        bits.flag()?; // ten_or_twelve_bit
    }
    let srgb = bits.take(3)? == COLOR_SPACE_SRGB;
    if !srgb {
        bits.flag()?; // color_range
    }
    if profile % 2 == 1 {
        bits.skip(if srgb { 1 } else { 3 })?; // subsampling_x, subsampling_y, reserved_zero
    }
    let width = u16::try_from(bits.take(16)? + 1).ok()?;
    let height = u16::try_from(bits.take(16)? + 1).ok()?;
    Some((width, height))
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
