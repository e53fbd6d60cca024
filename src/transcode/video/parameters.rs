//! A reader of what encoders say about their streams: parameter sets in `avcC` and `hvcC`.

use bytes::{Bytes, BytesMut};
use whitewater_core::media::Setup;

use super::Codec;

/// The setup of an `avcC` (ISO/IEC 14496-15 section 5.3.3.1).
pub(super) fn h264(avcc: &[u8], size: (u16, u16)) -> Option<Setup> {
    let (head, mut rest) = avcc.split_at_checked(5)?;
    if head[0] != 1 || head[4] & 3 != 3 {
        return None;
    }
    let sps = units(&mut rest, 0x1F)?;
    let pps = units(&mut rest, 0xFF)?;
    Some(Setup::H264 { size, sps: sps.into_iter().next()?, pps })
}

/// The setup of an `hvcC` (ISO/IEC 14496-15 section 8.3.3.1).
pub(super) fn h265(hvcc: &[u8], size: (u16, u16)) -> Option<Setup> {
    let (head, mut rest) = hvcc.split_at_checked(22)?;
    if head[0] != 1 || head[21] & 3 != 3 {
        return None;
    }
    let arrays = take(&mut rest, 1)?[0];
    let (mut vps, mut sps, mut pps) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arrays {
        let kind = take(&mut rest, 1)?[0] & 0x3F;
        let count = take(&mut rest, 2)?;
        let count = u16::from_be_bytes([count[0], count[1]]);
        for _ in 0..count {
            let unit = unit(&mut rest)?;
            match kind {
                32 => vps.push(unit),
                33 => sps.push(unit),
                34 => pps.push(unit),
                _ => {}
            }
        }
    }
    (!sps.is_empty()).then_some(Setup::H265 { size, vps, sps, pps })
}

/// A sample without parameter sets and delimiters, which its header has.
pub(super) fn without_sets(codec: Codec, sample: &[u8]) -> Bytes {
    let mut kept = BytesMut::with_capacity(sample.len());
    let mut rest = sample;
    while let Some((length, units)) = rest.split_first_chunk::<4>() {
        let end = (u32::from_be_bytes(*length) as usize).min(units.len());
        let first = units.first().copied().unwrap_or(0);
        let is_set = match codec {
            Codec::H264 => matches!(first & 0x1F, 7..=9),
            Codec::H265 => matches!(first >> 1 & 0x3F, 32..=35),
        };
        if !is_set {
            kept.extend_from_slice(&rest[..4 + end]);
        }
        rest = &units[end..];
    }
    kept.freeze()
}

fn units(rest: &mut &[u8], mask: u8) -> Option<Vec<Bytes>> {
    let count = take(rest, 1)?[0] & mask;
    (0..count).map(|_| unit(rest)).collect()
}

fn unit(rest: &mut &[u8]) -> Option<Bytes> {
    let length = take(rest, 2)?;
    let length = u16::from_be_bytes([length[0], length[1]]);
    take(rest, usize::from(length)).map(Bytes::copy_from_slice)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_lose_their_parameter_sets() {
        let sample = [0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x68, 0, 0, 0, 2, 0x65, 7];
        assert_eq!(without_sets(Codec::H264, &sample), [0, 0, 0, 2, 0x65, 7][..]);
        let sample = [0, 0, 0, 2, 0x40, 1, 0, 0, 0, 1, 0x26];
        assert_eq!(without_sets(Codec::H265, &sample), [0, 0, 0, 1, 0x26][..]);
    }

    #[test]
    fn parameter_sets_are_read_and_nonsense_is_not() {
        let avcc = [1, 0x4D, 0, 31, 0xFF, 0xE1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9];
        let Some(Setup::H264 { size, sps, pps }) = h264(&avcc, (16, 8)) else { panic!() };
        assert_eq!((size, &sps[..], &pps[0][..]), ((16, 8), &[0x67, 1, 2][..], &[0x68, 9][..]));
        for end in 0..avcc.len() {
            assert_eq!(h264(&avcc[..end], (16, 8)), None, "{end}");
        }
        let mut hvcc = vec![0; 22];
        (hvcc[0], hvcc[21]) = (1, 3);
        hvcc.extend([3, 0xA0, 0, 1, 0, 1, 0x40, 0xA1, 0, 1, 0, 2, 0x42, 1, 0xA2, 0, 1, 0, 1, 0x44]);
        let Some(Setup::H265 { vps, sps, pps, .. }) = h265(&hvcc, (16, 8)) else { panic!() };
        assert_eq!(
            (&vps[0][..], &sps[0][..], &pps[0][..]),
            (&[0x40][..], &[0x42, 1][..], &[0x44][..])
        );
        for end in 0..hvcc.len() {
            assert_eq!(h265(&hvcc[..end], (16, 8)), None, "{end}");
        }
    }
}
