//! A studio that makes pictures to transcode, each with its number in it, and reads what came out.

use std::sync::Arc;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use whitewater_core::media::{Frame, Setup};

use crate::media;

/// Frames of VP8 of so many moving pictures at 30 a second; the first is a keyframe.
pub(crate) fn vp8(size: (u16, u16), count: usize) -> Vec<Frame> {
    let (width, height) = size;
    let description = format!(
        "videotestsrc pattern=smpte horizontal-speed=3 num-buffers={count} \
         ! video/x-raw,format=I420,width={width},height={height},framerate=30/1 \
         ! vp8enc deadline=1 cpu-used=8 target-bitrate=1500000 keyframe-max-dist=9999 \
         ! appsink name=out sync=false"
    );
    let setup = Arc::new(Setup::Vp8 { size });
    // The first bit of a frame is not set in keyframes (RFC 6386 section 9.1).
    frames(&description, &setup, |data| data[0] & 1 == 0, Bytes::from)
}

/// Frames of H.264, as [`vp8`].
pub(crate) fn h264(size: (u16, u16), count: usize) -> Vec<Frame> {
    let (width, height) = size;
    let description = format!(
        "videotestsrc pattern=smpte horizontal-speed=3 num-buffers={count} \
         ! video/x-raw,format=I420,width={width},height={height},framerate=30/1 \
         ! x264enc tune=zerolatency speed-preset=ultrafast bitrate=1500 key-int-max=9999 aud=false \
         option-string=\"scenecut=0\" ! video/x-h264,profile=baseline,stream-format=byte-stream \
         ! appsink name=out sync=false"
    );
    let units = |data: &[u8]| {
        let text: Vec<Vec<u8>> = split(data);
        text
    };
    let raw = run(&description);
    let first = units(&raw[0]);
    let set = |kind: u8| first.iter().find(|unit| unit[0] & 31 == kind).unwrap().clone();
    let setup = Arc::new(Setup::H264 { size, sps: set(7).into(), pps: vec![set(8).into()] });
    let frame = |(at, data): (usize, &Vec<u8>)| {
        let slices: Vec<_> =
            units(data).into_iter().filter(|unit| (1..=5).contains(&(unit[0] & 31))).collect();
        let keyframe = slices[0][0] & 31 == 5;
        let mut bytes = Vec::new();
        for slice in slices {
            bytes.extend((slice.len() as u32).to_be_bytes());
            bytes.extend(slice);
        }
        Frame { keyframe, data: bytes.into(), ..blank(at, &setup) }
    };
    raw.iter().enumerate().map(frame).collect()
}

fn frames(
    description: &str,
    setup: &Arc<Setup>,
    is_keyframe: impl Fn(&[u8]) -> bool,
    bytes: impl Fn(Vec<u8>) -> Bytes,
) -> Vec<Frame> {
    let frame = |(at, data): (usize, Vec<u8>)| Frame {
        keyframe: is_keyframe(&data),
        data: bytes(data),
        ..blank(at, setup)
    };
    run(description).into_iter().enumerate().map(frame).collect()
}

fn blank(at: usize, setup: &Arc<Setup>) -> Frame {
    let dts = at as i64 * 3_000;
    Frame {
        dts,
        pts: dts,
        keyframe: false,
        data: Bytes::new(),
        setup: setup.clone(),
        capture: None,
    }
}

fn run(description: &str) -> Vec<Vec<u8>> {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let sink = pipeline.by_name("out").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    let mut output = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        output.push(sample.buffer().unwrap().map_readable().unwrap().to_vec());
    }
    pipeline.set_state(gst::State::Null).unwrap();
    output
}

/// NAL units of a byte stream.
fn split(data: &[u8]) -> Vec<Vec<u8>> {
    let mut units: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < data.len() {
        if data[at..].starts_with(&[0, 0, 1]) {
            if let Some(last) = units.last_mut() {
                while last.last() == Some(&0) {
                    last.pop();
                }
            }
            units.push(Vec::new());
            at += 3;
        } else {
            if let Some(last) = units.last_mut() {
                last.push(data[at]);
            }
            at += 1;
        }
    }
    units
}

