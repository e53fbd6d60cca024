//! A packager of nothing: what tests feed a window with.

use bytes::Bytes;

use super::super::{Config, Window};
use crate::media::{Init, Ntp, Packaged, Part, VideoRange};

/// Ticks per second: milliseconds.
pub(super) const HZ: u32 = 1_000;

/// 28 November 2026, 17:17:29.040.
pub(super) const EPOCH_US: i64 = 1_795_886_249_040_000;

pub(super) fn config(name: &str) -> Config {
    Config::new(name.parse().unwrap(), HZ, Ntp::from_unix_micros(EPOCH_US))
}

pub(super) fn init(version: u32) -> Packaged {
    Packaged::Init(Init {
        version,
        bytes: Bytes::from(format!("init {version}")),
        codecs: "avc1.42c01f".into(),
        size: Some((1280, 720)),
        range: VideoRange::Sdr,
    })
}

pub(super) fn part(segment: u64, index: u32, start: i64, duration: u64) -> Part {
    Part {
        segment,
        index,
        start,
        duration,
        independent: index == 0,
        bytes: Some(Bytes::from(format!("<{segment}.{index}>"))),
    }
}

/// A window that has seen so many segments of six parts of half a second.
pub(super) fn filled(config: Config, segments: std::ops::Range<u64>) -> Window {
    let mut window = Window::new(config);
    window.handle(init(0)).unwrap();
    for segment in segments {
        fill(&mut window, segment, 6);
        window.handle(Packaged::SegmentEnd { segment, duration: 3_000 }).unwrap();
    }
    window
}

/// Feeds the first parts of a segment of three seconds.
pub(super) fn fill(window: &mut Window, segment: u64, parts: u32) {
    for index in 0..parts {
        let start = segment as i64 * 3_000 + i64::from(index) * 500;
        window.handle(Packaged::Part(part(segment, index, start, 500))).unwrap();
    }
}
