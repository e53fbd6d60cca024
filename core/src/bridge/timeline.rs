//! A timeline that places sound and picture of one epoch.
//!
//! Layers of a picture share one clock already (their track's), so that joint keyframes have equal
//! decode times. Sound is placed beside it by the time of capture in the server's clock, once, and goes
//! on by its own clock; it is placed anew when the two have drifted apart too far to be in step.

use crate::media::Ntp;
use crate::media::time::micros_to_ticks;

/// Where tracks stand on the epoch's timeline.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    zero: Ntp,
    video: Offset,
    audio: Offset,
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
        Self { zero, video: offset(video_rate), audio: offset(audio_rate) }
    }

    /// The wall-clock time of tick 0.
    pub(super) fn zero(&self) -> Ntp {
        self.zero
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
        let at = self.video.ticks.or_else(|| self.video.by_capture(self.zero, ticks, capture));
        self.video.ticks = at;
        Some(ticks + at?)
    }

    /// The place of sound.
    pub(super) fn audio(&mut self, ticks: i64, capture: Option<Ntp>) -> Option<i64> {
        let measured = self.audio.by_capture(self.zero, ticks, capture);
        let drift = i64::from(self.audio.clock_rate) * DRIFT_MS / 1000;
        let kept = self.audio.ticks.filter(|at| measured.is_none_or(|m| (m - at).abs() <= drift));
        self.audio.ticks = kept.or(measured);
        Some(ticks + self.audio.ticks?)
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
        assert_eq!(timeline.video(5_000_000 + 90_000, Some(at(990))), Some(90_000));
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
    fn another_publisher_is_placed_by_the_wall_clock() {
        let mut timeline = Timeline::new(at(0), 90_000, 48_000);
        timeline.begin_video(0);
        assert_eq!(timeline.audio(0, None), None);
        timeline.restart();
        assert_eq!(timeline.video(123, None), None);
        assert_eq!(timeline.video(123, Some(at(10_000))), Some(900_000));
        assert_eq!(timeline.video(123 + 3000, Some(at(10_100))), Some(903_000));
        assert_eq!(timeline.audio(55, Some(at(10_020))), Some(480_960));
    }
}
