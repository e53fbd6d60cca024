//! A timeline that places sound and picture of one epoch.
//!
//! Layers of a picture share one clock already (their track's), so that joint keyframes have equal
//! decode times. Sound is placed beside it by the time of capture in the server's clock, once, and goes
//! on by its own clock; it is placed anew when the two have drifted apart too far to be in step. The
//! epoch follows the picture's clock, or the sound's where there is no picture: how that drifts against
//! the server's clock is measured, so that wall-clock times stay true.

use std::time::Duration;

use crate::media::Ntp;
use crate::media::time::{micros_to_ticks, ticks_to_micros};

/// Where tracks stand on the epoch's timeline.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    zero: Ntp,
    video: Offset,
    audio: Offset,
    /// By how much zero is later than `zero` says by now, in microseconds, smoothed; in 1/SMOOTH.
    drift: i64,
    /// The drift that was told of.
    told_us: i64,
    told_at: Duration,
}

/// From a track's clock to the epoch's, in ticks of the track.
#[derive(Clone, Copy, Debug)]
struct Offset {
    clock_rate: u32,
    ticks: Option<i64>,
}

// === impl Timeline ===

impl Timeline {
    /// A timeline whose zero is at `zero` in the server's clock.
    pub(super) fn new(zero: Ntp, video_rate: u32, audio_rate: u32) -> Self {
        let offset = |clock_rate| Offset { clock_rate, ticks: None };
        Self {
            zero,
            video: offset(video_rate),
            audio: offset(audio_rate),
            drift: 0,
            told_us: 0,
            told_at: Duration::ZERO,
        }
    }

    /// The wall-clock time of tick 0, as the epoch begins.
    pub(super) fn zero(&self) -> Ntp {
        self.zero
    }

    /// The wall-clock time of tick 0 as it is by now, if it has moved. `since` is the time since the
    /// epoch began.
    pub(super) fn moved_zero(&mut self, since: Duration) -> Option<Ntp> {
        let us = self.drift / SMOOTH;
        let due = since.saturating_sub(self.told_at) >= TELL_INTERVAL;
        if !due || (us - self.told_us).abs() < TOLD_US {
            return None;
        }
        (self.told_at, self.told_us) = (since, us);
        Some(self.present_zero())
    }

    /// The wall-clock time of a place, in microseconds on the epoch's timeline.
    pub(super) fn wall(&self, us: i64) -> Ntp {
        self.present_zero().plus_micros(us)
    }

    fn present_zero(&self) -> Ntp {
        self.zero.plus_micros(self.drift / SMOOTH)
    }

    /// Measures how the clock that the epoch follows drifts.
    fn measure(&mut self, ticks: i64, clock_rate: u32, capture: Option<Ntp>) {
        let Some(capture) = capture else { return };
        let us = capture.micros_since(self.zero) - ticks_to_micros(ticks, clock_rate);
        self.drift += us - self.drift / SMOOTH;
    }

    /// Makes a time of the picture's track the epoch's zero.
    pub(super) fn begin_video(&mut self, ticks: i64) {
        self.video.ticks = Some(-ticks);
    }

    /// Tracks begin anew with another publisher; what comes next is placed by its capture time.
    pub(super) fn restart(&mut self) {
        (self.video.ticks, self.audio.ticks) = (None, None);
    }

    /// The place of a picture.
    pub(super) fn video(&mut self, ticks: i64, capture: Option<Ntp>) -> Option<i64> {
        let zero = self.present_zero();
        let at = self.video.ticks.or_else(|| self.video.by_capture(zero, ticks, capture));
        self.video.ticks = at;
        let placed = ticks + at?;
        self.measure(placed, self.video.clock_rate, capture);
        Some(placed)
    }

    /// The place of sound.
    pub(super) fn audio(&mut self, ticks: i64, capture: Option<Ntp>) -> Option<i64> {
        let measured = self.audio.by_capture(self.present_zero(), ticks, capture);
        let drift = i64::from(self.audio.clock_rate) * DRIFT_MS / 1000;
        let follows = self.video.ticks.is_none();
        let in_step = |at: &i64| follows || measured.is_none_or(|m| (m - at).abs() <= drift);
        self.audio.ticks = self.audio.ticks.filter(in_step).or(measured);
        let placed = ticks + self.audio.ticks?;
        if follows {
            self.measure(placed, self.audio.clock_rate, capture);
        }
        Some(placed)
    }
}

