//! A source that sends frames as packets, and knows what has to come out.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::super::*;
use crate::media::codec::{self, Codec};
use crate::media::{ExtensionIds, Packet};

/// A source of one codec. Frames are told apart by their bytes.
pub(super) struct Source {
    pub(super) codec: Codec,
    pub(super) seq: i64,
    pub(super) timestamp: i64,
    pub(super) era: u32,
    /// Bytes of a packet's payload, at most.
    pub(super) max_len: usize,
    pub(super) frames: Vec<Sent>,
}

/// A frame that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) timestamp: i64,
    pub(super) keyframe: bool,
    pub(super) data: Vec<u8>,
}

impl Source {
    pub(super) fn new(codec: Codec) -> Self {
        Self { codec, seq: 65_530, timestamp: 90_000, era: 0, max_len: 100, frames: Vec::new() }
    }

    pub(super) fn format(&self) -> Format {
        if self.codec == Codec::Opus { Format::opus() } else { Format::video(self.codec, "") }
    }

    /// Packets of the next frame, which is so long; the last one has the marker.
    pub(super) fn frame(&mut self, keyframe: bool, len: usize) -> Vec<Arrived> {
        let number = self.frames.len();
        let body: Vec<u8> = (0..len).map(|at| (at * 7 + number * 13) as u8 | 1).collect();
        let payloads = self.payloads(keyframe, &body);
        self.timestamp += 3000;
        let data = self.sample(keyframe, &body);
        let keyframe = keyframe || self.codec == Codec::Opus;
        self.frames.push(Sent { timestamp: self.timestamp, keyframe, data });
        let last = payloads.len() - 1;
        let packets = payloads.iter().enumerate();
        packets.map(|(at, payload)| self.packet(payload, at == last)).collect()
    }

    /// A packet of its own, of the frame at hand.
    pub(super) fn packet(&mut self, payload: &[u8], marker: bool) -> Arrived {
        let seq = self.seq;
        self.seq += 1;
        arrived(self.codec, (self.era, seq, self.timestamp), marker, payload)
    }

    fn payloads(&self, keyframe: bool, body: &[u8]) -> Vec<Vec<u8>> {
        let chunks: Vec<&[u8]> = body.chunks(self.max_len).collect();
        let last = chunks.len() - 1;
        let each = chunks.iter().enumerate().map(|(at, chunk)| (at == 0, at == last, *chunk));
        match self.codec {
            Codec::Opus => vec![[&[0x78], body].concat()],
            Codec::H264 => {
                let unit = if keyframe { [0x65, 0x88, 0x84] } else { [0x41, 0x9A, 0x38] };
                let fragments = each.map(|(first, last, chunk)| {
                    let flags = u8::from(first) << 7 | u8::from(last) << 6 | unit[0] & 0x1F;
                    let second = if first { &unit[1..] } else { &[] };
                    [&[unit[0] & 0xE0 | 28, flags], second, chunk].concat()
                });
                let sets = [&[0x78, 0, 13], &SPS[..], &[0, 4], &PPS].concat();
                keyframe.then_some(sets).into_iter().chain(fragments).collect()
            }
            Codec::H265 => {
                let unit = if keyframe { [0x28, 0xAF] } else { [0x02, 0xD0] };
                let fragments = each.map(|(first, last, chunk)| {
                    let flags = u8::from(first) << 7 | u8::from(last) << 6 | unit[0] >> 1;
                    let third = &unit[1..][..usize::from(first)];
                    [&[0x62, 1, flags], third, chunk].concat()
                });
                let sets = H265_SETS.iter().map(|set| set.to_vec());
                let sets = sets.take(if keyframe { 3 } else { 0 });
                sets.chain(fragments).collect()
            }
            Codec::Vp8 => {
                let head: &[u8] = if keyframe { &VP8_KEY } else { &VP8_DELTA };
                each.map(|(first, _, chunk)| {
                    let head = if first { head } else { &[] };
                    [&[u8::from(first) << 4], head, chunk].concat()
                })
                .collect()
            }
            Codec::Vp9 => {
                let head: &[u8] = if keyframe { &VP9_KEY } else { &VP9_DELTA };
                each.map(|(first, last, chunk)| {
                    let flags = u8::from(first) << 3 | u8::from(last) << 2;
                    let head = if first { head } else { &[] };
                    [&[u8::from(!keyframe) << 6 | flags], head, chunk].concat()
                })
                .collect()
            }
            Codec::Av1 => {
                let head: &[u8] = if keyframe { &[0x30, 0x10] } else { &[0x30, 0x30] };
                each.map(|(first, last, chunk)| {
                    let flags = u8::from(!first) << 7 | u8::from(!last) << 6;
                    match (first, keyframe) {
                        (true, true) => [&[flags | 0x28, 12], &SEQUENCE[..], head, chunk].concat(),
                        (true, false) => [&[flags | 0x10], head, chunk].concat(),
                        _ => [&[flags | 0x10], chunk].concat(),
                    }
                })
                .collect()
            }
        }
    }

