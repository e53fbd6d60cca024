//! A sieve that lets through only the DTLS records an association has a use for.
//!
//! The library below keeps whatever it is given: every fragment, every record that it cannot
//! decrypt yet. The sieve bounds all of that, keeps repeated fragments away from it (they would
//! stop its retransmission timer), and after the handshake passes only encrypted records, so
//! that nobody without the keys reaches it any more.

use bytes::BytesMut;
use smallvec::SmallVec;

use crate::rtc::connection::Dropped;

/// What has been let through.
pub(super) struct Sieve {
    client: bool,
    seen: SmallVec<[Fragment; 4]>,
    budget: u32,
    repeated_hellos: u32,
}

/// A part of a handshake message: its sequence number and offset.
type Fragment = (u16, u32);

struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
    whole: &'a [u8],
}

// === impl Sieve ===

impl Sieve {
    pub(super) fn new(client: bool) -> Self {
        Self { client, seen: SmallVec::new(), budget: MAX_DATAGRAMS, repeated_hellos: 0 }
    }

    /// Whether the other side has sent nothing but its first message.
    pub(super) fn is_first_flight(&self) -> bool {
        self.seen.iter().all(|(sequence, _)| *sequence == 0)
    }

    /// Forgets the handshake.
    pub(super) fn finish(&mut self) {
        self.seen = SmallVec::new();
    }

    /// The records of a datagram that may take the handshake further.
    pub(super) fn handshaking(&mut self, datagram: &[u8]) -> Result<BytesMut, Dropped> {
        let mut kept = BytesMut::new();
        let mut fresh: SmallVec<[Fragment; 8]> = SmallVec::new();
        for record in records(datagram) {
            let record = record?;
            let keep = match (record.kind, record.epoch) {
                (HANDSHAKE, 0) => self.admits(&record, &mut fresh),
                (HANDSHAKE, 1) => true,
                (CHANGE_CIPHER_SPEC, 0) => record.body == [1],
                (ALERT, 0) => record.body.len() == 2,
                (ALERT, 1) => true,
                _ => false,
            };
            if keep {
                kept.extend_from_slice(record.whole);
            }
        }
        if kept.is_empty() {
            return Err(Dropped::Unexpected);
        }
        self.budget = self.budget.checked_sub(1).ok_or(Dropped::Unexpected)?;
        self.seen.extend(fresh);
        Ok(kept)
    }

    /// The records of a datagram that an established association can still understand.
    pub(super) fn established(&mut self, datagram: &[u8]) -> Result<BytesMut, Dropped> {
        let mut kept = BytesMut::new();
        for record in records(datagram) {
            let record = record?;
            if record.epoch == 1 && matches!(record.kind, HANDSHAKE | ALERT) {
                kept.extend_from_slice(record.whole);
            }
        }
        if kept.is_empty() { Err(Dropped::Unexpected) } else { Ok(kept) }
    }

    fn admits(&mut self, record: &Record<'_>, fresh: &mut SmallVec<[Fragment; 8]>) -> bool {
        let Some(fragments) = fragments(record.body) else { return false };
        let known = |fragment: &Fragment| self.seen.contains(fragment);
        if fragments.iter().all(known) {
            // A server answers a repeated first hello with its cookie again.
            let again = !self.client
                && self.is_first_flight()
                && self.repeated_hellos < MAX_REPEATED_HELLOS;
            self.repeated_hellos += u32::from(again);
            return again;
        }
        if self.seen.len() + fresh.len() + fragments.len() > MAX_FRAGMENTS {
            return false;
        }
        fresh.extend(fragments.into_iter().filter(|fragment| !self.seen.contains(fragment)));
        true
    }
}

fn records(mut datagram: &[u8]) -> impl Iterator<Item = Result<Record<'_>, Dropped>> {
    std::iter::from_fn(move || {
        if datagram.is_empty() {
            return None;
        }
        let Some(record) = record(datagram) else {
            datagram = &[];
            return Some(Err(Dropped::Malformed));
        };
        datagram = &datagram[record.whole.len()..];
        Some(Ok(record))
    })
}

fn record(datagram: &[u8]) -> Option<Record<'_>> {
    let header = datagram.first_chunk::<RECORD_HEADER_LEN>()?;
    if header[1] != 0xfe {
        return None;
    }
    let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
    let whole = datagram.get(..RECORD_HEADER_LEN + length)?;
    let body = &whole[RECORD_HEADER_LEN..];
    let epoch = u16::from_be_bytes([header[3], header[4]]);
    (!body.is_empty()).then_some(Record { kind: header[0], epoch, body, whole })
}

