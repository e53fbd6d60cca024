//! A check of the payload readers of every codec, and of what rewrites picture ids.

use whitewater_core::media::Codec;
use whitewater_core::media::codec::{self, h264, vp8, vp9};

/// Reads one payload; the first byte is the codec.
pub fn run(data: &[u8]) {
    let Some((which, payload)) = data.split_first() else { return };
    let codec = CODECS[usize::from(*which) % CODECS.len()];
    let info = codec::inspect(codec, payload);
    assert!(info.spatial < 8 && info.temporal < 8, "{info:?}");
    assert!(!payload.is_empty() || info == codec::PayloadInfo::default());
    match codec {
        Codec::Vp8 => rewrite_vp8(payload),
        Codec::Vp9 => rewrite_vp9(payload),
        Codec::H264 => {
            let _ = h264::parse_profile_level_id(&String::from_utf8_lossy(payload));
        }
        Codec::Opus | Codec::H265 | Codec::Av1 => {}
    }
}

/// New numbers are read back, and nothing else has changed.
fn rewrite_vp8(payload: &[u8]) {
    let Some(before) = vp8::Descriptor::parse(payload) else { return };
    let mut again = payload.to_vec();
    if !vp8::rewrite(&mut again, Some(0x1234), Some(0x56)) {
        return;
    }
    let after = vp8::Descriptor::parse(&again).expect("a rewritten descriptor is one");
    assert_eq!(after.header_len, before.header_len);
    assert_eq!(after.picture_id.is_some(), before.picture_id.is_some());
    assert_eq!(after.tid, before.tid);
    assert_eq!(again[before.header_len..], payload[before.header_len..]);
}

fn rewrite_vp9(payload: &[u8]) {
    let Some(before) = vp9::Descriptor::parse(payload) else { return };
    let mut again = payload.to_vec();
    if !vp9::rewrite(&mut again, Some(0x1234), Some(0x56)) {
        return;
    }
    let after = vp9::Descriptor::parse(&again).expect("a rewritten descriptor is one");
    assert_eq!(after.header_len, before.header_len);
    assert_eq!((after.spatial, after.temporal), (before.spatial, before.temporal));
    assert_eq!(again[before.header_len..], payload[before.header_len..]);
}

const CODECS: [Codec; 6] =
    [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1, Codec::Opus];
