//! An encoder that makes frames of one rung out of pictures of any size.

use std::sync::Arc;

use bytes::Bytes;
use gstreamer as gst;
use gstreamer_app::AppSrc;
use whitewater_core::bridge::Rung;
use whitewater_core::media::{Frame, Setup};

use super::super::Error;
use super::super::pipeline::{self, Pipeline};
use super::{Codec, parameters, stamps};

/// How one rung is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder {
    pub(super) codec: Codec,
    pub(super) size: (u16, u16),
    pub(super) rate: u32,
}

/// Whether the system has what encodes.
pub(super) fn check(codec: Codec) -> Result<(), Error> {
    let (element, package) = match codec {
        Codec::H264 => ("x264enc", "gstreamer1.0-plugins-ugly"),
        Codec::H265 => ("x265enc", "gstreamer1.0-plugins-bad"),
    };
    if pipeline::exists(element) { Ok(()) } else { Err(Error::Missing { element, package }) }
}

// === impl Encoder ===

impl Encoder {
    /// Lets it run. Frames come without their capture time.
    pub(super) fn start(
        self,
        mut output: impl FnMut(Frame) + Send + 'static,
    ) -> Result<(Pipeline, AppSrc), Error> {
        let pipeline = Pipeline::launch(&self.description())?;
        let source = pipeline.source("in")?;
        let mut known: Option<(Bytes, Arc<Setup>)> = None;
        pipeline.each_sample("out", move |sample| {
            if let Some(frame) = self.frame(sample, &mut known) {
                output(frame);
            }
        })?;
        pipeline.play()?;
        Ok((pipeline, source))
    }

    fn description(self) -> String {
        let Self { codec, size: (width, height), rate } = self;
        let kbps = Rung::bits_per_second(self.size, rate) / 1000;
        let work = u32::from(width) * u32::from(height) * rate;
        let threads = if work > WORK_OF_ONE_THREAD { 2 } else { 1 };
        // Quality is the same throughout and bits are what it takes, up to a limit. A keyframe comes
        // where it is asked for and nowhere else.
        let encoder = match codec {
            Codec::H264 => format!(
                "x264enc tune=zerolatency speed-preset={PRESET} pass=qual quantizer={QUALITY} \
                 bitrate={kbps} vbv-buf-capacity=400 key-int-max={LONG} bframes=0 \
                 threads={threads} aud=false \
                 option-string=\"scenecut=0:open-gop=0\" \
                 ! video/x-h264,profile=main,stream-format=avc,alignment=au"
            ),
            Codec::H265 => format!(
                "x265enc tune=zerolatency speed-preset=ultrafast bitrate={kbps} key-int-max={LONG} \
                 option-string=\"scenecut=0:open-gop=0:bframes=0:pools=none:frame-threads=1:\
                 crf={QUALITY}:vbv-maxrate={kbps}:vbv-bufsize={}:repeat-headers=0:aud=0:info=0\" \
                 ! h265parse ! video/x-h265,stream-format=hvc1,alignment=au",
                kbps * 4 / 10
            ),
        };
        format!(
            "appsrc name=in format=time max-bytes=0 \
             ! videoscale method=bilinear n-threads=1 \
             ! video/x-raw,width={width},height={height},pixel-aspect-ratio=1/1 \
             ! {encoder} ! appsink name=out sync=false async=false"
        )
    }

    /// What came out, as a frame. `known` is what its predecessor was described by.
    fn frame(
        self,
        sample: &gst::SampleRef,
        known: &mut Option<(Bytes, Arc<Setup>)>,
    ) -> Option<Frame> {
        let buffer = sample.buffer()?;
        // Encoders count from where they like; running time is what went in.
        let segment = sample.segment()?.downcast_ref::<gst::ClockTime>()?;
        let dts = stamps::ticks(segment.to_running_time(buffer.pts()?)?)?;
        let described = sample.caps()?.structure(0)?.get::<gst::Buffer>("codec_data").ok()?;
        let described = described.map_readable().ok()?;
        let same = known.as_ref().filter(|(bytes, _)| *bytes == described[..]);
        let setup = match same {
            Some((_, setup)) => setup.clone(),
            None => {
                let setup = match self.codec {
                    Codec::H264 => parameters::h264(&described, self.size)?,
                    Codec::H265 => parameters::h265(&described, self.size)?,
                };
                let bytes = Bytes::copy_from_slice(&described);
                known.insert((bytes, Arc::new(setup))).1.clone()
            }
        };
        let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        let data = parameters::without_sets(self.codec, &buffer.map_readable().ok()?);
        Some(Frame { dts, pts: dts, keyframe, data, setup, capture: None })
    }
}

const PRESET: &str = "veryfast";
/// A constant rate factor that is hard to tell from the source.
const QUALITY: u32 = 23;
/// Pictures from keyframe to keyframe if nobody asked: hours.
const LONG: u32 = 1_000_000;
/// Pixels per second, those of 720p at 30, that one thread of a small machine encodes with ease.
const WORK_OF_ONE_THREAD: u32 = 1280 * 720 * 30;
