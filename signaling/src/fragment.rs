//! A parser that reads trickle ICE fragments (RFC 8840 section 9, RFC 9725 section 4.3).
//!
//! It takes every shape that clients send: credentials at the session level or in media sections, any
//! `m=` line, several sections. All sections are bundled, so all credentials must be the same.

use std::net::IpAddr;

use crate::control::Fragment;

/// The media type of a fragment.
pub(crate) const MEDIA_TYPE: &str = "application/trickle-ice-sdpfrag";

/// Why a text is no fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A line is not of the form `x=value`.
    #[error("the fragment has a line that is not of the form x=value")]
    Line,
    /// There is no user fragment or no password.
    #[error("the fragment needs a=ice-ufrag and a=ice-pwd")]
    NoCredentials,
    /// The user fragment is not 4 to 256 ICE characters.
    #[error("a=ice-ufrag must be 4 to 256 of A-Z a-z 0-9 + /")]
    Ufrag,
    /// The password is not 22 to 256 ICE characters.
    #[error("a=ice-pwd must be 22 to 256 of A-Z a-z 0-9 + /")]
    Pwd,
    /// Sections disagree about the credentials.
    #[error("all sections of the fragment must have the same a=ice-ufrag and a=ice-pwd")]
    Conflict,
    /// A candidate cannot be read.
    #[error("the fragment has an a=candidate that cannot be read")]
    Candidate,
}

/// What to do with a candidate.
enum Candidate {
    Usable,
    /// Well formed and of no use here: TCP, the RTCP component, or a name in place of an address.
    Useless,
}

/// Reads a fragment. Candidates of no use here are left out without a word.
///
/// # Errors
///
/// Says what makes the text no fragment.
pub fn parse(text: &str) -> Result<Fragment, Malformed> {
    let mut ufrag = None;
    let mut pwd = None;
    let mut candidates = Vec::new();
    for line in text.lines().map(|line| line.strip_suffix('\r').unwrap_or(line)) {
        if line.is_empty() {
            continue;
        }
        let [kind, b'=', ..] = line.as_bytes() else {
            return Err(Malformed::Line);
        };
        if !kind.is_ascii_lowercase() {
            return Err(Malformed::Line);
        }
        if *kind != b'a' {
            continue;
        }
        match line[2..].split_once(':') {
            Some(("ice-ufrag", value)) => learn(&mut ufrag, value, 4, Malformed::Ufrag)?,
            Some(("ice-pwd", value)) => learn(&mut pwd, value, 22, Malformed::Pwd)?,
            Some(("candidate", value)) => match judge(value).ok_or(Malformed::Candidate)? {
                Candidate::Usable => candidates.push(value.to_owned()),
                Candidate::Useless => {}
            },
            Some(_) | None => {}
        }
    }
    let (Some(ufrag), Some(pwd)) = (ufrag, pwd) else {
        return Err(Malformed::NoCredentials);
    };
    Ok(Fragment { ufrag: ufrag.into(), pwd: pwd.into(), candidates })
}

/// Keeps a credential, and sees that it is the same wherever it stands.
fn learn<'a>(
    known: &mut Option<&'a str>,
    value: &'a str,
    min_len: usize,
    malformed: Malformed,
) -> Result<(), Malformed> {
    let is_ice_char = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    if !(min_len..=256).contains(&value.len()) || !value.bytes().all(is_ice_char) {
        return Err(malformed);
    }
    if *known.get_or_insert(value) == value { Ok(()) } else { Err(Malformed::Conflict) }
}

