//! A list of arrivals that tells the sender when each packet of a session came: transport-wide
//! feedback, as a browser gives it.

use std::time::{Duration, Instant};

use bytes::BufMut;
use whitewater_core::media::rtcp::write_transport_wide;
use whitewater_core::media::{Ssrc, Unwrapper16};

/// The arrivals since the last feedback.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    seqs: Unwrapper16,
    epoch: Option<Instant>,
    /// The number that `times` begins with, once there was feedback.
    base: Option<i64>,
    times: Vec<Option<i64>>,
    due: Option<Instant>,
    count: u8,
}

// === impl Arrivals ===

impl Arrivals {
    /// Notes a packet by its transport-wide number.
    pub(super) fn note(&mut self, now: Instant, seq: u16) {
        let epoch = *self.epoch.get_or_insert(now);
        let us = (now - epoch).as_micros() as i64;
        let seq = self.seqs.extend(seq);
        let base = *self.base.get_or_insert(seq);
        let Ok(index) = usize::try_from(seq - base) else {
            // It was reported as lost, and counts as that.
            return;
        };
        self.due.get_or_insert(now + INTERVAL);
        if index >= MAX_REPORTED {
            // A jump: what is in between is not told of.
            (self.base, self.times) = (Some(seq), vec![Some(us)]);
            return;
        }
        if index >= self.times.len() {
            self.times.resize(index + 1, None);
        }
        self.times[index] = Some(us);
    }

    /// When feedback is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Writes the feedback that is due.
    pub(super) fn write(&mut self, out: &mut impl BufMut, own: Ssrc, media: Ssrc) {
        self.due = None;
        let Some(base) = self.base.filter(|_| !self.times.is_empty()) else { return };
        write_transport_wide(out, (own, media), self.count, base as u16, &self.times);
        self.count = self.count.wrapping_add(1);
        self.base = Some(base + self.times.len() as i64);
        self.times.clear();
    }
}

const INTERVAL: Duration = Duration::from_millis(100);
const MAX_REPORTED: usize = 4096;

#[cfg(test)]
mod tests {
    use whitewater_core::media::rtcp::{Rtcp, parse};

    use super::*;

    /// The numbers that feedback tells of, and the milliseconds at which they came.
    fn told(arrivals: &mut Arrivals) -> Vec<(u16, Option<i64>)> {
        let (mut out, mut told) = (Vec::new(), Vec::new());
        arrivals.write(&mut out, Ssrc(1), Ssrc(2));
        parse(&out, |statement| {
            let Rtcp::TransportWide(feedback) = statement else { panic!("{statement:?}") };
            let mut us = feedback.reference_time_us;
            told.extend(feedback.arrivals().map(|(seq, delta)| {
                us += i64::from(delta.unwrap_or(0));
                (seq, delta.map(|_| us / 1000))
            }));
        });
        told
    }

    #[test]
    fn each_packet_is_told_of_and_each_hole() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut arrivals = Arrivals::default();
        for (ms, seq) in [(0, 65_534), (100, 65_535), (101, 1), (900, 2)] {
            arrivals.note(at(ms), seq);
        }
        assert_eq!(arrivals.due(), Some(at(100)));
        let want =
            [(65_534, Some(0)), (65_535, Some(100)), (0, None), (1, Some(101)), (2, Some(900))];
        assert_eq!(told(&mut arrivals), want);
        assert_eq!(arrivals.due(), None);
        // The hole between two reports is told of too; what fills it later is not.
        arrivals.note(at(1000), 4);
        assert_eq!(told(&mut arrivals), [(3, None), (4, Some(1000))]);
        arrivals.note(at(1001), 3);
        assert_eq!(told(&mut arrivals), []);
    }
}
