//! H.265 payloads (RFC 7798): where a newcomer can begin, and in which size.

mod sps;

use super::PayloadInfo;
use super::bits::Bits;

/// Looks for parameter sets and random access pictures in single NAL units, aggregation packets and
/// fragment starts.
///
/// VPS and SPS count as `keyframe` like the first slice of an IDR, CRA or BLA picture, since a
/// publisher may send them as packets of their own ahead of it; a PPS alone does not. Streams with
/// decoding order numbers (`sprop-max-don-diff` above 0) are not understood.
pub(super) fn inspect(payload: &[u8]) -> PayloadInfo {
    let mut info = PayloadInfo::default();
    let Some((&[first, second], body)) = payload.split_first_chunk() else { return info };
    info.temporal = (second & 0x07).saturating_sub(1);
    match nal_type(first) {
        AGGREGATION => aggregated(body, &mut info),
        FRAGMENTATION => {
            if let Some((&head, rest)) = body.split_first()
                && head & FU_START != 0
            {
                unit(head & 0x3F, rest, &mut info);
            }
        }
        kind => unit(kind, body, &mut info),
    }
    info
}

/// The id of a video parameter set, from the whole NAL unit.
pub fn read_vps(nal: &[u8]) -> Option<u8> {
    Some(nal.get(2)? >> 4)
}

/// The id of a sequence parameter set and the size of its pictures, from the whole NAL unit.
pub fn read_sps(nal: &[u8]) -> Option<(u8, (u16, u16))> {
    sps::read(nal.get(2..)?)
}

/// The id of a picture parameter set and that of the sequence parameter set it belongs to, from the
/// whole NAL unit.
pub fn read_pps(nal: &[u8]) -> Option<(u8, u8)> {
    let mut bits = Bits::of_nal(nal.get(2..)?);
    let (pps, sps) = (bits.unsigned()?, bits.unsigned()?);
    Some((u8::try_from(pps).ok()?, u8::try_from(sps).ok()?))
}

/// The id of the picture parameter set that a slice segment uses, from the whole NAL unit.
pub fn slice_pps(nal: &[u8]) -> Option<u8> {
    let mut bits = Bits::of_nal(nal.get(2..)?);
    bits.flag()?; // first_slice_segment_in_pic_flag
    if (BLA_W_LP..=LAST_IRAP).contains(&nal_type(nal[0])) {
        bits.flag()?; // no_output_of_prior_pics_flag
    }
    u8::try_from(bits.unsigned()?).ok()
}

fn nal_type(first: u8) -> u8 {
    (first >> 1) & 0x3F
}

fn aggregated(mut body: &[u8], info: &mut PayloadInfo) {
    while let Some((len, rest)) = body.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len));
        let Some((nal, rest)) = rest.split_at_checked(len) else { return };
        if let Some((&[first, _], nal_body)) = nal.split_first_chunk() {
            unit(nal_type(first), nal_body, info);
        }
        body = rest;
    }
}

/// Takes in one NAL unit, or its beginning, without its two header bytes.
fn unit(kind: u8, body: &[u8], info: &mut PayloadInfo) {
    match kind {
        // `first_slice_segment_in_pic_flag` leads the slice header.
        BLA_W_LP..=CRA => info.keyframe |= body.first().is_some_and(|byte| byte & 0x80 != 0),
        VPS => info.keyframe = true,
        SPS => {
            info.keyframe = true;
            info.size = info.size.or_else(|| sps::size(body));
        }
        _ => {}
    }
}

