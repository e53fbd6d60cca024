//! A parser of the paths below `/replay/`. Whatever it takes names something, and nothing outside of it.

use whitewater_core::playlist::Name;
use whitewater_signaling::control::StreamName;

use crate::origin::EpochId;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path<'a> {
    pub(super) stream: StreamName,
    pub(super) id: &'a str,
    pub(super) pass: Option<&'a str>,
    pub(super) what: What<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What<'a> {
    Index,
    Manifest,
    Download,
    Playlist(&'a str),
    File { rendition: &'a str, file: File },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum File {
    Init(u32),
    Segment(u64),
}

pub(super) fn parse(path: &str) -> Option<Path<'_>> {
    let parts: Vec<&str> = path.strip_prefix("/replay/")?.split('/').collect();
    let (stream, id, rest) = match &parts[..] {
        [stream, id, rest @ ..] => (stream.parse().ok()?, *id, rest),
        _ => return None,
    };
    id.parse::<EpochId>().ok()?;
    let (pass, what) = match rest {
        ["index.m3u8"] => (None, What::Index),
        ["manifest.mpd"] => (None, What::Manifest),
        ["download.mp4"] => (None, What::Download),
        [playlist] => (None, playlist_of(playlist)?),
        [pass, playlist] if playlist.ends_with(".m3u8") => (Some(*pass), playlist_of(playlist)?),
        [rendition, file] => (None, file_of(rendition, file)?),
        [pass, rendition, file] => (Some(*pass), file_of(rendition, file)?),
        _ => return None,
    };
    // As `src/auth/` makes them.
    let fits = pass.is_none_or(|pass| pass.starts_with('~'));
    fits.then_some(Path { stream, id, pass, what })
}

fn playlist_of(file: &str) -> Option<What<'_>> {
    let name = file.strip_suffix(".m3u8")?;
    name.parse::<Name>().ok()?;
    Some(What::Playlist(name))
}

fn file_of<'a>(rendition: &'a str, file: &str) -> Option<What<'a>> {
    rendition.parse::<Name>().ok()?;
    let file = match file.strip_prefix("init-") {
        Some(rest) => File::Init(number(rest.strip_suffix(".mp4")?)?),
        None => File::Segment(number(file.strip_suffix(".m4s")?)?),
    };
    Some(What::File { rendition, file })
}

/// A number as we write it: one number has one name.
fn number<T: std::str::FromStr + ToString>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_one_thing_or_nothing() {
        let file = |file| Some((None, What::File { rendition: "v0", file }));
        let rows = [
            ("/replay/a/e1/index.m3u8", Some((None, What::Index))),
            ("/replay/a/e1/manifest.mpd", Some((None, What::Manifest))),
            ("/replay/a/e1/download.mp4", Some((None, What::Download))),
            ("/replay/a/e1/v0.m3u8", Some((None, What::Playlist("v0")))),
            ("/replay/a/e1/v0/init-0.mp4", file(File::Init(0))),
            ("/replay/a/e1/v0/17.m4s", file(File::Segment(17))),
            ("/replay/a/e1/~pass/v0.m3u8", Some((Some("~pass"), What::Playlist("v0")))),
            (
                "/replay/a/e1/~pass/v0/17.m4s",
                Some((Some("~pass"), What::File { rendition: "v0", file: File::Segment(17) })),
            ),
            ("/replay/a/e1/v0/017.m4s", None),
            ("/replay/a/e1/v0/+17.m4s", None),
            ("/replay/a/e1/v0/17.0.m4s", None),
            ("/replay/a/e1/v0/recording.json", None),
            ("/replay/a/e1/recording.json", None),
            ("/replay/a/e1/../e2/index.m3u8", None),
            ("/replay/a/../b/index.m3u8", None),
            ("/replay/a/%2e%2e/index.m3u8", None),
            ("/replay/../a/e1/index.m3u8", None),
            ("/replay/a/e1/../v0/17.m4s", None),
            ("/replay/a/e1/", None),
            ("/replay/a/e1", None),
            ("/replay/a", None),
            ("/replay/", None),
        ];
        for (path, want) in rows {
            let got = parse(path).map(|path| (path.pass, path.what));
            assert_eq!(got, want, "{path}");
        }
    }
}
