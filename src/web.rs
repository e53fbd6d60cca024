//! A router that serves the embedded pages and what they load.
//!
//! Release builds carry the files of `web-demo/dist`; debug builds read them when asked.

use std::borrow::Cow;

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use rust_embed::RustEmbed;
use whitewater_signaling::control::StreamName;

/// Routes of the pages: a fallback, so that every other path of the server comes first.
pub fn router() -> Router {
    Router::new().route(REFERENCE, any(serve)).fallback(serve)
}

#[derive(RustEmbed)]
#[folder = "web-demo/dist"]
struct Pages;

/// A file as it is sent.
struct File {
    bytes: Cow<'static, [u8]>,
    /// SHA-256 of the bytes.
    digest: [u8; 32],
}

/// The files of a build.
type Find = fn(&str) -> Option<File>;

#[allow(clippy::unused_async, reason = "axum takes only async handlers")]
async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let tag = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let mut response = answer(embedded, &method, uri.path(), tag);
    if method == Method::HEAD {
        let length = response.body().size_hint().exact().unwrap_or_default();
        *response.body_mut() = Body::empty();
        response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    }
    response
}

fn embedded(path: &str) -> Option<File> {
    let file = Pages::get(path)?;
    Some(File { digest: file.metadata.sha256_hash(), bytes: file.data })
}

