//! A sieve that lets through only the DTLS records an association has a use for.
//!
//! The library below keeps whatever it is given: every fragment, every record that it cannot
//! decrypt yet. The sieve bounds all of that, puts fragments together itself (the library loses
//! what follows one in its record), keeps repeated messages away (they would stop the library's
//! retransmission timer), and after the handshake passes only encrypted records, so that nobody
//! without the keys reaches it any more.

use bytes::{BufMut, BytesMut};
use smallvec::SmallVec;

use crate::rtc::connection::Dropped;

/// What has been let through, and what is not whole yet.
pub(super) struct Sieve {
    client: bool,
    // A bit per handshake message of the other side.
    passed: u32,
    partial: Vec<Partial>,
    datagrams: u32,
    hellos: u32,
}

/// A handshake message of which parts are missing.
struct Partial {
    sequence: u16,
    kind: u8,
    bytes: Vec<u8>,
    // Disjoint and in order.
    holes: SmallVec<[(usize, usize); 4]>,
}

struct Record<'a> {
    kind: u8,
    epoch: u16,
    body: &'a [u8],
    whole: &'a [u8],
}

struct Fragment<'a> {
    kind: u8,
    sequence: u16,
    length: usize,
    offset: usize,
    part: &'a [u8],
}

// === impl Sieve ===

impl Sieve {
    pub(super) fn new(client: bool) -> Self {
        Self { client, passed: 0, partial: Vec::new(), datagrams: 0, hellos: 0 }
    }

    /// Whether the other side has sent nothing but its first message.
    pub(super) fn is_first_flight(&self) -> bool {
        self.passed <= 1
    }

    /// Forgets the handshake.
    pub(super) fn finish(&mut self) {
        self.partial = Vec::new();
    }

    /// The records of a datagram that may take the handshake further, with whole messages only.
    pub(super) fn handshaking(&mut self, datagram: &[u8]) -> Result<BytesMut, Dropped> {
        if self.datagrams >= MAX_DATAGRAMS {
            return Err(Dropped::Unexpected);
        }
        let mut kept = BytesMut::new();
        let mut partial = false;
        for record in records(datagram) {
            let record = record?;
            let keep = match (record.kind, record.epoch) {
                (HANDSHAKE, 0) => {
                    partial |= self.pass_messages(&record, &mut kept);
                    false
                }
                (HANDSHAKE | ALERT, 1) => true,
                (CHANGE_CIPHER_SPEC, 0) => record.body == [1],
                (ALERT, 0) => record.body.len() == 2,
                _ => false,
            };
            if keep {
                kept.extend_from_slice(record.whole);
            }
        }
        if kept.is_empty() && !partial {
            return Err(Dropped::Unexpected);
        }
        self.datagrams += 1;
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

    // Appends a record with the messages that this one makes whole. Says whether it brought
    // anything new.
    fn pass_messages(&mut self, record: &Record<'_>, kept: &mut BytesMut) -> bool {
        let mut messages = Vec::new();
        let mut fresh = false;
        let mut body = record.body;
        while let Some((fragment, rest)) = fragment(body) {
            body = rest;
            if self.is_repeated(fragment.sequence) {
                continue;
            }
            fresh |= self.collect(&fragment, &mut messages);
        }
        if let Ok(length) = u16::try_from(messages.len())
            && length > 0
        {
            kept.extend_from_slice(&record.whole[..RECORD_HEADER_LEN - 2]);
            kept.put_u16(length);
            kept.extend_from_slice(&messages);
        }
        fresh
    }

    // A server answers a repeated first hello with its cookie again.
    fn is_repeated(&self, sequence: u16) -> bool {
        let answered =
            sequence == 0 && !self.client && self.is_first_flight() && self.hellos < MAX_HELLOS;
        self.passed & 1 << sequence != 0 && !answered
    }

    fn collect(&mut self, fragment: &Fragment<'_>, messages: &mut Vec<u8>) -> bool {
        let sequence = fragment.sequence;
        let known = self.partial.iter().position(|partial| partial.sequence == sequence);
        let at = match known {
            Some(at) => at,
            None if self.partial.len() < MAX_PARTIAL => {
                self.partial.push(Partial::new(fragment));
                self.partial.len() - 1
            }
            None => return false,
        };
        let fresh = self.partial[at].fill(fragment);
        if self.partial[at].holes.is_empty() {
            self.partial.swap_remove(at).write(messages);
            self.passed |= 1 << sequence;
            self.hellos += u32::from(sequence == 0);
        }
        fresh
    }
}

// === impl Partial ===

impl Partial {
    fn new(fragment: &Fragment<'_>) -> Self {
        let mut holes = SmallVec::new();
        holes.push((0, fragment.length));
        Self {
            sequence: fragment.sequence,
            kind: fragment.kind,
            bytes: vec![0; fragment.length],
            holes,
        }
    }

