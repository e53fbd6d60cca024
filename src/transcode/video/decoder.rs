//! A decoder that makes pictures of frames of any codec.

use bytes::{BufMut, Bytes, BytesMut};
use whitewater_core::media::{Codec, Frame, Setup};

use super::super::Error;
use super::super::pipeline;

/// How frames of a codec are decoded.
struct Kind {
    codec: Codec,
    element: &'static str,
    options: &'static str,
    package: &'static str,
    caps: &'static str,
}

const KINDS: &[Kind] = &[
    Kind {
        codec: Codec::Vp8,
        element: "vp8dec",
        options: "",
        package: "gstreamer1.0-plugins-good",
        caps: "video/x-vp8",
    },
    Kind {
        codec: Codec::Vp9,
        element: "vp9dec",
        options: "",
        package: "gstreamer1.0-plugins-good",
        caps: "video/x-vp9",
    },
    Kind {
        codec: Codec::H264,
        element: "avdec_h264",
        // With more threads it keeps as many pictures back.
        options: "max-threads=1 output-corrupt=false",
        package: "gstreamer1.0-libav",
        caps: "video/x-h264,stream-format=byte-stream,alignment=au",
    },
    Kind {
        codec: Codec::H265,
        element: "avdec_h265",
        options: "max-threads=1 output-corrupt=false",
        package: "gstreamer1.0-libav",
        caps: "video/x-h265,stream-format=byte-stream,alignment=au",
    },
    Kind {
        codec: Codec::Av1,
        element: "av1dec",
        options: "",
        package: "gstreamer1.0-plugins-bad",
        caps: "video/x-av1,stream-format=obu-stream,alignment=tu",
    },
];

/// The pipeline that decodes a codec, if the system can.
pub(super) fn description(codec: Codec) -> Result<String, Error> {
    let kind = KINDS.iter().find(|kind| kind.codec == codec);
    let kind = kind.ok_or_else(|| Error::Pipeline(format!("nothing decodes {codec:?}")))?;
    let Kind { element, options, package, caps, .. } = *kind;
    if !pipeline::exists(element) {
        return Err(Error::Missing { element, package });
    }
    Ok(format!(
        "appsrc name=in format=time max-bytes=0 caps=\"{caps}\" \
         ! {element} max-errors=-1 {options} ! videoconvert n-threads=1 ! video/x-raw,format=I420 \
         ! appsink name=out sync=false async=false"
    ))
}

/// The bytes of a frame as its decoder takes them.
pub(super) fn bytes(frame: &Frame) -> Bytes {
    let sets: Vec<&Bytes> = match &*frame.setup {
        Setup::H264 { sps, pps, .. } => std::iter::once(sps).chain(pps).collect(),
        Setup::H265 { vps, sps, pps, .. } => vps.iter().chain(sps).chain(pps).collect(),
        Setup::Av1 { .. }
        | Setup::Vp9 { .. }
        | Setup::Vp8 { .. }
        | Setup::Opus { .. }
        | Setup::Aac { .. } => return frame.data.clone(),
    };
    let mut out = BytesMut::with_capacity(frame.data.len() + 256);
    for set in sets.into_iter().filter(|_| frame.keyframe) {
        out.put_slice(&START);
        out.put_slice(set);
    }
    let mut rest = &frame.data[..];
    while let Some((length, units)) = rest.split_first_chunk::<4>() {
        let length = (u32::from_be_bytes(*length) as usize).min(units.len());
        out.put_slice(&START);
        out.put_slice(&units[..length]);
        rest = &units[length..];
    }
    out.freeze()
}

/// What NAL units begin with in a byte stream (H.264 annex B).
const START: [u8; 4] = [0, 0, 0, 1];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn parameter_sets_come_before_keyframes_and_start_codes_before_units() {
        let setup = Arc::new(Setup::H264 {
            size: (16, 16),
            sps: Bytes::from_static(&[0x67, 1]),
            pps: vec![Bytes::from_static(&[0x68, 2])],
        });
        let frame = |keyframe, data: &'static [u8]| Frame {
            dts: 0,
            pts: 0,
            keyframe,
            data: Bytes::from_static(data),
            setup: setup.clone(),
            capture: None,
        };
        let key = frame(true, &[0, 0, 0, 2, 0x65, 3, 0, 0, 0, 1, 0x65]);
        let want =
            [0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 0, 1, 0x65, 3, 0, 0, 0, 1, 0x65];
        assert_eq!(bytes(&key), want[..]);
        // A length that says too much, and one that is cut off.
        assert_eq!(bytes(&frame(false, &[0, 0, 0, 9, 0x41])), [0, 0, 0, 1, 0x41][..]);
        assert_eq!(bytes(&frame(false, &[0, 0, 0])), [][..]);
    }
}
