//! Tests of Opus to AAC: where the sound lies, and what holes, pauses and failures do to it.

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use whitewater::transcode::audio::{self, Config, Handle};
use whitewater_core::media::{Frame, Ntp, Setup};

use crate::media;

struct Running {
    handle: Handle,
    output: Receiver<Frame>,
}

impl Running {
    fn start() -> Self {
        let (sender, output) = channel();
        let handle = audio::start(Config::default(), move |frame| {
            let _ = sender.send(frame);
        });
        Self { handle: handle.unwrap(), output }
    }

    fn push(&self, frames: &[Frame]) {
        for frame in frames {
            wait_until(|| self.handle.push(frame.clone()));
        }
    }

    fn gap_until(&self, ticks: i64) {
        wait_until(|| self.handle.gap_until(ticks));
    }

    /// Fills with silence behind `end` and takes all frames up to there.
    fn until(&self, end: i64) -> Vec<Frame> {
        self.gap_until(end + 8 * 1024);
        let mut frames: Vec<Frame> = Vec::new();
        while frames.last().is_none_or(|frame| frame.dts + 1024 < end) {
            frames.push(self.output.recv_timeout(PATIENCE).expect("the sound goes on"));
        }
        for (index, frame) in frames.iter().enumerate() {
            assert_eq!(frame.dts, frames[0].dts + 1024 * index as i64);
            assert_eq!((frame.dts % 1024, frame.pts, frame.keyframe), (0, frame.dts, true));
        }
        frames
    }
}

fn wait_until(mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(since.elapsed() < PATIENCE, "it takes nothing");
        thread::sleep(Duration::from_millis(1));
    }
}

/// By how many samples the bursts in `frames` are off, where the first packet began at `dts`.
fn off(packets: &[Vec<u8>], dts: i64, frames: &[Frame], bursts: &[usize]) -> Vec<i64> {
    let reference = media::opus_decoded(packets);
    let decoded = media::aac_decoded(frames);
    let shift = frames[0].dts - dts;
    let mut placed = vec![0; usize::try_from(shift).unwrap()];
    placed.extend(decoded);
    let off: Vec<_> = bursts.iter().map(|at| media::lag(&reference, &placed, *at)).collect();
    assert!(off.iter().all(|(_, likeness)| *likeness > 0.8), "{off:?}");
    off.into_iter().map(|(off, _)| off).collect()
}

#[test]
fn sound_stays_where_it_was_in_packets_of_any_length_mono_or_stereo() {
    let pcm = media::hiss(2);
    for (ms, samples, channels) in
        [("2.5", 120, 2), ("20", 960, 1), ("20", 960, 2), ("60", 2880, 2)]
    {
        let packets = media::opus(&pcm, channels, ms);
        let running = Running::start();
        let dts = 48_000 * 1_000 + 77;
        running.push(&media::frames(&packets, dts, samples));
        let frames = running.until(dts + 90_000);
        assert_eq!(frames[0].dts, (dts + 1023) / 1024 * 1024);
        let Setup::Aac { sample_rate, channels: 2, config } = &*frames[0].setup else { panic!() };
        assert_eq!((*sample_rate, &config[..2]), (48_000, &[0x11, 0x90][..]));
        let off = off(&packets, dts, &frames, &[24_000, 48_000, 72_000]);
        assert!(off.iter().all(|off| off.abs() <= 48), "{ms} ms, {channels} channels: {off:?}");
        println!("{ms} ms, {channels} channels: off by {off:?} samples");
    }
}

#[test]
fn holes_are_silence_and_what_follows_stays_where_it_was() {
    let packets = media::opus(&media::hiss(3), 2, "20");
    let mut sent = media::frames(&packets, 0, 960);
    // A second is lost whole, and later every packet of a tenth whose number is odd.
    sent.retain(|frame| !(24_960..72_960).contains(&frame.dts));
    sent.retain(|frame| !(81_600..86_400).contains(&frame.dts) || frame.dts / 960 % 2 == 0);
    let running = Running::start();
    running.push(&sent);
    let frames = running.until(130_000);
    assert_eq!(off(&packets, 0, &frames, &[96_000, 120_000]), [0, 0]);
    let decoded = media::aac_decoded(&frames);
    let loudest = decoded[28_000..70_000].iter().map(|sample| sample.unsigned_abs()).max();
    assert!(loudest < Some(200), "{loudest:?}");
    assert!(running.handle.counters().silence >= 48_000, "{:?}", running.handle.counters());
}

