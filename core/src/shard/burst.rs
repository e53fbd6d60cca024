//! A burst: packets of one viewer's track, sealed side by side in one buffer for one GSO write.
//!
//! The kernel cuts the buffer into equal segments, only the last may be shorter. Encoders make packets
//! that differ by a byte: RTP padding evens them out where that saves a write.

use std::time::Instant;

use smallvec::SmallVec;

use super::egress::{Egress, Outgoing, Scratch};
use crate::forward::{Planned, Rewrite, Sent};
use crate::hub::Track;
use crate::media::arrived::PictureIds;
use crate::media::codec::{vp8, vp9};
use crate::media::ext::{extensions_len, write_extensions};
use crate::media::{Arrived, Codec, Kind, PayloadType, Ssrc, red};
use crate::rtc::srtp::Sender;

/// What was written into the buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Burst {
    /// Packets.
    pub packets: usize,
    /// Bytes.
    pub len: usize,
    /// Bytes of each segment but the last; 0 when nothing was written.
    pub segment: usize,
    /// When the oldest of its packets was received that came since its viewer followed the layer.
    pub received: Option<Instant>,
}

/// How many packets go into one write, and how long each is.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    packets: usize,
    segment: usize,
}

/// The numbers and types of one outgoing packet's header.
struct Header {
    pt: PayloadType,
    marker: bool,
    seq: u16,
    timestamp: u32,
    ssrc: Ssrc,
}

/// What differs inside the packet from what the publisher sent.
#[derive(Clone, Copy)]
struct Inside {
    picture: PictureIds,
    frame_number: Option<u16>,
    hollow: bool,
}

/// Writes as many of the planned packets as fit into one run. The rest stays planned.
pub(super) fn write(
    now: Instant,
    egress: &mut Egress,
    track: &Track,
    planned: &[Planned],
    sender: &mut Sender,
    buffer: &mut [u8],
) -> Burst {
    let kind = track.kind();
    let overhead = sender.overhead();
    let Some(outgoing) = egress.track(kind) else { return Burst::default() };
    let (Some((slot, _)), Some((pt, _))) = (outgoing.slots, outgoing.payload) else {
        return Burst { packets: planned.len(), ..Burst::default() };
    };
    let mut sizes = SmallVec::<[usize; 64]>::new();
    for plan in planned {
        let Some(arrived) = find(track, plan.layer, plan.position) else { break };
        sizes.push(plain_len(outgoing, arrived, plan.rewrite.hollow) + overhead);
    }
    let run = Run::of(&sizes, buffer.len());
    let mut burst = Burst { packets: run.packets, segment: run.segment, ..Burst::default() };
    let moment = egress.history.moment(now);
    if run.segment == 0 {
        // No buffer holds it: it is passed over.
        return burst;
    }
    for (index, plan) in planned[..run.packets].iter().enumerate() {
        let Some(arrived) = find(track, plan.layer, plan.position) else { break };
        let transport_seq = egress.next_transport_seq();
        let Some(outgoing) = egress.track_mut(kind) else { break };
        let is_last = index + 1 == run.packets;
        let missing = run.segment - sizes[index];
        // A short tail may stay short: the last segment needs no equal.
        let padding = if is_last && missing > MAX_PADDING { 0 } else { missing };
        let is_empty = plan.rewrite.hollow || arrived.packet.is_padding_only();
        let padding = padding + usize::from(is_empty);
        let header = Header {
            pt: outgoing.redundant(arrived).unwrap_or(pt),
            marker: plan.rewrite.marker,
            seq: plan.rewrite.seq as u16,
            timestamp: plan.rewrite.timestamp,
            ssrc: outgoing.ssrc,
        };
        let scratch = Scratch::new(transport_seq, arrived.capture);
        let out = &mut buffer[burst.len..];
        let (header_len, plain_len) = write_plain(
            out,
            outgoing,
            arrived,
            &header,
            &scratch,
            None,
            Inside::of(&plan.rewrite),
            padding,
        );
        let len = sender.protect(slot, out, header_len, plain_len);
        if len == 0 {
            // What could not be sealed is not sent, and nothing may follow it in this write.
            burst.packets = index + 1;
            break;
        }
        burst.len += len;
        if plan.live {
            let oldest = burst.received.map_or(arrived.received, |it| it.min(arrived.received));
            burst.received = Some(oldest);
        }
        outgoing.packets = outgoing.packets.wrapping_add(1);
        let octets = if plan.rewrite.hollow { 0 } else { outgoing.body(arrived).len() };
        outgoing.octets = outgoing.octets.wrapping_add(octets as u32);
        if kind == Kind::Video && outgoing.section.nack {
            outgoing.forwarder.sent.insert(Sent {
                seq: header.seq,
                transport_seq,
                timestamp: header.timestamp,
                position: plan.position as u32,
                picture_id: plan.rewrite.picture.picture_id.unwrap_or(0),
                tl0_pic_idx: plan.rewrite.picture.tl0_pic_idx.unwrap_or(0),
                layer: plan.layer,
                spatial: arrived.info.spatial,
                padding: padding as u8,
                frame_number: plan.rewrite.frame_number.unwrap_or(0),
                marker: plan.rewrite.marker,
                hollow: plan.rewrite.hollow,
                generation: track.generation as u8,
                resent_ms: 0,
            });
        }
        egress.history.sent(moment, transport_seq, len);
    }
    egress.repair.note_sent(burst.len);
    burst
}

