//! A window that remembers which sequence numbers have been accepted.
//!
//! Unlike the library's own window it learns nothing before a packet is authentic: a forged first
//! packet cannot move the window to where the real ones are too old.

use rtc_shared::replay_detector::ReplayDetector;

/// A bitmap over the last `64 * words` numbers of a counter that wraps.
pub(super) struct Window {
    bits: Box<[u64]>,
    // One less than the number of values, which is a power of two.
    mask: u64,
    newest: Option<u64>,
    checked: Option<u64>,
}

// === impl Window ===

impl Window {
    /// Covers 64 numbers per word of a counter that wraps after `max`, which is a power of two
    /// less one.
    pub(super) fn new(words: usize, max: u64) -> Self {
        Self { bits: vec![0; words].into(), mask: max, newest: None, checked: None }
    }

    fn len(&self) -> u64 {
        64 * self.bits.len() as u64
    }

    fn bit(&mut self, number: u64) -> (&mut u64, u64) {
        let at = number % self.len();
        (&mut self.bits[(at / 64) as usize], 1 << (at % 64))
    }

    // How far `number` lies behind the newest; `None` if it lies ahead.
    fn age(&self, newest: u64, number: u64) -> Option<u64> {
        let behind = newest.wrapping_sub(number) & self.mask;
        (behind <= self.mask / 2).then_some(behind)
    }
}

impl ReplayDetector for Window {
    fn check(&mut self, number: u64) -> bool {
        self.checked = None;
        if number > self.mask {
            return false;
        }
        if let Some(newest) = self.newest
            && let Some(age) = self.age(newest, number)
        {
            if age >= self.len() {
                return false;
            }
            let (word, bit) = self.bit(number);
            if *word & bit != 0 {
                return false;
            }
        }
        self.checked = Some(number);
        true
    }

    fn accept(&mut self) {
        let Some(number) = self.checked.take() else { return };
        match self.newest {
            None => self.newest = Some(number),
            Some(newest) if self.age(newest, number).is_none() => {
                let ahead = number.wrapping_sub(newest) & self.mask;
                for step in 1..=ahead.min(self.len()) {
                    let (word, bit) = self.bit(newest.wrapping_add(step) & self.mask);
                    *word &= !bit;
                }
                self.newest = Some(number);
            }
            Some(_) => {}
        }
        let (word, bit) = self.bit(number);
        *word |= bit;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(window: &mut Window, number: u64) -> bool {
        let fresh = window.check(number);
        window.accept();
        fresh
    }

    #[test]
    fn a_number_is_accepted_once() {
        let mut window = Window::new(2, 0xffff);
        for number in [10, 12, 11, 9] {
            assert!(take(&mut window, number));
            assert!(!take(&mut window, number));
        }
    }

    #[test]
    fn numbers_behind_the_window_are_too_old_also_over_the_wrap() {
        let mut window = Window::new(1, 0xffff);
        assert!(take(&mut window, 65_530));
        assert!(take(&mut window, 5));
        assert!(take(&mut window, 65_531));
        assert!(!take(&mut window, 65_530));
        assert!(!take(&mut window, 65_470));
        assert!(take(&mut window, 65_478));
    }

    #[test]
    fn a_jump_ahead_forgets_the_numbers_it_passes() {
        let mut window = Window::new(1, 0xffff);
        assert!(take(&mut window, 1));
        assert!(take(&mut window, 1_000));
        for number in 937..1_000 {
            assert!(take(&mut window, number), "{number}");
        }
        assert!(!take(&mut window, 936));
    }

    #[test]
    fn a_number_that_is_checked_but_not_accepted_changes_nothing() {
        let mut window = Window::new(1, 0xffff);
        assert!(window.check(30_000));
        assert!(take(&mut window, 5));
        assert!(take(&mut window, 4));
    }
}