// The handshake messages and parts in a record; `None` unless the library would cut it up alike.
fn fragments(mut body: &[u8]) -> Option<SmallVec<[Fragment; 4]>> {
    let mut found = SmallVec::new();
    while !body.is_empty() {
        let header = body.first_chunk::<HANDSHAKE_HEADER_LEN>()?;
        let length = u24(&header[1..4]);
        let sequence = u16::from_be_bytes([header[4], header[5]]);
        let (offset, part) = (u24(&header[6..9]), u24(&header[9..12]));
        let rest = &body[HANDSHAKE_HEADER_LEN..];
        let is_whole = offset == 0 && part == length;
        let ends_record = rest.len() == part as usize;
        if length > MAX_MESSAGE_LEN
            || sequence > MAX_MESSAGE_SEQUENCE
            || offset + part > length
            || (part == 0 && length != 0)
            || !(is_whole || ends_record)
        {
            return None;
        }
        found.push((sequence, offset));
        body = rest.get(part as usize..)?;
    }
    Some(found)
}

fn u24(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

const RECORD_HEADER_LEN: usize = 13;
const HANDSHAKE_HEADER_LEN: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
// A handshake takes six messages from each side, certificates in a few parts.
const MAX_FRAGMENTS: usize = 48;
const MAX_MESSAGE_SEQUENCE: u16 = 16;
const MAX_MESSAGE_LEN: u32 = 16_384;
const MAX_REPEATED_HELLOS: u32 = 16;
const MAX_DATAGRAMS: u32 = 96;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn handshake(sequence: u16, offset: u32, part: &[u8], length: u32) -> Vec<u8> {
        let mut body = vec![1];
        body.extend_from_slice(&length.to_be_bytes()[1..]);
        body.extend_from_slice(&sequence.to_be_bytes());
        body.extend_from_slice(&offset.to_be_bytes()[1..]);
        body.extend_from_slice(&(part.len() as u32).to_be_bytes()[1..]);
        body.extend_from_slice(part);
        record(HANDSHAKE, 0, &body)
    }

    fn record(kind: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0xfe, 0xfd];
        bytes.extend_from_slice(&epoch.to_be_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
        bytes.extend_from_slice(body);
        bytes
    }

    #[test]
    fn a_fragment_passes_once_unless_it_is_the_first_hello_to_a_server() {
        let first = handshake(0, 0, b"hello", 5);
        let later = handshake(1, 0, b"hello", 5);
        for client in [true, false] {
            let mut sieve = Sieve::new(client);
            assert!(sieve.handshaking(&first).is_ok());
            assert_eq!(sieve.handshaking(&first).is_ok(), !client);
            assert!(sieve.handshaking(&later).is_ok());
            assert!(sieve.handshaking(&later).is_err());
            assert!(sieve.handshaking(&first).is_err());
        }
    }

    #[test]
    fn repeated_records_are_cut_out_of_a_datagram_that_brings_new_ones() {
        let mut sieve = Sieve::new(true);
        let (one, two) = (handshake(0, 0, b"one", 3), handshake(1, 0, b"two", 3));
        sieve.handshaking(&one).unwrap();
        assert_eq!(sieve.handshaking(&[one, two.clone()].concat()).unwrap(), two);
    }

    #[test]
    fn an_established_association_sees_only_encrypted_handshake_and_alert_records() {
        let mut sieve = Sieve::new(false);
        let finished = record(HANDSHAKE, 1, &[9; 40]);
        let mix = [handshake(3, 0, b"x", 1), record(20, 0, &[1]), finished.clone()].concat();
        assert_eq!(sieve.established(&mix).unwrap(), finished);
        for useless in [record(ALERT, 0, &[2, 0]), record(23, 1, &[9; 40]), record(ALERT, 2, &[9])]
        {
            assert!(sieve.established(&useless).is_err());
        }
    }

    #[test]
    fn fragments_and_datagrams_are_bounded() {
        let mut sieve = Sieve::new(false);
        let passed = (0..400)
            .filter(|offset| sieve.handshaking(&handshake(1, *offset, b"x", 400)).is_ok())
            .count();
        assert_eq!(passed, MAX_FRAGMENTS);
        let mut sieve = Sieve::new(false);
        let passed = (0..400).filter(|_| sieve.handshaking(&record(20, 0, &[1])).is_ok()).count();
        assert_eq!(passed, MAX_DATAGRAMS as usize);
    }

    proptest! {
        #[test]
        fn no_datagram_panics(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 20u8..24) {
            let mut sieve = Sieve::new(false);
            let _ = sieve.handshaking(&bytes);
            let _ = sieve.handshaking(&record(kind, 0, &bytes));
            let _ = sieve.established(&bytes);
        }
    }
}