/// Looks at a candidate (RFC 8839 section 5.1); `None` if it cannot be read.
fn judge(value: &str) -> Option<Candidate> {
    let mut words = value.split(' ');
    let foundation = words.next()?;
    let component: u16 = words.next()?.parse().ok()?;
    let transport = words.next()?;
    let _priority: u32 = words.next()?.parse().ok()?;
    let address = words.next()?;
    let _port: u16 = words.next()?.parse().ok()?;
    let (typ, kind) = (words.next()?, words.next()?);
    let shaped = !foundation.is_empty()
        && !transport.is_empty()
        && !address.is_empty()
        && typ == "typ"
        && !kind.is_empty();
    let usable = component == 1
        && transport.eq_ignore_ascii_case("udp")
        && address.parse::<IpAddr>().is_ok();
    shaped.then_some(if usable { Candidate::Usable } else { Candidate::Useless })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: &str = "a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n";
    const HOST: &str = "1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0";

    fn expected(candidates: &[&str]) -> Fragment {
        Fragment {
            ufrag: "EsAw".into(),
            pwd: "P2uYro0UCOQ4zxjKXaWCBui1".into(),
            candidates: candidates.iter().map(|text| (*text).to_owned()).collect(),
        }
    }

    #[test]
    fn credentials_may_stand_at_the_session_level() {
        let text = format!(
            "{HEAD}a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
             a=candidate:{HOST}\r\na=end-of-candidates\r\n"
        );
        assert_eq!(parse(&text), Ok(expected(&[HOST])), "W49: session level");
    }

    #[test]
    fn credentials_may_stand_in_a_media_section_of_any_kind() {
        for media in ["video 9 UDP/TLS/RTP/SAVPF 0", "audio 9 RTP/AVP 0", "application 9 X 1 2"] {
            let text =
                format!("m={media}\na=mid:0\n{}a=candidate:{HOST}\n", HEAD.replace('\r', ""));
            assert_eq!(parse(&text), Ok(expected(&[HOST])), "W49: media level, m={media}");
        }
    }

    #[test]
    fn sections_may_repeat_the_credentials_and_not_contradict_them() {
        let section = format!("m=audio 9 RTP/AVP 0\r\na=mid:0\r\n{HEAD}");
        assert_eq!(parse(&format!("{section}{section}")), Ok(expected(&[])), "W49: repeated");
        let other = section.replace("EsAw", "Other");
        assert_eq!(parse(&format!("{section}{other}")), Err(Malformed::Conflict));
    }

    #[test]
    fn candidates_of_no_use_are_left_out_silently() {
        let rows = [
            "1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0",
            "1 1 TCP 1518280447 192.0.2.1 9 typ host tcptype passive",
            "1 1 udp 2122260223 3d7c9b3e-8d9f-4b8c-a2a4-8f8f9b1f2e3d.local 61764 typ host",
            "1 1 udp 2122260223 host.example 61764 typ host",
            "1 2 udp 2122260223 192.0.2.1 61765 typ host",
            "1 1 ssltcp 1 192.0.2.1 443 typ srflx raddr 10.0.0.1 rport 9",
        ];
        for row in rows {
            let text = format!("{HEAD}m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:{row}\r\n");
            assert_eq!(parse(&text), Ok(expected(&[])), "W48: {row}");
        }
    }

    #[test]
    fn candidates_of_use_are_kept_as_they_came() {
        let rows = [
            HOST,
            "x 1 UDP 1 2001:db8::1 9 typ relay raddr 0.0.0.0 rport 0",
            "1 1 udp 0 ::1 0 typ x",
        ];
        for row in rows {
            let text = format!("{HEAD}a=candidate:{row}\r\n");
            assert_eq!(parse(&text), Ok(expected(&[row])), "{row}");
        }
    }

    #[test]
    fn what_is_no_fragment_is_refused_with_its_reason() {
        let rows: [(&str, Malformed); 13] = [
            ("", Malformed::NoCredentials),
            ("\r\n\r\n", Malformed::NoCredentials),
            ("hello", Malformed::Line),
            ("{\"candidate\":\"\"}", Malformed::Line),
            ("A=x\r\n", Malformed::Line),
            ("é=x", Malformed::Line),
            ("a", Malformed::Line),
            ("a=ice-ufrag:EsAw\r\n", Malformed::NoCredentials),
            ("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n", Malformed::NoCredentials),
            ("a=ice-ufrag:abc\r\n", Malformed::Ufrag),
            ("a=ice-ufrag:abc!\r\n", Malformed::Ufrag),
            ("a=ice-pwd:short\r\n", Malformed::Pwd),
            ("a=candidate:1 1 udp 1 192.0.2.1\r\n", Malformed::Candidate),
        ];
        for (text, why) in rows {
            assert_eq!(parse(text), Err(why), "W41: {text:?}");
        }
        for candidate in
            ["", "1 1 udp x 192.0.2.1 9 typ host", "1 1 udp 1 192.0.2.1 65536 typ host"]
        {
            let text = format!("{HEAD}a=candidate:{candidate}\r\n");
            assert_eq!(parse(&text), Err(Malformed::Candidate), "W41: {candidate:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*") {
            let _ = parse(&text);
        }

        #[test]
        fn lines_in_any_order_never_panic_and_keep_only_usable_candidates(
            lines in proptest::collection::vec(prop_oneof![
                Just("a=ice-ufrag:EsAw".to_owned()),
                Just("a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1".to_owned()),
                Just(format!("a=candidate:{HOST}")),
                "m=[a-z ]{0,9}",
                "a=[a-z:]{0,9}",
                "a=candidate:[0-9a-z.: ]{0,40}",
                "a=ice-(ufrag|pwd):[A-Za-z+/é]{0,30}",
            ], 0..12),
            end in prop_oneof![Just("\r\n"), Just("\n")],
        ) {
            if let Ok(fragment) = parse(&lines.join(end)) {
                prop_assert!(fragment.ufrag.len() >= 4 && fragment.pwd.len() >= 22);
                for candidate in fragment.candidates {
                    let address = candidate.split(' ').nth(4).map(str::parse::<IpAddr>);
                    prop_assert!(matches!(address, Some(Ok(_))), "W48: {}", candidate);
                }
            }
        }
    }
}
