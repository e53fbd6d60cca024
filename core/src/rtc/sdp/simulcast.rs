//! A reader of the simulcast lines: `a=rid` (RFC 8851) and `a=simulcast` (RFC 8853).

use rtc_sdp::description::common::Attribute;

use super::SdpError;
use super::description::{malformed, one_line};
use super::media::values;
use crate::media::{PayloadType, Rid};

/// The layers that one section announces.
#[derive(Clone, Debug, Default)]
pub(super) struct Layers {
    /// What it wants to send, in the order of `a=simulcast`.
    pub(super) send: Vec<Layer>,
    /// What it wants to receive.
    pub(super) recv: Vec<Layer>,
}

/// One layer.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    pub(super) rid: Rid,
    /// The payload types it is bound to; empty for any.
    pts: Vec<PayloadType>,
    /// Its other restrictions as they stand, `key=value` each.
    restrictions: Vec<String>,
}

/// Lines beyond this number are ignored.
const MAX_RID_LINES: usize = 64;
/// The most that a two-byte header extension carries (RFC 8285 section 4.3).
const MAX_RID_BYTES: usize = 255;

// === impl Layers ===

impl Layers {
    /// Reads the layers of a section. Without `a=simulcast` the `a=rid` lines mean nothing here.
    pub(super) fn read(lines: &[Attribute]) -> Result<Self, SdpError> {
        let Some(simulcast) = values(lines, "simulcast").next() else {
            return Ok(Self::default());
        };
        let mut layers = Self::default();
        let mut words = simulcast.split_ascii_whitespace();
        while let (Some(direction), Some(list)) = (words.next(), words.next()) {
            let target = match direction {
                "send" => &mut layers.send,
                "recv" => &mut layers.recv,
                _ => {
                    let text = one_line(&simulcast);
                    return Err(malformed(format!("a=simulcast:{text} has no send or recv list")));
                }
            };
            *target = read_list(list, direction, lines)?;
        }
        Ok(layers)
    }
}

/// Reads one list of `a=simulcast`: layers parted by `;`, the alternatives of each by `,`, a `~`
/// before those that begin paused. Takes of each layer the first alternative that an `a=rid` line
/// describes; RFC 8853 section 5.2 has the others ignored.
fn read_list(list: &str, direction: &str, lines: &[Attribute]) -> Result<Vec<Layer>, SdpError> {
    let mut described = Vec::new();
    for line in values(lines, "rid").take(MAX_RID_LINES) {
        let mut fields = line.split_ascii_whitespace();
        if let (Some(rid), Some(way)) = (fields.next(), fields.next())
            && way == direction
        {
            described.push(Layer::read(rid, fields.next().unwrap_or_default())?);
        }
    }
    let mut layers: Vec<Layer> = Vec::new();
    for alternatives in list.split(';').take(MAX_RID_LINES) {
        let layer = alternatives.split(',').find_map(|rid| {
            let rid = rid.trim_start_matches('~');
            described.iter().find(|layer| layer.rid.as_str() == rid)
        });
        if let Some(layer) = layer
            && !layers.iter().any(|other| other.rid == layer.rid)
        {
            layers.push(layer.clone());
        }
    }
    Ok(layers)
}

// === impl Layer ===

impl Layer {
    fn read(rid: &str, restrictions: &str) -> Result<Self, SdpError> {
        let plain = rid.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_');
        if !plain || rid.len() > MAX_RID_BYTES {
            return Err(malformed(format!("a=rid:{} has no valid name", one_line(&rid))));
        }
        let mut layer = Self { rid: Rid::from(rid), pts: Vec::new(), restrictions: Vec::new() };
        for restriction in restrictions.split(';').filter(|text| !text.is_empty()) {
            match restriction.strip_prefix("pt=") {
                Some(pts) => layer.pts.extend(
                    pts.split(',').filter_map(|pt| pt.parse().ok()).map(PayloadType).take(128),
                ),
                None => layer.restrictions.push(restriction.into()),
            }
        }
        Ok(layer)
    }

    /// Whether the layer may travel under a payload type.
    pub(super) fn allows(&self, pt: PayloadType) -> bool {
        self.pts.is_empty() || self.pts.contains(&pt)
    }

    /// The restrictions that an answer repeats (RFC 8851 section 6.3), with a leading space; empty
    /// without any.
    pub(super) fn answer_restrictions(&self, pt: PayloadType) -> String {
        let mut all = self.restrictions.clone();
        if !self.pts.is_empty() {
            all.insert(0, format!("pt={pt}"));
        }
        if all.is_empty() { String::new() } else { format!(" {}", all.join(";")) }
    }
}
