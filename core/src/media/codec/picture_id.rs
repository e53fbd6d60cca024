//! The picture id that VP8 and VP9 descriptors share: 7 bits, or 15 behind a set first bit.

/// Takes an id off the front of a descriptor's bytes; the id and its width in bits.
pub(super) fn read(mut bytes: impl FnMut() -> Option<u8>) -> Option<(u16, u8)> {
    let first = bytes()?;
    if first & WIDE == 0 {
        return Some((u16::from(first), 7));
    }
    Some((u16::from_be_bytes([first & !WIDE, bytes()?]), 15))
}

/// Puts an id where one of `bits` width stands, leaving off what that width cannot hold.
pub(super) fn write(field: &mut [u8], bits: u8, id: u16) {
    match bits {
        7 => field[0] = id as u8 & !WIDE,
        _ => field[..2].copy_from_slice(&(id | u16::from(WIDE) << 8).to_be_bytes()),
    }
}

const WIDE: u8 = 0x80;
