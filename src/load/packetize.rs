//! A packetiser of H.264 (RFC 6184) that can meet the packet sizes of a recorded trace.

/// One RTP payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Payload {
    pub(super) bytes: Vec<u8>,
    /// Bytes of RTP padding that complete it, at most 3.
    pub(super) padding: u8,
}

/// Packs a picture as an encoder's packets go out: parameter sets together, large units in equal
/// fragments.
pub(super) fn plain(nals: &[&[u8]], max_len: usize) -> Vec<Payload> {
    let mut payloads = Vec::new();
    let mut pending: Vec<&[u8]> = Vec::new();
    for nal in nals {
        if 1 + aggregated_len(&pending) + 2 + nal.len() > max_len {
            flush(&mut pending, &mut payloads);
        }
        if nal.len() > max_len {
            fragment(nal, max_len, &mut payloads);
        } else {
            pending.push(nal);
        }
    }
    flush(&mut pending, &mut payloads);
    payloads
}

/// Packs a picture with each parameter set in a packet of its own.
pub(super) fn sets_apart(nals: &[&[u8]], max_len: usize) -> Vec<Payload> {
    let is_set = |nal: &&&[u8]| matches!(nal[0] & KIND, SPS | PPS);
    let sets = nals.iter().take_while(is_set).count();
    let (sets, slices) = nals.split_at(sets);
    let mut payloads: Vec<Payload> =
        sets.iter().map(|set| Payload { bytes: set.to_vec(), padding: 0 }).collect();
    payloads.extend(plain(slices, max_len));
    payloads
}

/// Packs a picture into payloads of exactly these sizes, filling up with filler data.
///
/// What does not fit follows in further packets of up to `max_len`. `None` if the sizes cannot be
/// met: filler data must not stand before the picture's first slice.
pub(super) fn fitted(nals: &[&[u8]], sizes: &[usize], max_len: usize) -> Option<Vec<Payload>> {
    let mut rest = nals;
    let mut payloads = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let mut count = 0;
        while count < rest.len() && aggregated_len(&rest[..=count]) < size {
            count += 1;
        }
        if count == 0 && (payloads.is_empty() || size < 2) {
            return None;
        }
        let (some, after) = rest.split_at(count);
        payloads.push(filled(some, size));
        rest = after;
    }
    payloads.extend(plain(rest, max_len));
    Some(payloads)
}

/// Some whole units, and as much filler as completes the size.
fn filled(nals: &[&[u8]], size: usize) -> Payload {
    if nals.is_empty() {
        return Payload { bytes: filler(size), padding: 0 };
    }
    let mut bytes = aggregate(nals);
    let open = size - bytes.len();
    if open > 3 {
        let filler = filler(open - 2);
        bytes.extend((filler.len() as u16).to_be_bytes());
        bytes.extend(filler);
        return Payload { bytes, padding: 0 };
    }
    Payload { bytes, padding: open as u8 }
}

/// A filler data unit (H.264 section 7.3.2.7) of this length, at least 2.
fn filler(len: usize) -> Vec<u8> {
    let mut unit = vec![0xFF; len];
    unit[0] = FILLER;
    unit[len - 1] = 0x80;
    unit
}

fn flush(pending: &mut Vec<&[u8]>, payloads: &mut Vec<Payload>) {
    let bytes = match pending.as_slice() {
        [] => return,
        [single] => single.to_vec(),
        several => aggregate(several),
    };
    pending.clear();
    payloads.push(Payload { bytes, padding: 0 });
}

fn aggregated_len(nals: &[&[u8]]) -> usize {
    nals.iter().map(|nal| 2 + nal.len()).sum()
}

fn aggregate(nals: &[&[u8]]) -> Vec<u8> {
    let importance = nals.iter().map(|nal| nal[0] & IMPORTANCE).max().unwrap_or(0);
    let mut bytes = Vec::with_capacity(1 + aggregated_len(nals));
    bytes.push(importance | STAP_A);
    for nal in nals {
        bytes.extend((nal.len() as u16).to_be_bytes());
        bytes.extend(*nal);
    }
    bytes
}

fn fragment(nal: &[u8], max_len: usize, payloads: &mut Vec<Payload>) {
    let (head, body) = (nal[0], &nal[1..]);
    let count = body.len().div_ceil(max_len - 2);
    let chunks = body.chunks(body.len().div_ceil(count));
    let last = chunks.len() - 1;
    for (index, chunk) in chunks.enumerate() {
        let start = if index == 0 { 0x80 } else { 0 };
        let end = if index == last { 0x40 } else { 0 };
        let mut bytes = vec![head & IMPORTANCE | FU_A, start | end | head & KIND];
        bytes.extend(chunk);
        payloads.push(Payload { bytes, padding: 0 });
    }
}

const KIND: u8 = 0x1F;
const IMPORTANCE: u8 = 0x60;
const SPS: u8 = 7;
const PPS: u8 = 8;
const FILLER: u8 = 12;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unpack(payloads: &[Payload]) -> Vec<Vec<u8>> {
        let mut nals: Vec<Vec<u8>> = Vec::new();
        for Payload { bytes, .. } in payloads {
            match bytes[0] & KIND {
                STAP_A => {
                    let mut rest = &bytes[1..];
                    while let Some((len, after)) = rest.split_first_chunk::<2>() {
                        let (nal, after) = after.split_at(u16::from_be_bytes(*len).into());
                        nals.push(nal.to_vec());
                        rest = after;
                    }
                }
                FU_A => {
                    if bytes[1] & 0x80 != 0 {
                        nals.push(vec![bytes[0] & IMPORTANCE | bytes[1] & KIND]);
                    }
                    nals.last_mut().unwrap().extend(&bytes[2..]);
                }
                _ => nals.push(bytes.clone()),
            }
        }
        nals.retain(|nal| nal[0] & KIND != FILLER);
        nals
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_out_again(
            lens in proptest::collection::vec(2..3000_usize, 1..8),
        ) {
            let nals: Vec<Vec<u8>> = lens.iter().map(|len| vec![0x41; *len]).collect();
            let slices: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
            let payloads = plain(&slices, 1100);
            prop_assert!(payloads.iter().all(|payload| payload.bytes.len() <= 1100));
            prop_assert_eq!(unpack(&payloads), nals);
        }

        #[test]
        fn sizes_of_a_trace_are_met_exactly(
            lens in proptest::collection::vec(2..240_usize, 1..20),
            sizes in proptest::collection::vec(243..1200_usize, 1..8),
        ) {
            let nals: Vec<Vec<u8>> = lens.iter().map(|len| vec![0x41; *len]).collect();
            let slices: Vec<&[u8]> = nals.iter().map(Vec::as_slice).collect();
            let payloads = fitted(&slices, &sizes, 1100).unwrap();
            for (payload, size) in payloads.iter().zip(&sizes) {
                prop_assert_eq!(payload.bytes.len() + usize::from(payload.padding), *size);
            }
            prop_assert!(payloads.len() >= sizes.len());
            prop_assert_eq!(unpack(&payloads), nals);
        }
    }

    #[test]
    fn filler_never_stands_before_the_first_slice() {
        assert_eq!(fitted(&[&[0x41; 200]], &[100, 500], 1100), None);
        let payloads = fitted(&[&[0x41; 200]], &[500, 100], 1100).unwrap();
        assert_eq!(payloads[1].bytes[0], FILLER);
    }
}
