//! A rendition as it was recorded: what playlists and manifests tell of it.
//!
//! Written by `m3u8-rs`: there is nothing of low latency in it.

use chrono::DateTime;
use m3u8_rs::{ExtTag, Map, MediaPlaylist, MediaPlaylistType, MediaSegment};

use super::measure::Meter;
use super::runs::{Run, Runs};
use super::{Bandwidth, Name};
use crate::media::Kind;

/// A recorded rendition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What it is called in URIs.
    pub name: Name,
    /// Sound or picture.
    pub kind: Kind,
    /// Ticks per second.
    pub timescale: u32,
    /// Its segments. Their numbers rise.
    pub segments: Vec<Kept>,
}

/// A recorded segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Media sequence number.
    pub msn: u64,
    /// Ticks since the epoch began.
    pub start: i64,
    /// Ticks that it lasts.
    pub duration: u64,
    /// The version of its initialization section.
    pub init: u32,
    /// Whether it continues nothing.
    pub discontinuity: bool,
    /// The wall-clock time of its first frame, in microseconds since 1970.
    pub wall_us: i64,
    /// Its size; none is a gap.
    pub bytes: u64,
}

/// Whether more will come of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Growth {
    /// It is complete.
    Complete,
    /// It goes on.
    Growing,
    /// It goes on, and its beginning goes away.
    Moving,
}

// === impl Recorded ===

impl Recorded {
    /// The same with gaps where a number is missing, from one number to another: all renditions that
    /// players change between have the same numbers then.
    pub fn filled(&self, first: u64, last: u64, segment_ticks: u64) -> Self {
        let mut segments: Vec<Kept> = Vec::new();
        let Some(model) = self.segments.first().copied() else { return self.clone() };
        let duration = segment_ticks.max(1);
        let gap = |before: Option<&Kept>, msn: u64| {
            let init = before.map_or(model.init, |before| before.init);
            let (start, wall_us) = match before {
                Some(before) => (before.end(), before.wall_end(self.timescale)),
                None => {
                    let back = model.msn.saturating_sub(msn).saturating_mul(duration);
                    let us = micros(back, self.timescale);
                    let back = i64::try_from(back).unwrap_or(i64::MAX);
                    (model.start.saturating_sub(back), model.wall_us.saturating_sub(us))
                }
            };
            Kept { msn, start, duration, init, discontinuity: false, wall_us, bytes: 0 }
        };
        let mut next = first;
        for kept in &self.segments {
            while next < kept.msn && kept.msn - next <= MAX_FILL {
                let mut filling = gap(segments.last(), next);
                // What is missing lasts up to what follows it.
                if next + 1 == kept.msn {
                    let room = kept.start.saturating_sub(filling.start);
                    filling.duration = u64::try_from(room).unwrap_or(0).clamp(1, duration * 2);
                }
                segments.push(filling);
                next += 1;
            }
            segments.push(*kept);
            next = kept.msn.saturating_add(1);
        }
        while next <= last && last - next < MAX_FILL {
            segments.push(gap(segments.last(), next));
            next += 1;
        }
        Self { segments, ..self.clone() }
    }

    /// The text of its playlist, whose URIs are relative to its own address (H28). Its target duration is
    /// what it was live: it must not change while there is more and more of it.
    pub fn playlist(&self, growth: Growth, target_duration_s: u64) -> String {
        let next = self.segments.iter().skip(1).map(Some).chain([None]);
        let durations: Vec<u64> =
            self.segments.iter().zip(next).map(|(kept, next)| kept.lasts(next)).collect();
        let longest = durations.iter().copied().max().unwrap_or(0);
        let timescale = u64::from(self.timescale.max(1));
        let rounded = longest.saturating_add(timescale / 2) / timescale;
        let target_duration = rounded.max(target_duration_s).max(1);
        let mut init = None;
        let segments = self.segments.iter().zip(durations).map(|(kept, duration)| {
            let is_new = init.replace(kept.init) != Some(kept.init);
            self.segment(kept, duration, is_new)
        });
        let segments = segments.collect();
        let playlist = MediaPlaylist {
            version: Some(6),
            target_duration,
            media_sequence: self.segments.first().map_or(0, |kept| kept.msn),
            segments,
            end_list: growth == Growth::Complete,
            playlist_type: match growth {
                Growth::Complete => Some(MediaPlaylistType::Vod),
                Growth::Growing => Some(MediaPlaylistType::Event),
                Growth::Moving => None,
            },
            ..MediaPlaylist::default()
        };
        let mut out = Vec::new();
        playlist.write_to(&mut out).expect("a Vec takes everything");
        String::from_utf8_lossy(&out).into_owned()
    }

    /// What it takes.
    pub fn bandwidth(&self) -> Bandwidth {
        let mut meter = Meter::default();
        let there = self.segments.iter().filter(|kept| kept.bytes > 0);
        there.for_each(|kept| meter.add(kept.bytes, kept.duration, self.timescale, 2));
        meter.whole(self.timescale)
    }

    /// Where its segments follow the grid without a break.
    pub fn runs(&self, segment_ticks: u64) -> Vec<Run> {
        let mut runs = Runs::new(segment_ticks);
        let mut next = None;
        for Kept { msn, start, init, discontinuity, .. } in &self.segments {
            // What is missing is nothing that could be asked for.
            let breaks = *discontinuity || next.is_some_and(|next| next != *msn);
            next = msn.checked_add(1);
            runs.note(*msn, *start, *init, breaks);
        }
        runs.list()
    }

