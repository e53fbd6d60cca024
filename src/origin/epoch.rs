//! An epoch that holds the renditions of one continuous timeline of a stream.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use whitewater_core::media::{Kind, Ntp};
use whitewater_core::playlist::dash;
use whitewater_core::playlist::{Bandwidth, Config, Described, Report, multivariant};

use super::answer::Text;
use super::door::Pass;
use super::rendition::Rendition;

/// The name of an epoch in URIs: 1 to 64 of `[A-Za-z0-9-]`. Never used twice, whatever restarts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EpochId(Arc<str>);

/// A text that is not an epoch's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an epoch's name is 1 to 64 of A-Z a-z 0-9 -")]
pub struct InvalidEpoch;

/// A rendition that is about to come.
#[derive(Clone, Debug)]
pub struct Offered {
    /// What holds for its playlist.
    pub config: Config,
    /// Sound or picture.
    pub kind: Kind,
    /// What it takes, as long as nothing was measured.
    pub nominal: Bandwidth,
    /// Pictures per second, where that is known.
    pub frame_rate: Option<f64>,
    /// Channels of sound, where they are known.
    pub channels: Option<u8>,
}

/// What requests see of an epoch.
pub(super) struct Epoch {
    pub(super) id: EpochId,
    /// The zero of the first epoch of those that were kept when this one began: what times of DASH count from.
    pub(super) since: Ntp,
    renditions: Vec<Rendition>,
    index: Mutex<Index>,
    began: Instant,
    /// Milliseconds after that, when somebody asked last.
    asked: AtomicU64,
    /// Whether what players are to find is there.
    awake: watch::Sender<bool>,
    hidden: AtomicBool,
}

/// The multivariant playlist as it was written last.
#[derive(Default)]
struct Index {
    described: Vec<Described>,
    /// For everybody, and under the passes that are in use.
    texts: Vec<(Option<Pass>, Arc<Text>)>,
}

// === impl EpochId ===

impl EpochId {
    /// The name of an epoch that begins at that time, and of no other one: both numbers in base 36.
    pub fn new(unix_ms: u64, random: u64) -> Self {
        Self(format!("{}-{}", base36(unix_ms), base36(random)).into())
    }

    /// The time in a name, in milliseconds since 1970; `None` where there is none.
    pub fn unix_ms(name: &str) -> Option<u64> {
        let (time, _) = name.split_once('-')?;
        u64::from_str_radix(time, 36).ok()
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or(0);
        digits.push(char::from_digit(digit, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.into_iter().rev().collect();
        }
    }
}

impl FromStr for EpochId {
    type Err = InvalidEpoch;

    fn from_str(text: &str) -> Result<Self, InvalidEpoch> {
        let valid = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(valid);
        if fits { Ok(Self(text.into())) } else { Err(InvalidEpoch) }
    }
}

impl fmt::Display for EpochId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for EpochId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

// === impl Epoch ===

impl Epoch {
    pub(super) fn new(id: EpochId, offered: Vec<Offered>, since: Ntp) -> Self {
        let urgencies = urgencies(&offered);
        let renditions = offered.into_iter().zip(urgencies);
        Self {
            id,
            since,
            renditions: renditions
                .map(|(offered, urgency)| Rendition::new(offered, urgency))
                .collect(),
            index: Mutex::default(),
            began: Instant::now(),
            asked: AtomicU64::new(0),
            awake: watch::Sender::new(true),
            hidden: AtomicBool::new(false),
        }
    }

    pub(super) fn rendition(&self, name: &str) -> Option<&Rendition> {
        self.renditions.iter().find(|rendition| rendition.name().as_ref() == name)
    }

    pub(super) fn renditions(&self) -> &[Rendition] {
        &self.renditions
    }

    /// How far all renditions save one have come.
    pub(super) fn reports(&self, save: &Rendition) -> Vec<Report> {
        let others = self.renditions.iter().filter(|other| other.name() != save.name());
        others.filter_map(Rendition::report).collect()
    }

    /// Whether nothing more will come of any rendition.
    pub(super) fn has_ended(&self) -> bool {
        self.renditions.iter().all(|rendition| {
            let shown = rendition.shown();
            shown.gone || shown.state.ended
        })
    }

