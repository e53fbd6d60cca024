//! H.264 payloads (RFC 6184): where a newcomer can begin, and in which size.

mod profile;

mod sps;

use super::PayloadInfo;
use super::bits::Bits;

pub use profile::{Level, Profile, ProfileLevel, parse_profile_level_id};

/// Looks for parameter sets and IDR slices in single NAL units, aggregates and fragment starts.
///
/// A publisher may send SPS and PPS as packets of their own ahead of the IDR slice, with the same
/// timestamp (OBS does). A newcomer has to begin with the SPS, so both that packet and the first
/// IDR slice count as `keyframe`: the earlier of the two in an access unit is the place to join. A
/// PPS alone does not count, nor does an IDR slice other than the picture's first.
pub(super) fn inspect(payload: &[u8]) -> PayloadInfo {
    let mut info = PayloadInfo::default();
    let Some((&head, body)) = payload.split_first() else { return info };
    match head & TYPE {
        STAP_A => aggregated(body, &mut info),
        STAP_B => aggregated(body.get(DON_LEN..).unwrap_or_default(), &mut info),
        FU_A => fragment(body, 0, &mut info),
        FU_B => fragment(body, DON_LEN, &mut info),
        kind => unit(kind, body, &mut info),
    }
    info
}

/// The id of a sequence parameter set and the size of its pictures, from the whole NAL unit.
pub fn read_sps(nal: &[u8]) -> Option<(u8, (u16, u16))> {
    sps::read(nal.get(1..)?)
}

/// The id of a picture parameter set and that of the sequence parameter set it belongs to, from the
/// whole NAL unit.
pub fn read_pps(nal: &[u8]) -> Option<(u8, u8)> {
    let mut bits = Bits::of_nal(nal.get(1..)?);
    let (pps, sps) = (bits.unsigned()?, bits.unsigned()?);
    Some((u8::try_from(pps).ok()?, u8::try_from(sps).ok()?))
}

/// The id of the picture parameter set that a slice uses, from the whole NAL unit.
pub fn slice_pps(nal: &[u8]) -> Option<u8> {
    let mut bits = Bits::of_nal(nal.get(1..)?);
    bits.unsigned()?; // first_mb_in_slice
    bits.unsigned()?; // slice_type
    u8::try_from(bits.unsigned()?).ok()
}

fn aggregated(mut body: &[u8], info: &mut PayloadInfo) {
    while let Some((len, rest)) = body.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len));
        let Some((nal, rest)) = rest.split_at_checked(len) else { return };
        if let Some((&head, nal_body)) = nal.split_first() {
            unit(head & TYPE, nal_body, info);
        }
        body = rest;
    }
}

fn fragment(body: &[u8], don_len: usize, info: &mut PayloadInfo) {
    if let Some((&head, rest)) = body.split_first()
        && head & FU_START != 0
    {
        unit(head & TYPE, rest.get(don_len..).unwrap_or_default(), info);
    }
}

/// Takes in one NAL unit, or its beginning, without its header byte.
fn unit(kind: u8, body: &[u8], info: &mut PayloadInfo) {
    match kind {
        // `first_mb_in_slice` is 0 exactly if its first bit is set.
        IDR => info.keyframe |= body.first().is_some_and(|byte| byte & 0x80 != 0),
        SPS => {
            info.keyframe = true;
            info.size = info.size.or_else(|| sps::size(body));
        }
        _ => {}
    }
}

const TYPE: u8 = 0x1F;
const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const STAP_B: u8 = 25;
const FU_A: u8 = 28;
const FU_B: u8 = 29;
const FU_START: u8 = 0x80;
const DON_LEN: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    type Size = Option<(u16, u16)>;

    // A Constrained Baseline SPS of 642x362 as x264 writes it, up to the cropping.
    const SPS_NAL: [u8; 13] =
        [0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00];
    const PPS_NAL: [u8; 5] = [0x68, 0xCB, 0x83, 0xCB, 0x20];
    const IDR_NAL: [u8; 5] = [0x65, 0x88, 0x84, 0x08, 0x7C];

    fn stap(head: &[u8], nals: &[&[u8]]) -> Vec<u8> {
        let mut payload = head.to_vec();
        for nal in nals {
            payload.extend((nal.len() as u16).to_be_bytes());
            payload.extend(*nal);
        }
        payload
    }

    #[test]
    fn only_an_sps_or_the_start_of_an_idr_picture_can_be_joined() {
        let size = Some((642, 362));
        let rows: [(&str, Vec<u8>, bool, Size); 20] = [
            ("sps", SPS_NAL.to_vec(), true, size),
            ("broken sps", SPS_NAL[..3].to_vec(), true, None),
            ("pps", PPS_NAL.to_vec(), false, None),
            ("idr", IDR_NAL.to_vec(), true, None),
            ("second slice of an idr", vec![0x65, 0x44, 0x84], false, None),
            ("idr without a body", vec![0x65], false, None),
            ("non-idr", vec![0x41, 0x9A, 0x38, 0x12], false, None),
            ("sei", vec![0x06, 0x05, 0xFF], false, None),
            ("delimiter", vec![0x09, 0xF0], false, None),
            ("stap-a sps pps", stap(&[0x78], &[&SPS_NAL, &PPS_NAL]), true, size),
            ("stap-a all", stap(&[0x78], &[&SPS_NAL, &PPS_NAL, &IDR_NAL]), true, size),
            ("stap-a pps idr", stap(&[0x78], &[&PPS_NAL, &[], &IDR_NAL]), true, None),
            ("stap-a pps", stap(&[0x78], &[&PPS_NAL]), false, None),
            ("stap-a cut", vec![0x78, 0, 9, 0x67, 0x42], false, None),
            ("stap-b", stap(&[0x79, 0, 1], &[&SPS_NAL]), true, size),
            ("fu-a start", vec![0x7C, 0x85, 0x88, 0x84], true, None),
            ("fu-a middle", vec![0x7C, 0x05, 0x88, 0x84], false, None),
            ("fu-a end", vec![0x7C, 0x45, 0x88, 0x84], false, None),
            ("fu-a start of non-idr", vec![0x5C, 0x81, 0x9A], false, None),
            ("fu-b start", vec![0x7D, 0x85, 0, 1, 0x88], true, None),
        ];
        for (name, payload, keyframe, size) in rows {
            let want = PayloadInfo { keyframe, size, ..PayloadInfo::default() };
            assert_eq!(inspect(&payload), want, "{name}");
        }
    }

    #[test]
    fn sets_and_slices_name_each_other_by_id() {
        assert_eq!(read_sps(&SPS_NAL), Some((0, (642, 362))));
        assert_eq!(read_pps(&PPS_NAL), Some((0, 0)));
        // pps id 2 of sps 1; a slice at macroblock 0, type 7, of pps 2.
        assert_eq!(read_pps(&[0x68, 0b0110_1000]), Some((2, 1)));
        assert_eq!(slice_pps(&[0x65, 0b1000_1000, 0b0110_0000]), Some(2));
        assert_eq!(slice_pps(&IDR_NAL), Some(0));
        for nal in [&[][..], &[0x68], &[0x68, 0], &[0x68, 0, 0, 0, 0, 0]] {
            assert_eq!((read_sps(nal), read_pps(nal), slice_pps(nal)), (None, None, None));
        }
    }

    #[test]
    fn a_fragmented_sps_tells_its_size_if_the_start_reaches_so_far() {
        let payload = [&[0x7C, 0x87], &SPS_NAL[1..]].concat();
        assert_eq!(inspect(&payload).size, Some((642, 362)));
    }
}
