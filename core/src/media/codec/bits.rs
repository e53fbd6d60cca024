//! A reader that takes headers apart bit by bit, most significant first.

/// What is left of a bit string. Every read past the end is `None`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bits<'a> {
    bytes: &'a [u8],
    current: u8,
    left: u32,
    emulation_prevention: bool,
    zeros: u8,
}

// === impl Bits ===

impl<'a> Bits<'a> {
    /// Reads the bytes as they are.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, current: 0, left: 0, emulation_prevention: false, zeros: 0 }
    }

    /// Reads a NAL unit, leaving out emulation prevention bytes (H.264 section 7.4.1, H.265
    /// section 7.4.2).
    pub(crate) fn of_nal(bytes: &'a [u8]) -> Self {
        Self { emulation_prevention: true, ..Self::new(bytes) }
    }

    /// Takes up to 32 bits.
    pub(crate) fn take(&mut self, count: u32) -> Option<u32> {
        let mut value = 0_u64;
        let mut missing = count;
        while missing > 0 {
            if self.left == 0 {
                self.current = self.next_byte()?;
                self.left = 8;
            }
            let step = missing.min(self.left);
            self.left -= step;
            missing -= step;
            let part = (self.current >> self.left) & (0xFF >> (8 - step)) as u8;
            value = value << step | u64::from(part);
        }
        Some(value as u32)
    }

    /// Takes one bit.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        Some(self.take(1)? != 0)
    }

    /// Passes over any number of bits.
    pub(crate) fn skip(&mut self, count: u32) -> Option<()> {
        let mut missing = count;
        while missing > 0 {
            let step = missing.min(32);
            self.take(step)?;
            missing -= step;
        }
        Some(())
    }

    /// Takes an unsigned Exp-Golomb number, `ue(v)`; also AV1's `uvlc()` below 2^32 - 1.
    pub(crate) fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        Some(((1_u64 << zeros) - 1) as u32 + self.take(zeros)?)
    }

    /// Takes a signed Exp-Golomb number, `se(v)`.
    pub(crate) fn signed(&mut self) -> Option<i64> {
        let number = i64::from(self.unsigned()?);
        Some(if number % 2 == 0 { -number / 2 } else { (number + 1) / 2 })
    }

    fn next_byte(&mut self) -> Option<u8> {
        let mut byte = self.next_raw()?;
        if self.emulation_prevention && self.zeros >= 2 && byte == 3 {
            self.zeros = 0;
            byte = self.next_raw()?;
        }
        self.zeros = if byte == 0 { self.zeros.saturating_add(1) } else { 0 };
        Some(byte)
    }

    fn next_raw(&mut self) -> Option<u8> {
        let (&byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(byte)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_taken_across_bytes() {
        let mut bits = Bits::new(&[0b1010_0110, 0xFF, 0, 0, 0x80, 1]);
        assert_eq!(bits.take(0), Some(0));
        assert_eq!((bits.take(3), bits.flag(), bits.take(8)), (Some(5), Some(false), Some(0x6F)));
        assert_eq!(bits.take(32), Some(0xF000_0800));
        assert_eq!((bits.take(5), bits.take(4)), (None, None));
        assert_eq!(Bits::new(&[0; 9]).skip(72), Some(()));
        assert_eq!(Bits::new(&[0; 9]).skip(73), None);
    }

    #[test]
    fn exp_golomb_numbers_follow_table_9_2() {
        // 1 | 010 | 011 | 00100 | 00111 | 0001000
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0011, 0b1000_1000]);
        let numbers: Vec<_> = std::iter::from_fn(|| bits.unsigned()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 6, 7]);
        let mut bits = Bits::new(&[0b1010_0110, 0b0100_0011, 0b1000_1000]);
        let numbers: Vec<_> = std::iter::from_fn(|| bits.signed()).collect();
        assert_eq!(numbers, [0, 1, -1, 2, -3, 4]);
    }

    #[test]
    fn numbers_beyond_32_bits_are_refused() {
        let longest = [0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFF];
        assert_eq!(Bits::new(&longest).unsigned(), Some(u32::MAX - 1));
        assert_eq!(Bits::new(&[0, 0, 0, 0, 0xFF, 0, 0, 0, 0]).unsigned(), None);
    }

    #[test]
    fn emulation_prevention_is_left_out_of_nal_units_only() {
        let bytes = [0, 0, 3, 1, 0, 0, 3, 0, 0, 3];
        let mut nal = Bits::of_nal(&bytes);
        let read: Vec<_> = std::iter::from_fn(|| nal.take(8)).collect();
        assert_eq!(read, [0, 0, 1, 0, 0, 0, 0]);
        let mut plain = Bits::new(&bytes);
        assert_eq!(std::iter::from_fn(|| plain.take(8)).count(), bytes.len());
    }
}
