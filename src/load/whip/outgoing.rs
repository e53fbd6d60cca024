//! An outgoing source that writes RTP packets and keeps them for retransmission.

use std::time::Duration;

use bytes::BytesMut;
use whitewater_core::media::ext::{extensions_len, write_extensions};
use whitewater_core::media::rtcp::{SenderReport, write_cname, write_sender_report};
use whitewater_core::media::time::micros_to_ticks;
use whitewater_core::media::{ExtensionIds, ExtensionKind, Ntp, PayloadType, Rid, Ssrc};
use whitewater_core::rtc::Section;
use whitewater_core::rtc::srtp::{Sender, Slot};

use crate::load::packetize::Payload;

/// One outgoing source with its retransmissions: a layer, or the sound.
pub(super) struct Outgoing {
    pub(super) ssrc: Ssrc,
    pub(super) rid: Option<Rid>,
    rtx: Option<(Ssrc, PayloadType)>,
    pt: PayloadType,
    clock_rate: u32,
    extensions: ExtensionIds,
    mid: String,
    slots: Option<(Slot, Option<Slot>)>,
    seq: u16,
    rtx_seq: u16,
    first_timestamp: u32,
    history: Vec<Kept>,
    pub(super) sent: Sent,
}

/// What one source has sent.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) packets: u64,
    pub(super) payload_bytes: u64,
    pub(super) retransmissions: u64,
}

/// What a new source is made of.
pub(super) struct Identifiers {
    pub(super) ssrc: Ssrc,
    pub(super) rtx_ssrc: Ssrc,
    pub(super) rid: Option<Rid>,
    /// Where sequence numbers and timestamps begin.
    pub(super) seed: u64,
}

#[derive(Clone, Default)]
struct Kept {
    seq: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

/// A packet's header fields beside its source.
struct Head {
    pt: PayloadType,
    ssrc: Ssrc,
    seq: u16,
    timestamp: u32,
    marker: bool,
    padding: u8,
    is_rtx: bool,
}

// === impl Outgoing ===

impl Outgoing {
    pub(super) fn new(section: &Section, identifiers: Identifiers) -> Option<Self> {
        let agreed = section.formats.first()?;
        let Identifiers { ssrc, rtx_ssrc, rid, seed } = identifiers;
        Some(Self {
            ssrc,
            rid,
            rtx: agreed.rtx.map(|pt| (rtx_ssrc, pt)),
            pt: agreed.pt,
            clock_rate: agreed.format.clock_rate,
            extensions: section.extensions.clone(),
            mid: section.mid.as_str().to_owned(),
            slots: None,
            // As libwebrtc does, far from the first wrap.
            seq: (seed as u16) & 0x7FFF,
            rtx_seq: (seed >> 16) as u16 & 0x7FFF,
            first_timestamp: (seed >> 32) as u32,
            history: vec![Kept::default(); HISTORY],
            sent: Sent::default(),
        })
    }

    /// The RTP timestamp of a time after the start.
    pub(super) fn timestamp_at(&self, after: Duration) -> u32 {
        let ticks = micros_to_ticks(after.as_micros() as i64, self.clock_rate);
        self.first_timestamp.wrapping_add(ticks as u32)
    }

    /// The RTP timestamp of ticks of the source's clock after the start.
    pub(super) fn timestamp(&self, ticks: u64) -> u32 {
        self.first_timestamp.wrapping_add(ticks as u32)
    }

