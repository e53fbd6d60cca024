//! A picture that tells, packet by packet, what it is, so that a viewer can check what it gets.

use whitewater_core::media::Codec;

use super::scalable::KEYFRAME;

/// What each packet's payload says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Counts the publishers and restarts of the encoder.
    pub source: u16,
    /// The layer.
    pub layer: u8,
    /// Whether the frame can be decoded by itself.
    pub keyframe: bool,
    /// Counts the frames of the layer.
    pub frame: u32,
    /// Which packet of the frame.
    pub index: u16,
    /// Of how many.
    pub count: u16,
    /// When the frame was captured, in milliseconds of the simulation.
    pub captured_ms: u32,
}

/// Running numbers of VP8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Picture id.
    pub picture: u16,
    /// Whether it has 15 bits.
    pub wide: bool,
    /// TL0PICIDX.
    pub tl0: u8,
}

// === impl Piece ===

impl Piece {
    /// The payload of `len` bytes or a little more.
    pub fn write(&self, codec: Codec, numbers: Numbers, len: usize) -> Vec<u8> {
        self.write_after(head(codec, self, numbers), len)
    }

    /// The same behind a head of one's own.
    pub fn write_after(&self, mut payload: Vec<u8>, len: usize) -> Vec<u8> {
        let start = payload.len();
        payload.extend_from_slice(&self.source.to_be_bytes());
        payload.extend_from_slice(&[self.layer, u8::from(self.keyframe)]);
        payload.extend_from_slice(&self.frame.to_be_bytes());
        payload.extend_from_slice(&self.index.to_be_bytes());
        payload.extend_from_slice(&self.count.to_be_bytes());
        payload.extend_from_slice(&self.captured_ms.to_be_bytes());
        let mut filler = self.frame as u8;
        while payload.len() + 4 < len {
            filler = filler.wrapping_mul(5).wrapping_add(1);
            payload.push(filler);
        }
        let sum = checksum(&payload[start..]);
        payload.extend_from_slice(&sum.to_be_bytes());
        payload
    }

    /// Reads a payload back; `None` if a byte of it is wrong.
    pub fn read(codec: Codec, payload: &[u8]) -> Option<(Self, Option<Numbers>)> {
        let (body, numbers) = body(codec, payload)?;
        let (fields, sum) = body.split_at_checked(body.len().checked_sub(4)?)?;
        if checksum(fields).to_be_bytes() != *sum || fields.len() < 16 {
            return None;
        }
        let half = |at: usize| u16::from_be_bytes([fields[at], fields[at + 1]]);
        let word = |at: usize| u32::from(half(at)) << 16 | u32::from(half(at + 2));
        let piece = Self {
            source: half(0),
            layer: fields[2],
            keyframe: fields[3] != 0,
            frame: word(4),
            index: half(8),
            count: half(10),
            captured_ms: word(12),
        };
        Some((piece, numbers))
    }
}

fn head(codec: Codec, piece: &Piece, numbers: Numbers) -> Vec<u8> {
    let first = piece.index == 0;
    if codec == Codec::H264 {
        return match (piece.keyframe, first) {
            (true, true) => [&SPS[..], &[0xff]].concat(),
            (true, false) => vec![0x7c, if piece.index == 1 { 0x85 } else { 0x05 }, 0x88],
            (false, _) => vec![0x7c, if first { 0x81 } else { 0x01 }, 0x9a],
        };
    }
    let mut head = vec![if first { 0x90 } else { 0x80 }, 0xc0];
    if numbers.wide {
        head.extend_from_slice(&(numbers.picture | 0x8000).to_be_bytes());
    } else {
        head.push(numbers.picture as u8 & 0x7f);
    }
    head.push(numbers.tl0);
    if first && piece.keyframe {
        let [w, h] = [320_u16, 180].map(|side| side << piece.layer);
        head.extend_from_slice(&[0x10, 0, 0, 0x9d, 0x01, 0x2a]);
        head.extend_from_slice(&w.to_le_bytes());
        head.extend_from_slice(&h.to_le_bytes());
    } else if first {
        head.push(0x11);
    }
    head
}

fn body(codec: Codec, payload: &[u8]) -> Option<(&[u8], Option<Numbers>)> {
    if codec == Codec::H264 {
        let head = if *payload.first()? == SPS[0] { SPS.len() + 1 } else { 3 };
        return Some((payload.get(head..)?, None));
    }
    if codec == Codec::Vp9 {
        let predicted = payload.first()? & 0x40 != 0;
        let head = if predicted { 4 + 1 + 1 } else { 4 + KEYFRAME.len() };
        return Some((payload.get(head..)?, None));
    }
    let wide = payload.get(2)? & 0x80 != 0;
    let at = if wide { 4 } else { 3 };
    let picture = if wide {
        u16::from_be_bytes([payload[2], *payload.get(3)?]) & 0x7fff
    } else {
        u16::from(payload[2])
    };
    let numbers = Numbers { picture, wide, tl0: *payload.get(at)? };
    let first = payload[0] & 0x10 != 0;
    let keyframe = first && payload.get(at + 1)? & 1 == 0;
    let head = match (first, keyframe) {
        (true, true) => 10,
        (true, false) => 1,
        (false, _) => 0,
    };
    Some((payload.get(at + 1 + head..)?, Some(numbers)))
}

fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

// Of a real encoder: 640 x 480, baseline.
const SPS: [u8; 13] =
    [0x67, 0x42, 0xc0, 0x1e, 0xd9, 0x00, 0xa4, 0x2f, 0xe2, 0x24, 0xc0, 0x44, 0x00];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_is_read_back_and_a_broken_one_is_not() {
        for codec in [Codec::Vp8, Codec::H264] {
            for (keyframe, index, wide) in [(true, 0, true), (true, 1, false), (false, 0, false)] {
                let piece = Piece {
                    source: 3,
                    layer: 2,
                    keyframe,
                    frame: 70_000,
                    index,
                    count: 9,
                    captured_ms: 123_456,
                };
                let numbers = Numbers { picture: 77, wide, tl0: 9 };
                let mut payload = piece.write(codec, numbers, 900);
                let (read, got) = Piece::read(codec, &payload).unwrap();
                assert_eq!((read, payload.len()), (piece, 900));
                assert!(got.is_none_or(|got| got == numbers));
                payload[500] ^= 1;
                assert_eq!(Piece::read(codec, &payload), None);
            }
        }
    }
}
