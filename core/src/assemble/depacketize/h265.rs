//! A depacketiser of H.265 (RFC 7798) without decoding order numbers, which are never negotiated.

use std::sync::Arc;

use bytes::Bytes;

use super::nal::{Units, join};
use super::sets::{Sets, described};
use super::{Made, Unit, update};
use crate::media::codec::PayloadInfo;
use crate::media::codec::h265::{read_pps, read_sps, read_vps, slice_pps};
use crate::media::{Format, Setup};

/// The parameter sets known so far, and the configuration of the last frame.
#[derive(Debug)]
pub struct Depacketizer {
    sets: Sets,
    setup: Option<Arc<Setup>>,
}

// === impl Depacketizer ===

impl Depacketizer {
    /// One that knows the sets in `sprop-vps`, `sprop-sps` and `sprop-pps` (RFC 7798 section 7.1).
    pub(super) fn new(format: &Format) -> Self {
        let mut depacketizer = Self { sets: Sets::default(), setup: None };
        for name in ["sprop-vps", "sprop-sps", "sprop-pps"] {
            for unit in described(format.parameter(name)) {
                // What is not understood may still come in packets.
                let _ = depacketizer.keep(&unit);
            }
        }
        depacketizer
    }

    pub(super) fn restart(&mut self, format: &Format) {
        self.sets = Self::new(format).sets;
    }

    pub(super) fn joins(&self, info: &PayloadInfo, payload: &[u8]) -> bool {
        let first = match kind(payload) {
            // The first unit stands behind its length, a fragment's kind in a byte of its own.
            AGGREGATION => payload.get(4..).map_or(0, kind),
            FRAGMENTATION => payload.get(2).map_or(0, |flags| flags & 0x3F),
            kind => kind,
        };
        let brings_sets = matches!(first, VPS | DELIMITER);
        info.keyframe && (brings_sets || !self.sets.in_band && !self.sets.is_empty())
    }

    pub(super) fn assemble(&mut self, payloads: &[Bytes]) -> Option<Made> {
        let mut units = Units::default();
        for payload in payloads {
            let &[first, second] = payload.first_chunk()?;
            match kind(payload) {
                0..AGGREGATION => units.push(payload.clone())?,
                AGGREGATION => units.aggregate(payload.slice(2..))?,
                FRAGMENTATION => {
                    let &flags = payload.get(2)?;
                    let head = [first & !TYPE | (flags & 0x3F) << 1, second];
                    units.fragment(flags, &head, &payload[3..])?;
                }
                _ => return None,
            }
        }
        let mut picture = units.finish()?;
        let (mut keyframe, mut pps) = (false, None);
        for unit in &picture {
            match kind(unit) {
                VPS..=PPS => {
                    self.keep(unit)?;
                    self.sets.in_band = true;
                }
                0..=LAST_SLICE => {
                    keyframe |= (BLA_W_LP..=CRA).contains(&kind(unit));
                    pps = pps.or(Some(slice_pps(unit)?));
                }
                _ => {}
            }
        }
        let Some(pps) = pps else { return Some(Made::Nothing) };
        picture.retain(|unit| matches!(kind(unit), 0..=LAST_SLICE | PREFIX_SEI | SUFFIX_SEI));
        let setup = self.sets.h265(pps).and_then(|setup| self.activate(setup, keyframe));
        let Some(setup) = setup else { return Some(Made::Unknown) };
        Some(Made::Unit(Unit { keyframe, data: join(&picture), setup }))
    }

    /// A picture that is no keyframe may use another picture parameter set, but goes on with the
    /// sequence parameter sets.
    fn activate(&mut self, setup: Setup, keyframe: bool) -> Option<Arc<Setup>> {
        let sps = |setup: &Setup| {
            let Setup::H265 { sps, .. } = setup else { return None };
            Some(sps.clone())
        };
        if !keyframe && sps(self.setup.as_ref()?) != sps(&setup) {
            return self.setup.clone();
        }
        Some(update(&mut self.setup, setup))
    }

    fn keep(&mut self, unit: &[u8]) -> Option<()> {
        match kind(unit) {
            VPS => self.sets.put_vps(read_vps(unit)?, unit),
            SPS => self.sets.put_sps(read_sps(unit)?, unit),
            PPS => self.sets.put_pps(read_pps(unit)?, unit),
            _ => None,
        }
    }
}

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |head| (head & TYPE) >> 1)
}

const TYPE: u8 = 0x7E;
const BLA_W_LP: u8 = 16;
const CRA: u8 = 21;
const LAST_SLICE: u8 = 31;
const VPS: u8 = 32;
const SPS: u8 = 33;
const PPS: u8 = 34;
const DELIMITER: u8 = 35;
const PREFIX_SEI: u8 = 39;
const SUFFIX_SEI: u8 = 40;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
