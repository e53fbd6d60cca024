//! A reader that goes through a sequence parameter set to its VUI, which stands behind everything else
//! (H.265 sections 7.3.2.2.1, 7.3.4, 7.3.7 and E.2.1).

use super::super::entry::Colour;
use super::super::h264::{aspect, colour};
use crate::media::codec::Bits;

/// What a VUI tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vui {
    /// Width and height of a sample.
    pub(super) aspect: Option<(u16, u16)>,
    pub(super) colour: Option<Colour>,
}

/// Reads on behind the bit depths; `None` where the set ends too early.
pub(super) fn read(bits: &mut Bits<'_>, sub_layers: u32) -> Option<Vui> {
    let order_bits = bits.unsigned()?.checked_add(4).filter(|bits| *bits <= 16)?;
    let first = if bits.flag()? { 0 } else { sub_layers };
    for _ in first..=sub_layers {
        for _ in 0..3 {
            bits.unsigned()?; // buffering, reordering and latency of a sub-layer
        }
    }
    for _ in 0..6 {
        bits.unsigned()?; // sizes of coding and transform blocks, depths of transforms
    }
    if bits.flag()? && bits.flag()? {
        scaling_lists(bits)?;
    }
    bits.skip(2)?; // amp_enabled_flag, sample_adaptive_offset_enabled_flag
    if bits.flag()? {
        bits.skip(8)?; // pcm_sample_bit_depth_luma_minus1, pcm_sample_bit_depth_chroma_minus1
        bits.unsigned()?;
        bits.unsigned()?; // sizes of blocks that are PCM
        bits.flag()?; // pcm_loop_filter_disabled_flag
    }
    picture_sets(bits)?;
    if bits.flag()? {
        let long_term = bits.unsigned().filter(|count| *count <= MAX_LONG_TERM)?;
        bits.skip(long_term * (order_bits + 1))?;
    }
    bits.skip(2)?; // sps_temporal_mvp_enabled_flag, strong_intra_smoothing_enabled_flag
    if !bits.flag()? {
        return Some(Vui::default());
    }
    Some(Vui { aspect: aspect(bits)?, colour: colour(bits)? })
}

fn scaling_lists(bits: &mut Bits<'_>) -> Option<()> {
    for size in 0..4 {
        for _ in 0..if size == 3 { 2 } else { 6 } {
            if !bits.flag()? {
                bits.unsigned()?; // scaling_list_pred_matrix_id_delta
                continue;
            }
            let coefficients = 64.min(1 << (4 + (size << 1)));
            let direct = u32::from(size > 1); // scaling_list_dc_coef_minus8
            for _ in 0..coefficients + direct {
                bits.signed()?;
            }
        }
    }
    Some(())
}

/// Passes over the short-term reference picture sets. A set may be told as a change of the one before,
/// whose length has to be known for that.
fn picture_sets(bits: &mut Bits<'_>) -> Option<()> {
    let sets = bits.unsigned().filter(|count| *count <= MAX_SETS)?;
    let mut length = 0;
    for index in 0..sets {
        if index > 0 && bits.flag()? {
            bits.flag()?; // delta_rps_sign
            bits.unsigned()?; // abs_delta_rps_minus1
            let mut taken = 0;
            for _ in 0..=length {
                // Either used by the current picture, or kept for later ones, or left out.
                taken += u32::from(bits.flag()? || bits.flag()?);
            }
            length = taken;
            continue;
        }
        let (before, after) = (bits.unsigned()?, bits.unsigned()?);
        length = before.checked_add(after).filter(|length| *length <= MAX_PICTURES)?;
        for _ in 0..length {
            bits.unsigned()?; // delta_poc_minus1
            bits.flag()?; // used_by_curr_pic_flag
        }
    }
    Some(())
}

const MAX_SETS: u32 = 64;
const MAX_LONG_TERM: u32 = 32;
/// The largest decoded picture buffer, before and after.
const MAX_PICTURES: u32 = 32;
