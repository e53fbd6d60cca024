//! A scalable picture: VP9 with three spatial and three temporal layers, and what a decoder makes of it.

use std::collections::BTreeMap;

use whitewater_core::media::codec::vp9::Descriptor;

use super::picture::Piece;

/// Where one spatial layer's frame stands in its picture and among the others.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The picture, as decoders count them.
    pub picture: u16,
    /// The spatial layer.
    pub spatial: u8,
    /// The temporal layer.
    pub temporal: u8,
    /// How many pictures back the one is that it needs; 0 for a keyframe.
    pub back: u8,
    /// Whether the packet is its frame's first, and its last.
    pub ends: (bool, bool),
}

/// A decoder's memory of what it could decode: up to which spatial layer of each picture.
#[derive(Debug, Default)]
pub struct Decoder {
    decoded: BTreeMap<u32, u8>,
}

/// The temporal layer of a picture that comes so many after a keyframe, and how far back the one is
/// that it needs.
pub fn pattern(since_key: u32) -> (u8, u8) {
    match since_key % 4 {
        _ if since_key == 0 => (0, 0),
        0 => (0, 4),
        2 => (1, 2),
        _ => (2, 1),
    }
}

// === impl Place ===

impl Place {
    /// The payload descriptor (RFC 9628, flexible mode), and the head of a keyframe.
    pub fn write(&self) -> Vec<u8> {
        let flag = |is: bool, bit: u8| if is { bit } else { 0 };
        let predicted = flag(self.back > 0, 0x40);
        let mut head = vec![0xb0 | predicted | flag(self.ends.0, 0x08) | flag(self.ends.1, 0x04)];
        head.extend_from_slice(&(self.picture | 0x8000).to_be_bytes());
        head.push(self.temporal << 5 | self.spatial << 1 | flag(self.spatial > 0, 1));
        if self.back > 0 {
            head.push(self.back << 1);
        }
        head.extend_from_slice(if predicted == 0 { &KEYFRAME } else { &[0x86] });
        head
    }
}

// === impl Decoder ===

impl Decoder {
    /// Decodes a picture of these packets; gives its highest spatial layer, or what is wrong with it.
    pub fn decode(&mut self, packets: &[(Piece, &[u8])]) -> Result<u8, String> {
        let number = packets[0].0.frame;
        let mut rest = packets;
        let mut highest = None;
        while let Some((first, payload)) = rest.first() {
            let spatial = first.layer;
            let end = rest.iter().position(|(it, _)| it.layer != spatial).unwrap_or(rest.len());
            let frame = &rest[..end];
            let is_whole = frame.len() == usize::from(first.count)
                && frame.iter().zip(0..).all(|((it, _), index)| {
                    (it.index, it.frame, it.source) == (index, number, first.source)
                });
            if !is_whole {
                return Err(format!("not one whole frame: {first:?} of {}", frame.len()));
            }
            if spatial != highest.map_or(0, |below| below + 1) {
                return Err(format!("no spatial layer below {first:?}"));
            }
            let descriptor = Descriptor::parse(payload).ok_or("no descriptor")?;
            if first.keyframe {
                self.decoded.clear();
            }
            for back in descriptor.references.into_iter().filter(|back| *back > 0) {
                let needed = self.decoded.get(&(number - u32::from(back)));
                if needed.is_none_or(|highest| *highest < spatial) {
                    return Err(format!("{first:?} needs {back} back, decoded to {needed:?}"));
                }
            }
            highest = Some(spatial);
            rest = &rest[end..];
        }
        let highest = highest.ok_or("an empty picture")?;
        self.decoded.insert(number, highest);
        while self.decoded.len() > 16 {
            self.decoded.pop_first();
        }
        Ok(highest)
    }
}

/// Of a real encoder: 642 x 362.
pub const KEYFRAME: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06];

/// Packets of each spatial layer's frame and bytes of each: 160, 580 and 2,300 kbit/s with those below.
pub const SPATIAL: [(u16, usize); 3] = [(1, 460), (2, 700), (6, 1000)];

#[test]
fn a_place_is_read_back() {
    for (spatial, since_key) in [(0, 0), (1, 0), (2, 5), (0, 4), (1, 2)] {
        let (temporal, back) = pattern(since_key);
        let place = Place { picture: 700, spatial, temporal, back, ends: (true, false) };
        let read = Descriptor::parse(&place.write()).unwrap();
        assert_eq!((read.spatial, read.temporal, read.references[0]), (spatial, temporal, back));
        assert_eq!((read.start, read.end, read.picture_id), (true, false, Some(700)));
        assert_eq!((read.inter_layer, read.inter_picture), (spatial > 0, back > 0));
    }
}
