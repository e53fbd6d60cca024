//! A dependency descriptor that tells, packet by packet, which frames a frame needs (the header
//! extension of AOMedia's RTP payload format for AV1, appendix A).
//!
//! Most packets only name a template of a structure that the last keyframe brought: a reader keeps
//! the structures. Whatever the bytes, memory is bounded by what a structure may hold.

mod structure;

use std::sync::Arc;

use smallvec::SmallVec;

use super::codec::bits::Bits;
pub use structure::{Structure, Template};

/// How far back the frames are that a frame needs, in frame numbers.
pub type Distances = SmallVec<[u16; 6]>;

/// What the descriptor of one packet says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Descriptor {
    /// Whether the packet is its frame's first.
    pub starts_frame: bool,
    /// Whether the packet is its frame's last.
    pub ends_frame: bool,
    /// The frame's number, modulo 65,536.
    pub frame_number: u16,
    /// Whether the packet brings a new structure.
    pub brings_structure: bool,
    /// One bit per decode target that the encoder serves, where the packet tells.
    pub active_targets: Option<u32>,
    /// What is known only with the structure that the packet was written against.
    pub frame: Option<Dependence>,
}

/// A frame's place among the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependence {
    /// Spatial layer, 0 to 3.
    pub spatial: u8,
    /// Temporal layer, 0 to 7.
    pub temporal: u8,
    /// The frames it needs.
    pub needs: Distances,
    /// Width and height of its spatial layer, where the structure tells.
    pub size: Option<(u16, u16)>,
}

/// The structures of one stream of packets.
#[derive(Clone, Debug, Default)]
pub struct Reader {
    present: Option<Arc<Structure>>,
    /// Packets from before a keyframe may come after it, sent again.
    previous: Option<Arc<Structure>>,
}

/// The flags that lead the fields of longer descriptors.
#[derive(Clone, Copy, Debug, Default)]
struct Flags {
    structure: bool,
    active_targets: bool,
    targets: bool,
    distances: bool,
    chains: bool,
}

// === impl Reader ===

impl Reader {
    /// Reads the extension's data; `None` if it breaks the format. A structure in it is kept.
    pub fn read(&mut self, data: &[u8]) -> Option<Descriptor> {
        let mut bits = Bits::new(data);
        let starts_frame = bits.flag()?;
        let ends_frame = bits.flag()?;
        let template_id = bits.take(6)? as u8;
        let frame_number = bits.take(16)? as u16;
        let mut descriptor = Descriptor {
            starts_frame,
            ends_frame,
            frame_number,
            brings_structure: false,
            active_targets: None,
            frame: None,
        };
        let flags = if data.len() > SHORT { Flags::read(&mut bits)? } else { Flags::default() };
        if flags.structure {
            let structure = Arc::new(Structure::read(&mut bits)?);
            descriptor.brings_structure = true;
            descriptor.active_targets = Some(structure.all_targets());
            self.take_in(structure);
        }
        let known = [&self.present, &self.previous].into_iter().flatten();
        let structure = known.into_iter().find(|it| it.template(template_id).is_some());
        let Some(structure) = structure else { return Some(descriptor) };
        if flags.active_targets {
            descriptor.active_targets = Some(bits.take(structure.targets)?);
        }
        descriptor.frame = Some(definition(&mut bits, structure, template_id, flags)?);
        Some(descriptor)
    }

    /// The structure that the last keyframe brought.
    pub fn structure(&self) -> Option<&Structure> {
        self.present.as_deref()
    }

    fn take_in(&mut self, structure: Arc<Structure>) {
        // A keyframe's packet that comes twice brings nothing new.
        if self.present.as_ref() != Some(&structure) {
            self.previous = self.present.replace(structure);
        }
    }
}

// === impl Flags ===

impl Flags {
    fn read(bits: &mut Bits<'_>) -> Option<Self> {
        Some(Self {
            structure: bits.flag()?,
            active_targets: bits.flag()?,
            targets: bits.flag()?,
            distances: bits.flag()?,
            chains: bits.flag()?,
        })
    }
}

/// Reads `frame_dependency_definition()`: the template, and what differs from it.
fn definition(
    bits: &mut Bits<'_>,
    structure: &Structure,
    template_id: u8,
    flags: Flags,
) -> Option<Dependence> {
    let template = structure.template(template_id)?;
    if flags.targets {
        bits.skip(2 * structure.targets)?;
    }
    let needs = if flags.distances { own_distances(bits)? } else { template.needs.clone() };
    if flags.chains {
        bits.skip(8 * structure.chains)?;
    }
    let Template { spatial, temporal, .. } = *template;
    let size = structure.sizes.get(usize::from(spatial)).copied();
    Some(Dependence { spatial, temporal, needs, size })
}

/// Reads `frame_fdiffs()`: each in one to three groups of four bits, until a group count of none.
fn own_distances(bits: &mut Bits<'_>) -> Option<Distances> {
    let mut distances = Distances::new();
    loop {
        let groups = bits.take(2)?;
        if groups == 0 {
            return Some(distances);
        }
        if distances.len() == MAX_NEEDS {
            return None;
        }
        distances.push(bits.take(4 * groups)? as u16 + 1);
    }
}

/// Writes another frame number over that of a descriptor; one that is cut short is left alone.
pub fn renumber(data: &mut [u8], frame_number: u16) {
    if let Some(field) = data.get_mut(1..SHORT) {
        field.copy_from_slice(&frame_number.to_be_bytes());
    }
}

/// The frame number of a descriptor, which needs no structure.
pub fn frame_number(data: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*data.get(1)?, *data.get(2)?]))
}

/// A descriptor of this length has the mandatory fields only.
const SHORT: usize = 3;

/// Frames that one frame may need. AV1 has eight slots for references.
const MAX_NEEDS: usize = 8;

#[cfg(test)]
mod tests;
