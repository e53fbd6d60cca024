//! A standing: what holds of a stream at one moment, and what has to be told to whoever knows an
//! earlier one.

use std::sync::Arc;

use whitewater_core::shard::StreamId;
use whitewater_signaling::control::{Happening, TrackInfo};

use super::log::Change;

/// What a registry entry adds to its stream's standing.
#[derive(Clone, Debug)]
pub(super) struct Presence {
    pub(super) phase: Phase,
    /// Counts the returns of its publisher after which viewers need new sessions.
    pub(super) renewals: u64,
    /// How many watched over HLS when that was told last.
    pub(super) hls_viewers: u64,
    pub(super) dash_viewers: u64,
    /// What was told of its layers last.
    pub(super) tracks: Arc<[TrackInfo]>,
}

/// Whether a stream's media arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// There is none, or its first packet did not come yet.
    #[default]
    Off,
    /// It arrives.
    Active,
    /// It arrived; its window runs.
    Lost,
}

/// What somebody knows of a stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// `None` where nobody publishes under the name.
    pub(super) life: Option<StreamId>,
    pub(super) presence: Presence,
    pub(super) viewers: u64,
}

// === impl Presence ===

impl Default for Presence {
    fn default() -> Self {
        Self {
            phase: Phase::Off,
            renewals: 0,
            hls_viewers: 0,
            dash_viewers: 0,
            tracks: Arc::new([]),
        }
    }
}

// === impl Phase ===

impl Phase {
    /// Takes a change of the stream in; `false` where it changes nothing.
    pub(super) fn change(&mut self, change: &Change) -> bool {
        let next = match (*self, change) {
            (Self::Off, Change::Started) | (Self::Active | Self::Lost, Change::Back { .. }) => {
                Self::Active
            }
            (Self::Active, Change::Lost) => Self::Lost,
            (Self::Active | Self::Lost, Change::Ended) => Self::Off,
            (
                _,
                Change::Started
                | Change::Back { .. }
                | Change::Lost
                | Change::Leaving
                | Change::Ended
                | Change::ViewerJoined { .. }
                | Change::ViewerLeft { .. }
                | Change::HlsViewers { .. }
                | Change::DashViewers { .. }
                | Change::Layers(_)
                | Change::Recorded(_),
            ) => return false,
        };
        *self = next;
        true
    }
}

// === impl Standing ===

impl Standing {
    /// Takes in one entry of the log; gives what there is to tell. Viewers are told by their number.
    pub(super) fn take(&mut self, life: StreamId, change: &Change) -> Vec<Happening> {
        if self.life != Some(life) {
            *self = Self { life: Some(life), ..Self::default() };
        }
        let told = self.presence.phase.change(change);
        match change {
            Change::Started => vec![Happening::Active],
            Change::Lost if told => vec![Happening::Lost],
            Change::Back { changed } => {
                let active = told.then_some(Happening::Active);
                let renewed = changed.then_some(Happening::Reconnect);
                self.presence.renewals += u64::from(*changed);
                active.into_iter().chain(renewed).collect()
            }
            Change::Leaving => vec![Happening::Reconnect],
            Change::Ended => {
                *self = Self::default();
                vec![Happening::Inactive]
            }
            Change::ViewerJoined { viewers, .. } | Change::ViewerLeft { viewers, .. } => {
                self.viewers = *viewers;
                Vec::new()
            }
            Change::HlsViewers { viewers } => {
                self.presence.hls_viewers = *viewers;
                vec![Happening::HlsViewers(*viewers)]
            }
            Change::DashViewers { viewers } => {
                self.presence.dash_viewers = *viewers;
                vec![Happening::DashViewers(*viewers)]
            }
            Change::Layers(tracks) => {
                self.presence.tracks = tracks.clone();
                vec![Happening::Layers(tracks.clone())]
            }
            Change::Lost | Change::Recorded(_) => Vec::new(),
        }
    }