/// Writes the next retransmission that the viewer asked for, if the ring still has its bytes.
///
/// With RTX it gets a number of its own; without, it is the same packet to the byte.
pub(super) fn write_resend(
    now: Instant,
    egress: &mut Egress,
    track: &Track,
    sender: &mut Sender,
    buffer: &mut [u8],
) -> Burst {
    let has_rtx = egress.video.as_ref().and_then(|video| video.payload?.1).is_some();
    while let Some(seq) = egress.resend.pop_front() {
        if !egress.repair.has_credit() {
            // The viewer asks again.
            continue;
        }
        let fresh = if has_rtx { egress.next_transport_seq() } else { 0 };
        let Some(outgoing) = egress.track_mut(Kind::Video) else { return Burst::default() };
        let (Some((slot, rtx_slot)), Some((pt, rtx_pt))) = (outgoing.slots, outgoing.payload)
        else {
            return Burst::default();
        };
        let Some(sent) = outgoing.forwarder.sent.get_mut(seq).copied() else { continue };
        if sent.generation != track.generation as u8 {
            continue;
        }
        let Some(layer) = track.layers.get(usize::from(sent.layer)) else { continue };
        let Some(arrived) = layer.ring.get(sent.position(layer.ring.end())) else { continue };
        let inside = Inside {
            picture: sent.picture(arrived.picture),
            frame_number: Some(sent.frame_number),
            hollow: sent.hollow,
        };
        let marker = sent.marker;
        let timestamp = sent.timestamp;
        let (slot, header, original, transport_seq, padding) = match rtx_pt {
            Some(pt) => {
                let rtx_seq = outgoing.rtx_seq;
                outgoing.rtx_seq = rtx_seq.wrapping_add(1);
                let header =
                    Header { pt, marker, seq: rtx_seq, timestamp, ssrc: outgoing.rtx_ssrc };
                (rtx_slot, header, Some(seq), fresh, 0)
            }
            None => {
                let header = Header { pt, marker, seq, timestamp, ssrc: outgoing.ssrc };
                (slot, header, None, sent.transport_seq, usize::from(sent.padding))
            }
        };
        if plain_len(outgoing, arrived, sent.hollow) + 2 + padding + sender.overhead()
            > buffer.len()
        {
            continue;
        }
        let scratch = Scratch::new(transport_seq, arrived.capture);
        let (header_len, plain_len) =
            write_plain(buffer, outgoing, arrived, &header, &scratch, original, inside, padding);
        let len = sender.protect(slot, buffer, header_len, plain_len);
        let moment = egress.history.moment(now);
        egress.history.sent(moment, transport_seq, len);
        egress.repair.note_resent(len);
        return Burst { packets: 1, len, segment: len, received: None };
    }
    Burst::default()
}

// === impl Inside ===

impl Inside {
    fn of(rewrite: &Rewrite) -> Self {
        let Rewrite { picture, frame_number, hollow, .. } = *rewrite;
        Self { picture, frame_number, hollow }
    }
}

// === impl Run ===

