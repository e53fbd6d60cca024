//! A check of assemblers: whatever the packets of a layer, their order and delays, what comes out is
//! in the form that frames have.
//!
//! The first byte chooses the codec, a slice may describe parameter sets. Then come packets: a byte
//! of flags, a byte for the steps of numbers and times, and the payload behind its length.

use std::time::{Duration, Instant};

use bytes::Bytes;
use whitewater_core::assemble::{Assembled, Assembler, Why};
use whitewater_core::media::codec::{self, av1::leb128};
use whitewater_core::media::{
    Arrived, Codec, ExtensionIds, Format, Frame, Packet, PictureIds, Setup, red,
};

#[path = "input.rs"]
mod input;

use input::Input;

/// Feeds one layer.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let codec = CODECS[usize::from(input.byte()) % CODECS.len()];
    let described = String::from_utf8_lossy(input.slice());
    let is_sound = codec == Codec::Opus;
    let format = if is_sound { Format::opus() } else { Format::video(codec, described) };
    let mut layer = Layer {
        codec,
        assembler: Assembler::new(&format),
        now: Instant::now(),
        place: (0, 1000, 0),
        last: None,
        begun: false,
    };
    while !input.is_empty() {
        layer.step(&mut input);
    }
    layer.now += Duration::from_secs(1);
    layer.assembler.handle_timeout(layer.now);
    layer.drain();
    assert_eq!(layer.assembler.poll_timeout(), None);
}

struct Layer {
    codec: Codec,
    assembler: Assembler,
    now: Instant,
    /// Era, sequence number and timestamp.
    place: (u32, i64, i64),
    /// The time of the last frame since a gap.
    last: Option<i64>,
    /// Whether a keyframe came since frames were missing.
    begun: bool,
}

impl Layer {
    fn step(&mut self, input: &mut Input<'_>) {
        let (flags, steps) = (input.byte(), input.byte());
        let (era, seq, timestamp) = &mut self.place;
        *era += u32::from(flags & 0x02 != 0);
        *seq += [1, 1, 1, 2, 3, -1, -3, 3000][usize::from(steps & 0x07)];
        *timestamp +=
            [0, 3000, 3000, -3000, 1, 960, -1_000_000, 90_000][usize::from(steps >> 3 & 0x07)];
        self.now += Duration::from_millis([0, 1, 40, 310][usize::from(steps >> 6)]);
        let marker = flags & 0x01 != 0;
        let packet = packet(self.place, marker, input.slice());
        let mut primary = 0;
        if flags & 0x04 != 0 {
            primary = red::primary(packet.payload()).unwrap_or(0);
        }
        let mut info = codec::inspect(self.codec, &packet.payload()[primary..]);
        info.primary = primary as u16;
        let (era, seq, timestamp) = self.place;
        let arrived = Arrived {
            packet,
            info,
            picture: PictureIds::default(),
            era,
            seq,
            timestamp,
            at: self.now,
            received: self.now,
            capture: None,
        };
        self.assembler.handle_timeout(self.now);
        self.assembler.handle_packet(self.now, &arrived);
        self.drain();
        let (packets, bytes) = self.assembler.held();
        assert!(packets <= 5000 && bytes <= 5 << 20, "{packets} packets, {bytes} bytes");
        assert!(self.assembler.poll_timeout().is_none_or(|timeout| timeout > self.now));
    }

    fn drain(&mut self) {
        while let Some(out) = self.assembler.poll() {
            match out {
                Assembled::Frame(frame) => self.check(&frame),
                Assembled::Gap(why) => {
                    self.last = None;
                    self.begun &= why == Why::ClockJumped;
                }
                Assembled::WantKeyframe => assert!(self.codec != Codec::Opus),
            }
        }
    }

    fn check(&mut self, frame: &Frame) {
        self.begun |= frame.keyframe;
        assert!(self.begun, "a frame lacks its keyframe");
        assert!(self.last.is_none_or(|last| last < frame.dts) && frame.pts == frame.dts);
        self.last = Some(frame.dts);
        assert_eq!(frame.setup.codec(), Some(self.codec));
        assert!(!frame.data.is_empty());
        match &*frame.setup {
            Setup::H264 { sps, pps, .. } => {
                assert!(!sps.is_empty() && !pps.is_empty());
                units(&frame.data, |unit| matches!(unit[0] & 0x1F, 1..=6));
            }
            Setup::H265 { vps, sps, pps, .. } => {
                assert!(!vps.is_empty() && !sps.is_empty() && !pps.is_empty());
                units(&frame.data, |unit| matches!(unit[0] >> 1 & 0x3F, 0..=31 | 39 | 40));
            }
            Setup::Av1 { sequence_header, .. } => {
                assert_eq!(open_units(sequence_header), 1);
                open_units(&frame.data);
            }
            Setup::Vp8 { .. } | Setup::Vp9 { .. } | Setup::Opus { .. } | Setup::Aac { .. } => {}
        }
        if let Some((width, height)) = frame.setup.size() {
            assert!(width > 0 && height > 0);
        }
    }
}

/// NAL units fill the frame, each behind its length.
fn units(mut rest: &[u8], fits: fn(&[u8]) -> bool) {
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<4>().expect("a length");
        let (unit, after) = after.split_at(u32::from_be_bytes(*len) as usize);
        assert!(!unit.is_empty() && fits(unit), "{unit:x?}");
        rest = after;
    }
}

/// OBUs fill the frame, each with its size; how many there are.
fn open_units(mut rest: &[u8]) -> usize {
    let mut count = 0;
    while let Some((&head, mut after)) = rest.split_first() {
        assert!(head & 0x02 != 0 && head >> 3 & 0x0F != 2, "{head:x}");
        if head & 0x04 != 0 {
            after = &after[1..];
        }
        let (len, after) = leb128(after).expect("a size");
        rest = &after[len as usize..];
        count += 1;
    }
    count
}

fn packet((era, seq, timestamp): (u32, i64, i64), marker: bool, payload: &[u8]) -> Packet {
    let mut bytes = vec![0x80, u8::from(marker) << 7 | 96];
    bytes.extend((seq as u16).to_be_bytes());
    bytes.extend((timestamp as u32).to_be_bytes());
    bytes.extend(era.to_be_bytes());
    bytes.extend(payload);
    Packet::parse(Bytes::from(bytes), &ExtensionIds::default()).expect("a packet")
}

const CODECS: [Codec; 6] =
    [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Opus];