    fn segment(&self, kept: &Kept, duration: u64, with_init: bool) -> MediaSegment {
        let name = &self.name;
        let init = || Map { uri: format!("{name}/init-{}.mp4", kept.init), ..Map::default() };
        let gap = || ExtTag { tag: "X-GAP".into(), rest: None };
        MediaSegment {
            uri: format!("{name}/{}.m4s", kept.msn),
            duration: (duration as f64 / f64::from(self.timescale.max(1))) as f32,
            discontinuity: kept.discontinuity,
            map: with_init.then(init),
            program_date_time: DateTime::from_timestamp_micros(kept.wall_us)
                .map(|time| time.fixed_offset()),
            unknown_tags: (kept.bytes == 0).then(gap).into_iter().collect(),
            ..MediaSegment::default()
        }
    }
}

// === impl Kept ===

impl Kept {
    /// Ticks to the segment that follows it, or as long as it lasts where none does.
    fn lasts(&self, next: Option<&Self>) -> u64 {
        let next = next.filter(|next| self.msn.checked_add(1) == Some(next.msn));
        let to_next =
            next.and_then(|next| u64::try_from(next.start.saturating_sub(self.start)).ok());
        to_next.filter(|ticks| *ticks > 0).unwrap_or(self.duration)
    }

    /// The tick behind its last.
    pub fn end(&self) -> i64 {
        self.start.saturating_add_unsigned(self.duration)
    }

    fn wall_end(&self, timescale: u32) -> i64 {
        self.wall_us.saturating_add(micros(self.duration, timescale))
    }
}

fn micros(ticks: u64, timescale: u32) -> i64 {
    let us = u128::from(ticks) * 1_000_000 / u128::from(timescale.max(1));
    i64::try_from(us).unwrap_or(i64::MAX)
}

/// Gaps that are told of in a row: a day of them. Longer ones are no segments of this recording.
const MAX_FILL: u64 = 43_200;

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(msn: u64, init: u32, bytes: u64) -> Kept {
        let start = msn as i64 * 2_000;
        let wall_us = 1_795_886_249_040_000 + start * 1_000;
        Kept { msn, start, duration: 2_000, init, discontinuity: false, wall_us, bytes }
    }

    fn recorded(segments: Vec<Kept>) -> Recorded {
        let name = "v0".parse().expect("a name");
        Recorded { name, kind: Kind::Video, timescale: 1_000, segments }
    }

    #[test]
    fn a_replay_is_vod_and_says_where_parameters_change_and_nothing_came() {
        let mut segments = vec![kept(7, 0, 10), kept(8, 1, 10), kept(9, 1, 0)];
        segments[1].discontinuity = true;
        let text = recorded(segments).playlist(Growth::Complete, 3);
        let want = "#EXTM3U\n#EXT-X-VERSION:6\n#EXT-X-TARGETDURATION:3\n#EXT-X-MEDIA-SEQUENCE:7\n\
            #EXT-X-PLAYLIST-TYPE:VOD\n\
            #EXT-X-MAP:URI=\"v0/init-0.mp4\"\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-28T17:17:43.040Z\n#EXTINF:2,\nv0/7.m4s\n\
            #EXT-X-MAP:URI=\"v0/init-1.mp4\"\n#EXT-X-DISCONTINUITY\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-28T17:17:45.040Z\n#EXTINF:2,\nv0/8.m4s\n\
            #EXT-X-PROGRAM-DATE-TIME:2026-11-28T17:17:47.040Z\n#EXT-X-GAP\n#EXTINF:2,\nv0/9.m4s\n\
            #EXT-X-ENDLIST\n";
        assert_eq!(text, want, "H28");
    }

    #[test]
    fn a_recording_that_grows_has_no_end_and_is_an_event_unless_its_beginning_goes_away() {
        let recorded = recorded(vec![kept(7, 0, 10)]);
        let growing = recorded.playlist(Growth::Growing, 3);
        assert!(growing.contains("PLAYLIST-TYPE:EVENT") && !growing.contains("ENDLIST"), "H28");
        let moving = recorded.playlist(Growth::Moving, 3);
        assert!(!moving.contains("PLAYLIST-TYPE") && !moving.contains("ENDLIST"), "H28");
    }

    #[test]
    fn numbers_that_are_missing_are_gaps_that_fill_the_time() {
        let part = recorded(vec![kept(5, 0, 10), kept(8, 1, 10)]).filled(3, 10, 2_000);
        let numbers: Vec<_> = part.segments.iter().map(|kept| kept.msn).collect();
        assert_eq!(numbers, [3, 4, 5, 6, 7, 8, 9, 10]);
        for pair in part.segments.windows(2) {
            assert_eq!(pair[0].end(), pair[1].start, "{pair:?}");
            assert_eq!(pair[1].wall_us - pair[0].wall_us, 2_000_000, "{pair:?}");
        }
        let there: Vec<_> = part.segments.iter().filter(|kept| kept.bytes > 0).collect();
        assert_eq!(there.len(), 2);
        assert_eq!(recorded(Vec::new()).filled(3, 10, 2_000).segments, []);
    }
}