    /// The multivariant playlist, written anew where something has changed. What it names lies under
    /// the pass.
    pub(super) fn index(&self, pass: Option<&Pass>) -> Option<Arc<Text>> {
        let described: Vec<_> = self.renditions.iter().filter_map(Rendition::described).collect();
        if described.is_empty() {
            return None;
        }
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.described != described {
            *index = Index { described, texts: Vec::new() };
        }
        if let Some((_, text)) = index.texts.iter().find(|(under, _)| under.as_ref() == pass) {
            return Some(Arc::clone(text));
        }
        let under = pass.map(|Pass(pass)| format!("{pass}/")).unwrap_or_default();
        let text = multivariant(&index.described, &format!("{under}{}/", self.id));
        let text = Arc::new(Text::new(text));
        if index.texts.len() == MAX_TEXTS {
            index.texts.remove(0);
        }
        index.texts.push((pass.cloned(), Arc::clone(&text)));
        Some(text)
    }

    /// What the manifest of DASH tells of it; its renditions lie below `base`.
    pub(super) fn timeline(&self, base: String) -> Option<dash::Epoch> {
        let tracks: Vec<_> = self.renditions.iter().filter_map(Rendition::track).collect();
        let config = self.renditions.first().filter(|_| !tracks.is_empty())?.config();
        let ends = || self.renditions.iter().map(Rendition::end_of_media);
        Some(dash::Epoch {
            id: self.id.to_string(),
            zero: config.epoch,
            segment: config.segment,
            part: config.part_target,
            ended: self.has_ended().then(|| ends().max().unwrap_or_default()),
            tracks,
            pauses: Vec::new(),
            base,
        })
    }

    /// Somebody asks for something.
    pub(super) fn touch(&self) {
        // 0 is never.
        self.asked.store(self.millis().max(1), Ordering::Relaxed);
    }

    /// Whether anybody has ever asked.
    pub(super) fn was_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed) > 0
    }

    /// Lets who comes wait until it is awake.
    pub(super) fn sleep(&self) {
        self.asked.store(0, Ordering::Relaxed);
        self.awake.send_replace(false);
    }

    pub(super) fn wake(&self) {
        self.awake.send_replace(true);
    }

    /// What to wait for before the multivariant playlist is of use.
    pub(super) fn awake(&self) -> watch::Receiver<bool> {
        self.awake.subscribe()
    }

    /// Takes it away from players.
    pub(super) fn hide(&self) {
        self.hidden.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_hidden(&self) -> bool {
        self.hidden.load(Ordering::Relaxed)
    }

    /// How long nobody has asked for anything.
    pub(super) fn idle(&self) -> Duration {
        Duration::from_millis(self.millis().saturating_sub(self.asked.load(Ordering::Relaxed)))
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Sound first, then pictures, those that take less before those that take more (H61).
fn urgencies(offered: &[Offered]) -> Vec<u8> {
    let smaller = |one: &Offered| {
        let peaks = offered.iter().filter(|other| other.kind == Kind::Video);
        peaks.filter(|other| other.nominal.peak_bps < one.nominal.peak_bps).count()
    };
    let urgency = |one: &Offered| match one.kind {
        Kind::Audio => AUDIO_URGENCY,
        Kind::Video => {
            let rank = u8::try_from(smaller(one)).unwrap_or(u8::MAX);
            (AUDIO_URGENCY + 1).saturating_add(rank).min(LEAST_URGENT)
        }
    };
    offered.iter().map(urgency).collect()
}

/// A pass holds for a day at most and is for a full hour.
const MAX_TEXTS: usize = 32;

const AUDIO_URGENCY: u8 = 2;

const LEAST_URGENT: u8 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_epochs_are_short_and_checked() {
        let id = EpochId::new(1_795_886_249_040, 35);
        assert_eq!(id.to_string(), "mx0oayc0-z");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(EpochId::new(u64::MAX, 0).to_string(), "3w5e11264sgsf-0");
        let times = ["mx0oayc0-z", "mx0oayc0", "-z", "3w5e11264sgsg-0", "a b-0"];
        let read = times.map(EpochId::unix_ms);
        assert_eq!(read, [Some(1_795_886_249_040), None, None, None, None]);
        for bad in ["", "a/b", "..", "a b", &"x".repeat(65)] {
            assert_eq!(bad.parse::<EpochId>(), Err(InvalidEpoch), "{bad:?}");
        }
    }
}
