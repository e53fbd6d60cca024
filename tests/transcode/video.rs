//! Tests of pictures to H.264: where they lie, and what holes, pauses, other sizes and failures do to them.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use whitewater::transcode::video::{self, Codec, Config, Counters, Handle, Made};
use whitewater_core::bridge::Rung;
use whitewater_core::media::{Frame, Ntp, Setup};

use crate::pictures;

pub(crate) struct Running {
    pub(crate) handle: Handle,
    output: Receiver<(Instant, Made)>,
    /// When the frames of the first rung came out.
    pub(crate) times: Vec<(i64, Instant)>,
    rungs: usize,
    /// Frames by rung.
    pub(crate) got: Vec<Vec<Frame>>,
    pub(crate) wanted: usize,
}

impl Running {
    pub(crate) fn start(sides: &[u16]) -> Self {
        Self::with(sides, Codec::H264)
    }

    fn with(sides: &[u16], codec: Codec) -> Self {
        let (sender, output) = channel();
        let rung = |(at, side): (usize, &u16)| Rung { side: *side, replaces: at == 0 };
        let rungs: Vec<_> = sides.iter().enumerate().map(rung).collect();
        let config = Config {
            codec,
            rungs,
            rate: 30,
            segment: Duration::from_secs(2),
            backlog: Duration::from_secs(4),
        };
        let handle = video::start(config, move |made| {
            let _ = sender.send((Instant::now(), made));
        });
        let got = sides.iter().map(|_| Vec::new()).collect();
        Self {
            handle: handle.unwrap(),
            output,
            times: Vec::new(),
            rungs: sides.len(),
            got,
            wanted: 0,
        }
    }

