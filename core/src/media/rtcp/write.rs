//! The RTCP packets that are sent, each appended to a compound packet.

use bytes::BufMut;

use super::{
    BYE, NACK, PAYLOAD_FEEDBACK, PLI, RECEIVER_REPORT, ReportBlock, SENDER_REPORT,
    SOURCE_DESCRIPTION, SenderReport, TRANSPORT_FEEDBACK, TRANSPORT_WIDE, VERSION,
};
use crate::media::Ssrc;

/// Appends a sender report with up to 31 report blocks; more are left out.
pub fn write_sender_report(out: &mut impl BufMut, report: &SenderReport, blocks: &[ReportBlock]) {
    let blocks = &blocks[..blocks.len().min(MAX_COUNT)];
    head(out, blocks.len() as u8, SENDER_REPORT, 6 + 6 * blocks.len());
    out.put_u32(report.ssrc.0);
    out.put_u64(report.ntp.0);
    out.put_u32(report.rtp_timestamp);
    out.put_u32(report.packets);
    out.put_u32(report.octets);
    write_blocks(out, blocks);
}

/// Appends a receiver report with up to 31 report blocks; more are left out.
pub fn write_receiver_report(out: &mut impl BufMut, reporter: Ssrc, blocks: &[ReportBlock]) {
    let blocks = &blocks[..blocks.len().min(MAX_COUNT)];
    head(out, blocks.len() as u8, RECEIVER_REPORT, 1 + 6 * blocks.len());
    out.put_u32(reporter.0);
    write_blocks(out, blocks);
}

/// Appends a source description with the canonical name, cut after 255 bytes.
pub fn write_cname(out: &mut impl BufMut, ssrc: Ssrc, cname: &str) {
    let text = &cname.as_bytes()[..cname.len().min(255)];
    // Item head and text, then at least one zero byte up to the next word.
    let items = (2 + text.len() + 1).next_multiple_of(4);
    head(out, 1, SOURCE_DESCRIPTION, 1 + items / 4);
    out.put_u32(ssrc.0);
    out.put_u8(CNAME);
    out.put_u8(text.len() as u8);
    out.put_slice(text);
    out.put_bytes(0, items - 2 - text.len());
}

/// Appends a picture loss indication.
pub fn write_pli(out: &mut impl BufMut, sender: Ssrc, media_ssrc: Ssrc) {
    head(out, PLI, PAYLOAD_FEEDBACK, 2);
    out.put_u32(sender.0);
    out.put_u32(media_ssrc.0);
}

/// Appends a list of missing packets; nothing if there are none.
///
/// It is shortest for ascending numbers. At most 65,533 groups of up to 17 fit.
pub fn write_nack(out: &mut impl BufMut, sender: Ssrc, media_ssrc: Ssrc, seqs: &[u16]) {
    let count = groups(seqs).take(MAX_GROUPS).count();
    if count == 0 {
        return;
    }
    head(out, NACK, TRANSPORT_FEEDBACK, 2 + count);
    out.put_u32(sender.0);
    out.put_u32(media_ssrc.0);
    for (first, following) in groups(seqs).take(MAX_GROUPS) {
        out.put_u16(first);
        out.put_u16(following);
    }
}

/// Appends transport-wide feedback on the packets from `base_seq` on: for each when it arrived, in
/// microseconds of the receiver's clock, or that it did not. More than 65,535 are left out.
pub fn write_transport_wide(
    out: &mut impl BufMut,
    (sender, media_ssrc): (Ssrc, Ssrc),
    feedback_count: u8,
    base_seq: u16,
    arrivals: &[Option<i64>],
) {
    let arrivals = &arrivals[..arrivals.len().min(usize::from(u16::MAX))];
    let first_us = arrivals.iter().flatten().next().copied().unwrap_or(0);
    let reference = first_us.div_euclid(REFERENCE_TICK_US);
    let mut at = reference * (REFERENCE_TICK_US / DELTA_TICK_US);
    let deltas: Vec<Option<i16>> = arrivals
        .iter()
        .map(|arrival| {
            let delta = arrival.as_ref()?.div_euclid(DELTA_TICK_US) - at;
            // Arrivals further apart than eight seconds come closer.
            let delta = delta.clamp(i64::from(i16::MIN), i64::from(i16::MAX));
            at += delta;
            Some(delta as i16)
        })
        .collect();
    let is_small = |delta: i16| (0..=255).contains(&delta);
    let delta_len = |delta: &i16| if is_small(*delta) { 1 } else { 2 };
    let len =
        8 + deltas.len().div_ceil(7) * 2 + deltas.iter().flatten().map(delta_len).sum::<usize>();
    head(out, TRANSPORT_WIDE, TRANSPORT_FEEDBACK, 2 + len.div_ceil(4));
    out.put_u32(sender.0);
    out.put_u32(media_ssrc.0);
    out.put_u16(base_seq);
    out.put_u16(deltas.len() as u16);
    out.put_u32((reference as u32) << 8 | u32::from(feedback_count));
    for seven in deltas.chunks(7) {
        let status = |delta: &Option<i16>| match delta {
            None => 0,
            Some(delta) if is_small(*delta) => 1_u16,
            Some(_) => 2,
        };
        let statuses = seven.iter().enumerate();
        out.put_u16(statuses.fold(0xC000, |word, (at, it)| word | status(it) << (12 - 2 * at)));
    }
    for delta in deltas.into_iter().flatten() {
        if is_small(delta) { out.put_u8(delta as u8) } else { out.put_i16(delta) }
    }
    out.put_bytes(0, len.next_multiple_of(4) - len);
}

/// Appends a goodbye of up to 31 sources; more are left out.
pub fn write_bye(out: &mut impl BufMut, ssrcs: &[Ssrc]) {
    let ssrcs = &ssrcs[..ssrcs.len().min(MAX_COUNT)];
    head(out, ssrcs.len() as u8, BYE, ssrcs.len());
    for ssrc in ssrcs {
        out.put_u32(ssrc.0);
    }
}

fn head(out: &mut impl BufMut, count: u8, kind: u8, body_words: usize) {
    out.put_u8(VERSION << 6 | count);
    out.put_u8(kind);
    out.put_u16(body_words as u16);
}

fn write_blocks(out: &mut impl BufMut, blocks: &[ReportBlock]) {
    for block in blocks {
        let lost = block.cumulative_lost.clamp(-0x80_0000, 0x7F_FFFF) as u32 & 0xFF_FFFF;
        out.put_u32(block.ssrc.0);
        out.put_u32(u32::from(block.fraction_lost) << 24 | lost);
        out.put_u32(block.highest_seq);
        out.put_u32(block.jitter);
        out.put_u32(block.lsr);
        out.put_u32(block.dlsr);
    }
}

/// Groups sequence numbers as a first one and a mask of the 16 after it.
fn groups(mut seqs: &[u16]) -> impl Iterator<Item = (u16, u16)> {
    std::iter::from_fn(move || {
        let (&first, mut rest) = seqs.split_first()?;
        let mut following = 0;
        while let Some((seq, after)) = rest.split_first() {
            match seq.wrapping_sub(first) {
                0 => {}
                ahead @ 1..=16 => following |= 1 << (ahead - 1),
                _ => break,
            }
            rest = after;
        }
        seqs = rest;
        Some((first, following))
    })
}

const CNAME: u8 = 1;
const REFERENCE_TICK_US: i64 = 64_000;
const DELTA_TICK_US: i64 = 250;
const MAX_COUNT: usize = 31;
const MAX_GROUPS: usize = 65_533;
