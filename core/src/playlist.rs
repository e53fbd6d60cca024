//! A set of playlists that tell players what there is of a stream: Low-Latency HLS.
//!
//! A [`Window`] takes what one rendition's packager puts out and knows what a player may ask for. Its
//! text is [`render`]ed in full or as a delta; [`decide`] says whether a request is answered or
//! waits; [`multivariant()`] lists the renditions. [`dash::manifest`] tells DASH players of the same files.
//! What was [`Recorded`] is told of likewise.
//! Nothing here sends or stores anything.

pub mod dash;
mod measure;
mod media;
pub mod multivariant;
pub mod recorded;
pub mod reload;
mod runs;
mod segment;
#[cfg(test)]
mod tests;
mod text;
mod wall;
mod window;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::media::Ntp;

pub use measure::Bandwidth;
pub use media::{Form, Report, render};
pub use multivariant::{Described, multivariant};
pub use recorded::{Kept, Recorded};
pub use reload::{Answer, BadRequest, Directives, decide};
pub use runs::Run;
pub use segment::Finished;
pub use window::{Found, Position, State, Unfit, Window};

/// What a rendition is called in URIs: 1 to 64 of `[A-Za-z0-9_-]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// A text that is not a rendition's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rendition's name is 1 to 64 of A-Z a-z 0-9 _ -")]
pub struct InvalidName;

/// What holds for one rendition as long as its playlist lives. All renditions of an epoch have the
/// same save name and timescale.
#[derive(Clone, Debug)]
pub struct Config {
    /// The rendition.
    pub name: Name,
    /// Ticks per second of the rendition's parts.
    pub timescale: u32,
    /// `EXT-X-TARGETDURATION` in seconds, default 3.
    pub target_duration_s: u32,
    /// What segments last where nothing is amiss, default 2 s.
    pub segment: Duration,
    /// The longest part. Default 500 ms.
    pub part_target: Duration,
    /// How far back the playlist goes, default two minutes. It never has less than six segments or
    /// three target durations once there were as many.
    pub dvr: Duration,
    /// How far back media stays in memory that is kept elsewhere too. Default three minutes.
    pub memory: Duration,
    /// The server's wall clock at tick 0.
    pub epoch: Ntp,
    /// How many bytes of media are kept, default 256 MiB. Beyond them the oldest leave early, as far
    /// as the least that a playlist may have.
    pub max_bytes: usize,
}

// === impl Name ===

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(valid);
        if fits { Ok(Self(text.into())) } else { Err(InvalidName) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

// === impl Config ===

impl Config {
    /// The defaults for a rendition whose tick 0 was at `epoch`.
    pub fn new(name: Name, timescale: u32, epoch: Ntp) -> Self {
        Self {
            name,
            timescale: timescale.max(1),
            target_duration_s: 3,
            segment: Duration::from_secs(2),
            part_target: Duration::from_millis(500),
            dvr: Duration::from_secs(120),
            memory: Duration::from_secs(180),
            epoch,
            max_bytes: 256 * 1024 * 1024,
        }
    }

    /// Ticks of a duration, rounded down.
    pub(crate) fn ticks(&self, duration: Duration) -> u64 {
        let ticks = duration.as_micros() * u128::from(self.timescale) / 1_000_000;
        u64::try_from(ticks).unwrap_or(u64::MAX)
    }

    /// The target duration.
    pub fn target_duration(&self) -> Duration {
        Duration::from_secs(self.target_duration_s.into())
    }

    /// How old a playlist may be at most that a delta is applied to (CAN-SKIP-UNTIL), where the
    /// window is longer than that.
    pub(crate) fn skip_until(&self) -> Option<Duration> {
        let until = self.target_duration() * SKIP_TARGETS;
        (self.dvr > until).then_some(until)
    }

    /// How many parts after the last one may be asked for at once.
    ///
    /// The draft's section 6.2.5.2 asks for three seconds' worth. hls.js without low latency asks
    /// for the last part of the next segment, so that a segment's worth it is at least.
    pub(crate) fn advance_part_limit(&self) -> u32 {
        let part_us = self.part_target.as_micros().max(1);
        let covering = |s: u32| u32::try_from((u128::from(s) * 1_000_000).div_ceil(part_us));
        let seconds = if part_us < 1_000_000 { covering(3).unwrap_or(u32::MAX) } else { 3 };
        seconds.max(covering(self.target_duration_s).unwrap_or(u32::MAX))
    }
}

/// The least that CAN-SKIP-UNTIL may be, in target durations.
const SKIP_TARGETS: u32 = 6;