#[test]
fn a_pause_is_filled_when_told_and_a_late_start_begins_at_its_own_time() {
    let packets = media::opus(&media::hiss(1), 2, "20");
    let running = Running::start();
    running.gap_until(48_000 * 5 + 10);
    running.gap_until(48_000 * 15);
    let back = 48_000 * 15 + 500;
    running.push(&media::frames(&packets, back, 960));
    let frames = running.until(back + 40_000);
    assert_eq!(frames[0].dts, (48_000 * 5 + 10 + 1023) / 1024 * 1024);
    let heard = &frames[((back - frames[0].dts) / 1024 + 1) as usize..];
    assert_eq!(off(&packets, back, heard, &[24_000]), [0]);
}

#[test]
fn a_pipeline_that_fails_is_made_anew_and_no_frame_is_missing() {
    let packets = media::opus(&media::hiss(3), 2, "20");
    let sent = media::frames(&packets, 0, 960);
    let running = Running::start();
    running.push(&sent[..50]);
    running.handle.inject_failure();
    wait_until(|| running.handle.counters().rebuilt == 1);
    running.push(&sent[50..100]);
    running.handle.inject_failure();
    wait_until(|| running.handle.counters().rebuilt == 2);
    running.push(&sent[100..]);
    let frames = running.until(130_000);
    assert_eq!(off(&packets, 0, &frames, &[72_000, 120_000]), [0, 0]);
}

#[test]
fn damaged_packets_do_not_stop_the_sound() {
    let packets = media::opus(&media::hiss(3), 2, "20");
    let mut sent = media::frames(&packets, 0, 960);
    for (index, frame) in sent.iter_mut().enumerate().take(90).skip(10) {
        frame.data = match index % 4 {
            0 => vec![0xFF; 3].into(),
            1 => vec![].into(),
            2 => vec![0x03, 0xBF, 0xFF, 0xFF].into(),
            _ => frame.data.clone(),
        };
    }
    let running = Running::start();
    running.push(&sent);
    let frames = running.until(130_000);
    assert_eq!(off(&packets, 0, &frames, &[96_000, 120_000]), [0, 0]);
}

#[test]
fn frames_know_when_they_were_captured() {
    let packets = media::opus(&media::hiss(1), 2, "20");
    let mut sent = media::frames(&packets, 0, 960);
    let start = Ntp::from_unix_seconds(1_700_000_000.0);
    for frame in &mut sent {
        frame.capture = Some(start.plus_micros(frame.dts * 1_000 / 48));
    }
    let running = Running::start();
    running.push(&sent);
    for frame in running.until(40_000) {
        let off = frame.capture.unwrap().micros_since(start) - frame.dts * 1_000 / 48;
        assert!(off.abs() <= 2, "{off}");
    }
}

#[test]
fn what_it_costs_in_real_time() {
    let packets = media::opus(&media::hiss(4), 2, "20");
    let sent = media::frames(&packets, 0, 960);
    let running = Running::start();
    let before = cpu_seconds();
    let begun = Instant::now();
    let pushed = thread::scope(|scope| {
        let handle = &running.handle;
        let sent = &sent;
        let pushing = scope.spawn(move || {
            for frame in sent {
                let due = begun + Duration::from_micros((frame.dts as u64 + 960) * 1_000 / 48);
                thread::sleep(due.saturating_duration_since(Instant::now()));
                assert!(handle.push(frame.clone()));
            }
        });
        let mut waits = Vec::new();
        while let Ok(frame) = running.output.recv_timeout(Duration::from_secs(1)) {
            // Its last sample came in with the packet that ends at or after it.
            let end = (frame.dts as u64 + 1024).div_ceil(960) * 960;
            waits.push((begun.elapsed().as_secs_f64() - end as f64 / 48_000.0) * 1e3);
        }
        pushing.join().unwrap();
        waits
    });
    let cpu = cpu_seconds() - before;
    let mut waits = pushed;
    waits.sort_by(f64::total_cmp);
    let at = |share: f64| waits[(waits.len() as f64 * share) as usize];
    println!("from the last sample to its frame: p50 {:.1} ms, p95 {:.1} ms", at(0.5), at(0.95));
    println!("{:.3} CPU-seconds per second (of all tests that run)", cpu / 4.0);
    assert!(waits.len() > 180, "{}", waits.len());
    assert!(at(0.5) < 150.0, "{waits:?}");
}

fn cpu_seconds() -> f64 {
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_SELF).unwrap();
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    seconds(usage.user_time()) + seconds(usage.system_time())
}

const PATIENCE: Duration = Duration::from_secs(30);