impl Run {
    /// The longest run from the front that one write can carry.
    fn of(sizes: &[usize], capacity: usize) -> Self {
        let Some((&first, rest)) = sizes.split_first() else { return Self::default() };
        if first > capacity {
            return Self { packets: 1, segment: 0 };
        }
        let (mut run, mut smallest) = (Self { packets: 1, segment: first }, first);
        for &size in rest {
            let segment = run.segment.max(size);
            if (run.packets + 1) * segment > capacity
                || segment - smallest > MAX_PADDING && size >= smallest
            {
                break;
            }
            let is_tail = segment - size > MAX_PADDING;
            run = Self { packets: run.packets + 1, segment };
            if is_tail {
                break;
            }
            smallest = smallest.min(size);
        }
        run
    }
}

fn find(track: &Track, layer: u8, position: u64) -> Option<&Arrived> {
    track.layers.get(usize::from(layer))?.ring.get(position)
}

/// Bytes of a packet before encryption and padding.
fn plain_len(outgoing: &Outgoing, arrived: &Arrived, hollow: bool) -> usize {
    let extensions = match outgoing.stencil(arrived) {
        Some(stencil) => stencil.len(),
        None => extensions_len(&outgoing.elements(arrived, &Scratch::default())),
    };
    if hollow || arrived.packet.is_padding_only() {
        return FIXED_HEADER + extensions + 1;
    }
    FIXED_HEADER + extensions + outgoing.body(arrived).len()
}

/// Writes header, extensions, payload and padding; returns the header's length and the whole.
#[expect(clippy::too_many_arguments, reason = "each is one field of the packet on the wire")]
fn write_plain(
    out: &mut [u8],
    outgoing: &Outgoing,
    arrived: &Arrived,
    header: &Header,
    scratch: &Scratch,
    original_seq: Option<u16>,
    Inside { picture, frame_number, hollow }: Inside,
    padding: usize,
) -> (usize, usize) {
    let block = &mut out[FIXED_HEADER..];
    let extension_len = match outgoing.stencil(arrived) {
        Some(stencil) => stencil.write(block, scratch),
        None => {
            let len = write_extensions(block, &outgoing.elements(arrived, scratch));
            outgoing.renumber(&mut block[..len], arrived, frame_number);
            len
        }
    };
    out[0] = 0x80 | if padding > 0 { 0x20 } else { 0 } | if extension_len > 0 { 0x10 } else { 0 };
    out[1] = header.pt.0 | if header.marker { 0x80 } else { 0 };
    out[2..4].copy_from_slice(&header.seq.to_be_bytes());
    out[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
    out[8..12].copy_from_slice(&header.ssrc.0.to_be_bytes());
    let header_len = FIXED_HEADER + extension_len;
    let mut at = header_len;
    if let Some(seq) = original_seq {
        out[at..at + 2].copy_from_slice(&seq.to_be_bytes());
        at += 2;
    }
    let payload = if hollow { &[] } else { outgoing.body(arrived) };
    let body = &mut out[at..at + payload.len()];
    body.copy_from_slice(payload);
    match outgoing.codec {
        Some(Codec::Vp8) => {
            vp8::rewrite(body, picture.picture_id, picture.tl0_pic_idx);
        }
        Some(Codec::Vp9) => {
            vp9::rewrite(body, picture.picture_id, picture.tl0_pic_idx);
        }
        Some(Codec::Opus) => {
            if let (Some(_), Some((pt, _))) = (outgoing.redundant(arrived), outgoing.payload) {
                red::readdress(body, pt);
            }
        }
        Some(Codec::H264 | Codec::H265 | Codec::Av1) | None => {}
    }
    at += payload.len();
    if padding > 0 {
        out[at..at + padding].fill(0);
        at += padding;
        out[at - 1] = padding as u8;
    }
    (header_len, at)
}

const FIXED_HEADER: usize = 12;

/// Padding costs bandwidth, a write costs time: this much is cheaper than another write.
const MAX_PADDING: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_differ_by_a_byte_share_a_write() {
        let rows: [(&[usize], usize, usize); 9] = [
            (&[1100], 1, 1100),
            (&[1100, 1100, 1101, 1101], 4, 1101),
            (&[1101, 1101, 1100, 1100], 4, 1101),
            (&[1100, 1100, 300], 3, 1100),
            (&[1100, 300, 1100], 2, 1100),
            (&[300, 1100, 1100], 1, 300),
            (&[1100, 1090, 1112, 90], 2, 1100),
            (&[60_000, 60_000], 1, 60_000),
            (&[70_000], 1, 0),
        ];
        for (sizes, packets, segment) in rows {
            assert_eq!(Run::of(sizes, 65_000), Run { packets, segment }, "{sizes:?}");
        }
    }
}
