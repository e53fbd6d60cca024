//! A workshop that makes media to transcode and takes apart what came out.

use std::sync::Arc;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use whitewater_core::media::{Frame, Setup};

/// Runs `input` through a pipeline with a source `in` and a sink `out`; gives what comes out.
pub(crate) fn run(description: &str, input: &[Vec<u8>]) -> Vec<Vec<u8>> {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(description).unwrap().downcast::<gst::Pipeline>().unwrap();
    let source = pipeline.by_name("in").unwrap().downcast::<AppSrc>().unwrap();
    let sink = pipeline.by_name("out").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for bytes in input {
        source.push_buffer(gst::Buffer::from_slice(bytes.clone())).unwrap();
    }
    source.end_of_stream().unwrap();
    let mut output = Vec::new();
    while let Ok(sample) = sink.pull_sample() {
        output.push(sample.buffer().unwrap().map_readable().unwrap().to_vec());
    }
    pipeline.set_state(gst::State::Null).unwrap();
    output
}

/// Sound that is nowhere like itself a little later: hissing in bursts, `seconds` of it.
pub(crate) fn hiss(seconds: usize) -> Vec<i16> {
    let mut state = 7_u32;
    let mut smooth = 0_i32;
    (0..seconds * 48_000)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 16) as i32 - 32_768;
            smooth += (noise - smooth) / 4;
            if n % 24_000 < 4_800 { (smooth / 2) as i16 } else { 0 }
        })
        .collect()
}

/// Packets of Opus, each of `ms` milliseconds.
pub(crate) fn opus(pcm: &[i16], channels: u8, ms: &str) -> Vec<Vec<u8>> {
    let bytes: Vec<u8> =
        pcm.iter().flat_map(|sample| sample.to_le_bytes().repeat(usize::from(channels))).collect();
    let description = format!(
        "appsrc name=in format=bytes caps=\"audio/x-raw,format=S16LE,rate=48000,channels={channels},\
         layout=interleaved\" ! rawaudioparse use-sink-caps=true \
         ! opusenc frame-size={ms} bitrate=128000 ! appsink name=out sync=false"
    );
    run(&description, &[bytes])
}

/// Frames of these packets, one after the other from `dts` on.
pub(crate) fn frames(packets: &[Vec<u8>], dts: i64, samples: i64) -> Vec<Frame> {
    let setup = Arc::new(Setup::Opus { channels: 2 });
    packets
        .iter()
        .zip(0..)
        .map(|(packet, index)| Frame {
            dts: dts + index * samples,
            pts: dts + index * samples,
            keyframe: true,
            data: Bytes::copy_from_slice(packet),
            setup: setup.clone(),
            capture: None,
        })
        .collect()
}

/// The left channel of packets of Opus.
pub(crate) fn opus_decoded(packets: &[Vec<u8>]) -> Vec<i16> {
    let description = "appsrc name=in format=time \
        caps=\"audio/x-opus,rate=48000,channels=2,channel-mapping-family=0\" \
        ! opusdec ! audio/x-raw,format=S16LE,channels=2,rate=48000 ! appsink name=out sync=false";
    left(&run(description, packets))
}

/// The left channel of frames of AAC.
pub(crate) fn aac_decoded(frames: &[Frame]) -> Vec<i16> {
    let Setup::Aac { config, .. } = &*frames[0].setup else { panic!("{:?}", frames[0].setup) };
    let config: String = config.iter().map(|byte| format!("{byte:02x}")).collect();
    let description = format!(
        "appsrc name=in format=time caps=\"audio/mpeg,mpegversion=4,stream-format=raw,framed=true,\
         rate=48000,channels=2,codec_data=(buffer){config}\" ! avdec_aac ! audioconvert \
         ! audio/x-raw,format=S16LE,channels=2,layout=interleaved ! appsink name=out sync=false"
    );
    let input: Vec<_> = frames.iter().map(|frame| frame.data.to_vec()).collect();
    left(&run(&description, &input))
}

fn left(buffers: &[Vec<u8>]) -> Vec<i16> {
    let bytes = buffers.concat();
    bytes.chunks_exact(4).map(|sample| i16::from_le_bytes([sample[0], sample[1]])).collect()
}

/// By how many samples `later` follows `sooner`, where the burst is that begins at `at`; and how alike
/// they are, 1 where they are the same.
pub(crate) fn lag(sooner: &[i16], later: &[i16], at: usize) -> (i64, f64) {
    let window = &sooner[at..at + 2_400];
    let energy = |samples: &[i16]| samples.iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
    let likeness = |lag: i64| {
        let from = usize::try_from(at as i64 + lag).ok()?;
        let other = later.get(from..from + window.len())?;
        let product: i64 =
            window.iter().zip(other).map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
        Some(product as f64 / (energy(window) * energy(other)).sqrt().max(1.0))
    };
    (-1_200..=1_200)
        .filter_map(|lag| Some((lag, likeness(lag)?)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap()
}
