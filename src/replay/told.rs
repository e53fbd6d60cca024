//! What players are told of a recording: playlists and manifests, written when the first asks.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use whitewater_core::media::Ntp;
use whitewater_core::media::time::ticks_to_micros;
use whitewater_core::package;
use whitewater_core::playlist::dash::{Epoch, Life, Presentation, Track, manifest};
use whitewater_core::playlist::recorded::Growth;
use whitewater_core::playlist::{Described, Recorded, multivariant};

use crate::origin::Pass;
use crate::origin::answer::Text;
use crate::record::View;

/// What is told of as much as there is of a recording.
pub(super) struct Told {
    growth: Growth,
    target_duration_s: u64,
    renditions: Vec<Rendition>,
    /// Its timeline, but for the place of its files; `None` where there is nothing.
    timeline: Option<Epoch>,
}

struct Rendition {
    recorded: Recorded,
    described: Described,
    text: OnceLock<Arc<Text>>,
}

// === impl Told ===

impl Told {
    pub(super) fn new(view: &View) -> Self {
        let header = &view.index.header;
        let describe = |r: usize, recorded: &Recorded| {
            let (rendition, init) = (&header.renditions[r], view.index.tracks[r].inits.last()?);
            Some(Described {
                name: recorded.name.clone(),
                kind: recorded.kind,
                codecs: init.codecs.clone(),
                size: init.size,
                frame_rate: rendition.frame_rate,
                channels: rendition.channels,
                range: init.range.into(),
                bandwidth: recorded.bandwidth(),
            })
        };
        let rendition = |(r, recorded): (usize, Recorded)| {
            let described = describe(r, &recorded)?;
            Some(Rendition { recorded, described, text: OnceLock::new() })
        };
        let renditions =
            view.index.recorded(view.growth).into_iter().filter_map(rendition).collect();
        let tracks = view.index.raw().into_iter().filter_map(|(r, recorded)| {
            let runs = recorded.runs(header.segment_ticks(r));
            Some((
                Track { described: describe(r, &recorded)?, timescale: recorded.timescale, runs },
                r,
                recorded,
            ))
        });
        let tracks: Vec<_> = tracks.collect();
        let (mut ticks, mut end) = (BTreeSet::new(), Duration::ZERO);
        for (_, r, recorded) in &tracks {
            let segment = i64::try_from(header.segment_ticks(*r)).unwrap_or(1).max(1);
            ticks.extend(
                recorded
                    .segments
                    .iter()
                    .map(|kept| kept.start.saturating_add(segment / 2).div_euclid(segment)),
            );
            let last = recorded.segments.last().map_or(0, |last| last.end());
            let micros = ticks_to_micros(last, recorded.timescale);
            end = end.max(Duration::from_micros(u64::try_from(micros).unwrap_or(0)));
        }
        let segment = Duration::from_millis(header.segment_ms);
        // A segment that ends a little late is no reason to ask for another one.
        let last = ticks.last().and_then(|last| u32::try_from(last + 1).ok()).unwrap_or(0);
        let end = end.min(segment.saturating_mul(last));
        let timeline = (!tracks.is_empty()).then(|| Epoch {
            id: header.id.clone(),
            zero: Ntp::from_unix_micros(header.zero_us),
            segment,
            part: Duration::from_millis(header.part_ms),
            ended: (view.growth == Growth::Complete).then_some(end),
            tracks: tracks.into_iter().map(|(track, _, _)| track).collect(),
            pauses: pauses(&ticks),
            base: String::new(),
        });
        let target_duration_s = package::target_duration(segment).as_secs();
        Self { growth: view.growth, target_duration_s, renditions, timeline }
    }

    /// The multivariant playlist; `None` where there is nothing yet.
    pub(super) fn index(&self, pass: Option<&Pass>) -> Option<Arc<Text>> {
        let described: Vec<_> = self.renditions.iter().map(|one| one.described.clone()).collect();
        let text = || multivariant(&described, &under(pass));
        (!described.is_empty()).then(|| Arc::new(Text::new(text())))
    }

    /// The manifest of DASH; `None` where there is nothing yet.
    pub(super) fn manifest(&self, pass: Option<&Pass>) -> Option<Arc<Text>> {
        let mut timeline = self.timeline.clone()?;
        timeline.base = format!("./{}", under(pass));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let life = match self.growth {
            Growth::Complete => Life::Complete,
            Growth::Growing | Growth::Moving => Life::Growing,
        };
        let told = Presentation {
            published: Ntp::from_unix_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX)),
            since: timeline.zero,
            window: Duration::ZERO,
            epochs: vec![timeline],
            clock: "/time?iso".into(),
            life,
        };
        Some(Arc::new(Text::manifest(manifest(&told))))
    }

    /// A rendition's playlist; `None` of one that is not there. While nothing is, it is a later one.
    pub(super) fn playlist(&self, rendition: &str) -> Option<Option<Arc<Text>>> {
        let named = |one: &&Rendition| one.recorded.name.as_ref() == rendition;
        let found = self.renditions.iter().find(named)?;
        let text =
            || Arc::new(Text::new(found.recorded.playlist(self.growth, self.target_duration_s)));
        Some(Some(Arc::clone(found.text.get_or_init(text))))
    }

    /// About how many bytes of memory it takes.
    pub(super) fn weight(&self) -> u32 {
        let segments: usize = self.renditions.iter().map(|one| one.recorded.segments.len()).sum();
        // A segment's lines, plain and compressed, beside itself.
        u32::try_from(segments * 220 + 4_096).unwrap_or(u32::MAX)
    }
}

fn under(pass: Option<&Pass>) -> String {
    pass.map(|Pass(pass)| format!("{pass}/")).unwrap_or_default()
}

/// Where numbers are missing in a row: the first of them, and the one behind the last.
fn pauses(ticks: &BTreeSet<i64>) -> Vec<(i64, i64)> {
    let pairs = ticks.iter().zip(ticks.iter().skip(1));
    pairs.filter(|(a, b)| **b > **a + 1).map(|(a, b)| (a + 1, *b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_what_is_missing_between() {
        let ticks = BTreeSet::from([3, 4, 5, 9, 10, 12]);
        assert_eq!(pauses(&ticks), [(6, 9), (11, 12)]);
        assert_eq!(pauses(&BTreeSet::new()), []);
    }
}