fn answer(find: Find, method: &Method, path: &str, if_none_match: Option<&str>) -> Response {
    let mut response = if !matches!(*method, Method::GET | Method::HEAD) {
        let allow = (header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        (StatusCode::METHOD_NOT_ALLOWED, [allow]).into_response()
    } else {
        match file_for(path).map(|name| (name, find(name))) {
            Some((name, Some(file))) => found(name, file, if_none_match),
            Some((name, None)) if name.ends_with(".html") => not_built(),
            Some((_, None)) | None => not_found(),
        }
    };
    for (name, value) in SECURITY {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if file_for(path) == Some(EMBED) {
        let policy = HeaderValue::from_static(concat!(policy!(), "; frame-ancestors *"));
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
        response.headers_mut().remove(header::X_FRAME_OPTIONS);
    }
    response
}

/// The file behind a path; a page is only found under its own address.
fn file_for(path: &str) -> Option<&str> {
    match path {
        "/" => Some("index.html"),
        "/publish" => Some("publish.html"),
        "/dashboard" => Some("dashboard.html"),
        "/recordings" => Some("recordings.html"),
        REFERENCE => Some("reference.html"),
        _ => {
            let of_stream = [("/watch/", "watch.html"), ("/embed/", EMBED)];
            let page = of_stream.iter().find_map(|(start, page)| {
                path.strip_prefix(start).map(|name| (name.parse::<StreamName>(), *page))
            });
            match page {
                Some((name, page)) => name.is_ok().then_some(page),
                None => path.strip_prefix('/').filter(|name| !name.ends_with(".html")),
            }
        }
    }
}

fn found(name: &str, file: File, if_none_match: Option<&str>) -> Response {
    let tag: String = file.digest[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let caching = match name.starts_with(HASHED) {
        true => "public, max-age=31536000, immutable",
        false => "no-cache",
    };
    let unchanged = if_none_match.is_some_and(|tags| {
        tags.split(',').map(str::trim).any(|t| t == "*" || t.trim_start_matches("W/") == tag)
    });
    let headers = [
        (header::CACHE_CONTROL, caching.to_owned()),
        (header::CONTENT_TYPE, content_type(name)),
        (header::ETAG, tag),
    ];
    if unchanged {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    let body = match file.bytes {
        Cow::Borrowed(bytes) => Body::from(bytes),
        Cow::Owned(bytes) => Body::from(bytes),
    };
    (headers, body).into_response()
}

fn content_type(name: &str) -> String {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    let text = guess.type_() == mime_guess::mime::TEXT
        || guess.subtype() == mime_guess::mime::JAVASCRIPT
        || guess.subtype() == mime_guess::mime::JSON;
    if text { format!("{}; charset=utf-8", guess.essence_str()) } else { guess.to_string() }
}

fn not_found() -> Response {
    plain_page(
        "Nothing is here",
        "<p>Nothing is at this address. <a href=\"/\">See which streams are live</a>, or \
         <a href=\"/publish\">publish one</a>.</p>",
    )
}

fn not_built() -> Response {
    plain_page(
        "The pages were not built",
        "<p>This server was built before its pages. WHIP, WHEP and the API work; \
         <code>make build</code> builds the pages and puts them into the server.</p>",
    )
}

fn plain_page(title: &str, body: &str) -> Response {
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} - Whitewater</title>\
         </head><body><main><h1>{title}</h1>{body}</main></body></html>\n"
    );
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    (StatusCode::NOT_FOUND, headers, page).into_response()
}

/// The reference of the API, which stands beside the API that others serve.
const REFERENCE: &str = "/api/v1/docs";

/// Where the build puts files whose names change with their content.
const HASHED: &str = "assets/";

/// The page that is made to stand within pages of others.
const EMBED: &str = "embed.html";

/// What pages may load: nothing inline, nothing from elsewhere.
macro_rules! policy {
    () => {
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
         font-src 'self'; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; \
         manifest-src 'self'; base-uri 'none'; form-action 'self'"
    };
}
use policy;

/// What every answer says to browsers. Only pages of ours may frame what can publish or lead away:
/// a click on it could be somebody else's idea. The embed page is the exception.
const SECURITY: [(header::HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, concat!(policy!(), "; frame-ancestors 'self'")),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "SAMEORIGIN"),
    (header::REFERRER_POLICY, "same-origin"),
    (
        header::HeaderName::from_static("permissions-policy"),
        "camera=(self), microphone=(self), display-capture=(self), geolocation=(), payment=(), \
         usb=()",
    ),
    (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn build(name: &str) -> Option<File> {
        let bytes: &'static [u8] = match name {
            "index.html" | "publish.html" | "watch.html" | "dashboard.html" | "recordings.html"
            | "reference.html" | EMBED => b"<!doctype html>",
            "assets/page-3f2a.js" => b"export {}",
            "assets/page-3f2a.css" => b"body {}",
            "favicon.svg" => b"<svg/>",
            _ => return None,
        };
        Some(File { bytes: bytes.into(), digest: [bytes.len() as u8; 32] })
    }

    fn get(path: &str) -> Response {
        answer(build, &Method::GET, path, None)
    }

    fn header(response: &Response, name: &str) -> String {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned()
    }

    #[test]
    fn every_address_finds_its_file_and_its_type() {
        let rows = [
            ("/", 200, "text/html; charset=utf-8"),
            ("/publish", 200, "text/html; charset=utf-8"),
            ("/dashboard", 200, "text/html; charset=utf-8"),
            ("/recordings", 200, "text/html; charset=utf-8"),
            (REFERENCE, 200, "text/html; charset=utf-8"),
            ("/watch/my.show-1_a", 200, "text/html; charset=utf-8"),
            ("/embed/my.show-1_a", 200, "text/html; charset=utf-8"),
            ("/assets/page-3f2a.js", 200, "text/javascript; charset=utf-8"),
            ("/assets/page-3f2a.css", 200, "text/css; charset=utf-8"),
            ("/favicon.svg", 200, "image/svg+xml"),
            ("/watch/", 404, "text/html; charset=utf-8"),
            ("/watch/.hidden", 404, "text/html; charset=utf-8"),
            ("/watch/a/b", 404, "text/html; charset=utf-8"),
            ("/embed/.hidden", 404, "text/html; charset=utf-8"),
            ("/embed.html", 404, "text/html; charset=utf-8"),
            ("/watch.html", 404, "text/html; charset=utf-8"),
            ("/index.html", 404, "text/html; charset=utf-8"),
            ("/assets/../Cargo.toml", 404, "text/html; charset=utf-8"),
            ("/nothing", 404, "text/html; charset=utf-8"),
        ];
        for (path, status, content_type) in rows {
            let response = get(path);
            assert_eq!(response.status(), status, "{path}");
            assert_eq!(header(&response, "content-type"), content_type, "{path}");
        }
    }

    #[test]
    fn hashed_files_are_kept_for_good_and_pages_are_asked_for_each_time() {
        let asset = header(&get("/assets/page-3f2a.js"), "cache-control");
        assert_eq!(asset, "public, max-age=31536000, immutable");
        assert_eq!(header(&get("/"), "cache-control"), "no-cache");
        assert_eq!(header(&get("/nothing"), "cache-control"), "no-store");
    }

    #[test]
    fn an_unchanged_page_is_not_sent_again() {
        let tag = header(&get("/"), "etag");
        for tags in [tag.clone(), format!("\"other\", W/{tag}"), "*".into()] {
            let response = answer(build, &Method::GET, "/", Some(&tags));
            assert_eq!(response.status(), 304, "{tags}");
            assert_eq!(header(&response, "etag"), tag);
        }
        assert_eq!(answer(build, &Method::GET, "/", Some("\"other\"")).status(), 200);
    }

    #[test]
    fn every_answer_carries_the_security_headers() {
        for path in ["/", "/assets/page-3f2a.js", "/nothing"] {
            let response = get(path);
            let policy = header(&response, "content-security-policy");
            assert!(policy.contains("script-src 'self'"), "{policy}");
            assert!(!policy.contains("unsafe-inline"), "{policy}");
            assert_eq!(header(&response, "x-content-type-options"), "nosniff");
            let permissions = header(&response, "permissions-policy");
            assert!(permissions.starts_with("camera=(self), microphone=(self), display-capture"));
        }
    }

    #[test]
    fn the_embed_page_alone_may_stand_within_pages_of_others() {
        let frames = |path: &str| {
            let response = get(path);
            let policy = header(&response, "content-security-policy");
            assert!(policy.starts_with("default-src 'none'; script-src 'self'"), "{policy}");
            let ancestors = policy.split("; ").find(|one| one.starts_with("frame-ancestors"));
            (ancestors.unwrap_or_default().to_owned(), header(&response, "x-frame-options"))
        };
        assert_eq!(frames("/embed/a"), ("frame-ancestors *".into(), String::new()));
        for path in ["/", "/publish", "/watch/a", "/nothing", "/embed/.bad"] {
            let refused = ("frame-ancestors 'self'".into(), "SAMEORIGIN".into());
            assert_eq!(frames(path), refused, "{path}");
        }
    }

    #[test]
    fn pages_are_only_read() {
        let response = answer(build, &Method::POST, "/", None);
        assert_eq!(response.status(), 405);
        assert_eq!(header(&response, "allow"), "GET, HEAD");
    }

    #[test]
    fn a_server_without_pages_says_so() {
        let response = answer(|_| None, &Method::GET, "/publish", None);
        assert_eq!(response.status(), 404);
    }
}