// === impl Offset ===

impl Offset {
    fn by_capture(&self, zero: Ntp, ticks: i64, capture: Option<Ntp>) -> Option<i64> {
        let us = capture?.micros_since(zero);
        Some(micros_to_ticks(us, self.clock_rate) - ticks)
    }
}

/// People notice when sound is 45 ms early or 125 ms late (ITU-R BT.1359).
const DRIFT_MS: i64 = 30;

/// Measurements that the drift is smoothed over: a few seconds' worth.
const SMOOTH: i64 = 256;

/// Wall-clock times are put right by no less, and no more often.
const TOLD_US: i64 = 5_000;
const TELL_INTERVAL: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Ntp {
        Ntp::from_unix_micros(1_700_000_000_000_000 + ms * 1000)
    }

    #[test]
    fn sound_is_placed_beside_the_picture_and_then_counts_by_itself() {
        let mut timeline = Timeline::new(at(0), 90_000, 48_000);
        timeline.begin_video(5_000_000);
        assert_eq!(timeline.video(5_000_000 + 90_000, Some(at(1000))), Some(90_000));
        assert_eq!(timeline.audio(777, Some(at(500))), Some(24_000));
        // Jitter of what is known of the capture does not move it.
        for (i, jitter) in [5, -9, 20, -29].into_iter().enumerate() {
            let i = i as i64 + 1;
            let placed = timeline.audio(777 + i * 960, Some(at(500 + i * 20 + jitter)));
            assert_eq!(placed, Some(24_000 + i * 960));
        }
        assert_eq!(timeline.audio(777 + 9600, Some(at(740))), Some(24_000 + 9600 + 1920));
    }

    #[test]
    fn wall_clock_times_follow_a_publishers_clock_that_drifts() {
        for (ppm, with_video) in [(200_i64, true), (-200, true), (100, false)] {
            let mut timeline = Timeline::new(at(0), 90_000, 48_000);
            if with_video {
                timeline.begin_video(7);
            }
            let mut zero = timeline.zero();
            let mut told = 0;
            // Twenty minutes; every clock of the publisher runs too slow or too fast.
            for step in 0..60_000_i64 {
                let theirs_us = step * 20_000;
                let jitter_us = [0, 3_000, -2_000, 4_000, -5_000][(step % 5) as usize];
                let ours = at(0).plus_micros(theirs_us + theirs_us * ppm / 1_000_000 + jitter_us);
                let sound = timeline.audio(11 + theirs_us * 48 / 1000, Some(ours)).unwrap();
                let mut apart_ms = 0;
                if with_video {
                    let picture = timeline.video(7 + theirs_us * 90 / 1000, Some(ours)).unwrap();
                    apart_ms = sound / 48 - picture / 90;
                }
                assert!(apart_ms.abs() <= 30, "{ppm} {step}: {apart_ms} ms");
                if let Some(moved) = timeline.moved_zero(Duration::from_micros(theirs_us as u64)) {
                    (zero, told) = (moved, told + 1);
                }
                let wall = zero.plus_micros(sound * 1000 / 48);
                let off = wall.micros_since(ours);
                assert!(off.abs() < 20_000, "{ppm} {step}: off by {off}");
            }
            assert!((10..130).contains(&told), "{ppm}: {told}");
        }
    }

    #[test]
    fn another_publisher_is_placed_by_the_wall_clock() {
        let mut timeline = Timeline::new(at(0), 90_000, 48_000);
        timeline.begin_video(0);
        assert_eq!(timeline.audio(0, None), None);
        timeline.restart();
        assert_eq!(timeline.video(123, None), None);
        assert_eq!(timeline.video(123, Some(at(10_000))), Some(900_000));
        assert_eq!(timeline.video(123 + 3000, Some(at(10_033))), Some(903_000));
        assert_eq!(timeline.audio(55, Some(at(10_020))), Some(480_960));
    }
}
