//! A collector of the NAL units that H.264 and H.265 payloads carry whole, together or in fragments.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The units of one access unit.
#[derive(Debug, Default)]
pub(super) struct Units {
    units: Vec<Bytes>,
    open: Option<BytesMut>,
}

// === impl Units ===

impl Units {
    /// Takes in a whole unit. As everywhere here, `None` is nonsense.
    pub(super) fn push(&mut self, unit: Bytes) -> Option<()> {
        if self.open.is_some() || self.units.len() == MAX_UNITS {
            return None;
        }
        self.units.push(unit);
        Some(())
    }

    /// Takes in units that each stand behind two bytes of length.
    pub(super) fn aggregate(&mut self, mut body: Bytes) -> Option<()> {
        while !body.is_empty() {
            let len = usize::from(body.try_get_u16().ok()?);
            if len > body.len() {
                return None;
            }
            let unit = body.split_to(len);
            if !unit.is_empty() {
                self.push(unit)?;
            }
        }
        Some(())
    }

    /// Takes in a piece of a unit; `flags` is its fragment header, `head` the whole unit's header.
    pub(super) fn fragment(&mut self, flags: u8, head: &[u8], body: &[u8]) -> Option<()> {
        let mut unit = match (flags & FU_START != 0, self.open.take()) {
            (true, None) => BytesMut::from(head),
            (false, Some(unit)) => unit,
            _ => return None,
        };
        unit.extend_from_slice(body);
        if flags & FU_END != 0 {
            return self.push(unit.freeze());
        }
        self.open = Some(unit);
        Some(())
    }

    /// All units, if none is left open.
    pub(super) fn finish(self) -> Option<Vec<Bytes>> {
        self.open.is_none().then_some(self.units)
    }
}

/// Puts units side by side, each behind four bytes of length.
pub(super) fn join(units: &[Bytes]) -> Bytes {
    let mut out = BytesMut::with_capacity(units.iter().map(|unit| 4 + unit.len()).sum());
    for unit in units {
        out.put_u32(unit.len() as u32);
        out.extend_from_slice(unit);
    }
    out.freeze()
}

const FU_START: u8 = 0x80;
const FU_END: u8 = 0x40;

/// Levels allow some hundred slices; without a bound, empty ones would take more room than their
/// packets.
const MAX_UNITS: usize = 2048;
