//! Counters that continue where their 16 or 32 bits wrap.

/// Whether sequence number `a` comes after `b`, seen across the wrap (RFC 3550 appendix A.1).
///
/// Half the number space apart, neither is newer.
pub fn seq_newer(a: u16, b: u16) -> bool {
    (a.wrapping_sub(b) as i16) > 0
}

macro_rules! unwrapper {
    ($(#[$doc:meta])* $name:ident, $narrow:ty, $signed:ty) => {
        $(#[$doc])*
        ///
        /// Each number is placed at the shortest distance from the one before it, so reordering
        /// goes back and a wrap goes on. The first one stands for itself; what precedes it may
        /// become negative.
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name {
            last: Option<i64>,
        }

        impl $name {
            /// Continues with the next number.
            pub fn extend(&mut self, number: $narrow) -> i64 {
                let extended = self.peek(number);
                self.last = Some(extended);
                extended
            }

            /// What [`extend`](Self::extend) would give, without moving on.
            pub fn peek(&self, number: $narrow) -> i64 {
                match self.last {
                    None => i64::from(number),
                    Some(last) => {
                        let distance = number.wrapping_sub(last as $narrow) as $signed;
                        last.wrapping_add(i64::from(distance))
                    }
                }
            }
        }
    };
}

unwrapper! {
    /// Extends 16-bit sequence numbers to 64 bits.
    Unwrapper16, u16, i16
}

unwrapper! {
    /// Extends 32-bit timestamps to 64 bits.
    Unwrapper32, u32, i32
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn newer_is_judged_across_the_wrap() {
        let rows = [
            (1, 0, true),
            (0, 1, false),
            (5, 5, false),
            (0, 65_535, true),
            (65_535, 0, false),
            (32_767, 0, true),
            (32_768, 0, false),
            (0, 32_768, false),
        ];
        for (a, b, newer) in rows {
            assert_eq!(seq_newer(a, b), newer, "{a} {b}");
        }
    }

    #[test]
    fn sequence_numbers_wrap_both_ways() {
        let mut seq = Unwrapper16::default();
        let rows = [
            (65_534, 65_534),
            (65_535, 65_535),
            (1, 65_537),
            (0, 65_536),
            (65_533, 65_533),
            (2, 65_538),
        ];
        for (number, want) in rows {
            assert_eq!(seq.peek(number), want);
            assert_eq!(seq.extend(number), want);
        }
    }

    #[test]
    fn what_precedes_the_first_number_is_negative() {
        let mut seq = Unwrapper16::default();
        assert_eq!((seq.extend(1), seq.extend(65_535), seq.extend(2)), (1, -1, 2));
    }

    #[test]
    fn timestamps_wrap_too() {
        let mut time = Unwrapper32::default();
        assert_eq!(time.extend(u32::MAX - 1), 4_294_967_294);
        assert_eq!(time.extend(2998), 4_294_967_296 + 2998);
        assert_eq!(time.extend(u32::MAX), 4_294_967_295);
    }

    proptest! {
        #[test]
        fn any_walk_of_short_steps_is_followed(
            start in any::<u16>(),
            steps in vec(-32_767..=32_767_i64, 0..200),
        ) {
            let mut seq = Unwrapper16::default();
            let mut place = i64::from(start);
            prop_assert_eq!(seq.extend(start), place);
            for step in steps {
                place += step;
                prop_assert_eq!(seq.extend(place as u16), place);
            }
        }

        #[test]
        fn of_two_numbers_at_most_one_is_newer(a in any::<u16>(), b in any::<u16>()) {
            prop_assert!(!(seq_newer(a, b) && seq_newer(b, a)));
        }
    }
}
