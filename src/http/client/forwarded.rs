//! A reader of the `Forwarded` header (RFC 7239) that tells for whom each proxy speaks.
//!
//! It begins at the end of a line. What stands there is what the last proxy added, and reads the same
//! whatever a client wrote before it, quotes that never end included.

use std::net::IpAddr;

/// For whom the proxies of a line speak, the last first; `None` where it is no address: `unknown`, a
/// name of a proxy's own, nothing at all.
pub(super) fn from_last(line: &[u8]) -> impl Iterator<Item = Option<IpAddr>> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut quoted = false;
        let comma = (0..text.len()).rev().find(|at| splits(text, *at, b',', &mut quoted));
        rest = comma.map(|at| &text[..at]);
        Some(whom(&text[comma.map_or(0, |at| at + 1)..]))
    })
}

/// The address of an element's one `for`.
fn whom(element: &[u8]) -> Option<IpAddr> {
    let (mut quoted, mut from, mut pairs) = (false, 0, Vec::new());
    for at in (0..element.len()).filter(|at| splits(element, *at, b';', &mut quoted)) {
        pairs.push(&element[from..at]);
        from = at + 1;
    }
    pairs.push(&element[from..]);
    let named = pairs.into_iter().filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let [value] = named.collect::<Vec<_>>()[..] else { return None };
    match value.strip_prefix('"') {
        Some(quoted) => node(quoted.strip_suffix('"')?),
        None => node(value),
    }
}

/// An address of IPv4, or one of IPv6 in brackets, perhaps with a port, which may be a made-up name
/// (section 6).
fn node(text: &str) -> Option<IpAddr> {
    let (address, after) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            (IpAddr::V6(address.parse().ok()?), after)
        }
        None => {
            let (address, after) = text.split_at(text.find(':').unwrap_or(text.len()));
            (IpAddr::V4(address.parse().ok()?), after)
        }
    };
    let is_port = |port: &str| port.parse::<u16>().is_ok() || port.starts_with('_');
    (after.is_empty() || after.strip_prefix(':').is_some_and(is_port))
        .then(|| address.to_canonical())
}

/// Whether a separator stands here, outside of quoted strings; `quoted` goes along.
fn splits(text: &[u8], at: usize, separator: u8, quoted: &mut bool) -> bool {
    if text[at] == b'"' {
        let escapes = text[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        *quoted ^= escapes % 2 == 0;
    }
    !*quoted && text[at] == separator
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8]) -> Vec<String> {
        let nodes = from_last(line);
        nodes.map(|node| node.map_or_else(|| "-".into(), |address| address.to_string())).collect()
    }

    #[test]
    fn addresses_are_read_as_the_standard_writes_them() {
        let rows: [(&[u8], &[&str]); 17] = [
            // The examples of RFC 7239.
            (b"for=\"_gazonk\"", &["-"]),
            (b"For=\"[2001:db8:cafe::17]:4711\"", &["2001:db8:cafe::17"]),
            (b"for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"]),
            (b"for=192.0.2.43, for=198.51.100.17", &["198.51.100.17", "192.0.2.43"]),
            (b"for=_SEVKISEK", &["-"]),
            (
                b"for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown",
                &["-", "2001:db8:cafe::17", "192.0.2.43"],
            ),
            (b"for=\"192.0.2.43:47011\"", &["192.0.2.43"]),
            (b"for=\"192.0.2.43:_hidden\"", &["192.0.2.43"]),
            (b"proto=https ; for=192.0.2.43 ", &["192.0.2.43"]),
            (b"for=\"[::ffff:192.0.2.43]\"", &["192.0.2.43"]),
            // What says nothing, or two things.
            (b"", &["-"]),
            (b"proto=https", &["-"]),
            (b"for=192.0.2.1;for=192.0.2.2", &["-"]),
            (b"for=192.0.2.43:x", &["-"]),
            (b"for=\"[2001:db8::1]x\"", &["-"]),
            (b"for=2001:db8::1", &["-"]),
            (b"for=192.0.2.1,", &["-", "192.0.2.1"]),
        ];
        for (line, nodes) in rows {
            assert_eq!(read(line), nodes, "{}", String::from_utf8_lossy(line));
        }
    }

    #[test]
    fn what_a_client_wrote_does_not_change_what_its_proxy_added() {
        let added = [
            &b"for=192.0.2.43"[..],
            b"for=\"[2001:db8::1]:80\";host=\"a.example:80\"",
            b"host=\"a, \\\" for=9.9.9.9\";for=192.0.2.43",
        ];
        let own = [
            &b"for=1.1.1.1"[..],
            b"for=\"1.1.1.1",
            b"x=\"",
            b"\\",
            b"\xff\"",
            b"for=1.1.1.1;x=\"\\",
        ];
        for added in added {
            let alone = read(added);
            assert_eq!(alone.len(), 1);
            for own in own {
                let line = [own, b", ", added].concat();
                assert_eq!(read(&line)[0], alone[0], "{}", String::from_utf8_lossy(&line));
            }
        }
    }
}
