//! A frame's place among the frames of a scalable layer, as far as its packets tell.
//!
//! A dependency descriptor tells it of any codec; the payloads of VP9 and VP8 tell it themselves.

use super::codec::{self, PayloadInfo};
use super::dependency;
use super::{Codec, ExtensionKind, Packet, Unwrapper16};

/// What a packet tells of its frame, beyond the layers in [`PayloadInfo`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameInfo {
    /// Counts frames in their order; numbers may be left out. Wraps.
    pub number: u32,
    /// Whether the packet is its frame's last.
    pub ends: bool,
    /// Whether viewers' decoders count pictures, so that one left out must not leave a hole (VP8).
    pub counted: bool,
    /// The frames it needs.
    pub needs: Needs,
    /// Width and height of its spatial layer, where that is told.
    pub size: Option<(u16, u16)>,
}

/// The frames that a frame needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Those that lie so many numbers back; what is not used is 0.
    Listed([u16; 8]),
    /// Some that its layers tell of.
    Implied {
        /// Whether the frame needs no other frame of its own or a higher temporal layer: sending
        /// that layer may begin with it.
        joins: bool,
        /// Whether the frames of higher temporal layers that follow need nothing of those layers
        /// from before it: sending them may begin after it.
        opens: bool,
    },
    /// Nobody knows: what tells has not arrived.
    Unknown,
}

/// A reader of the frames of one stream of packets.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    descriptors: dependency::Reader,
    numbers: Unwrapper16,
    described: bool,
    picture: Option<u32>,
}

// === impl Needs ===

impl Needs {
    /// Nothing: a keyframe.
    pub const NOTHING: Self = Self::Listed([0; 8]);

    /// So many numbers back each; more than eight are not expressed.
    pub fn listed(distances: &[u16]) -> Self {
        let mut back = [0; 8];
        for (place, distance) in back.iter_mut().zip(distances) {
            *place = *distance;
        }
        Self::Listed(back)
    }
}

// === impl Reader ===

impl Reader {
    /// Adds to `info` what a packet tells of its frame: its place, and layers that the payload hides.
    pub fn read(&mut self, codec: Codec, packet: &Packet, info: &mut PayloadInfo) {
        if packet.is_padding_only() {
            return;
        }
        if let Some(data) = packet.extension(ExtensionKind::DependencyDescriptor) {
            self.described = true;
            info.frame = self.describe(codec, data, info);
        } else if !self.described {
            info.frame = match codec {
                Codec::Vp8 => self.of_vp8(packet.payload()),
                Codec::Vp9 => self.of_vp9(packet.payload()),
                Codec::Opus | Codec::H264 | Codec::H265 | Codec::Av1 => None,
            };
        }
    }

    fn describe(&mut self, codec: Codec, data: &[u8], info: &mut PayloadInfo) -> Option<FrameInfo> {
        let descriptor = self.descriptors.read(data)?;
        let number = self.numbers.extend(descriptor.frame_number) as u32;
        let (mut needs, mut size) = (Needs::Unknown, None);
        if let Some(frame) = &descriptor.frame {
            (info.spatial, info.temporal) = (frame.spatial, frame.temporal);
            needs = Needs::listed(&frame.needs);
            size = frame.size;
        }
        let (ends, counted) = (descriptor.ends_frame, codec == Codec::Vp8);
        Some(FrameInfo { number, ends, counted, needs, size })
    }

    fn of_vp8(&mut self, payload: &[u8]) -> Option<FrameInfo> {
        let descriptor = codec::vp8::Descriptor::parse(payload)?;
        descriptor.tid?;
        let number = self.count(descriptor.picture_id?, descriptor.picture_id_bits);
        let needs = Needs::Implied { joins: descriptor.layer_sync, opens: false };
        // Where a frame ends, only the marker tells.
        Some(FrameInfo { number, ends: false, counted: true, needs, size: None })
    }

    fn of_vp9(&mut self, payload: &[u8]) -> Option<FrameInfo> {
        let descriptor = codec::vp9::Descriptor::parse(payload)?;
        let picture = self.count(descriptor.picture_id?, descriptor.picture_id_bits);
        let number = picture.wrapping_mul(LAYERS).wrapping_add(u32::from(descriptor.spatial));
        let below = descriptor.inter_layer.then_some(1);
        let needs = match descriptor.inter_picture {
            true if !descriptor.flexible => {
                Needs::Implied { joins: false, opens: descriptor.switching_up }
            }
            _ => {
                let earlier = descriptor.references.iter().filter(|distance| **distance != 0);
                let earlier = earlier.map(|distance| u16::from(*distance) * LAYERS as u16);
                let distances: Vec<u16> = below.into_iter().chain(earlier).collect();
                Needs::listed(&distances)
            }
        };
        Some(FrameInfo { number, ends: descriptor.end, counted: false, needs, size: None })
    }

    /// Goes on counting pictures whose ids have so many bits.
    fn count(&mut self, id: u16, bits: u8) -> u32 {
        let range = 1 << bits;
        // Ids of pictures before the first one must not fall below nothing.
        let last = self.picture.unwrap_or(u32::from(id) + range);
        let ahead = u32::from(id).wrapping_sub(last) & (range - 1);
        let number = last.wrapping_add(ahead);
        let number = if ahead < range / 2 { number } else { number.wrapping_sub(range) };
        self.picture = Some(number);
        number
    }
}

/// VP9 has up to eight spatial layers in a picture.
const LAYERS: u32 = 8;

#[cfg(test)]
mod tests;
