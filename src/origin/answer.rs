//! A writer of answers: headers, compressed playlists, ranges of media, and problems.

use std::hash::{DefaultHasher, Hasher};
use std::io::Write;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

/// How long caches may keep an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(Option<Duration>);

/// A playlist as it is sent.
#[derive(Debug)]
pub(crate) struct Text {
    plain: Bytes,
    /// Compressed when the first asks for it, outside of every lock.
    gzip: OnceLock<Bytes>,
    tag: HeaderValue,
    kind: &'static str,
}

/// Media as it is sent.
pub(crate) struct Media {
    pub(crate) bytes: Bytes,
    pub(crate) kind: &'static str,
    /// RFC 9218's urgency.
    pub(crate) urgency: u8,
    pub(crate) age: Age,
}

// === impl Age ===

impl Age {
    /// Not at all: what is wrong is not about the resource.
    pub(crate) const NONE: Self = Self(None);

    /// A target duration, where there is no knowing which.
    pub(crate) const SHORT: Self = Self(Some(Duration::from_secs(3)));

    /// A second: of a crowd behind a cache only one asks again.
    pub(crate) const MOMENT: Self = Self(Some(Duration::from_secs(1)));

    /// As long as that, in whole seconds.
    pub(crate) fn of(duration: Duration) -> Self {
        Self(Some(duration))
    }

    fn header(self) -> HeaderValue {
        let Some(age) = self.0 else { return HeaderValue::from_static("no-store") };
        HeaderValue::try_from(format!("max-age={}", age.as_secs())).expect("digits")
    }
}

// === impl Text ===

impl Text {
    /// A playlist of HLS.
    pub(crate) fn new(text: String) -> Self {
        Self::of_kind(text, PLAYLIST)
    }

    /// A manifest of DASH.
    pub(crate) fn manifest(text: String) -> Self {
        Self::of_kind(text, MANIFEST)
    }

    fn of_kind(text: String, kind: &'static str) -> Self {
        let mut hasher = DefaultHasher::new();
        hasher.write(text.as_bytes());
        // Weak, because both encodings have the same.
        let tag = HeaderValue::try_from(format!("W/\"{:016x}\"", hasher.finish())).expect("digits");
        Self { plain: text.into(), gzip: OnceLock::new(), tag, kind }
    }

    /// The answer to a request with these headers.
    pub(crate) fn answer(&self, request: &HeaderMap, age: Age) -> Response {
        let known = request.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
        let opaque = |tag: &str| tag.trim().trim_start_matches("W/") == &self.tag_text()[2..];
        let unchanged = known.is_some_and(|known| known == "*" || known.split(',').any(opaque));
        let mut response = match (unchanged, takes_gzip(request)) {
            (true, _) => StatusCode::NOT_MODIFIED.into_response(),
            (false, false) => Body::from(self.plain.clone()).into_response(),
            (false, true) => {
                let body = self.gzip.get_or_init(|| compress(&self.plain)).clone();
                let gzip = HeaderValue::from_static("gzip");
                ([(header::CONTENT_ENCODING, gzip)], Body::from(body)).into_response()
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::ETAG, self.tag.clone());
        headers.insert(header::CACHE_CONTROL, age.header());
        headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert(PRIORITY, HeaderValue::from_static("u=1"));
        response
    }

    fn tag_text(&self) -> &str {
        self.tag.to_str().expect("digits")
    }
}

fn compress(text: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::default());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.expect("a Vec takes everything").into()
}

/// Whether a client reads gzip (RFC 9110 section 12.5.3).
fn takes_gzip(request: &HeaderMap) -> bool {
    let values = request.get_all(header::ACCEPT_ENCODING).iter();
    let codings = values.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    let mut any = None;
    for coding in codings {
        let (name, weight) = coding.split_once(';').unwrap_or((coding, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        let wanted = weight.is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            "gzip" | "x-gzip" => return wanted,
            "*" => any = Some(wanted),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

// === impl Media ===

impl Media {
    /// The answer to a request with these headers: all of it, or the range that is asked for.
    pub(crate) fn answer(self, request: &HeaderMap) -> Response {
        let whole = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        let mut response = match range(request, self.bytes.len(), None) {
            Ok(None) => Body::from(self.bytes).into_response(),
            Ok(Some(Range { start, end })) => {
                let said = format!("bytes {start}-{}/{whole}", end - 1);
                let said = HeaderValue::try_from(said).expect("digits");
                let body = Body::from(self.bytes.slice(start..end));
                (StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, said)], body).into_response()
            }
            Err(()) => {
                let said = HeaderValue::try_from(format!("bytes */{whole}")).expect("digits");
                (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, said)]).into_response()
            }
        };
        let urgency = HeaderValue::try_from(format!("u={}", self.urgency)).expect("a digit");
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(header::CACHE_CONTROL, self.age.header());
        headers.insert(PRIORITY, urgency);
        response
    }
}