    fn fill(&mut self, fragment: &Fragment<'_>) -> bool {
        if fragment.kind != self.kind || fragment.length != self.bytes.len() {
            return false;
        }
        let (start, end) = (fragment.offset, fragment.offset + fragment.part.len());
        let mut left = SmallVec::new();
        for (from, to) in &self.holes {
            left.extend([(*from, (*to).min(start)), ((*from).max(end), *to)]);
        }
        left.retain(|(from, to)| from < to);
        // An empty message has one empty hole, which any fragment fills.
        if left == self.holes || left.len() > MAX_HOLES {
            return false;
        }
        self.bytes[start..end].copy_from_slice(fragment.part);
        self.holes = left;
        true
    }

    fn write(&self, messages: &mut Vec<u8>) {
        let length = &(self.bytes.len() as u32).to_be_bytes()[1..];
        messages.push(self.kind);
        messages.extend_from_slice(length);
        messages.extend_from_slice(&self.sequence.to_be_bytes());
        messages.extend_from_slice(&[0; 3]);
        messages.extend_from_slice(length);
        messages.extend_from_slice(&self.bytes);
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

// The first message, or part of one, in the body of a record, and what follows it.
fn fragment(body: &[u8]) -> Option<(Fragment<'_>, &[u8])> {
    let (header, rest) = body.split_first_chunk::<HANDSHAKE_HEADER_LEN>()?;
    let length = u24(&header[1..4]);
    let sequence = u16::from_be_bytes([header[4], header[5]]);
    let offset = u24(&header[6..9]);
    let (part, rest) = rest.split_at_checked(u24(&header[9..12]))?;
    let fits = offset + part.len() <= length && (length == 0 || !part.is_empty());
    if length > MAX_MESSAGE_LEN || sequence > MAX_SEQUENCE || !fits {
        return None;
    }
    Some((Fragment { kind: header[0], sequence, length, offset, part }, rest))
}

fn u24(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

const RECORD_HEADER_LEN: usize = 13;
const HANDSHAKE_HEADER_LEN: usize = 12;
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
// A side sends at most eight messages, of which certificates come in parts.
const MAX_SEQUENCE: u16 = 16;
const MAX_MESSAGE_LEN: usize = 16_384;
const MAX_PARTIAL: usize = 3;
const MAX_HOLES: usize = 16;
const MAX_HELLOS: u32 = 16;
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
    fn a_message_passes_once_unless_it_is_the_first_hello_to_a_server() {
        let first = handshake(0, 0, b"hello", 5);
        let later = handshake(1, 0, b"hello", 5);
        for client in [true, false] {
            let mut sieve = Sieve::new(client);
            assert_eq!(sieve.handshaking(&first).unwrap(), first);
            assert_eq!(sieve.handshaking(&first).is_ok(), !client);
            assert_eq!(sieve.handshaking(&later).unwrap(), later);
            assert!(sieve.handshaking(&later).is_err());
            assert!(sieve.handshaking(&first).is_err());
        }
    }

    #[test]
    fn repeated_messages_are_cut_out_of_a_datagram_that_brings_new_ones() {
        let mut sieve = Sieve::new(true);
        let (one, two) = (handshake(0, 0, b"one", 3), handshake(1, 0, b"", 0));
        sieve.handshaking(&one).unwrap();
        assert_eq!(sieve.handshaking(&[one, two.clone()].concat()).unwrap(), two);
    }

    #[test]
    fn fragments_in_any_order_and_overlapping_come_out_as_one_message() {
        let mut sieve = Sieve::new(false);
        for (offset, part) in [(6, &b"world"[..]), (0, b"hel"), (2, b"llo")] {
            assert!(sieve.handshaking(&handshake(0, offset, part, 11)).unwrap().is_empty());
        }
        assert!(sieve.handshaking(&handshake(0, 0, b"hello", 11)).is_err());
        // The last part shares its record with the next message.
        let mut body = handshake(0, 4, b"o wo", 11)[RECORD_HEADER_LEN..].to_vec();
        body.extend_from_slice(&handshake(1, 0, b"next", 4)[RECORD_HEADER_LEN..]);
        let mut whole = handshake(0, 0, b"hello world", 11)[RECORD_HEADER_LEN..].to_vec();
        whole.extend_from_slice(&handshake(1, 0, b"next", 4)[RECORD_HEADER_LEN..]);
        let passed = sieve.handshaking(&record(HANDSHAKE, 0, &body)).unwrap();
        assert_eq!(passed, record(HANDSHAKE, 0, &whole));
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
        let passed = (0..200)
            .filter(|number| sieve.handshaking(&handshake(1, 2 * number, b"x", 400)).is_ok())
            .count();
        assert_eq!(passed, MAX_HOLES);
        for sequence in 2..16 {
            let result = sieve.handshaking(&handshake(sequence, 0, b"x", 400));
            assert_eq!(result.is_ok(), sequence < 4);
        }
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