    pub(crate) fn push(&mut self, frames: &[Frame]) {
        for frame in frames {
            let since = Instant::now();
            while !self.handle.push(frame.clone(), false) {
                assert!(since.elapsed() < PATIENCE, "it takes nothing");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// At the pace that they were taken in, and with word of the time that passes. Gives when it began.
    pub(crate) fn play(&mut self, frames: &[Frame]) -> Instant {
        let (begun, first) = (Instant::now(), frames[0].dts);
        for frame in frames {
            let due = begun + Duration::from_micros((frame.dts - first) as u64 * 100 / 9);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            self.handle.push(frame.clone(), false);
            self.handle.still_until(frame.dts - 36_000);
        }
        begun
    }

    /// Takes all frames before `end`, which is a tick of the clock.
    pub(crate) fn until(&mut self, end: i64) -> &[Vec<Frame>] {
        self.wait(|running| {
            let there = |frames: &Vec<Frame>| frames.last().is_some_and(|f| f.dts + 3_000 >= end);
            running.got.iter().all(there)
        });
        &self.got
    }

    pub(crate) fn wait(&mut self, done: impl Fn(&Self) -> bool) {
        let since = Instant::now();
        while !done(self) {
            let counters = self.handle.counters();
            assert!(since.elapsed() < PATIENCE, "{counters:?} {:?}", self.ends());
            match self.output.recv_timeout(Duration::from_millis(20)) {
                Ok((at, Made::Frame(rung, frame))) => {
                    if rung == 0 {
                        self.times.push((frame.dts, at));
                    }
                    let own = &mut self.got[usize::from(rung)];
                    assert!(own.last().is_none_or(|last| last.dts < frame.dts), "{rung}");
                    own.push(frame);
                }
                Ok((_, Made::WantKeyframe)) => self.wanted += 1,
                Ok((_, Made::Failed(error))) => panic!("{error}"),
                Err(_) => {}
            }
        }
    }

    fn ends(&self) -> Vec<(usize, Option<i64>)> {
        self.got.iter().map(|frames| (frames.len(), frames.last().map(|f| f.dts))).collect()
    }

    pub(crate) fn counters(&self) -> Counters {
        self.handle.counters()
    }
}

/// Each tick has a frame, and keyframes are at the ticks of segments and nowhere else.
pub(crate) fn assert_regular(frames: &[Frame]) {
    for (index, frame) in frames.iter().enumerate() {
        assert_eq!((frame.dts, frame.pts), (index as i64 * 3_000, frame.dts), "no tick is empty");
        assert_eq!(frame.keyframe, frame.dts % 180_000 == 0, "{}", frame.dts);
    }
}

pub(crate) fn size(frame: &Frame) -> (u16, u16) {
    frame.setup.size().unwrap()
}

#[test]
fn vp8_and_h264_become_rungs_with_a_keyframe_at_each_tick_of_the_grid() {
    for (name, frames) in
        [("VP8", pictures::vp8((640, 360), 150)), ("H.264", pictures::h264((640, 360), 150))]
    {
        assert!(frames[0].keyframe && !frames[60].keyframe, "{name}");
        let mut running = Running::start(&[720, 180]);
        // The beginning may come all at once.
        let (gathered, live) = frames.split_at(90);
        running.push(gathered);
        running.until(270_000);
        running.play(live);
        let got = running.until(450_000);
        assert_regular(&got[0]);
        assert_regular(&got[1]);
        for (rung, want) in got.iter().zip([(640, 360), (320, 180)]) {
            assert!(rung.iter().all(|frame| size(frame) == want), "{name}");
            assert!(rung.iter().all(|frame| frame.setup == rung[0].setup), "{name}");
            let Setup::H264 { sps, .. } = &*rung[0].setup else { panic!("{name}") };
            assert_eq!(sps[1], 77, "{name}: the main profile");
            let bytes = usize::from(want.0) * usize::from(want.1) * 3 / 2;
            let decoded = pictures::decoded(rung);
            assert_eq!(decoded, vec![bytes; rung.len()], "{name}");
        }
        let Counters { dropped_behind, dropped_full, rebuilt, .. } = running.counters();
        assert_eq!((dropped_behind, dropped_full, rebuilt), (0, 0, 0), "{name}");
        assert_eq!(running.rungs, 2);
    }
}

#[test]
fn frames_know_when_they_were_captured() {
    let mut frames = pictures::vp8((160, 90), 30);
    let start = Ntp::from_unix_seconds(1_700_000_000.0);
    for frame in &mut frames {
        frame.capture = Some(start.plus_micros(frame.dts * 100 / 9));
    }
    let mut running = Running::start(&[90]);
    running.push(&frames);
    for frame in &running.until(90_000)[0] {
        let off = frame.capture.unwrap().micros_since(start) - frame.dts * 100 / 9;
        assert!(off.abs() <= 2, "{off}");
    }
}

#[test]
fn vp9_and_av1_are_decoded_as_well() {
    for (name, frames) in
        [("VP9", pictures::vp9((320, 180), 20)), ("AV1", pictures::av1((320, 180), 20))]
    {
        let mut running = Running::start(&[180, 90]);
        running.push(&frames);
        let got = running.until(60_000);
        assert_regular(&got[0]);
        assert_eq!((got[0].len(), size(&got[1][0])), (20, (160, 90)), "{name}");
        assert_eq!(pictures::decoded(&got[0]).len(), 20, "{name}");
        assert_eq!(running.counters().repeated, 0, "{name}");
    }
}

#[test]
fn h265_is_made_where_it_is_asked_for() {
    let frames = pictures::vp8((320, 180), 66);
    let mut running = Running::with(&[180], Codec::H265);
    running.push(&frames);
    let got = running.until(198_000);
    assert_regular(&got[0]);
    let Setup::H265 { size, vps, sps, pps } = &*got[0][0].setup else { panic!("not H.265") };
    assert_eq!((*size, vps.len(), sps.len(), pps.len()), ((320, 180), 1, 1, 1));
    assert_eq!(pictures::decoded(&got[0]), vec![320 * 180 * 3 / 2; 66]);
    // It can be packaged.
    let header = whitewater_core::package::cmaf::header(&got[0][0].setup, 90_000).unwrap();
    assert!(header.codecs.starts_with("hvc1.1.6."), "{}", header.codecs);
}

const PATIENCE: Duration = Duration::from_secs(30);
