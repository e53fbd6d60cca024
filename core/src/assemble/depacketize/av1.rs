//! A depacketiser of AV1 (AOMedia's RTP payload format 1.0): the units of a temporal unit, each
//! with its size, as MP4 takes them.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::{Made, Unit, update};
use crate::media::Setup;
use crate::media::codec::av1::{leb128, sequence_size};

/// The configuration of the last sequence header.
#[derive(Debug, Default)]
pub struct Depacketizer {
    setup: Option<Arc<Setup>>,
}

/// A temporal unit as far as it is put together.
#[derive(Default)]
struct TemporalUnit {
    out: BytesMut,
    setup: Option<Setup>,
    /// Whether the first frame is a keyframe that is shown, and stands behind a sequence header.
    keyframe: Option<bool>,
}

// === impl Depacketizer ===

impl Depacketizer {
    pub(super) fn assemble(&mut self, payloads: &[Bytes]) -> Option<Made> {
        let room = payloads.iter().map(|payload| payload.len() + 2).sum();
        let mut unit = TemporalUnit { out: BytesMut::with_capacity(room), ..Default::default() };
        let mut open: Option<BytesMut> = None;
        for payload in payloads {
            let (&head, rest) = payload.split_first()?;
            let elements = elements(head, rest)?;
            let last = elements.len().checked_sub(1)?;
            for (index, element) in elements.into_iter().enumerate() {
                let continues = index == 0 && head & CONTINUES != 0;
                let goes_on = index == last && head & GOES_ON != 0;
                if continues != (index == 0 && open.is_some()) {
                    return None;
                }
                match (open.take(), goes_on) {
                    (Some(mut begun), goes_on) => {
                        begun.extend_from_slice(element);
                        match goes_on {
                            true => open = Some(begun),
                            false => unit.add(&begun)?,
                        }
                    }
                    (None, true) => open = Some(element.into()),
                    (None, false) if element.is_empty() => {}
                    (None, false) => unit.add(element)?,
                }
            }
        }
        if open.is_some() {
            return None;
        }
        if let Some(setup) = unit.setup {
            update(&mut self.setup, setup);
        }
        let Some(keyframe) = unit.keyframe else { return Some(Made::Nothing) };
        let Some(setup) = self.setup.clone() else { return Some(Made::Unknown) };
        Some(Made::Unit(Unit { keyframe, data: unit.out.freeze(), setup }))
    }
}

// === impl TemporalUnit ===

impl TemporalUnit {
    /// Takes in one whole OBU, with a size field or without.
    fn add(&mut self, obu: &[u8]) -> Option<()> {
        let (&head, mut body) = obu.split_first()?;
        let mut extension = None;
        if head & HAS_EXTENSION != 0 {
            let (&byte, rest) = body.split_first()?;
            (extension, body) = (Some(byte), rest);
        }
        if head & HAS_SIZE != 0 {
            let (len, rest) = leb128(body)?;
            body = rest.get(..usize::try_from(len).ok()?)?;
        }
        let kind = (head >> 3) & 0x0F;
        if matches!(kind, TEMPORAL_DELIMITER | TILE_LIST | PADDING) {
            return Some(());
        }
        let start = self.out.len();
        self.out.put_u8(head | HAS_SIZE);
        self.out.extend(extension);
        put_leb128(body.len(), &mut self.out);
        self.out.extend_from_slice(body);
        match kind {
            SEQUENCE_HEADER => {
                let size = sequence_size(body)?;
                let sequence_header = Bytes::copy_from_slice(&self.out[start..]);
                self.setup = Some(Setup::Av1 { size, sequence_header });
            }
            FRAME | FRAME_HEADER if self.keyframe.is_none() => {
                // show_existing_frame, two bits of frame_type, show_frame.
                let shown_key = body.first()? >> 4 == 0b0001;
                self.keyframe = Some(shown_key && self.setup.is_some());
            }
            _ => {}
        }
        Some(())
    }
}

/// The elements of a payload; `None` if one leaves it, or is missing.
fn elements(head: u8, mut rest: &[u8]) -> Option<Vec<&[u8]>> {
    let announced = usize::from((head >> 4) & 0x03);
    let mut elements = Vec::with_capacity(announced.max(1));
    while !rest.is_empty() {
        // The last of those that are announced has no length.
        if elements.len() + 1 == announced {
            elements.push(rest);
            return Some(elements);
        }
        let (len, after) = leb128(rest)?;
        let (element, after) = after.split_at_checked(usize::try_from(len).ok()?)?;
        elements.push(element);
        rest = after;
    }
    (announced == 0).then_some(elements)
}

fn put_leb128(mut value: usize, out: &mut BytesMut) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

// Aggregation header: Z and Y.
const CONTINUES: u8 = 0x80;
const GOES_ON: u8 = 0x40;
// OBU header.
const HAS_EXTENSION: u8 = 0x04;
const HAS_SIZE: u8 = 0x02;
const SEQUENCE_HEADER: u8 = 1;
const TEMPORAL_DELIMITER: u8 = 2;
const FRAME_HEADER: u8 = 3;
const FRAME: u8 = 6;
const TILE_LIST: u8 = 8;
const PADDING: u8 = 15;
