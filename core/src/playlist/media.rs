//! A writer that renders a window as a media playlist.
//!
//! Lines of segments are written when these become known; here they are only copied.

use std::fmt;

use super::Name;
use super::segment::Segment;
use super::text::{Seconds, put};
use super::window::{Position, Window};

/// Which playlist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// All of it.
    Full,
    /// Without the segments that a client has whose copy is not older than the skip boundary. Where
    /// there are none, it is the full one.
    Delta,
}

/// How far another rendition has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The rendition.
    pub name: Name,
    /// Its last part.
    pub last: Position,
}

/// The text of a playlist, whose URIs are relative to its own address.
pub fn render(window: &Window, form: Form, reports: &[Report]) -> String {
    let unskipped = if form == Form::Delta { window.state().unskipped } else { None };
    let first = window.listed().next();
    let skipped = match (unskipped, first) {
        (Some(unskipped), Some(first)) => unskipped.saturating_sub(first.msn),
        (_, _) => 0,
    };
    let mut out = String::with_capacity(2_048 + 128 * window.listed().len());
    push_header(&mut out, window, first.map_or(0, |first| first.msn), skipped);
    let with_parts = first_with_parts(window);
    let mut init = None;
    let segments = window.listed().skip(usize::try_from(skipped).unwrap_or(usize::MAX));
    for segment in segments {
        if segment.discontinuity {
            out.push_str("#EXT-X-DISCONTINUITY\n");
        }
        if init != Some(segment.init) {
            init = Some(segment.init);
            put(&mut out, format_args!("#EXT-X-MAP:URI=\"{}\"\n", InitUri(window, segment.init)));
        }
        out.push_str(&segment.head);
        if segment.msn >= with_parts {
            out.push_str(&segment.part_lines);
        }
        out.push_str(&segment.tail);
    }
    push_footer(&mut out, window, init, reports);
    out
}

fn push_header(out: &mut String, window: &Window, msn: u64, skipped: u64) {
    let config = window.config();
    let part_target = Seconds::of(config.part_target);
    let hold_back = Seconds(3 * part_target.0);
    let version = if skipped > 0 { 9 } else { 6 };
    put(
        out,
        format_args!(
            "#EXTM3U\n#EXT-X-VERSION:{version}\n#EXT-X-TARGETDURATION:{}\n\
             #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={hold_back}",
            config.target_duration_s
        ),
    );
    if let Some(until) = config.skip_until() {
        put(out, format_args!(",CAN-SKIP-UNTIL={}", Seconds::of(until)));
    }
    put(
        out,
        format_args!(
            "\n#EXT-X-PART-INF:PART-TARGET={part_target}\n#EXT-X-MEDIA-SEQUENCE:{msn}\n\
             #EXT-X-DISCONTINUITY-SEQUENCE:{}\n",
            window.discontinuity_sequence()
        ),
    );
    if skipped > 0 {
        put(out, format_args!("#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}\n"));
    }
}

fn push_footer(out: &mut String, window: &Window, init: Option<u32>, reports: &[Report]) {
    if window.has_ended() {
        out.push_str("#EXT-X-ENDLIST\n");
        return;
    }
    if let Some(Position { msn, part }) = window.hint() {
        let next = window.latest_init().map(|init| init.version).filter(|_| part == 0);
        if let Some(next) = next.filter(|next| Some(*next) != init) {
            let uri = InitUri(window, next);
            put(out, format_args!("#EXT-X-PRELOAD-HINT:TYPE=MAP,URI=\"{uri}\"\n"));
        }
        let name = window.name();
        put(out, format_args!("#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"{name}/{msn}.{part}.m4s\"\n"));
    }
    for Report { name, last } in reports {
        put(
            out,
            format_args!(
                "#EXT-X-RENDITION-REPORT:URI=\"{name}.m3u8\",LAST-MSN={},LAST-PART={}\n",
                last.msn, last.part
            ),
        );
    }
}

/// The first segment whose parts are told of: those that end within three target durations of the end
/// (section 6.2.2).
fn first_with_parts(window: &Window) -> u64 {
    let config = window.config();
    let reach = config.ticks(config.target_duration() * PART_TARGETS);
    let mut after = 0;
    let near = |segment: &&Segment| {
        let is_near = after < reach;
        after += segment.duration();
        is_near
    };
    window.listed().rev().take_while(near).last().map_or(0, |segment| segment.msn)
}

/// The address of an initialization section.
struct InitUri<'a>(&'a Window, u32);

impl fmt::Display for InitUri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/init-{}.mp4", self.0.name(), self.1)
    }
}

const PART_TARGETS: u32 = 3;