    /// The frame as MP4 stores it.
    fn sample(&self, keyframe: bool, body: &[u8]) -> Vec<u8> {
        let unit = |head: &[u8]| {
            let len = ((head.len() + body.len()) as u32).to_be_bytes();
            [&len, head, body].concat()
        };
        match (self.codec, keyframe) {
            (Codec::Opus, _) => [&[0x78], body].concat(),
            (Codec::H264, true) => unit(&[0x65, 0x88, 0x84]),
            (Codec::H264, false) => unit(&[0x41, 0x9A, 0x38]),
            (Codec::H265, true) => unit(&[0x28, 1, 0xAF]),
            (Codec::H265, false) => unit(&[0x02, 1, 0xD0]),
            (Codec::Vp8, true) => [&VP8_KEY, body].concat(),
            (Codec::Vp8, false) => [&VP8_DELTA, body].concat(),
            (Codec::Vp9, true) => [&VP9_KEY, body].concat(),
            (Codec::Vp9, false) => [&VP9_DELTA, body].concat(),
            (Codec::Av1, _) => {
                let mut out = Vec::new();
                if keyframe {
                    out.extend([0x0A, 11]);
                    out.extend(&SEQUENCE[1..]);
                }
                let mut len = body.len() + 1;
                out.push(0x32);
                while len >= 0x80 {
                    out.push(len as u8 | 0x80);
                    len >>= 7;
                }
                out.push(len as u8);
                out.push(if keyframe { 0x10 } else { 0x30 });
                out.extend(body);
                out
            }
        }
    }
}

/// A packet as the hub hands it on: era, sequence number and timestamp are given.
pub(super) fn arrived(
    codec: Codec,
    (era, seq, timestamp): (u32, i64, i64),
    marker: bool,
    payload: &[u8],
) -> Arrived {
    let mut bytes = vec![0x80, u8::from(marker) << 7 | 96];
    bytes.extend((seq as u16).to_be_bytes());
    bytes.extend((timestamp as u32).to_be_bytes());
    bytes.extend([0, 0, 0, 9]);
    bytes.extend(payload);
    let packet = Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).unwrap();
    let info = codec::inspect(codec, packet.payload());
    let at = epoch();
    Arrived {
        packet,
        info,
        picture: Default::default(),
        era,
        seq,
        timestamp,
        at,
        received: at,
        capture: None,
    }
}

/// The beginning of virtual time.
pub(super) fn epoch() -> Instant {
    static EPOCH: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    *EPOCH
}

pub(super) fn ms(ms: u64) -> Instant {
    epoch() + Duration::from_millis(ms)
}

/// Everything that came out, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Out {
    Frame(Sent),
    Gap(Why),
    Want,
}

pub(super) fn drain(assembler: &mut Assembler) -> Vec<Out> {
    std::iter::from_fn(|| assembler.poll())
        .map(|out| match out {
            Assembled::Frame(frame) => {
                assert_eq!(frame.dts, frame.pts);
                let Frame { dts, keyframe, data, .. } = frame;
                Out::Frame(Sent { timestamp: dts, keyframe, data: data.to_vec() })
            }
            Assembled::Gap(why) => Out::Gap(why),
            Assembled::WantKeyframe => Out::Want,
        })
        .collect()
}

/// Random numbers that repeat (xorshift64).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

pub(super) const ALL: [Codec; 6] =
    [Codec::Opus, Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];

pub(super) const PICTURES: [Codec; 5] =
    [Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];

pub(super) const SPS: [u8; 13] =
    [0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00];
pub(super) const PPS: [u8; 4] = [0x68, 0xCE, 0x3C, 0x80];

const H265_SETS: [&[u8]; 3] = [
    &[0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x01, 0x60],
    &[
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3F, 0xA0, 0x05, 0x12, 0x01, 0x71, 0xC9, 0x26,
    ],
    &[0x44, 0x01, 0xC1, 0x72, 0xB4, 0x62, 0x40],
];
const VP8_KEY: [u8; 10] = [0x30, 0xCE, 0x00, 0x9D, 0x01, 0x2A, 0x82, 0x02, 0x6A, 0x01];
const VP8_DELTA: [u8; 3] = [0xB1, 0x15, 0x00];
const VP9_KEY: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06];
const VP9_DELTA: [u8; 4] = [0x86, 0x00, 0x40, 0x92];
const SEQUENCE: [u8; 12] = [0x08, 0x00, 0x00, 0x00, 0x0C, 0xC5, 0x03, 0x69, 0x36, 0xBE, 0x40, 0x10];
