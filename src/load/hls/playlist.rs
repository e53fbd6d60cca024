//! A reader of playlists, as far as a player needs them to know what to ask for next.

use anyhow::{Context, bail};
use m3u8_rs::parse_master_playlist_res;
use quick_m3u8::config::ParsingOptionsBuilder;
use quick_m3u8::tag::KnownTag;
use quick_m3u8::tag::hls::{EnumeratedString, PreloadHintType, Tag};
use quick_m3u8::{HlsLine, Reader};

/// A multivariant playlist: addresses of media playlists.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Index {
    pub(super) variants: Vec<String>,
    pub(super) sound: Option<String>,
}

/// A media playlist.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::load) struct Media {
    /// The segment and the part that come next.
    pub(in crate::load) next: (u64, u64),
    pub(super) init: Option<String>,
    /// Parts that are listed, without gaps.
    pub(super) parts: Vec<String>,
    pub(super) hint: Option<String>,
    pub(super) can_skip: bool,
    pub(super) ended: bool,
}

// === impl Index ===

impl Index {
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let Ok(playlist) = parse_master_playlist_res(text.as_bytes()) else {
            bail!("this is no multivariant playlist: {text}");
        };
        let mut variants: Vec<String> = playlist.variants.into_iter().map(|one| one.uri).collect();
        // Each quality once, whatever sound it is offered with.
        variants.dedup();
        Ok(Self { variants, sound: playlist.alternatives.into_iter().find_map(|one| one.uri) })
    }
}

// === impl Media ===

impl Media {
    pub(in crate::load) fn read(text: &str) -> anyhow::Result<Self> {
        let options = ParsingOptionsBuilder::new().with_parsing_for_all_tags().build();
        let mut reader = Reader::from_str(text, options);
        let mut media = Self::default();
        let (mut msn, mut open) = (0, 0);
        while let Some(line) = reader.read_line().ok().context("a line cannot be read")? {
            let tag = match line {
                HlsLine::KnownTag(KnownTag::Hls(tag)) => tag,
                HlsLine::Uri(_) => {
                    msn += 1;
                    open = 0;
                    continue;
                }
                HlsLine::KnownTag(_)
                | HlsLine::UnknownTag(_)
                | HlsLine::Comment(_)
                | HlsLine::Blank => continue,
            };
            media.take(tag, &mut msn, &mut open);
        }
        media.next = (msn, open);
        Ok(media)
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "a player passes over what it needs not")]
    fn take(&mut self, tag: Tag<'_>, msn: &mut u64, open: &mut u64) {
        match tag {
            Tag::MediaSequence(tag) => *msn = tag.media_sequence(),
            Tag::Skip(tag) => *msn += tag.skipped_segments(),
            Tag::ServerControl(tag) => self.can_skip = tag.can_skip_until().is_some(),
            Tag::Map(tag) => self.init = Some(tag.uri().to_owned()),
            Tag::Part(tag) => {
                *open += 1;
                if !tag.gap() {
                    self.parts.push(tag.uri().to_owned());
                }
            }
            Tag::PreloadHint(tag)
                if tag.hint_type() == EnumeratedString::Known(PreloadHintType::Part) =>
            {
                self.hint = Some(tag.uri().to_owned());
            }
            Tag::Endlist(_) => self.ended = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_next_is_read_from_a_delta_too() {
        let text = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n\
            #EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.5,CAN-SKIP-UNTIL=18.0\n\
            #EXT-X-PART-INF:PART-TARGET=0.5\n#EXT-X-MEDIA-SEQUENCE:110\n\
            #EXT-X-SKIP:SKIPPED-SEGMENTS=34\n#EXT-X-MAP:URI=\"v/init-0.mp4\"\n#EXTINF:3.0,\n\
            v/144.m4s\n#EXT-X-PART:DURATION=0.5,URI=\"v/145.0.m4s\",INDEPENDENT=YES\n\
            #EXT-X-PART:DURATION=0.5,URI=\"v/145.1.m4s\",GAP=YES\n\
            #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"v/145.2.m4s\"\n";
        let media = Media::read(text).unwrap();
        assert_eq!(media.next, (145, 2));
        assert_eq!(media.parts, ["v/145.0.m4s"]);
        assert_eq!(media.hint.as_deref(), Some("v/145.2.m4s"));
        assert_eq!(media.init.as_deref(), Some("v/init-0.mp4"));
        assert!(media.can_skip && !media.ended);
    }

    #[test]
    fn an_index_names_each_quality_once() {
        let text = "#EXTM3U\n\
            #EXT-X-MEDIA:TYPE=AUDIO,URI=\"e/a.m3u8\",GROUP-ID=\"a\",NAME=\"a\",DEFAULT=YES\n\
            #EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\ne/v.m3u8\n";
        let index = Index::read(text).unwrap();
        assert_eq!(index.variants, ["e/v.m3u8"]);
        assert_eq!(index.sound.as_deref(), Some("e/a.m3u8"));
    }
}
