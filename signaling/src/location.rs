//! A path that names a session, as text: what `Location` gives and `Replaces-Session` takes back.

use axum::http::{HeaderMap, StatusCode};

use crate::control::{SessionId, SessionPath, Side, StreamName};
use crate::problem::Problem;

/// The request header of ours that names a session to replace.
pub(crate) const REPLACES_SESSION: &str = "replaces-session";

/// The path of a session, without scheme, host or query: OBS takes no other relative form.
pub(crate) fn path(session: &SessionPath) -> String {
    format!("/{}/{}/{}", side_segment(session.side), session.stream, session.id)
}

/// Reads the path or absolute URL of a session; the host of a URL is not looked at.
pub(crate) fn parse(text: &str) -> Option<SessionPath> {
    let path = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => &rest[rest.find('/')?..],
        Some(_) | None => text,
    };
    let mut segments = path.strip_prefix('/')?.split('/');
    let side = match segments.next()? {
        "whip" => Side::Publish,
        "whep" => Side::Watch,
        _ => return None,
    };
    let stream: StreamName = segments.next()?.parse().ok()?;
    let id = session_id(segments.next()?)?;
    segments.next().is_none().then_some(SessionPath { side, stream, id })
}

/// Reads a session's id; only what one of ours could be.
pub(crate) fn session_id(text: &str) -> Option<SessionId> {
    let fits = (1..=128).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'));
    fits.then(|| SessionId(text.into()))
}

/// The session that a request replaces; it must be of the same side and stream.
pub(crate) fn replaced(
    headers: &HeaderMap,
    side: Side,
    stream: &StreamName,
) -> Result<Option<SessionPath>, Problem> {
    let bad = |detail| Problem::new(StatusCode::BAD_REQUEST, detail);
    let mut values = headers.get_all(REPLACES_SESSION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let session = value.to_str().ok().and_then(|text| parse(text.trim()));
    let (Some(session), None) = (session, values.next()) else {
        return Err(bad("Replaces-Session must name one session, as its Location did"));
    };
    if session.side != side || session.stream != *stream {
        return Err(bad("Replaces-Session must name a session of the same endpoint"));
    }
    Ok(Some(session))
}

fn side_segment(side: Side) -> &'static str {
    match side {
        Side::Publish => "whip",
        Side::Watch => "whep",
    }
}

fn is_scheme(text: &str) -> bool {
    text.eq_ignore_ascii_case("http") || text.eq_ignore_ascii_case("https")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_session_url_is_refused() {
        let rows = [
            "",
            "/",
            "whip/a/b",
            "/whip/a",
            "/whip/a/",
            "/whip/a/b/",
            "/whip/a/b/c",
            "/whip/.a/b",
            "/whip/a/b?c=d",
            "/whip/a/b#c",
            "/WHIP/a/b",
            "/api/a/b",
            "http://host",
            "ftp://host/whip/a/b",
            "//host/whip/a/b",
        ];
        for text in rows {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_location_reads_back_as_path_and_as_url(
            watch: bool,
            stream in "[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}",
            id in "[A-Za-z0-9_-]{22,64}",
            host in "[a-z]{1,9}(:[0-9]{1,5})?",
        ) {
            let side = if watch { Side::Watch } else { Side::Publish };
            let id = SessionId(id.into());
            let session = SessionPath { side, stream: stream.parse().unwrap(), id };
            prop_assert_eq!(parse(&path(&session)), Some(session.clone()));
            let url = format!("https://{host}{}", path(&session));
            prop_assert_eq!(parse(&url), Some(session));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            if let Some(session) = parse(&text) {
                prop_assert!(text.ends_with(&path(&session)));
            }
        }

        #[test]
        fn near_misses_are_read_without_a_panic(
            text in "(https?://)?[a-z:/é]{0,4}/?(whip|whep)?/[a-z./?#é]{0,9}/[a-z/%é]{0,9}",
        ) {
            if let Some(session) = parse(&text) {
                prop_assert!(text.ends_with(&path(&session)));
            }
        }
    }
}
