//! A parser that reads `If-Match` (RFC 9110 section 13.1.1), and the writer of our entity tags.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::control::IfMatch;
use crate::problem::Problem;

/// The header value of a strong entity tag; `None` if the tag has characters that none takes.
pub(crate) fn strong(tag: &str) -> Option<HeaderValue> {
    let fits = tag.bytes().all(is_tag_byte);
    fits.then(|| HeaderValue::from_str(&format!("\"{tag}\"")).ok()).flatten()
}

/// The precondition of a request; 428 if there is none.
pub(crate) fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let lines: Vec<&[u8]> =
        headers.get_all(header::IF_MATCH).iter().map(HeaderValue::as_bytes).collect();
    if lines.is_empty() {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "If-Match must carry the ETag of the session, or * to restart ICE",
        ));
    }
    parse(&lines.join(&b','))
        .ok_or_else(|| Problem::new(StatusCode::BAD_REQUEST, "If-Match cannot be read"))
}

/// Reads `*` or a list of entity tags.
///
/// Weak tags never match in a strong comparison and are left out, so the list may come out empty. `"*"`
/// in quotes counts as `*`, because figure 4 of RFC 9725 shows it so.
fn parse(text: &[u8]) -> Option<IfMatch> {
    if matches!(text.trim_ascii(), b"*" | b"\"*\"") {
        return Some(IfMatch::Any);
    }
    let mut tags = Vec::new();
    let mut any = false;
    let mut rest = skip_blank_elements(text);
    while !rest.is_empty() {
        let (weak, quoted) = match rest.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let inner = quoted.strip_prefix(b"\"")?;
        let end = inner.iter().position(|byte| *byte == b'"')?;
        let tag = &inner[..end];
        if !tag.iter().copied().all(is_tag_byte) {
            return None;
        }
        if let (false, Ok(tag)) = (weak, str::from_utf8(tag)) {
            tags.push(tag.to_owned());
        }
        any = true;
        let after = inner[end + 1..].trim_ascii_start();
        if !after.is_empty() && !after.starts_with(b",") {
            return None;
        }
        rest = skip_blank_elements(after);
    }
    any.then_some(IfMatch::Tags(tags))
}

/// A list may have empty elements (RFC 9110 section 5.6.1).
fn skip_blank_elements(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|byte| !matches!(byte, b' ' | b'\t' | b','));
    start.map_or(&[], |start| &text[start..])
}

fn is_tag_byte(byte: u8) -> bool {
    byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(list: &[&str]) -> Option<IfMatch> {
        Some(IfMatch::Tags(list.iter().map(|tag| (*tag).to_owned()).collect()))
    }

    #[test]
    fn lists_and_stars_are_read() {
        let rows: [(&str, Option<IfMatch>); 16] = [
            ("*", Some(IfMatch::Any)),
            (" * ", Some(IfMatch::Any)),
            ("\"*\"", Some(IfMatch::Any)),
            ("\"a\"", tags(&["a"])),
            ("\"a\", \"b\"", tags(&["a", "b"])),
            ("\"a\",\"b,c\" ,, \"\"", tags(&["a", "b,c", ""])),
            ("W/\"a\"", tags(&[])),
            ("W/\"a\", \"b\"", tags(&["b"])),
            ("", None),
            (" , ", None),
            ("a", None),
            ("\"a", None),
            ("\"a\" \"b\"", None),
            ("\"a b\"", None),
            ("w/\"a\"", None),
            ("*, \"a\"", None),
        ];
        for (text, expected) in rows {
            assert_eq!(parse(text.as_bytes()), expected, "W45: {text}");
        }
    }

    #[test]
    fn a_tag_that_no_header_takes_is_not_written() {
        assert_eq!(strong("a-1").unwrap(), "\"a-1\"");
        assert_eq!(strong("a\"b"), None);
        assert_eq!(strong("a\r\nb"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_we_write_reads_back(list in proptest::collection::vec("[!#-~]{2,20}", 1..5)) {
            let lines: Vec<Vec<u8>> =
                list.iter().map(|tag| strong(tag).unwrap().as_bytes().to_vec()).collect();
            prop_assert_eq!(parse(&lines.join(&b',')), Some(IfMatch::Tags(list)));
        }
    }
}