/// The sizes of the pictures that frames of H.264 or H.265 decode to, one for each frame.
pub(crate) fn decoded(frames: &[Frame]) -> Vec<usize> {
    let is_h265 = matches!(&*frames[0].setup, Setup::H265 { .. });
    let bytes = |frame: &Frame| {
        let sets: Vec<&Bytes> = match &*frame.setup {
            Setup::H264 { sps, pps, .. } => std::iter::once(sps).chain(pps).collect(),
            Setup::H265 { vps, sps, pps, .. } => vps.iter().chain(sps).chain(pps).collect(),
            other @ (Setup::Av1 { .. }
            | Setup::Vp9 { .. }
            | Setup::Vp8 { .. }
            | Setup::Opus { .. }
            | Setup::Aac { .. }) => panic!("{other:?}"),
        };
        let mut out = Vec::new();
        for set in sets.into_iter().filter(|_| frame.keyframe) {
            out.extend([0, 0, 0, 1]);
            out.extend(&set[..]);
        }
        let mut rest = &frame.data[..];
        while let Some((length, units)) = rest.split_first_chunk::<4>() {
            let (unit, left) = units.split_at(u32::from_be_bytes(*length) as usize);
            let is_set = match is_h265 {
                true => (32..=35).contains(&(unit[0] >> 1)),
                false => (7..=9).contains(&(unit[0] & 31)),
            };
            assert!(!is_set, "parameter sets or delimiters in a sample");
            out.extend([0, 0, 0, 1]);
            out.extend(unit);
            rest = left;
        }
        out
    };
    let input: Vec<_> = frames.iter().map(bytes).collect();
    let name = if is_h265 { "h265" } else { "h264" };
    let description = format!(
        "appsrc name=in format=bytes caps=\"video/x-{name},stream-format=byte-stream,alignment=au\" \
         ! avdec_{name} max-threads=1 ! appsink name=out sync=false"
    );
    media::run(&description, &input).iter().map(Vec::len).collect()
}

/// Frames of VP9, as [`vp8`].
pub(crate) fn vp9(size: (u16, u16), count: usize) -> Vec<Frame> {
    let setup = Setup::Vp9 { size, profile: 0, bit_depth: 8, chroma: 1, full_range: false };
    let encoder = "vp9enc deadline=1 cpu-used=8 lag-in-frames=0 keyframe-max-dist=9999";
    of(encoder, size, count, setup)
}

/// Frames of AV1, as [`vp8`].
pub(crate) fn av1(size: (u16, u16), count: usize) -> Vec<Frame> {
    let setup = Setup::Av1 { size, sequence_header: Bytes::new() };
    let encoder = "av1enc cpu-used=8 usage-profile=realtime lag-in-frames=0 keyframe-max-dist=9999 \
        ! video/x-av1,stream-format=obu-stream,alignment=tu";
    of(encoder, size, count, setup)
}

fn of(encoder: &str, (width, height): (u16, u16), count: usize, setup: Setup) -> Vec<Frame> {
    let description = format!(
        "videotestsrc pattern=smpte horizontal-speed=3 num-buffers={count} \
         ! video/x-raw,format=I420,width={width},height={height},framerate=30/1 \
         ! {encoder} ! appsink name=out sync=false"
    );
    // Of AV1, what begins a temporal unit is not in a sample.
    let bytes = |data: Vec<u8>| match data.strip_prefix(&[0x12, 0][..]) {
        Some(rest) if matches!(setup, Setup::Av1 { .. }) => Bytes::copy_from_slice(rest),
        _ => data.into(),
    };
    let mut made = frames(&description, &Arc::new(setup.clone()), |_| false, bytes);
    made[0].keyframe = true;
    made
}
