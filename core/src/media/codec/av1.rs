//! AV1 payloads (AOMedia's RTP payload format 1.0): the aggregation header and the units behind it.

mod sequence;

use super::PayloadInfo;

/// Reads the aggregation header, the first layer indices and a sequence header.
///
/// A frame may be one of several in its temporal unit: `starts_frame` says that a unit begins that
/// can be a temporal unit's first, on the lowest spatial layer.
pub(super) fn inspect(payload: &[u8]) -> PayloadInfo {
    let mut info = PayloadInfo::default();
    let Some((&head, _)) = payload.split_first() else { return info };
    let continues = head & CONTINUES != 0;
    info.keyframe = head & NEW_SEQUENCE != 0 && !continues;
    // The first element of a continued packet is the middle of a unit and has no header.
    for (index, element) in Elements::new(payload).skip(usize::from(continues)).enumerate() {
        let Some(unit) = Unit::parse(element) else { break };
        (info.temporal, info.spatial) = (unit.temporal, unit.spatial);
        if index == 0 && !continues {
            info.starts_frame = unit.spatial == 0 && unit.may_lead();
        }
        match unit.kind {
            SEQUENCE_HEADER => info.size = info.size.or_else(|| sequence::size(unit.body)),
            TEMPORAL_DELIMITER | METADATA => {}
            // Layer indices stand on the units of a frame; what follows them says no more.
            _ => break,
        }
    }
    info
}

/// The elements of a packet in order, each an OBU or a piece of one. One that leaves the packet is
/// cut where the packet ends.
struct Elements<'a> {
    rest: &'a [u8],
    /// How many elements are left, if the aggregation header says so (W).
    announced: Option<u8>,
}

/// An open bitstream unit.
struct Unit<'a> {
    kind: u8,
    temporal: u8,
    spatial: u8,
    body: &'a [u8],
}

// === impl Elements ===

impl<'a> Elements<'a> {
    fn new(payload: &'a [u8]) -> Self {
        let (head, rest) = payload.split_first().map_or((0, payload), |(h, rest)| (*h, rest));
        let count = (head >> 4) & 0x03;
        Self { rest, announced: (count != 0).then_some(count) }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let last = match &mut self.announced {
            Some(0) => return None,
            Some(left) => {
                *left -= 1;
                *left == 0
            }
            None => false,
        };
        if last {
            return Some(std::mem::take(&mut self.rest));
        }
        let (len, rest) = leb128(self.rest)?;
        let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
        let (element, rest) = rest.split_at(len);
        self.rest = rest;
        Some(element)
    }
}

// === impl Unit ===

impl<'a> Unit<'a> {
    fn parse(element: &'a [u8]) -> Option<Self> {
        let (&head, mut rest) = element.split_first()?;
        let mut layers = 0;
        if head & HAS_EXTENSION != 0 {
            let (&extension, after) = rest.split_first()?;
            (layers, rest) = (extension, after);
        }
        if head & HAS_SIZE != 0 {
            let (len, after) = leb128(rest)?;
            let len = usize::try_from(len).unwrap_or(usize::MAX).min(after.len());
            rest = &after[..len];
        }
        Some(Self {
            kind: (head >> 3) & 0x0F,
            temporal: layers >> 5,
            spatial: (layers >> 3) & 0x03,
            body: rest,
        })
    }

    /// Whether a temporal unit can begin with this: not with more tiles of a frame, nor padding.
    fn may_lead(&self) -> bool {
        matches!(self.kind, SEQUENCE_HEADER | TEMPORAL_DELIMITER | FRAME_HEADER | METADATA | FRAME)
    }
}

/// The largest size a frame of the sequence has, from a sequence header OBU without its header.
pub fn sequence_size(body: &[u8]) -> Option<(u16, u16)> {
    sequence::size(body)
}

/// Takes a little-endian base 128 number of at most eight bytes off the front.
pub fn leb128(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0;
    for (index, byte) in bytes.iter().take(8).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

// Aggregation header: Z and N.
const CONTINUES: u8 = 0x80;
const NEW_SEQUENCE: u8 = 0x08;
// OBU header.
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const METADATA: u8 = 5;
const FRAME: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    // A sequence header of 642x362 as libaom writes it, its size field taken off.
    const SEQUENCE: [u8; 12] =
        [0x08, 0x00, 0x00, 0x00, 0x0C, 0xC5, 0x03, 0x69, 0x36, 0xBE, 0x40, 0x10];
    // A frame unit on temporal layer 2, spatial layer 1.
    const LAYERED: [u8; 4] = [0x34, 0x48, 0x14, 0x00];

    fn info(starts_frame: bool, keyframe: bool, size: Option<(u16, u16)>) -> PayloadInfo {
        PayloadInfo { starts_frame, keyframe, size, ..PayloadInfo::default() }
    }

    #[test]
    fn the_aggregation_header_tells_where_sequences_and_frames_begin() {
        let size = Some((642, 362));
        let with_size = [&[0x1A, 0x0A, 0x0B], &SEQUENCE[1..]].concat();
        let rows: [(&str, Vec<u8>, PayloadInfo); 11] = [
            (
                "two announced",
                [&[0x28, 12], &SEQUENCE[..], &[0x30]].concat(),
                info(true, true, size),
            ),
            (
                "none announced",
                [&[0x08, 12], &SEQUENCE[..], &[1, 0x30]].concat(),
                info(true, true, size),
            ),
            ("one announced", [&[0x18], &SEQUENCE[..]].concat(), info(true, true, size)),
            ("with a size field", with_size, info(true, true, size)),
            (
                "behind a delimiter",
                [&[0x28, 1, 0x10], &SEQUENCE[..]].concat(),
                info(true, true, size),
            ),
            ("frame", vec![0x10, 0x30, 0x01], info(true, false, None)),
            ("tiles", vec![0x10, 0x20, 0x01], info(false, false, None)),
            ("continued", vec![0x90, 0x30, 0x01], info(false, false, None)),
            ("continued and new", vec![0x98, 0x30, 0x01], info(false, false, None)),
            ("cut sequence", [&[0x28, 12], &SEQUENCE[..6]].concat(), info(true, true, None)),
            ("header alone", vec![0x18], info(false, true, None)),
        ];
        for (name, payload, want) in rows {
            assert_eq!(inspect(&payload), want, "{name}");
        }
    }

    #[test]
    fn layers_are_those_of_the_first_frame_unit() {
        let rows: [(&str, Vec<u8>, bool); 3] = [
            ("alone", [&[0x10], &LAYERED[..]].concat(), false),
            ("behind a sequence", [&[0x28, 12], &SEQUENCE[..], &LAYERED].concat(), true),
            ("behind the end of another", [&[0xA0, 2, 7, 7], &LAYERED[..]].concat(), false),
        ];
        for (name, payload, starts_frame) in rows {
            let info = inspect(&payload);
            assert_eq!((info.temporal, info.spatial), (2, 1), "{name}");
            assert_eq!(info.starts_frame, starts_frame, "{name}");
        }
    }

    #[test]
    fn lengths_are_at_most_eight_bytes_of_leb128() {
        assert_eq!(leb128(&[0xE5, 0x8E, 0x26, 9]), Some((624_485, &[9][..])));
        assert_eq!(leb128(&[0x80]), None);
        assert_eq!(leb128(&[0xFF; 9]), None);
        let longest = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F];
        assert_eq!(leb128(&longest), Some(((1 << 56) - 1, &[][..])));
    }
}
