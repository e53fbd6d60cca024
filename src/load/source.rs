//! A source as its receiver reports on it (RFC 3550 section 6.4.1).

use std::time::Instant;

use whitewater_core::media::rtcp::ReportBlock;
use whitewater_core::media::time::compact_from_duration;
use whitewater_core::media::{HeaderView, Ntp, Ssrc};

use super::gaps::{Counts, Gaps, Place};

/// One source of packets.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) ssrc: Ssrc,
    pub(super) gaps: Gaps,
    clock_rate: u32,
    transit: Option<(Instant, u32)>,
    jitter: f64,
    sender_report: Option<(Instant, Ntp)>,
    reported: (u64, Counts),
}

// === impl Source ===

impl Source {
    pub(super) fn new(ssrc: Ssrc, clock_rate: u32) -> Self {
        Self {
            ssrc,
            gaps: Gaps::default(),
            clock_rate,
            transit: None,
            jitter: 0.0,
            sender_report: None,
            reported: (0, Counts::default()),
        }
    }

    /// Counts a packet that came by itself.
    pub(super) fn note(&mut self, now: Instant, header: &HeaderView<'_>) -> Place {
        if let Some((at, timestamp)) = self.transit {
            let arrived = (now - at).as_secs_f64() * f64::from(self.clock_rate);
            let sent = f64::from(header.timestamp.wrapping_sub(timestamp) as i32);
            self.jitter += ((arrived - sent).abs() - self.jitter) / 16.0;
        }
        self.transit = Some((now, header.timestamp));
        self.gaps.note(now, header.seq)
    }

    /// Remembers the sender's report for the round trip.
    pub(super) fn note_sender_report(&mut self, now: Instant, ntp: Ntp) {
        self.sender_report = Some((now, ntp));
    }

    /// A report block since the last one; `None` while nothing came.
    pub(super) fn block(&mut self, now: Instant) -> Option<ReportBlock> {
        let highest = self.gaps.highest()?;
        let (expected, counts) = (self.gaps.expected(), self.gaps.counts);
        let (expected_before, counts_before) =
            std::mem::replace(&mut self.reported, (expected, counts));
        let expected_now = expected - expected_before;
        let lost_now = expected_now.saturating_sub(counts.since(&counts_before).received);
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        let (lsr, dlsr) = self
            .sender_report
            .map_or((0, 0), |(at, ntp)| (ntp.compact(), compact_from_duration(now - at)));
        Some(ReportBlock {
            ssrc: self.ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: expected.saturating_sub(counts.received).min(0x7f_ffff) as i32,
            highest_seq: highest as u32,
            jitter: self.jitter as u32,
            lsr,
            dlsr,
        })
    }
}
