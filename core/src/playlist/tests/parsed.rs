//! A media playlist as a player understands it, read by `quick-m3u8`.

use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::{EnumeratedString, PreloadHintType, Tag};
use quick_m3u8::{HlsLine, Reader};

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub(super) version: u64,
    pub(super) target_duration: u64,
    pub(super) part_target: f64,
    pub(super) part_hold_back: f64,
    pub(super) can_skip_until: Option<f64>,
    pub(super) media_sequence: u64,
    pub(super) discontinuity_sequence: u64,
    pub(super) skipped: Option<u64>,
    pub(super) segments: Vec<Segment>,
    /// What there is of the segment that is growing.
    pub(super) open: Option<Segment>,
    pub(super) hinted_part: Option<String>,
    pub(super) hinted_map: Option<String>,
    pub(super) reports: Vec<(String, u64, Option<u64>)>,
    pub(super) ended: bool,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Segment {
    pub(super) msn: u64,
    pub(super) uri: String,
    pub(super) duration: f64,
    /// The map in force, wherever it was said.
    pub(super) map: String,
    /// Its absolute discontinuity number.
    pub(super) discontinuity: u64,
    pub(super) date: String,
    pub(super) gap: bool,
    pub(super) parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    pub(super) uri: String,
    pub(super) duration: f64,
    pub(super) independent: bool,
    pub(super) gap: bool,
}

/// Reads a playlist strictly: an unknown line is a fault, and so is a tag that stands where or as often
/// as it must not.
#[allow(clippy::wildcard_enum_match_arm, reason = "whatever else there is does not belong there")]
pub(super) fn parse(text: &str) -> Parsed {
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "H1: lines end, none is empty");
    let options = ParsingOptionsBuilder::new().with_parsing_for_all_tags().build();
    let mut reader = Reader::from_str(text, options);
    assert_eq!(reader.read_line().unwrap(), Some(HlsLine::from(quick_m3u8::tag::hls::M3u)), "H1");
    let mut parsed = Parsed::default();
    let mut header = Vec::new();
    let mut next = Segment::default();
    let (mut map, mut discontinuities) = (String::new(), 0);
    while let Some(line) = reader.read_line().unwrap_or_else(|error| panic!("{error:?}\n{text}")) {
        assert!(!parsed.ended, "nothing follows ENDLIST: {line:?}");
        let once = |header: &mut Vec<&'static str>, name| {
            assert!(!header.contains(&name), "H1: {name} stands twice\n{text}");
            header.push(name);
        };
        let tag = match line {
            HlsLine::KnownTag(KnownTag::Hls(tag)) => tag,
            HlsLine::Uri(uri) => {
                next.uri = uri.into_owned();
                finish(&mut next, &map, &parsed, discontinuities);
                parsed.segments.push(std::mem::take(&mut next));
                continue;
            }
            other => panic!("{other:?}\n{text}"),
        };
        match tag {
            Tag::Version(tag) => {
                once(&mut header, "VERSION");
                parsed.version = tag.version();
            }
            Tag::Targetduration(tag) => {
                once(&mut header, "TARGETDURATION");
                parsed.target_duration = tag.target_duration();
            }
            Tag::ServerControl(tag) => {
                once(&mut header, "SERVER-CONTROL");
                assert!(tag.can_block_reload(), "H6");
                parsed.part_hold_back = tag.part_hold_back().expect("H6");
                parsed.can_skip_until = tag.can_skip_until();
            }
            Tag::PartInf(tag) => {
                once(&mut header, "PART-INF");
                parsed.part_target = tag.part_target();
            }
            Tag::MediaSequence(tag) => {
                once(&mut header, "MEDIA-SEQUENCE");
                parsed.media_sequence = tag.media_sequence();
            }
            Tag::DiscontinuitySequence(tag) => {
                once(&mut header, "DISCONTINUITY-SEQUENCE");
                parsed.discontinuity_sequence = tag.discontinuity_sequence();
            }
            Tag::Skip(tag) => {
                once(&mut header, "SKIP");
                parsed.skipped = Some(tag.skipped_segments());
            }
            Tag::Discontinuity(_) => {
                assert!(next.parts.is_empty(), "H12: DISCONTINUITY after a part");
                discontinuities += 1;
            }
            Tag::Map(tag) => {
                assert!(next.parts.is_empty(), "H12: MAP after a part");
                map = tag.uri().to_owned();
            }
            Tag::ProgramDateTime(tag) => {
                assert!(next.parts.is_empty(), "H12: PROGRAM-DATE-TIME after a part");
                next.date = tag.program_date_time().to_string();
            }
            Tag::Part(tag) => next.parts.push(Part {
                uri: tag.uri().to_owned(),
                duration: tag.duration(),
                independent: tag.independent(),
                gap: tag.gap(),
            }),
            Tag::Gap(_) => next.gap = true,
            Tag::Inf(tag) => next.duration = tag.duration(),
            Tag::PreloadHint(tag) => {
                let slot = match tag.hint_type() {
                    EnumeratedString::Known(PreloadHintType::Part) => &mut parsed.hinted_part,
                    EnumeratedString::Known(PreloadHintType::Map) => &mut parsed.hinted_map,
                    EnumeratedString::Unknown(other) => panic!("{other}"),
                };
                assert!(slot.replace(tag.uri().to_owned()).is_none(), "H15: one hint per type");
            }
            Tag::RenditionReport(tag) => {
                parsed.reports.push((tag.uri().to_owned(), tag.last_msn(), tag.last_part()));
            }
            Tag::Endlist(_) => parsed.ended = true,
            other => panic!("{other:?}\n{text}"),
        }
    }
    if !next.parts.is_empty() {
        finish(&mut next, &map, &parsed, discontinuities);
        parsed.open = Some(next);
    }
    parsed
}

fn finish(segment: &mut Segment, map: &str, parsed: &Parsed, discontinuities: u64) {
    let before = parsed.segments.len() as u64 + parsed.skipped.unwrap_or(0);
    segment.msn = parsed.media_sequence.saturating_add(before);
    segment.map = map.to_owned();
    segment.discontinuity = parsed.discontinuity_sequence + discontinuities;
}

// === impl Parsed ===

impl Parsed {
    /// The playlist that a client has who applies this delta to an older full copy.
    pub(super) fn applied_to(&self, older: &Self) -> Self {
        let skipped = self.skipped.expect("a delta");
        let first = self.media_sequence;
        let kept = older.segments.iter().filter(|s| (first..first + skipped).contains(&s.msn));
        // Their tags are those of the older copy; parts that are no longer told of go away, and
        // discontinuity numbers are counted from the older copy, which must agree.
        let mut segments: Vec<_> = kept.cloned().collect();
        assert_eq!(segments.len() as u64, skipped, "the older copy has what is left out");
        for segment in &mut segments {
            segment.parts.clear();
        }
        let base = segments.last().map_or(0, |last| last.discontinuity);
        let shift = |segment: &Segment| Segment {
            discontinuity: segment.discontinuity - self.discontinuity_sequence + base,
            ..segment.clone()
        };
        segments.extend(self.segments.iter().map(shift));
        let open = self.open.as_ref().map(shift);
        Self { version: 6, skipped: None, segments, open, ..self.clone() }
    }

    /// The last part: its segment's number and its own.
    pub(super) fn last(&self) -> Option<(u64, usize)> {
        let last = self.open.as_ref().or(self.segments.last())?;
        Some((last.msn, last.parts.len()))
    }
}
