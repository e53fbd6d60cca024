//! A packager that stands for a publisher of 30 pictures per second: two qualities and sound, in its time.

use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use whitewater::origin::{Offered, Store, Writer};
use whitewater_core::media::{Init, Kind, Ntp, Packaged, Part, VideoRange};
use whitewater_core::playlist::{Bandwidth, Config, Name};

/// Ticks per second.
const HZ: u32 = 1_000;

/// Segments of 2 s in six parts, pictures and sound alike.
const PARTS: u32 = 6;

const QUALITIES: [(&str, Kind, u64); 3] =
    [("high", Kind::Video, 600_000), ("low", Kind::Video, 150_000), ("audio", Kind::Audio, 96_000)];

/// Opens the epoch `e1` of the stream `live` with so many whole segments.
pub(crate) fn open(store: &Store, segments: u64) -> Writer {
    let writer = store.open("live".parse().unwrap(), "e1".parse().unwrap(), offered()).unwrap();
    for (name, kind, bps) in QUALITIES {
        let codecs = if kind == Kind::Video { "avc1.42c01f" } else { "mp4a.40.2" };
        let size = (kind == Kind::Video).then_some((1_280, 720));
        let bytes = Bytes::from_static(b"init");
        let init = Packaged::Init(Init {
            version: 0,
            bytes,
            codecs: codecs.into(),
            size,
            range: VideoRange::Sdr,
        });
        let name: Name = name.parse().unwrap();
        writer.push(&name, [init]).unwrap();
        let parts = (0..segments * u64::from(PARTS)).flat_map(|number| made(number, bps));
        writer.push(&name, parts).unwrap();
    }
    writer
}

/// Goes on from there, a part every third of a second; sound comes a little after its pictures.
pub(crate) fn go_on(writer: Writer, segments: u64) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut due = Instant::now();
        for number in segments * u64::from(PARTS).. {
            due += Duration::from_micros(1_000_000 / 3);
            for (name, kind, bps) in QUALITIES {
                let lag = Duration::from_millis(if kind == Kind::Audio { 40 } else { 0 });
                sleep_until(due + lag).await;
                writer.push(&name.parse().unwrap(), made(number, bps)).unwrap();
            }
        }
    })
}

/// The part of that number, with the end of its segment if it is the last one.
fn made(number: u64, bps: u64) -> Vec<Packaged> {
    let (segment, index) = (number / u64::from(PARTS), (number % u64::from(PARTS)) as u32);
    let within = |index: u32| i64::from(index) * 2_000 / i64::from(PARTS);
    let duration = (within(index + 1) - within(index)).unsigned_abs();
    let len = bps as usize / 8 / 3;
    let mut items = vec![Packaged::Part(Part {
        segment,
        index,
        start: segment as i64 * 2_000 + within(index),
        duration,
        independent: index == 0,
        bytes: Some(Bytes::from(vec![number as u8; len])),
    })];
    if index + 1 == PARTS {
        items.push(Packaged::SegmentEnd { segment, duration: 2_000 });
    }
    items
}

fn offered() -> Vec<Offered> {
    let epoch = Ntp::from_unix_micros(1_795_886_249_040_000);
    let one = |(name, kind, bps): (&str, Kind, u64)| Offered {
        config: Config::new(name.parse().unwrap(), HZ, epoch),
        kind,
        nominal: Bandwidth { peak_bps: bps, average_bps: bps },
        frame_rate: (kind == Kind::Video).then_some(30.0),
        channels: (kind == Kind::Audio).then_some(2),
    };
    QUALITIES.into_iter().map(one).collect()
}