/// The one range that is asked for of what has that strong tag. What cannot be read, several ranges, and
/// a condition that does not hold get the whole (RFC 9110 section 14.2).
pub(crate) fn range(
    request: &HeaderMap,
    len: usize,
    tag: Option<&HeaderValue>,
) -> Result<Option<Range<usize>>, ()> {
    if request.get(header::IF_RANGE).is_some_and(|wanted| Some(wanted) != tag) {
        return Ok(None);
    }
    let asked = request.get(header::RANGE).and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|value| value.trim().strip_prefix("bytes="));
    let Some((first, last)) = asked.and_then(|asked| asked.split_once('-')) else {
        return Ok(None);
    };
    let bytes = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // Beyond everything is beyond everything.
        digits.then(|| text.parse().unwrap_or(usize::MAX))
    };
    let (start, end) = match (bytes(first.trim()), bytes(last.trim())) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(len)),
        (Some(first), None) if last.trim().is_empty() => (first, len),
        (None, Some(last)) if first.trim().is_empty() => (len.saturating_sub(last), len),
        (_, _) => return Ok(None),
    };
    if start < end { Ok(Some(start..end)) } else { Err(()) }
}

// === Problems ===

#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

/// An error, as RFC 9457 has it.
pub(crate) fn problem(status: StatusCode, detail: &str, age: Age) -> Response {
    tracing::debug!(status = status.as_u16(), detail, "request refused");
    let title = status.canonical_reason().unwrap_or("Error");
    let body = Problem { r#type: "about:blank", title, status: status.as_u16(), detail };
    let body = serde_json::to_vec(&body).expect("strings and a number serialise");
    let kind = HeaderValue::from_static("application/problem+json");
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, age.header())];
    (status, headers, body).into_response()
}

/// As [`problem`], where it is worth trying again.
pub(crate) fn problem_later(status: StatusCode, detail: &str, age: Age) -> Response {
    let mut response = problem(status, detail, age);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// 404 for what there is not.
pub(crate) fn nowhere(age: Age) -> Response {
    problem(StatusCode::NOT_FOUND, "there is nothing at this path", age)
}

/// 503 where too many requests are held already.
pub(crate) fn too_many() -> Response {
    let detail = "too many requests are waiting";
    problem_later(StatusCode::SERVICE_UNAVAILABLE, detail, Age::MOMENT)
}

/// 503 where nothing came in time. It may be there at the next moment, and caches must not keep it from players.
pub(crate) fn late() -> Response {
    let detail = "what was waited for did not come in time";
    problem_later(StatusCode::SERVICE_UNAVAILABLE, detail, Age::MOMENT)
}

// === Other origins ===

/// Lets pages of every origin read every answer. What is served here is for everybody.
#[allow(clippy::unused_async, reason = "axum takes only async functions here")]
pub(crate) async fn share(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    // Players count a cache's age in.
    let exposed = HeaderValue::from_static("Age, Date");
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    response
}

/// Answers the question that a browser asks before a request with headers of its own.
#[allow(clippy::unused_async, reason = "axum takes only async handlers")]
pub(crate) async fn preflight() -> Response {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "Authorization, Range"),
        (header::ACCESS_CONTROL_MAX_AGE, "7200"),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}

const PLAYLIST: &str = "application/vnd.apple.mpegurl";
const MANIFEST: &str = "application/dash+xml";

const PRIORITY: HeaderName = HeaderName::from_static("priority");

#[cfg(test)]
mod tests {
    use super::*;

    fn request(name: HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn ranges_are_read() {
        let rows = [
            ("bytes=0-9", Ok(Some(0..10))),
            ("bytes=90-", Ok(Some(90..100))),
            ("bytes=-10", Ok(Some(90..100))),
            ("bytes=-1000", Ok(Some(0..100))),
            ("bytes=10-9007199254740991", Ok(Some(10..100))),
            ("bytes=10-99999999999999999999999", Ok(Some(10..100))),
            ("bytes=99-99", Ok(Some(99..100))),
            ("bytes=100-", Err(())),
            ("bytes=-0", Err(())),
            ("bytes=9-0", Ok(None)),
            ("bytes=0-1,5-6", Ok(None)),
            ("bytes=x-y", Ok(None)),
            ("bytes=-", Ok(None)),
            ("bytes=5-x", Ok(None)),
            ("lines=0-9", Ok(None)),
        ];
        for (value, want) in rows {
            assert_eq!(range(&request(header::RANGE, value), 100, None), want, "H17: {value}");
        }
        assert_eq!(range(&request(header::RANGE, "bytes=0-"), 0, None), Err(()));
        let mut conditional = request(header::RANGE, "bytes=0-9");
        conditional.insert(header::IF_RANGE, HeaderValue::from_static("\"a\""));
        assert_eq!(range(&conditional, 100, None), Ok(None), "it may be another file");
        let tag = |tag| Some(HeaderValue::from_static(tag));
        assert_eq!(range(&conditional, 100, tag("\"a\"").as_ref()), Ok(Some(0..10)), "it is not");
        assert_eq!(range(&conditional, 100, tag("\"b\"").as_ref()), Ok(None), "it is another file");
    }

    #[test]
    fn gzip_is_for_those_who_ask() {
        let rows = [
            ("gzip, deflate, br", true),
            ("br;q=1.0, gzip;q=0.8", true),
            ("*", true),
            ("gzip;q=0", false),
            ("*, gzip;q=0.0", false),
            ("identity", false),
            ("", false),
        ];
        for (value, want) in rows {
            assert_eq!(takes_gzip(&request(header::ACCEPT_ENCODING, value)), want, "H62: {value}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
