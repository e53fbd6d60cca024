//! A formatter that tells clients of ICE servers in `Link` headers (RFC 9725 section 4.6).

use axum::http::HeaderValue;

use crate::{IceServer, InvalidConfig};

/// Checks that a text is the URL of a STUN or TURN server (RFC 7064, RFC 7065).
pub(crate) fn check_url(url: &str) -> Result<(), InvalidConfig> {
    let known = url.split_once(':').is_some_and(|(scheme, rest)| {
        let served = ["stun", "stuns", "turn", "turns"];
        served.iter().any(|name| scheme.eq_ignore_ascii_case(name)) && !rest.is_empty()
    });
    let plain = url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'<' | b'>' | b'"'));
    if known && plain { Ok(()) } else { Err(InvalidConfig::IceUrl(url.into())) }
}

/// Formats the header line for one URL of a server.
///
/// One line per URL, never a comma-joined list: OBS splits at commas and loses all but the first. A
/// comma or semicolon inside a password breaks OBS too; nothing here can help that.
pub(crate) fn link(server: &IceServer, url: &str) -> Result<HeaderValue, InvalidConfig> {
    let mut line = format!("<{url}>; rel=\"ice-server\"");
    if let Some(username) = &server.username {
        line.push_str("; username=");
        push_quoted(&mut line, username);
    }
    if let Some(credential) = &server.credential {
        line.push_str("; credential=");
        push_quoted(&mut line, credential);
    }
    let invalid = || InvalidConfig::IceCredential(url.into());
    let mut line = HeaderValue::from_str(&line).map_err(|_| invalid())?;
    line.set_sensitive(server.credential.is_some());
    Ok(line)
}

/// Writes a text as a quoted-string (RFC 9110 section 5.6.4).
fn push_quoted(line: &mut String, text: &str) {
    line.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            line.push('\\');
        }
        line.push(character);
    }
    line.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_server_carries_its_user_and_password_and_no_credential_type() {
        let server = IceServer {
            urls: Vec::new(),
            username: Some("u".into()),
            credential: Some(r#"p"\"#.into()),
        };
        let line = link(&server, "turn:host?transport=udp").unwrap();
        assert_eq!(
            line,
            r#"<turn:host?transport=udp>; rel="ice-server"; username="u"; credential="p\"\\""#,
            "W60: the Link line"
        );
    }

    #[test]
    fn a_stun_server_carries_its_url_alone() {
        let line = link(&IceServer::default(), "stun:host:3478").unwrap();
        assert_eq!(line, r#"<stun:host:3478>; rel="ice-server""#, "W60: the Link line");
    }

    #[test]
    fn a_password_with_a_line_break_is_refused() {
        let server = IceServer { credential: Some("a\r\nb".into()), ..IceServer::default() };
        assert_eq!(link(&server, "turn:h"), Err(InvalidConfig::IceCredential("turn:h".into())));
    }

    #[test]
    fn urls_are_checked() {
        for good in ["stun:h", "stuns:h:5349", "TURN:h", "turns:h:443?transport=tcp"] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in ["", "stun:", "h", "http://h", "turn:h>; rel=\"x\"", "turn:a b", "turn:é"] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
