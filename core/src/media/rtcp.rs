//! An RTCP reader that takes compound packets apart without allocating, and a writer of what is sent.

mod feedback;

mod transport_wide;

mod write;

use super::{Ntp, Ssrc};

pub use feedback::Nack;
pub use transport_wide::{Arrivals, TransportWide};
pub use write::{
    write_bye, write_cname, write_nack, write_pli, write_receiver_report, write_sender_report,
    write_transport_wide,
};

/// One statement out of a compound packet.
#[derive(Clone, Copy, Debug)]
pub enum Rtcp<'a> {
    /// What a source has sent (RFC 3550 section 6.4.1). Its report blocks come as [`Rtcp::Report`].
    SenderReport(SenderReport),
    /// One report block of a sender or receiver report.
    Report {
        /// Who reports.
        reporter: Ssrc,
        /// About which source, and what.
        block: ReportBlock,
    },
    /// Packets are missing (RFC 4585 section 6.2.1).
    Nack(Nack<'a>),
    /// A picture was lost (RFC 4585 section 6.3.1).
    Pli {
        /// The source that should send a keyframe.
        media_ssrc: Ssrc,
    },
    /// A keyframe is asked for (RFC 5104 section 4.3.1); once per source.
    Fir {
        /// The source that should send a keyframe.
        ssrc: Ssrc,
        /// Command number: the same one again is a repetition.
        command: u8,
    },
    /// Which packets arrived when, by transport-wide number.
    TransportWide(TransportWide<'a>),
    /// A source has left (RFC 3550 section 6.6); once per source.
    Bye {
        /// The source.
        ssrc: Ssrc,
    },
}

/// What a source has sent so far, and where its clocks stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// The source.
    pub ssrc: Ssrc,
    /// Wall clock of the sender.
    pub ntp: Ntp,
    /// The same instant on the source's RTP clock.
    pub rtp_timestamp: u32,
    /// Packets sent, modulo 2^32.
    pub packets: u32,
    /// Payload bytes sent, modulo 2^32.
    pub octets: u32,
}

/// How one source is received (RFC 3550 section 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The source that is reported on.
    pub ssrc: Ssrc,
    /// Packets lost since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Packets lost so far, of 24 bits with sign.
    pub cumulative_lost: i32,
    /// Highest sequence number received, extended by the count of wraps.
    pub highest_seq: u32,
    /// Interarrival jitter in ticks of the source's clock.
    pub jitter: u32,
    /// Middle 32 bits of the last sender report's NTP time; 0 before the first.
    pub lsr: u32,
    /// Time since that sender report in 1/65,536 s.
    pub dlsr: u32,
}

/// Reads a decrypted compound packet, or one of reduced size (RFC 5506), statement by statement.
///
/// Unknown and malformed packets are passed over; what stands behind a broken length is not read.
pub fn parse(compound: &[u8], mut sink: impl FnMut(Rtcp<'_>)) {
    let mut rest = compound;
    while let Some((&[first, kind, l0, l1], after)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_be_bytes([l0, l1])) * 4;
        if first >> 6 != VERSION {
            return;
        }
        let Some((body, next)) = after.split_at_checked(len) else { return };
        if let Some(body) = without_padding(first, body) {
            packet(kind, first & COUNT, body, &mut sink);
        }
        rest = next;
    }
}

fn without_padding(first: u8, body: &[u8]) -> Option<&[u8]> {
    if first & PADDING == 0 {
        return Some(body);
    }
    let padding = usize::from(*body.last()?);
    body.get(..body.len().checked_sub(padding)?)
}

fn packet(kind: u8, count: u8, body: &[u8], sink: &mut impl FnMut(Rtcp<'_>)) {
    match (kind, count) {
        (SENDER_REPORT, blocks) => {
            if let Some((report, rest)) = sender_report(body) {
                sink(Rtcp::SenderReport(report));
                reports(report.ssrc, blocks, rest, sink);
            }
        }
        (RECEIVER_REPORT, blocks) => {
            if let Some((reporter, rest)) = ssrc(body) {
                reports(reporter, blocks, rest, sink);
            }
        }
        (BYE, sources) => {
            for source in body.as_chunks::<4>().0.iter().take(usize::from(sources)) {
                sink(Rtcp::Bye { ssrc: Ssrc(u32::from_be_bytes(*source)) });
            }
        }
        (TRANSPORT_FEEDBACK | PAYLOAD_FEEDBACK, format) => {
            feedback::parse(kind, format, body, sink);
        }
        _ => {}
    }
}

fn sender_report(body: &[u8]) -> Option<(SenderReport, &[u8])> {
    let (fields, rest) = body.split_first_chunk::<SENDER_INFO_LEN>()?;
    let report = SenderReport {
        ssrc: Ssrc(word(fields, 0)),
        ntp: Ntp(u64::from(word(fields, 1)) << 32 | u64::from(word(fields, 2))),
        rtp_timestamp: word(fields, 3),
        packets: word(fields, 4),
        octets: word(fields, 5),
    };
    Some((report, rest))
}

fn reports(reporter: Ssrc, blocks: u8, body: &[u8], sink: &mut impl FnMut(Rtcp<'_>)) {
    for fields in body.as_chunks::<BLOCK_LEN>().0.iter().take(usize::from(blocks)) {
        let lost = word(fields, 1);
        let block = ReportBlock {
            ssrc: Ssrc(word(fields, 0)),
            fraction_lost: (lost >> 24) as u8,
            // Shifting up and down again extends the sign of the lower 24 bits.
            cumulative_lost: (lost << 8) as i32 >> 8,
            highest_seq: word(fields, 2),
            jitter: word(fields, 3),
            lsr: word(fields, 4),
            dlsr: word(fields, 5),
        };
        sink(Rtcp::Report { reporter, block });
    }
}

fn ssrc(body: &[u8]) -> Option<(Ssrc, &[u8])> {
    let (ssrc, rest) = body.split_first_chunk()?;
    Some((Ssrc(u32::from_be_bytes(*ssrc)), rest))
}

fn word<const N: usize>(fields: &[u8; N], index: usize) -> u32 {
    let [a, b, c, d] = fields.as_chunks().0[index];
    u32::from_be_bytes([a, b, c, d])
}

const VERSION: u8 = 2;
const PADDING: u8 = 0x20;
const COUNT: u8 = 0x1F;

// Packet types.
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const TRANSPORT_FEEDBACK: u8 = 205;
const PAYLOAD_FEEDBACK: u8 = 206;

// Formats of feedback packets.
const NACK: u8 = 1;
const TRANSPORT_WIDE: u8 = 15;
const PLI: u8 = 1;
const FIR: u8 = 4;

const SENDER_INFO_LEN: usize = 24;
const BLOCK_LEN: usize = 24;

#[cfg(test)]
mod tests;
