//! A template structure: the kinds of frames that a stream repeats until its next keyframe.

use super::{Distances, MAX_NEEDS};
use crate::media::codec::bits::Bits;

/// What a keyframe says of the frames that follow it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Structure {
    /// The id of its first template.
    pub first_id: u8,
    /// Its templates, lowest layers first; at most 64.
    pub templates: Vec<Template>,
    /// How many decode targets there are, 1 to 32.
    pub targets: u32,
    /// How many chains protect them, at most as many.
    pub chains: u32,
    /// Width and height of each spatial layer; empty where they are not told.
    pub sizes: Vec<(u16, u16)>,
}

/// A kind of frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// Spatial layer, 0 to 3.
    pub spatial: u8,
    /// Temporal layer, 0 to 7.
    pub temporal: u8,
    /// The frames it needs.
    pub needs: Distances,
}

// === impl Structure ===

impl Structure {
    /// Reads `template_dependency_structure()`; `None` if it breaks the format.
    pub(super) fn read(bits: &mut Bits<'_>) -> Option<Self> {
        let first_id = bits.take(6)? as u8;
        let targets = bits.take(5)? + 1;
        let mut templates = layers(bits)?;
        // What each frame is to each decode target follows from the layers of both.
        bits.skip(2 * targets * templates.len() as u32)?;
        for template in &mut templates {
            while bits.flag()? {
                if template.needs.len() == MAX_NEEDS {
                    return None;
                }
                template.needs.push(bits.take(4)? as u16 + 1);
            }
        }
        let chains = non_symmetric(bits, targets + 1)?;
        if chains > 0 {
            for _ in 0..targets {
                non_symmetric(bits, chains)?;
            }
            bits.skip(4 * chains * templates.len() as u32)?;
        }
        let sizes = if bits.flag()? { sizes(bits, &templates)? } else { Vec::new() };
        Some(Self { first_id, templates, targets, chains, sizes })
    }

    /// The template of an id, if it is one of this structure's.
    pub fn template(&self, id: u8) -> Option<&Template> {
        self.templates.get(usize::from((id + IDS - self.first_id) % IDS))
    }

    /// The highest spatial and temporal layer.
    pub fn top(&self) -> (u8, u8) {
        let top = |of: fn(&Template) -> u8| self.templates.iter().map(of).max().unwrap_or(0);
        (top(|template| template.spatial), top(|template| template.temporal))
    }

    /// A bit for each of its decode targets.
    pub(super) fn all_targets(&self) -> u32 {
        u32::MAX >> (u32::BITS - self.targets)
    }
}

/// Reads `template_layers()`.
fn layers(bits: &mut Bits<'_>) -> Option<Vec<Template>> {
    let (mut spatial, mut temporal) = (0, 0);
    let mut templates = Vec::new();
    loop {
        if templates.len() == usize::from(IDS) {
            return None;
        }
        templates.push(Template { spatial, temporal, needs: Distances::new() });
        match bits.take(2)? {
            SAME => {}
            NEXT_TEMPORAL => temporal += 1,
            NEXT_SPATIAL => (spatial, temporal) = (spatial + 1, 0),
            _ => return Some(templates),
        }
        if spatial > MAX_SPATIAL || temporal > MAX_TEMPORAL {
            return None;
        }
    }
}

/// Reads `render_resolutions()`.
fn sizes(bits: &mut Bits<'_>, templates: &[Template]) -> Option<Vec<(u16, u16)>> {
    let layers = templates.last()?.spatial + 1;
    (0..layers)
        .map(|_| {
            let (width, height) = (bits.take(16)?, bits.take(16)?);
            let plus_one = |side: u32| u16::try_from(side + 1).unwrap_or(u16::MAX);
            Some((plus_one(width), plus_one(height)))
        })
        .collect()
}

/// Takes a number below `end` as AV1 writes it, `ns(n)`: the lower ones in a bit less.
fn non_symmetric(bits: &mut Bits<'_>, end: u32) -> Option<u32> {
    let width = u32::BITS - end.leading_zeros();
    let short = (1 << width) - end;
    let value = bits.take(width.checked_sub(1)?)?;
    if value < short {
        return Some(value);
    }
    Some((value << 1) - short + bits.take(1)?)
}

const IDS: u8 = 64;
const MAX_SPATIAL: u8 = 3;
const MAX_TEMPORAL: u8 = 7;
const SAME: u32 = 0;
const NEXT_TEMPORAL: u32 = 1;
const NEXT_SPATIAL: u32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_below_any_end_take_as_few_bits_as_they_can() {
        // Of five numbers, three take two bits and two take three.
        let rows = [(0b0000_0000, 0), (0b0100_0000, 1), (0b1000_0000, 2), (0b1100_0000, 3)];
        for (byte, want) in rows {
            assert_eq!(non_symmetric(&mut Bits::new(&[byte]), 5), Some(want), "{byte:08b}");
        }
        assert_eq!(non_symmetric(&mut Bits::new(&[0b1110_0000]), 5), Some(4));
        assert_eq!(non_symmetric(&mut Bits::new(&[]), 1), Some(0), "one number takes none");
        assert_eq!(non_symmetric(&mut Bits::new(&[]), 2), None);
    }
}