const BLA_W_LP: u8 = 16;
const CRA: u8 = 21;
const LAST_IRAP: u8 = 23;
const VPS: u8 = 32;
const SPS: u8 = 33;
const AGGREGATION: u8 = 48;
const FRAGMENTATION: u8 = 49;
const FU_START: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    type Size = Option<(u16, u16)>;

    // Parameter sets of a 642x362 stream as x265 writes them; the SPS up to the window.
    const VPS_NAL: [u8; 8] = [0x40, 0x01, 0x0C, 0x01, 0xFF, 0xFF, 0x01, 0x60];
    const SPS_NAL: [u8; 25] = [
        0x42, 0x01, 0x01, 0x01, 0x60, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00,
        0x03, 0x00, 0x3F, 0xA0, 0x05, 0x12, 0x01, 0x71, 0xC9, 0x26,
    ];
    const PPS_NAL: [u8; 7] = [0x44, 0x01, 0xC1, 0x72, 0xB4, 0x62, 0x40];
    const IDR_NAL: [u8; 5] = [0x28, 0x01, 0xAF, 0x08, 0x4C];
    const P_NAL: [u8; 5] = [0x02, 0x01, 0xD0, 0x11, 0x57];

    fn aggregate(nals: &[&[u8]]) -> Vec<u8> {
        let mut payload = vec![0x60, 0x01];
        for nal in nals {
            payload.extend((nal.len() as u16).to_be_bytes());
            payload.extend(*nal);
        }
        payload
    }

    #[test]
    fn only_parameter_sets_or_the_start_of_a_random_access_picture_can_be_joined() {
        let size = Some((642, 362));
        let rows: [(&str, Vec<u8>, bool, Size); 23] = [
            ("vps", VPS_NAL.to_vec(), true, None),
            ("sps", SPS_NAL.to_vec(), true, size),
            ("pps", PPS_NAL.to_vec(), false, None),
            ("idr_w_radl", vec![0x26, 0x01, 0x80], true, None),
            ("idr_n_lp", IDR_NAL.to_vec(), true, None),
            ("cra", vec![0x2A, 0x01, 0x80], true, None),
            ("bla_w_lp", vec![0x20, 0x01, 0x80], true, None),
            ("bla_n_lp", vec![0x24, 0x01, 0x80], true, None),
            ("reserved irap", vec![0x2C, 0x01, 0x80], false, None),
            ("rasl", vec![0x12, 0x01, 0x80], false, None),
            ("second slice of an idr", vec![0x28, 0x01, 0x2F], false, None),
            ("idr without a body", vec![0x28, 0x01], false, None),
            ("inter", P_NAL.to_vec(), false, None),
            ("sei", vec![0x4E, 0x01, 0x05], false, None),
            ("ap vps sps pps", aggregate(&[&VPS_NAL, &SPS_NAL, &PPS_NAL]), true, size),
            ("ap pps idr", aggregate(&[&PPS_NAL, &[], &[0x28], &IDR_NAL]), true, None),
            ("ap pps inter", aggregate(&[&PPS_NAL, &P_NAL]), false, None),
            ("ap cut", vec![0x60, 0x01, 0, 9, 0x42, 0x01], false, None),
            ("fu start of idr", vec![0x62, 0x01, 0x94, 0xAF], true, None),
            ("fu start of sps", [&[0x62, 0x01, 0xA1], &SPS_NAL[2..]].concat(), true, size),
            ("fu middle", vec![0x62, 0x01, 0x14, 0xAF], false, None),
            ("fu end", vec![0x62, 0x01, 0x54, 0xAF], false, None),
            ("fu start of inter", vec![0x62, 0x01, 0x81, 0xD0], false, None),
        ];
        for (name, payload, keyframe, size) in rows {
            let want = PayloadInfo { keyframe, size, ..PayloadInfo::default() };
            assert_eq!(inspect(&payload), want, "{name}");
        }
    }

    #[test]
    fn sets_and_slices_name_each_other_by_id() {
        assert_eq!(read_vps(&VPS_NAL), Some(0));
        assert_eq!(read_sps(&SPS_NAL), Some((0, (642, 362))));
        assert_eq!(read_pps(&PPS_NAL), Some((0, 0)));
        assert_eq!(read_pps(&[0x44, 0x01, 0b0110_1000]), Some((2, 1)));
        // The flag that only random access pictures have stands before the id.
        assert_eq!(slice_pps(&[0x28, 0x01, 0b1001_1000]), Some(2));
        assert_eq!(slice_pps(&[0x02, 0x01, 0b1011_0000]), Some(2));
        assert_eq!((slice_pps(&IDR_NAL), slice_pps(&P_NAL)), (Some(0), Some(0)));
        for nal in [&[][..], &[0x44], &[0x44, 1], &[0x44, 1, 0]] {
            assert_eq!((read_sps(nal), read_pps(nal), slice_pps(nal)), (None, None, None));
        }
    }

    #[test]
    fn the_temporal_layer_stands_in_every_header() {
        assert_eq!(inspect(&[0x02, 0x03, 0xD0]).temporal, 2);
        assert_eq!(inspect(&[0x62, 0x02, 0x81, 0xD0]).temporal, 1);
        assert_eq!(inspect(&[0x02, 0x00]).temporal, 0);
    }
}
