//! A maker of datagrams that no server should have a use for.

use crate::load::options::Junk;

/// Makes one kind.
pub(super) struct Maker {
    kind: Junk,
    username: Option<String>,
    lot: fastrand::Rng,
}

// === impl Maker ===

impl Maker {
    /// `username` is that of the session that is misused.
    pub(super) fn new(kind: Junk, username: Option<String>) -> Self {
        Self { kind, username, lot: fastrand::Rng::new() }
    }

    /// Writes the next datagram.
    pub(super) fn make(&mut self, out: &mut Vec<u8>) {
        out.clear();
        match self.kind {
            Junk::Random => self.random(out, 100),
            Junk::Rtp | Junk::KnownRtp => {
                out.extend_from_slice(&[0x80, 96]);
                self.random(out, 118);
            }
            Junk::KnownRtcp => {
                // A receiver report of eight words, whose encryption flag is set.
                out.extend_from_slice(&[0x80, 201, 0, 7]);
                self.random(out, 52);
                let flag_at = out.len() - 4;
                out[flag_at] |= 0x80;
            }
            Junk::Hello | Junk::KnownHello => out.extend_from_slice(&hello(self.lot.u64(..))),
            Junk::Stun => {
                let name: String = (0..8).map(|_| self.lot.alphanumeric()).collect();
                self.check(out, &format!("{name}:them"));
            }
            Junk::WrongPassword => {
                let username = self.username.clone().unwrap_or_default();
                self.check(out, &username);
            }
        }
    }

    fn random(&mut self, out: &mut Vec<u8>, len: usize) {
        let begin = out.len();
        out.resize(begin + len, 0);
        self.lot.fill(&mut out[begin..]);
    }

    /// A binding request in which all is right but the password.
    fn check(&mut self, out: &mut Vec<u8>, username: &str) {
        out.extend_from_slice(&[0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        self.random(out, 12);
        attribute(out, 0x0006, username.as_bytes());
        attribute(out, 0x0024, &[0x6e, 0, 1, 0xff]);
        attribute(out, 0x802a, &self.lot.u64(..).to_be_bytes());
        let mut integrity = [0; 20];
        self.lot.fill(&mut integrity);
        attribute(out, 0x0008, &integrity);
        let with_fingerprint = (out.len() - HEADER_LEN + 8) as u16;
        out[2..4].copy_from_slice(&with_fingerprint.to_be_bytes());
        let fingerprint = crc32(out) ^ FINGERPRINT_MASK;
        attribute(out, 0x8028, &fingerprint.to_be_bytes());
    }
}

fn attribute(out: &mut Vec<u8>, kind: u16, value: &[u8]) {
    out.extend_from_slice(&kind.to_be_bytes());
    out.extend_from_slice(&(value.len() as u16).to_be_bytes());
    out.extend_from_slice(value);
    out.resize(HEADER_LEN + (out.len() - HEADER_LEN).next_multiple_of(4), 0);
}

/// The first message of a DTLS 1.2 client (RFC 6347 section 4.2.1), with extensions of a browser's
/// length.
fn hello(random: u64) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend(random.to_be_bytes().repeat(4));
    body.extend_from_slice(&[0, 0, 0, 4, 0xc0, 0x2b, 0xc0, 0x2f, 1, 0]);
    // use_srtp, supported groups, and padding.
    let mut extensions = vec![0, 14, 0, 7, 0, 4, 0, 7, 0, 1, 0, 0, 10, 0, 4, 0, 2, 0, 23];
    extensions.extend_from_slice(&[0, 21, 0, 60]);
    extensions.resize(extensions.len() + 60, 0);
    body.extend_from_slice(&(extensions.len() as u16).to_be_bytes());
    body.extend_from_slice(&extensions);
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let message = [&[1][..], length, &[0; 5], length, &body].concat();
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0];
    record.extend_from_slice(&(message.len() as u16).to_be_bytes());
    record.extend_from_slice(&message);
    record
}

/// The checksum of ISO 3309, which FINGERPRINT uses (RFC 8489 section 14.7).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        let shift = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        (0..8).fold(crc ^ u32::from(*byte), shift)
    };
    !bytes.iter().fold(!0, step)
}

const HEADER_LEN: usize = 20;
const FINGERPRINT_MASK: u32 = 0x5354_554e;

#[cfg(test)]
mod tests {
    use whitewater_core::rtc::demux::{Class, classify, stun_local_ufrag};

    use super::*;

    #[test]
    fn junk_is_what_it_pretends_to_be() {
        let rows = [
            (Junk::Rtp, Class::Rtp),
            (Junk::KnownRtcp, Class::Rtcp),
            (Junk::Hello, Class::Dtls),
            (Junk::Stun, Class::Stun),
            (Junk::WrongPassword, Class::Stun),
        ];
        for (kind, class) in rows {
            let mut datagram = Vec::new();
            Maker::new(kind, Some("home:there".into())).make(&mut datagram);
            assert_eq!(classify(&datagram), class, "{kind:?}");
            if kind == Junk::WrongPassword {
                assert_eq!(stun_local_ufrag(&datagram), Some("home"));
                let len = usize::from(u16::from_be_bytes([datagram[2], datagram[3]]));
                assert_eq!(len + HEADER_LEN, datagram.len());
            }
        }
    }

    #[test]
    fn the_checksum_is_the_one_of_its_test_vector() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
