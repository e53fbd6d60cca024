//! What is made of a stream where it is not packaged as it comes: AAC and pictures that are transcoded.
//!
//! **Of a stream that is recorded, what only players need is made while there are any.** The first of them
//! waits a moment for it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tracing::{debug, warn};
use whitewater_core::bridge::RenditionId;
use whitewater_core::media::Kind;

use super::super::When;
use super::super::picture::Picture;
use super::super::sound::Sound;
use super::Task;

/// How much of it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Making {
    /// All there is to make.
    All,
    /// What is recorded, as nobody plays it.
    Recorded,
    /// All, for the first player; what has not come out yet is true.
    Beginning { since: Instant, sound: bool, picture: bool },
}

/// What has to be made at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) sound: bool,
    pub(super) picture: bool,
}

// === impl Making ===

impl Making {
    /// Something comes out.
    pub(super) fn comes(&mut self, kind: Kind) {
        if let Self::Beginning { sound, picture, .. } = self {
            match kind {
                Kind::Audio => *sound = false,
                Kind::Video => *picture = false,
            }
        }
    }
}

// === impl Task ===

impl Task {
    /// What has to be made for those who play it or record it.
    pub(super) fn needs(&self) -> Needs {
        let config = &self.bridges.config;
        let always = (config.when)(self.name.as_str()) == When::Always;
        let is_played = always || self.is_played.load(Ordering::Relaxed);
        let recorded = (config.recorded)(&self.name);
        // A picture that cannot be recorded as it comes is recorded as it is transcoded.
        let mut renditions = self.opened.iter().flat_map(|opened| &opened.renditions);
        let has_layer = renditions.any(|one| matches!(one.id, RenditionId::Layer(_)));
        Needs {
            sound: is_played || recorded.is_none_or(|recorded| recorded.aac),
            picture: is_played || recorded.is_none_or(|recorded| recorded.ladder || !has_layer),
        }
    }

    pub(super) fn starts_sound(&mut self) {
        if self.has_aac() {
            self.sound = Sound::start().inspect_err(|error| warn!(%error, "sound is lost")).ok();
        }
    }

    pub(super) fn starts_picture(&mut self) {
        let Some(opened) = self.opened.as_ref().filter(|opened| !opened.rungs.is_empty()) else {
            return;
        };
        match Picture::start(opened, self.codec, self.bridges.config.metrics.clone()) {
            Ok(picture) => self.picture = Some(picture),
            Err(error) => {
                warn!(stream = %self.name, %error, "the picture is not transcoded");
                self.withdraw_rungs();
            }
        }
    }

    fn has_aac(&self) -> bool {
        let mut renditions = self.opened.iter().flat_map(|opened| &opened.renditions);
        renditions.any(|one| one.id == RenditionId::Aac)
    }

    fn has_rungs(&self) -> bool {
        self.opened.as_ref().is_some_and(|opened| !opened.rungs.is_empty())
    }

    /// Begins to make what players need once the first has asked, and lets it in once it is there.
    pub(super) fn wake(&mut self) {
        let Some(epoch) = &self.epoch else { return };
        match self.making {
            Making::Recorded if epoch.was_asked() || self.is_played.load(Ordering::Relaxed) => {
                debug!(stream = %self.name, "somebody plays it: transcoding begins");
                self.is_played.store(true, Ordering::Relaxed);
                let needs = Needs { sound: self.sound.is_none(), picture: self.picture.is_none() };
                if needs.sound {
                    self.starts_sound();
                }
                if needs.picture {
                    self.starts_picture();
                }
                self.making = Making::Beginning {
                    since: Instant::now(),
                    sound: needs.sound && self.sound.is_some(),
                    picture: needs.picture && self.picture.is_some(),
                };
            }
            Making::Beginning { since, sound, picture }
                if !(sound || picture) || since.elapsed() > LONGEST_WAIT =>
            {
                self.making = Making::All;
                epoch.wake();
            }
            Making::All | Making::Recorded | Making::Beginning { .. } => {}
        }
    }

    /// Makes no more what only players need, where it is recorded and nobody has played it for a while.
    pub(super) fn doze(&mut self) {
        let idle = self.bridges.config.idle;
        let is_left = self.epoch.as_ref().is_some_and(|epoch| epoch.idle() > idle);
        if self.making == Making::All && is_left && self.is_played.swap(false, Ordering::Relaxed) {
            self.leave_to_players();
        }
    }

    /// Leaves what only players need until there is one.
    pub(super) fn leave_to_players(&mut self) {
        let needs = self.needs();
        let leaves_sound = !needs.sound && self.has_aac();
        let leaves_picture = !needs.picture && self.has_rungs();
        if leaves_sound {
            self.sound = None;
        }
        if leaves_picture {
            self.picture = None;
        }
        if let Some(epoch) = self.epoch.as_ref().filter(|_| leaves_sound || leaves_picture) {
            debug!(stream = %self.name, "nobody plays it: it is recorded as it comes");
            epoch.sleep();
            self.making = Making::Recorded;
        }
    }
}

/// What is made for the first player is waited for so long.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
