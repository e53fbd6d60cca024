//! A log of everything that a peer saw.

use std::time::Instant;

use bytes::Bytes;
use whitewater_core::media::rtcp::{self, Rtcp, SenderReport};
use whitewater_core::media::{HeaderView, Kind, Ssrc, seq_newer};
use whitewater_core::rtc::{CloseReason, Dropped, Profile};

/// What a peer saw.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// How its media is protected, once connected.
    pub(crate) connected: Option<Profile>,
    /// Why its connection ended.
    pub(crate) closed: Option<CloseReason>,
    /// Media packets in the order of their arrival; retransmissions unwrapped.
    pub(crate) rtp: Vec<Rtp>,
    /// Sender reports.
    pub(crate) reports: Vec<Report>,
    /// Sources that said goodbye.
    pub(crate) byes: Vec<Ssrc>,
    /// Report blocks about what it sends.
    pub(crate) blocks: usize,
    /// Sequence numbers that it was asked to send again.
    pub(crate) nacks: usize,
    /// Keyframe requests.
    pub(crate) plis: Vec<Ssrc>,
    /// Transport-wide feedback packets.
    pub(crate) feedback: usize,
    /// Datagrams that its connection refused.
    pub(crate) refused: Vec<Dropped>,
    /// How often the server hung up; over UDP, how often nobody was there.
    pub(crate) hung_up: usize,
    /// When the last datagram came, whatever it was.
    pub(crate) heard: Option<Instant>,
}

/// One media packet.
#[derive(Clone, Debug)]
pub(crate) struct Rtp {
    pub(crate) at: Instant,
    pub(crate) kind: Kind,
    pub(crate) pt: u8,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: Ssrc,
    pub(crate) marker: bool,
    /// Whether it came as a retransmission.
    pub(crate) repaired: bool,
    pub(crate) payload: Vec<u8>,
    bytes: Bytes,
}

/// One sender report.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report {
    pub(crate) at: Instant,
    pub(crate) report: SenderReport,
}

// === impl Log ===

impl Log {
    /// The packets of a track.
    pub(crate) fn of(&self, kind: Kind) -> Vec<Rtp> {
        self.rtp.iter().filter(|packet| packet.kind == kind).cloned().collect()
    }

    /// How many packets of a track there are.
    pub(crate) fn count(&self, kind: Kind) -> usize {
        self.rtp.iter().filter(|packet| packet.kind == kind).count()
    }

    /// The last report about a source.
    pub(crate) fn report(&self, ssrc: Ssrc) -> Option<Report> {
        self.reports.iter().rev().find(|report| report.report.ssrc == ssrc).copied()
    }

    /// What there is, in one line.
    pub(crate) fn summary(&self) -> String {
        format!(
            "connected {:?}, closed {:?}, {} audio and {} video packets, {} reports, byes {:?}, \
             refused {:?}",
            self.connected,
            self.closed,
            self.count(Kind::Audio),
            self.count(Kind::Video),
            self.reports.len(),
            self.byes,
            self.refused.iter().take(5).collect::<Vec<_>>()
        )
    }

    /// Takes in a compound packet; gives the sequence numbers that it asks for.
    pub(super) fn note_rtcp(&mut self, at: Instant, plain: &[u8]) -> Vec<(Ssrc, u16)> {
        let mut wanted = Vec::new();
        rtcp::parse(plain, |statement| match statement {
            Rtcp::SenderReport(report) => self.reports.push(Report { at, report }),
            Rtcp::Report { .. } => self.blocks += 1,
            Rtcp::Nack(nack) => wanted.extend(nack.seqs().map(|seq| (nack.media_ssrc, seq))),
            Rtcp::Pli { media_ssrc } => self.plis.push(media_ssrc),
            Rtcp::Fir { ssrc, .. } => self.plis.push(ssrc),
            Rtcp::TransportWide(_) => self.feedback += 1,
            Rtcp::Bye { ssrc } => self.byes.push(ssrc),
        });
        self.nacks += wanted.len();
        wanted
    }
}

// === impl Rtp ===

impl Rtp {
    /// Reads a plain packet.
    pub(super) fn parse(at: Instant, kind: Kind, repaired: bool, bytes: Bytes) -> Option<Self> {
        let view = HeaderView::parse(&bytes).ok()?;
        Some(Self {
            at,
            kind,
            pt: view.pt.0,
            seq: view.seq,
            timestamp: view.timestamp,
            ssrc: view.ssrc,
            marker: view.marker,
            repaired,
            payload: view.plain_payload().ok()?.to_vec(),
            bytes: bytes.clone(),
        })
    }

    /// A header extension's value.
    pub(crate) fn extension(&self, id: u8) -> Option<Vec<u8>> {
        HeaderView::parse(&self.bytes).ok()?.extension(id).map(<[u8]>::to_vec)
    }
}

/// The sequence numbers that are missing between the packets.
pub(crate) fn missing(packets: &[Rtp]) -> Vec<u16> {
    let mut seqs: Vec<u16> = packets.iter().map(|packet| packet.seq).collect();
    let Some(first) = seqs.iter().copied().reduce(|a, b| if seq_newer(a, b) { b } else { a })
    else {
        return Vec::new();
    };
    seqs.sort_by_key(|seq| seq.wrapping_sub(first));
    seqs.dedup();
    let gaps = seqs.windows(2).flat_map(|pair| {
        (1..pair[1].wrapping_sub(pair[0])).map(|ahead| pair[0].wrapping_add(ahead))
    });
    gaps.collect()
}
