//! The publisher's clock as the server sees it, and where each layer stands on it.
//!
//! A sender report ties an RTP timestamp to the publisher's wall clock (RFC 3550 section 6.4.1). That
//! clock may be wrong by minutes, so it is mapped onto the server's: the offset is the smallest
//! difference seen between a report's arrival and its own time, the delay of the fastest way.

use std::collections::VecDeque;

use crate::media::Ntp;
use crate::media::time::{micros_to_ticks, ticks_to_micros};

/// A point that ties a layer's RTP clock to wall-clock time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anchor {
    /// RTP timestamp without wraps.
    pub timestamp: i64,
    /// The wall-clock time of that timestamp, in the publisher's clock or the server's.
    pub ntp: Ntp,
}

/// The offset of one publisher's clock.
#[derive(Clone, Debug, Default)]
pub struct PublisherClock {
    recent_us: VecDeque<i64>,
    offset_us: Option<i64>,
}

// === impl Anchor ===

impl Anchor {
    /// The wall-clock time of a timestamp on this clock.
    pub fn ntp_at(&self, timestamp: i64, clock_rate: u32) -> Ntp {
        self.ntp.plus_micros(ticks_to_micros(timestamp - self.timestamp, clock_rate))
    }

    /// The timestamp of a wall-clock time on this clock.
    pub fn timestamp_at(&self, ntp: Ntp, clock_rate: u32) -> i64 {
        self.timestamp + micros_to_ticks(ntp.micros_since(self.ntp), clock_rate)
    }
}

// === impl PublisherClock ===

impl PublisherClock {
    /// Takes in a sender report: its own time, and when it arrived in the server's clock.
    pub fn report(&mut self, theirs: Ntp, arrived: Ntp) {
        let difference = arrived.micros_since(theirs);
        if self.recent_us.len() == WINDOW {
            self.recent_us.pop_front();
        }
        self.recent_us.push_back(difference);
        let best = self.recent_us.iter().copied().min().unwrap_or(difference);
        self.offset_us = Some(match self.offset_us {
            // A stepped clock is followed at once, a drifting one gently: viewers hear steps.
            Some(offset) if (best - offset).abs() < STEP_US => {
                offset + (best - offset).clamp(-SLEW_US, SLEW_US)
            }
            _ => {
                self.recent_us.clear();
                self.recent_us.push_back(difference);
                difference
            }
        });
    }

    /// Maps the publisher's time to the server's; `None` before the first report.
    pub fn to_server(&self, theirs: Ntp) -> Option<Ntp> {
        Some(theirs.plus_micros(self.offset_us?))
    }

    /// Maps the server's time to the publisher's; `None` before the first report.
    pub fn to_publisher(&self, ours: Ntp) -> Option<Ntp> {
        Some(ours.plus_micros(-self.offset_us?))
    }
}

/// Reports that the minimum is taken over: about ten seconds of two tracks.
const WINDOW: usize = 20;
const STEP_US: i64 = 500_000;
const SLEW_US: i64 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Ntp {
        Ntp::from_unix_micros(1_700_000_000_000_000).plus_micros(ms * 1000)
    }

    #[test]
    fn the_fastest_report_gives_the_offset() {
        let mut clock = PublisherClock::default();
        clock.report(at(0), at(60_000 + 30));
        for i in 1..60 {
            clock.report(at(i * 100), at(60_000 + i * 100 + 5 + (i * 7) % 20));
        }
        let mapped = clock.to_server(at(10_000)).unwrap();
        let off_us = mapped.micros_since(at(70_000));
        assert!((5_000..8_000).contains(&off_us), "{off_us}");
    }

    #[test]
    fn a_stepped_clock_is_followed_at_once() {
        let mut clock = PublisherClock::default();
        clock.report(at(0), at(10));
        clock.report(at(3_600_000), at(1010));
        assert!(clock.to_server(at(3_600_000)).unwrap().micros_since(at(1010)).abs() < 10);
    }

    #[test]
    fn an_anchor_maps_both_ways() {
        let anchor = Anchor { timestamp: 90_000, ntp: at(0) };
        assert_eq!(anchor.timestamp_at(at(500), 90_000), 135_000);
        assert_eq!(anchor.ntp_at(45_000, 90_000).micros_since(at(0)), -500_000);
    }
}
