//! Reception statistics of one SSRC and the report blocks made of them (RFC 3550 appendix A).

use std::time::Instant;

use bytes::BytesMut;

use crate::media::rtcp::{self, ReportBlock};
use crate::media::seq::Unwrapper16;
use crate::media::time::compact_from_duration;
use crate::media::{Ntp, Packet, Ssrc};

/// What was received of one SSRC.
#[derive(Debug, Default)]
pub(super) struct Reception {
    seqs: Unwrapper16,
    first: Option<i64>,
    highest: i64,
    received: u64,
    expected_prior: u64,
    received_prior: u64,
    /// Packets expected before the last report, and of these lost.
    latest: Option<(u64, u64)>,
    transit: Option<(Instant, u32)>,
    jitter: f64,
    sender_report: Option<(Instant, Ntp)>,
}

// === impl Reception ===

impl Reception {
    /// Counts a packet.
    pub(super) fn note_packet(&mut self, now: Instant, packet: &Packet, clock_rate: u32) {
        let seq = self.seqs.extend(packet.seq);
        self.highest = if self.first.is_some() { self.highest.max(seq) } else { seq };
        self.first = Some(self.first.map_or(seq, |first| first.min(seq)));
        self.received += 1;
        if let Some((at, timestamp)) = self.transit {
            let arrived = now.saturating_duration_since(at).as_secs_f64() * f64::from(clock_rate);
            let sent = f64::from(packet.timestamp.wrapping_sub(timestamp) as i32);
            self.jitter += ((arrived - sent).abs() - self.jitter) / 16.0;
        }
        self.transit = Some((now, packet.timestamp));
    }

    /// Remembers the sender's report for the round trip.
    pub(super) fn note_sender_report(&mut self, now: Instant, ntp: Ntp) {
        self.sender_report = Some((now, ntp));
    }

    /// Packets that were expected between the latest two reports, and of these lost.
    pub(super) fn latest(&self) -> Option<(u64, u64)> {
        self.latest
    }

    /// A report block since the last one; `None` while nothing came.
    pub(super) fn block(&mut self, now: Instant, ssrc: Ssrc) -> Option<ReportBlock> {
        let expected = (self.highest - self.first? + 1).max(0) as u64;
        let expected_now = expected.saturating_sub(self.expected_prior);
        let received_now = self.received - self.received_prior;
        let lost_now = expected_now.saturating_sub(received_now);
        (self.expected_prior, self.received_prior) = (expected, self.received);
        self.latest = Some((expected_now, lost_now));
        let fraction = (lost_now * 256).checked_div(expected_now).unwrap_or(0).min(255);
        let (lsr, dlsr) = self.sender_report.map_or((0, 0), |(at, ntp)| {
            (ntp.compact(), compact_from_duration(now.saturating_duration_since(at)))
        });
        Some(ReportBlock {
            ssrc,
            fraction_lost: fraction as u8,
            cumulative_lost: expected.saturating_sub(self.received).min(0x7f_ffff) as i32,
            highest_seq: self.highest as u32,
            jitter: self.jitter as u32,
            lsr,
            dlsr,
        })
    }
}

/// A receiver report with its blocks; `None` without blocks.
pub(super) fn compound(ssrc: u32, blocks: &[ReportBlock]) -> Option<BytesMut> {
    if blocks.is_empty() {
        return None;
    }
    let mut plain = BytesMut::new();
    rtcp::write_receiver_report(&mut plain, Ssrc(ssrc), blocks);
    Some(plain)
}
