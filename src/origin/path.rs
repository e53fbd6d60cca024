//! A reader that takes the path of a request apart. What it does not know names nothing.
//!
//! Every resource has one spelling: nothing is decoded, and numbers have no zeros in front, so that
//! caches keep everything once.

use whitewater_core::playlist::Position;
use whitewater_signaling::control::StreamName;

/// A path below `/hls/` or `/dash/`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) stream: StreamName,
    /// What lets in whoever knows it.
    pub(super) pass: Option<&'a str>,
    pub(super) what: What<'a>,
}

/// What of a stream it is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    /// The multivariant playlist.
    Index,
    /// The manifest of DASH.
    Manifest,
    /// Something of a rendition.
    Below { epoch: &'a str, rendition: &'a str, file: File },
}

/// What of a rendition it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    Playlist,
    Init(u32),
    Segment(u64),
    Part(Position),
}

/// Reads a path.
pub(super) fn parse(path: &str) -> Option<Path<'_>> {
    if let Some(rest) = path.strip_prefix("/dash/") {
        let stream = rest.strip_suffix("/manifest.mpd")?.parse().ok()?;
        return Some(Path { stream, pass: None, what: What::Manifest });
    }
    let (stream, rest) = path.strip_prefix("/hls/")?.split_once('/')?;
    let stream = stream.parse().ok()?;
    let (pass, rest) = match rest.split_once('/') {
        Some((pass, rest)) if pass.starts_with('~') => (Some(pass), rest),
        Some(_) | None => (None, rest),
    };
    if rest == "index.m3u8" {
        return Some(Path { stream, pass, what: What::Index });
    }
    let (epoch, rest) = rest.split_once('/')?;
    let (rendition, file) = match rest.split_once('/') {
        None => (rest.strip_suffix(".m3u8")?, File::Playlist),
        Some((rendition, file)) => (rendition, media(file)?),
    };
    Some(Path { stream, pass, what: What::Below { epoch, rendition, file } })
}

fn media(file: &str) -> Option<File> {
    if let Some(version) = file.strip_prefix("init-") {
        let version = number(version.strip_suffix(".mp4")?)?;
        return Some(File::Init(u32::try_from(version).ok()?));
    }
    let numbers = file.strip_suffix(".m4s")?;
    match numbers.split_once('.') {
        None => Some(File::Segment(number(numbers)?)),
        Some((msn, part)) => {
            let part = u32::try_from(number(part)?).ok()?;
            Some(File::Part(Position { msn: number(msn)?, part }))
        }
    }
}

fn number(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_resource_has_one_path() {
        let below = |file| Some(What::Below { epoch: "e1", rendition: "video", file });
        let rows = [
            ("/hls/a/index.m3u8", Some(What::Index)),
            ("/hls/a/e1/video.m3u8", below(File::Playlist)),
            ("/hls/a/e1/video/init-0.mp4", below(File::Init(0))),
            ("/hls/a/e1/video/17.m4s", below(File::Segment(17))),
            ("/hls/a/e1/video/17.3.m4s", below(File::Part(Position { msn: 17, part: 3 }))),
            ("/dash/a/manifest.mpd", Some(What::Manifest)),
            ("/dash/a/b/manifest.mpd", None),
            ("/dash//manifest.mpd", None),
            ("/dash/a/index.m3u8", None),
            ("/hls/a/manifest.mpd", None),
            ("/hls/a", None),
            ("/hls/a/", None),
            ("/hls/.a/index.m3u8", None),
            ("/hls/a%2e/index.m3u8", None),
            ("/hls/../a/index.m3u8", None),
            ("/hls/a/e1/video", None),
            ("/hls/a/e1/video/", None),
            ("/hls/a/e1/video/017.m4s", None),
            ("/hls/a/e1/video/+17.m4s", None),
            ("/hls/a/e1/video/-1.m4s", None),
            ("/hls/a/e1/video/.m4s", None),
            ("/hls/a/e1/video/1..m4s", None),
            ("/hls/a/e1/video/1.2.3.m4s", None),
            ("/hls/a/e1/video/1.4294967296.m4s", None),
            ("/hls/a/e1/video/18446744073709551616.m4s", None),
            ("/hls/a/e1/video/init-.mp4", None),
            ("/hls/a/e1/video/init-4294967296.mp4", None),
            ("/hls/a/e1/video/x/1.m4s", None),
        ];
        for (path, want) in rows {
            assert_eq!(parse(path).map(|path| path.what), want, "{path}");
        }
    }
}
