//! A keeper of the parameter sets that a stream brought, in packets or in its description.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::media::Setup;

/// Parameter sets by id. They are copied, so that none keeps its packet.
#[derive(Debug, Default)]
pub(super) struct Sets {
    vps: BTreeMap<u8, Bytes>,
    sps: BTreeMap<u8, Sps>,
    pps: BTreeMap<u8, Pps>,
    /// Whether a set came in a packet.
    pub(super) in_band: bool,
}

/// A sequence parameter set.
#[derive(Debug)]
struct Sps {
    unit: Bytes,
    size: (u16, u16),
}

/// A picture parameter set and the id of the sequence parameter set it belongs to.
#[derive(Debug)]
struct Pps {
    unit: Bytes,
    sps: u8,
}

// === impl Sets ===

impl Sets {
    /// Keeps a video parameter set. `None` is nonsense, here and below.
    pub(super) fn put_vps(&mut self, id: u8, unit: &[u8]) -> Option<()> {
        let unit = copy(unit)?;
        (id < MAX_VPS).then(|| self.vps.insert(id, unit))?;
        Some(())
    }

    /// Keeps a sequence parameter set. Where it is another one than before, the picture parameter
    /// sets that belong to it have to come again.
    pub(super) fn put_sps(&mut self, (id, size): (u8, (u16, u16)), unit: &[u8]) -> Option<()> {
        if id >= MAX_SPS {
            return None;
        }
        if self.sps.get(&id).is_some_and(|known| known.unit == unit) {
            return Some(());
        }
        self.pps.retain(|_, pps| pps.sps != id);
        self.sps.insert(id, Sps { unit: copy(unit)?, size });
        Some(())
    }

    /// Keeps a picture parameter set.
    pub(super) fn put_pps(&mut self, (id, sps): (u8, u8), unit: &[u8]) -> Option<()> {
        self.pps.insert(id, Pps { unit: copy(unit)?, sps });
        Some(())
    }

    /// Whether nothing is known yet.
    pub(super) fn is_empty(&self) -> bool {
        self.sps.is_empty() || self.pps.is_empty()
    }

    /// What a decoder of H.264 has to know for a slice that uses this picture parameter set.
    pub(super) fn h264(&self, pps: u8) -> Option<Setup> {
        let id = self.pps.get(&pps)?.sps;
        let sps = self.sps.get(&id)?;
        let pps = self.pps.values().filter(|pps| pps.sps == id);
        let pps = pps.map(|pps| pps.unit.clone()).collect();
        Some(Setup::H264 { size: sps.size, sps: sps.unit.clone(), pps })
    }

    /// What a decoder of H.265 has to know for a slice that uses this picture parameter set.
    pub(super) fn h265(&self, pps: u8) -> Option<Setup> {
        let size = self.sps.get(&self.pps.get(&pps)?.sps)?.size;
        if self.vps.is_empty() {
            return None;
        }
        Some(Setup::H265 {
            size,
            vps: self.vps.values().cloned().collect(),
            sps: self.sps.values().map(|sps| sps.unit.clone()).collect(),
            pps: self.pps.values().map(|pps| pps.unit.clone()).collect(),
        })
    }
}

/// Reads units in base64, between commas, as format parameters have them. Nonsense is left out.
pub(super) fn described(parameter: Option<&str>) -> Vec<Vec<u8>> {
    parameter.unwrap_or_default().split(',').filter_map(base64).collect()
}

/// Reads base64 (RFC 4648 section 4), padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim().trim_end_matches('=');
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut value, mut bits) = (0_u32, 0);
    for digit in text.bytes() {
        let six = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        value = value << 6 & 0xFFFF | u32::from(six);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((value >> bits) as u8);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

fn copy(unit: &[u8]) -> Option<Bytes> {
    (unit.len() <= MAX_LEN).then(|| Bytes::copy_from_slice(unit))
}

const MAX_VPS: u8 = 16;
const MAX_SPS: u8 = 32;

/// Sets are some dozens of bytes; with all scaling lists some hundreds.
const MAX_LEN: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_with_padding_or_without() {
        let rows: [(&str, Option<&[u8]>); 8] = [
            ("Z0LAHg==", Some(&[0x67, 0x42, 0xC0, 0x1E])),
            ("Z0LAHg", Some(&[0x67, 0x42, 0xC0, 0x1E])),
            (" aM4= ", Some(&[0x68, 0xCE])),
            ("+/+/", Some(&[0xFB, 0xFF, 0xBF])),
            ("////////", Some(&[0xFF; 6])),
            ("Z0-A", None),
            ("", None),
            ("A", None),
        ];
        for (text, want) in rows {
            assert_eq!(base64(text).as_deref(), want, "{text}");
        }
        assert_eq!(described(Some("Z0I=,!,aM4=")), [[0x67, 0x42], [0x68, 0xCE]]);
        assert_eq!(described(None), Vec::<Vec<u8>>::new());
    }

    #[test]
    fn another_sequence_parameter_set_makes_its_picture_parameter_sets_void() {
        let mut sets = Sets::default();
        sets.put_sps((0, (16, 16)), &[0x67, 1]).unwrap();
        sets.put_sps((1, (32, 16)), &[0x67, 2]).unwrap();
        sets.put_pps((0, 0), &[0x68, 1]).unwrap();
        sets.put_pps((1, 1), &[0x68, 2]).unwrap();
        sets.put_pps((2, 0), &[0x68, 3]).unwrap();
        let Some(Setup::H264 { pps, .. }) = sets.h264(2) else { panic!("both are known") };
        assert_eq!(pps, [&[0x68, 1][..], &[0x68, 3]]);
        sets.put_sps((0, (16, 16)), &[0x67, 1]).unwrap();
        assert!(sets.h264(0).is_some(), "a repeat is no change");
        sets.put_sps((0, (64, 64)), &[0x67, 9]).unwrap();
        assert_eq!((sets.h264(0), sets.h264(2)), (None, None));
        assert_eq!(sets.h264(1).unwrap().size(), Some((32, 16)));
    }

    #[test]
    fn sets_beyond_all_bounds_are_nonsense() {
        let mut sets = Sets::default();
        assert_eq!(sets.put_vps(16, &[0x40]), None);
        assert_eq!(sets.put_sps((32, (16, 16)), &[0x67]), None);
        assert_eq!(sets.put_pps((0, 0), &[0x68; MAX_LEN + 1]), None);
    }
}
