//! A writer that lists a stream's renditions for players to choose from.
//!
//! Written by `m3u8-rs`. It prints `FRAME-RATE` as a plain float, so that the rate is rounded to the
//! three decimals first, and keeps attributes that it does not know in a map without an order, so
//! that there is one of these at most: `VIDEO-RANGE`, where a picture is not SDR.

use std::collections::HashMap;

use m3u8_rs::{
    AlternativeMedia, AlternativeMediaType, ClosedCaptionGroupId, MasterPlaylist, QuotedOrUnquoted,
    Resolution, VariantStream,
};

use super::{Bandwidth, Name};
use crate::media::{Kind, VideoRange};

/// What players are told of a rendition.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    /// What it is called in URIs.
    pub name: Name,
    /// Sound or picture.
    pub kind: Kind,
    /// As RFC 6381 has it.
    pub codecs: String,
    /// Width and height of a picture.
    pub size: Option<(u16, u16)>,
    /// Pictures per second, where that is known.
    pub frame_rate: Option<f64>,
    /// Channels of sound, where they are known.
    pub channels: Option<u8>,
    /// The range of brightness of a picture.
    pub range: VideoRange,
    /// What it takes.
    pub bandwidth: Bandwidth,
}

/// The text of a multivariant playlist. The address of a rendition is `prefix`, its name and `.m3u8`.
///
/// Sound is apart from pictures: each picture is offered with each codec of sound. A stream of sound
/// alone offers that.
pub fn multivariant(renditions: &[Described], prefix: &str) -> String {
    let of_kind = |kind| renditions.iter().filter(move |rendition| rendition.kind == kind);
    let groups = groups(of_kind(Kind::Audio));
    let pictures: Vec<_> = of_kind(Kind::Video).collect();
    let tell_range = pictures.iter().any(|picture| picture.range != VideoRange::Sdr);
    let variant = |rendition, with| variant(rendition, with, prefix, tell_range);
    let mut playlist = MasterPlaylist {
        version: Some(6),
        independent_segments: true,
        ..MasterPlaylist::default()
    };
    if pictures.is_empty() {
        playlist.variants = of_kind(Kind::Audio).map(|sound| variant(sound, None)).collect();
        return text(&playlist);
    }
    playlist.alternatives = groups.iter().flat_map(|group| group.media(prefix)).collect();
    for picture in pictures {
        match groups.is_empty() {
            true => playlist.variants.push(variant(picture, None)),
            false => {
                let with = groups.iter().map(|group| variant(picture, Some(group)));
                playlist.variants.extend(with);
            }
        }
    }
    text(&playlist)
}

/// Renditions of sound that may stand in for each other: those of one codec.
struct Group<'a> {
    id: String,
    members: Vec<&'a Described>,
}

fn groups<'a>(sounds: impl Iterator<Item = &'a Described>) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for sound in sounds {
        match groups.iter_mut().find(|group| group.codecs() == sound.codecs) {
            Some(group) => group.members.push(sound),
            None => {
                let id = format!("audio-{}", groups.len());
                groups.push(Group { id, members: vec![sound] });
            }
        }
    }
    groups
}

fn variant(
    rendition: &Described,
    with: Option<&Group<'_>>,
    prefix: &str,
    tell_range: bool,
) -> VariantStream {
    let sound = with.map(Group::bandwidth).unwrap_or_default();
    let Bandwidth { peak_bps, average_bps } = rendition.bandwidth;
    let codecs = match with {
        Some(group) => format!("{},{}", rendition.codecs, group.codecs()),
        None => rendition.codecs.clone(),
    };
    VariantStream {
        uri: uri(rendition, prefix),
        bandwidth: peak_bps.saturating_add(sound.peak_bps).max(1),
        average_bandwidth: Some(average_bps.saturating_add(sound.average_bps).max(1)),
        codecs: Some(codecs),
        resolution: rendition
            .size
            .map(|(width, height)| Resolution { width: width.into(), height: height.into() }),
        frame_rate: rendition
            .frame_rate
            .filter(|rate| rate.is_finite() && *rate > 0.0)
            .map(thousandths),
        audio: with.map(|group| group.id.clone()),
        closed_captions: (rendition.kind == Kind::Video).then_some(ClosedCaptionGroupId::None),
        other_attributes: tell_range.then(|| video_range(rendition.range)),
        ..VariantStream::default()
    }
}

fn video_range(range: VideoRange) -> HashMap<String, QuotedOrUnquoted> {
    let range = match range {
        VideoRange::Sdr => "SDR",
        VideoRange::Hlg => "HLG",
        VideoRange::Pq => "PQ",
    };
    HashMap::from([("VIDEO-RANGE".into(), QuotedOrUnquoted::Unquoted(range.into()))])
}

fn uri(rendition: &Described, prefix: &str) -> String {
    format!("{prefix}{}.m3u8", rendition.name)
}

fn thousandths(rate: f64) -> f64 {
    (rate * 1_000.0).round() / 1_000.0
}

fn text(playlist: &MasterPlaylist) -> String {
    let mut out = Vec::new();
    playlist.write_to(&mut out).expect("a Vec takes everything");
    String::from_utf8_lossy(&out).into_owned()
}

// === impl Group ===

impl Group<'_> {
    fn codecs(&self) -> &str {
        self.members.first().map_or("", |member| &member.codecs)
    }

    /// What the most demanding member takes.
    fn bandwidth(&self) -> Bandwidth {
        let most = |of: fn(&Bandwidth) -> u64| {
            self.members.iter().map(|member| of(&member.bandwidth)).max().unwrap_or(0)
        };
        Bandwidth { peak_bps: most(|b| b.peak_bps), average_bps: most(|b| b.average_bps) }
    }

    fn media(&self, prefix: &str) -> impl Iterator<Item = AlternativeMedia> {
        self.members.iter().enumerate().map(move |(at, member)| AlternativeMedia {
            media_type: AlternativeMediaType::Audio,
            uri: Some(uri(member, prefix)),
            group_id: self.id.clone(),
            name: member.name.to_string(),
            default: at == 0,
            autoselect: true,
            channels: member.channels.map(|channels| channels.to_string()),
            ..AlternativeMedia::default()
        })
    }
}