    /// Replaces what was known by what holds; gives what there is to tell about the difference.
    pub(super) fn catch_up(&mut self, now: Self) -> Vec<Happening> {
        let mut tell = Vec::new();
        let goes_on = self.life.is_some() && self.life == now.life;
        let before = if goes_on { std::mem::take(self) } else { Self::default() };
        if !goes_on && self.presence.phase != Phase::Off {
            tell.push(Happening::Inactive);
        }
        match (before.presence.phase, now.presence.phase) {
            (Phase::Off | Phase::Lost, Phase::Active) => tell.push(Happening::Active),
            (Phase::Off | Phase::Active, Phase::Lost) => tell.push(Happening::Lost),
            (Phase::Active | Phase::Lost, Phase::Off) => tell.push(Happening::Inactive),
            (Phase::Off, Phase::Off)
            | (Phase::Active, Phase::Active)
            | (Phase::Lost, Phase::Lost) => {}
        }
        if goes_on && before.presence.renewals != now.presence.renewals {
            tell.push(Happening::Reconnect);
        }
        let (known, hls_viewers) = (before.presence.hls_viewers, now.presence.hls_viewers);
        if known != hls_viewers && now.presence.phase != Phase::Off {
            tell.push(Happening::HlsViewers(hls_viewers));
        }
        let (known, dash_viewers) = (before.presence.dash_viewers, now.presence.dash_viewers);
        if known != dash_viewers && now.presence.phase != Phase::Off {
            tell.push(Happening::DashViewers(dash_viewers));
        }
        let tracks = &now.presence.tracks;
        if !Arc::ptr_eq(&before.presence.tracks, tracks) && !tracks.is_empty() {
            tell.push(Happening::Layers(tracks.clone()));
        }
        *self = now;
        tell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: StreamId = StreamId(7);

    fn standing(phase: Phase, renewals: u64) -> Standing {
        let presence = Presence { phase, renewals, ..Presence::default() };
        Standing { life: Some(LIFE), presence, viewers: 0 }
    }

    #[test]
    fn a_life_is_told_step_by_step() {
        let mut known = Standing::default();
        let rows = [
            (Change::Started, vec![Happening::Active]),
            (Change::ViewerJoined { session: "s".into(), viewers: 1 }, vec![]),
            (Change::Lost, vec![Happening::Lost]),
            (Change::Lost, vec![]),
            (Change::Back { changed: false }, vec![Happening::Active]),
            (Change::Back { changed: true }, vec![Happening::Active, Happening::Reconnect]),
            (Change::Lost, vec![Happening::Lost]),
            (Change::Ended, vec![Happening::Inactive]),
            (Change::Started, vec![Happening::Active]),
        ];
        for (change, expected) in rows {
            assert_eq!(known.take(LIFE, &change), expected, "{change:?}");
        }
    }

    #[test]
    fn what_never_started_is_neither_lost_nor_back() {
        let mut phase = Phase::default();
        assert!(!phase.change(&Change::Lost));
        assert!(!phase.change(&Change::Back { changed: false }));
        assert!(!phase.change(&Change::Ended));
        assert_eq!(phase, Phase::Off);
    }

    #[test]
    fn a_difference_is_told_as_it_is() {
        let rows = [
            (standing(Phase::Active, 0), standing(Phase::Active, 0), vec![]),
            (standing(Phase::Active, 0), standing(Phase::Lost, 0), vec![Happening::Lost]),
            (standing(Phase::Lost, 0), standing(Phase::Active, 0), vec![Happening::Active]),
            (standing(Phase::Active, 0), Standing::default(), vec![Happening::Inactive]),
            (standing(Phase::Lost, 0), Standing::default(), vec![Happening::Inactive]),
            (Standing::default(), standing(Phase::Active, 3), vec![Happening::Active]),
            (
                standing(Phase::Lost, 0),
                standing(Phase::Active, 1),
                vec![Happening::Active, Happening::Reconnect],
            ),
            (standing(Phase::Active, 1), standing(Phase::Active, 2), vec![Happening::Reconnect]),
            (
                Standing { life: Some(StreamId(6)), ..standing(Phase::Active, 1) },
                standing(Phase::Active, 0),
                vec![Happening::Inactive, Happening::Active],
            ),
        ];
        for (mut before, now, expected) in rows {
            let (from, to) = (before.presence.phase, now.presence.phase);
            assert_eq!(before.catch_up(now), expected, "{from:?} to {to:?}");
        }
    }

    #[test]
    fn who_watches_in_segments_is_told_once() {
        let mut now = standing(Phase::Active, 0);
        (now.presence.hls_viewers, now.presence.dash_viewers) = (3, 2);
        let mut known = Standing::default();
        let expected = [Happening::Active, Happening::HlsViewers(3), Happening::DashViewers(2)];
        assert_eq!(known.catch_up(now.clone()), expected);
        assert_eq!(known.catch_up(now), []);
        let told = known.take(LIFE, &Change::HlsViewers { viewers: 4 });
        assert_eq!(told, [Happening::HlsViewers(4)]);
        let told = known.take(LIFE, &Change::DashViewers { viewers: 1 });
        assert_eq!(told, [Happening::DashViewers(1)]);
    }

    #[test]
    fn layers_are_told_once() {
        let tracks: Arc<[TrackInfo]> = Arc::new([TrackInfo::default()]);
        let mut now = standing(Phase::Active, 0);
        now.presence.tracks = tracks.clone();
        let mut known = Standing::default();
        let told = known.catch_up(now.clone());
        assert_eq!(told, [Happening::Active, Happening::Layers(tracks)]);
        assert_eq!(known.catch_up(now), []);
    }
}