    /// Writes the next packet and seals it; empty if it cannot be sealed.
    pub(super) fn packet<'a>(
        &mut self,
        sender: &mut Sender,
        transport_seq: &mut u16,
        out: &'a mut [u8],
        (payload, timestamp, marker): (Payload, u32, bool),
    ) -> &'a [u8] {
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        self.sent.packets += 1;
        self.sent.payload_bytes += payload.bytes.len() as u64;
        let head = Head {
            pt: self.pt,
            ssrc: self.ssrc,
            seq,
            timestamp,
            marker,
            padding: payload.padding,
            is_rtx: false,
        };
        let len = self.write(sender, transport_seq, out, (&head, &[], &payload.bytes));
        self.history[usize::from(seq) % HISTORY] =
            Kept { seq, timestamp, marker, payload: payload.bytes };
        &out[..len]
    }

    /// Repeats a packet on the retransmission's source; empty if it is too old, or RTX not agreed.
    pub(super) fn repeat<'a>(
        &mut self,
        sender: &mut Sender,
        transport_seq: &mut u16,
        out: &'a mut [u8],
        seq: u16,
    ) -> &'a [u8] {
        let kept = std::mem::take(&mut self.history[usize::from(seq) % HISTORY]);
        let Some((ssrc, pt)) = self.rtx.filter(|_| kept.seq == seq && !kept.payload.is_empty())
        else {
            self.history[usize::from(seq) % HISTORY] = kept;
            return &[];
        };
        let &Kept { timestamp, marker, .. } = &kept;
        let head =
            Head { pt, ssrc, seq: self.rtx_seq, timestamp, marker, padding: 0, is_rtx: true };
        self.rtx_seq = self.rtx_seq.wrapping_add(1);
        self.sent.retransmissions += 1;
        let len =
            self.write(sender, transport_seq, out, (&head, &seq.to_be_bytes(), &kept.payload));
        self.history[usize::from(seq) % HISTORY] = kept;
        &out[..len]
    }

    /// Writes a sender report.
    pub(super) fn report(&self, out: &mut BytesMut, wall: Ntp, after: Duration) {
        let report = SenderReport {
            ssrc: self.ssrc,
            ntp: wall,
            rtp_timestamp: self.timestamp_at(after),
            packets: self.sent.packets as u32,
            octets: self.sent.payload_bytes as u32,
        };
        write_sender_report(out, &report, &[]);
        write_cname(out, self.ssrc, "publisher");
    }

    /// Writes a first report as OBS may send it: of no time and no packets.
    pub(super) fn report_nothing(&self, out: &mut BytesMut) {
        let (ssrc, rtp_timestamp) = (self.ssrc, self.first_timestamp ^ 0x8000_0000);
        let report = SenderReport { ssrc, ntp: Ntp(0), rtp_timestamp, packets: 0, octets: 0 };
        write_sender_report(out, &report, &[]);
        write_cname(out, self.ssrc, "publisher");
    }

    fn write(
        &mut self,
        sender: &mut Sender,
        transport_seq: &mut u16,
        out: &mut [u8],
        (head, prefix, payload): (&Head, &[u8], &[u8]),
    ) -> usize {
        let (ssrc, rtx) = (self.ssrc, self.rtx);
        let (slot, rtx_slot) = *self
            .slots
            .get_or_insert_with(|| (sender.add(ssrc), rtx.map(|(ssrc, _)| sender.add(ssrc))));
        let Some(slot) = (if head.is_rtx { rtx_slot } else { Some(slot) }) else { return 0 };

        let wide = transport_seq.to_be_bytes();
        let rid_kind = if head.is_rtx { ExtensionKind::RepairedRid } else { ExtensionKind::Rid };
        let rid = self.rid.as_ref().map(Rid::as_str);
        let elements = [
            (ExtensionKind::Mid, Some(self.mid.as_bytes())),
            (ExtensionKind::TransportWide, Some(&wide[..])),
            (rid_kind, rid.map(str::as_bytes)),
        ];
        let elements: Vec<(u8, &[u8])> = elements
            .into_iter()
            .filter_map(|(kind, data)| Some((self.extensions.id(kind)?, data?)))
            .collect();

        let header_len = 12 + extensions_len(&elements);
        let plain_len = header_len + prefix.len() + payload.len() + usize::from(head.padding);
        let padding_bit = if head.padding > 0 { 0x20 } else { 0 };
        let extension_bit = if elements.is_empty() { 0 } else { 0x10 };
        out[0] = 0x80 | padding_bit | extension_bit;
        out[1] = head.pt.0 | if head.marker { 0x80 } else { 0 };
        out[2..4].copy_from_slice(&head.seq.to_be_bytes());
        out[4..8].copy_from_slice(&head.timestamp.to_be_bytes());
        out[8..12].copy_from_slice(&head.ssrc.0.to_be_bytes());
        write_extensions(&mut out[12..], &elements);
        let body = &mut out[header_len..plain_len];
        body[..prefix.len()].copy_from_slice(prefix);
        body[prefix.len()..prefix.len() + payload.len()].copy_from_slice(payload);
        if let Some((last, zeros)) = body[prefix.len() + payload.len()..].split_last_mut() {
            zeros.fill(0);
            *last = head.padding;
        }
        if self.extensions.id(ExtensionKind::TransportWide).is_some() {
            *transport_seq = transport_seq.wrapping_add(1);
        }
        sender.protect(slot, out, header_len, plain_len)
    }
}

// Several seconds of one layer.
const HISTORY: usize = 1024;
