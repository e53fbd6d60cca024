//! A depacketiser of H.264 (RFC 6184), in single NAL unit and non-interleaved mode.
//!
//! Packets of the interleaved mode, which is never negotiated, make their frame a broken one.

use std::sync::Arc;

use bytes::Bytes;

use super::nal::{Units, join};
use super::sets::{Sets, described};
use super::{Made, Unit, update};
use crate::media::codec::PayloadInfo;
use crate::media::codec::h264::{read_pps, read_sps, slice_pps};
use crate::media::{Format, Setup};

/// The parameter sets known so far, and the configuration of the last frame.
#[derive(Debug)]
pub struct Depacketizer {
    sets: Sets,
    setup: Option<Arc<Setup>>,
}

// === impl Depacketizer ===

impl Depacketizer {
    /// One that knows the sets in `sprop-parameter-sets` (RFC 6184 section 8.1).
    pub(super) fn new(format: &Format) -> Self {
        let mut depacketizer = Self { sets: Sets::default(), setup: None };
        for unit in described(format.parameter("sprop-parameter-sets")) {
            // What is not understood may still come in packets.
            let _ = depacketizer.keep(&unit);
        }
        depacketizer
    }

    pub(super) fn restart(&mut self, format: &Format) {
        self.sets = Self::new(format).sets;
    }

    pub(super) fn joins(&self, info: &PayloadInfo, _payload: &[u8]) -> bool {
        // Only a sequence parameter set tells the size.
        let brings_sets = info.size.is_some();
        info.keyframe && (brings_sets || !self.sets.in_band && !self.sets.is_empty())
    }

    pub(super) fn assemble(&mut self, payloads: &[Bytes]) -> Option<Made> {
        let mut units = Units::default();
        for payload in payloads {
            let &head = payload.first()?;
            match head & TYPE {
                1..=23 => units.push(payload.clone())?,
                STAP_A => units.aggregate(payload.slice(1..))?,
                FU_A => {
                    let &flags = payload.get(1)?;
                    units.fragment(flags, &[head & !TYPE | flags & TYPE], &payload[2..])?;
                }
                _ => return None,
            }
        }
        let mut picture = units.finish()?;
        let (mut keyframe, mut pps) = (false, None);
        for unit in &picture {
            match kind(unit) {
                SPS | PPS => {
                    self.keep(unit)?;
                    self.sets.in_band = true;
                }
                SLICE | PARTITION_A | IDR => {
                    keyframe |= kind(unit) == IDR;
                    pps = pps.or(Some(slice_pps(unit)?));
                }
                _ => {}
            }
        }
        let Some(pps) = pps else { return Some(Made::Nothing) };
        picture.retain(|unit| (SLICE..=SEI).contains(&kind(unit)));
        let setup = self.sets.h264(pps).and_then(|setup| self.activate(setup, keyframe));
        let Some(setup) = setup else { return Some(Made::Unknown) };
        Some(Made::Unit(Unit { keyframe, data: join(&picture), setup }))
    }

    /// A picture that is no keyframe may use another picture parameter set, but goes on with the
    /// sequence parameter set.
    fn activate(&mut self, setup: Setup, keyframe: bool) -> Option<Arc<Setup>> {
        let sps = |setup: &Setup| {
            let Setup::H264 { sps, .. } = setup else { return None };
            Some(sps.clone())
        };
        if !keyframe && sps(self.setup.as_ref()?) != sps(&setup) {
            return self.setup.clone();
        }
        Some(update(&mut self.setup, setup))
    }

    fn keep(&mut self, unit: &[u8]) -> Option<()> {
        match kind(unit) {
            SPS => self.sets.put_sps(read_sps(unit)?, unit),
            PPS => self.sets.put_pps(read_pps(unit)?, unit),
            _ => None,
        }
    }
}

fn kind(unit: &[u8]) -> u8 {
    unit.first().map_or(0, |head| head & TYPE)
}

const TYPE: u8 = 0x1F;
const SLICE: u8 = 1;
const PARTITION_A: u8 = 2;
const IDR: u8 = 5;
const SEI: u8 = 6;
const SPS: u8 = 7;
const PPS: u8 = 8;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;
