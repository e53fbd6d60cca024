//! A sorter that tells by its first bytes what a datagram is (RFC 7983), and whose.

use std::str;

/// What a datagram carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// A connectivity check or its answer.
    Stun,
    /// Handshake records and alerts.
    Dtls,
    /// Protected media.
    Rtp,
    /// Protected reports and feedback.
    Rtcp,
    /// Nothing that is spoken here.
    Unknown,
}

/// Sorts a datagram. Only its length and first two bytes are looked at, nothing is verified.
pub fn classify(datagram: &[u8]) -> Class {
    let [first, second, ..] = *datagram else { return Class::Unknown };
    let (class, at_least) = match first {
        0..=3 => (Class::Stun, STUN_HEADER_LEN),
        20..=63 => (Class::Dtls, DTLS_HEADER_LEN),
        // RFC 5761 section 4: RTCP packet types and RTP payload types do not overlap here.
        128..=191 if (192..=223).contains(&second) => (Class::Rtcp, RTCP_HEADER_LEN),
        128..=191 => (Class::Rtp, RTP_HEADER_LEN),
        4..=19 | 64..=127 | 192..=255 => (Class::Unknown, 0),
    };
    if datagram.len() < at_least { Class::Unknown } else { class }
}

/// The local ufrag (the part before the colon) in the USERNAME of a STUN binding request.
///
/// Nothing is authenticated: the answer only says which session may try.
pub fn stun_local_ufrag(datagram: &[u8]) -> Option<&str> {
    let (header, mut attributes) = datagram.split_at_checked(STUN_HEADER_LEN)?;
    if header[..2] != BINDING_REQUEST || header[4..8] != MAGIC_COOKIE {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
    attributes = attributes.get(..length)?;
    // A check has few attributes: strangers' datagrams are not walked through for longer.
    for _ in 0..MAX_ATTRIBUTES {
        let (head, rest) = attributes.split_at_checked(4)?;
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = rest.get(..length)?;
        if head[..2] == USERNAME {
            if length > MAX_USERNAME_LEN {
                return None;
            }
            let username = str::from_utf8(value).ok()?;
            return username.split_once(':').map(|(local, _)| local);
        }
        attributes = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

const STUN_HEADER_LEN: usize = 20;
const DTLS_HEADER_LEN: usize = 13;
const RTP_HEADER_LEN: usize = 12;
const RTCP_HEADER_LEN: usize = 8;
const BINDING_REQUEST: [u8; 2] = [0, 1];
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const USERNAME: [u8; 2] = [0, 6];
// RFC 8489 section 14.3, which is enough for two of RFC 8839's 256 characters and the colon.
const MAX_USERNAME_LEN: usize = 513;
const MAX_ATTRIBUTES: usize = 24;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn datagram(first: u8, second: u8, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes[0] = first;
        bytes[1] = second;
        bytes
    }

    fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (kind, value) in attributes {
            body.extend_from_slice(&kind.to_be_bytes());
            body.extend_from_slice(&(value.len() as u16).to_be_bytes());
            body.extend_from_slice(value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let mut bytes = vec![0, 1];
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(&MAGIC_COOKIE);
        bytes.extend_from_slice(&[7; 12]);
        bytes.extend_from_slice(&body);
        bytes
    }

    #[test]
    fn every_first_byte_has_the_class_of_rfc_7983() {
        for first in 0..=255 {
            let expected = match first {
                0..=3 => Class::Stun,
                20..=63 => Class::Dtls,
                128..=191 => Class::Rtp,
                _ => Class::Unknown,
            };
            assert_eq!(classify(&datagram(first, 0, 40)), expected, "first byte {first}");
        }
    }

    #[test]
    fn packet_types_192_to_223_are_rtcp() {
        for second in 0..=255 {
            let expected = if (192..=223).contains(&second) { Class::Rtcp } else { Class::Rtp };
            assert_eq!(classify(&datagram(0x80, second, 40)), expected, "second byte {second}");
        }
    }

    #[test]
    fn a_datagram_shorter_than_its_header_is_unknown() {
        for (first, second, least) in [(0, 1, 20), (22, 254, 13), (0x80, 96, 12), (0x80, 200, 8)] {
            assert_eq!(classify(&datagram(first, second, least - 1)), Class::Unknown);
            assert_ne!(classify(&datagram(first, second, least)), Class::Unknown);
        }
        assert_eq!(classify(&[]), Class::Unknown);
    }

    #[test]
    fn the_local_ufrag_is_found_behind_other_attributes() {
        let bytes = request(&[(0x24, &[0; 4]), (0xc057, &[1, 2, 3]), (6, b"home7:there")]);
        assert_eq!(stun_local_ufrag(&bytes), Some("home7"));
    }

    #[test]
    fn a_long_walk_to_the_username_and_a_long_username_are_spared() {
        let mut attributes = vec![(0x8022, &[][..]); MAX_ATTRIBUTES - 1];
        attributes.push((6, b"home:there"));
        assert_eq!(stun_local_ufrag(&request(&attributes)), Some("home"));
        attributes.insert(0, (0x8022, &[]));
        assert_eq!(stun_local_ufrag(&request(&attributes)), None);
        for (len, found) in [(256, true), (257, false)] {
            let username = [&vec![b'a'; len], &b":"[..], &[b'b'; 256]].concat();
            assert_eq!(stun_local_ufrag(&request(&[(6, &username)])).is_some(), found);
        }
    }

    #[test]
    fn requests_without_a_usable_username_have_no_ufrag() {
        assert_eq!(stun_local_ufrag(&request(&[(6, b"nocolon")])), None);
        assert_eq!(stun_local_ufrag(&request(&[(6, &[0xff, b':'])])), None);
        assert_eq!(stun_local_ufrag(&request(&[])), None);
        let mut response = request(&[(6, b"a:b")]);
        response[0] = 1;
        assert_eq!(stun_local_ufrag(&response), None);
        let bytes = request(&[(6, b"home:there")]);
        assert_eq!(stun_local_ufrag(&bytes[..bytes.len() - 4]), None);
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = classify(&bytes);
            let _ = stun_local_ufrag(&bytes);
            let mut request = request(&[]);
            request.extend_from_slice(&bytes);
            request[2..4].copy_from_slice(&(bytes.len() as u16).to_be_bytes());
            let _ = stun_local_ufrag(&request);
        }
    }
}
