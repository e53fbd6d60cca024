//! A redundant payload (RFC 2198): older frames before the newest one, each with a small header.

use super::PayloadType;

/// Where the newest frame begins in a redundant payload; `None` if the payload is no such thing.
pub fn primary(payload: &[u8]) -> Option<usize> {
    let (mut at, mut older) = (0, 0);
    while let Some(header) = redundant(payload, at) {
        at += header.len();
        older += usize::from(header[2] & 0x03) << 8 | usize::from(header[3]);
        if at > MAX_BLOCKS * REDUNDANT_LEN {
            return None;
        }
    }
    let last = payload.get(at)?;
    let start = at + 1 + older;
    (last & MORE == 0 && start < payload.len()).then_some(start)
}

/// The older frames of a redundant payload, the newest of them last: how many ticks before the
/// payload's timestamp each was, and its bytes. None if the payload is no redundant one.
pub fn older(payload: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let newest = primary(payload);
    let mut headers = 0;
    while newest.is_some() && redundant(payload, headers).is_some() {
        headers += REDUNDANT_LEN;
    }
    let mut start = headers + 1;
    (0..headers).step_by(REDUNDANT_LEN).filter_map(move |at| {
        let header = redundant(payload, at)?;
        let ago = u16::from_be_bytes([header[1], header[2]]) >> 2;
        let len = usize::from(header[2] & 0x03) << 8 | usize::from(header[3]);
        let frame = payload.get(start..start + len)?;
        start += len;
        Some((ago, frame))
    })
}

/// Gives all frames of a redundant payload, checked by [`primary`], another payload type.
pub fn readdress(payload: &mut [u8], pt: PayloadType) {
    let mut at = 0;
    while let Some(byte) = payload.get_mut(at) {
        let more = *byte & MORE;
        *byte = more | pt.0 & !MORE;
        if more == 0 {
            return;
        }
        at += REDUNDANT_LEN;
    }
}

/// The header of an older frame at a position; `None` behind the last of them.
fn redundant(payload: &[u8], at: usize) -> Option<&[u8]> {
    let header = payload.get(at..at + REDUNDANT_LEN)?;
    (header[0] & MORE != 0).then_some(header)
}

const MORE: u8 = 0x80;
const REDUNDANT_LEN: usize = 4;

/// Encoders repeat one or two frames; nobody needs more than these.
const MAX_BLOCKS: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_newest_frame_stands_behind_the_older_ones() {
        let rows: [(&[u8], Option<usize>); 12] = [
            // One frame alone.
            (&[111, 7, 8, 9], Some(1)),
            // One of two bytes and one of three before it.
            (&[0xef, 0x0f, 0x00, 2, 111, 1, 2, 3, 4, 5], Some(7)),
            (&[0xef, 0x1e, 0x00, 2, 0xef, 0x0f, 0x00, 1, 111, 1, 2, 3, 4], Some(12)),
            // An older one that is empty.
            (&[0xef, 0x0f, 0x00, 0, 111, 9], Some(5)),
            // The length has ten bits, the time before it fourteen.
            (&[0xef, 0xff, 0xfc, 1, 111, 1, 2], Some(6)),
            (&[0xef, 0x0f, 0x01, 0, 111, 1, 2], None),
            // Nothing newest, or nothing at all.
            (&[111], None),
            (&[0xef, 0x0f, 0x00, 2, 111, 1, 2], None),
            (&[0xef, 0x0f, 0x00, 2, 111, 1], None),
            (&[0xef, 0x0f, 0x00, 2], None),
            (&[0xef, 0x0f], None),
            (&[], None),
        ];
        for (payload, want) in rows {
            assert_eq!(primary(payload), want, "{payload:?}");
        }
    }

    #[test]
    fn older_frames_come_with_their_age() {
        // 1,920 and 960 ticks ago, then the newest.
        let payload = [0xef, 0x1e, 0x00, 2, 0xef, 0x0f, 0x00, 1, 111, 1, 2, 3, 4];
        let read: Vec<_> = older(&payload).collect();
        assert_eq!(read, [(1920, &[1, 2][..]), (960, &[3][..])]);
        assert_eq!(older(&[111, 7, 8]).count(), 0);
        assert_eq!(older(&[0xef, 0x0f, 0x00, 2, 111, 1]).count(), 0);
    }

    #[test]
    fn blocks_without_end_are_none() {
        let payload = [[0xef, 0, 0, 0]; 40].concat();
        assert_eq!(primary(&payload), None);
    }

    #[test]
    fn payload_types_change_and_nothing_else() {
        let mut payload = [0xef, 0x1e, 0x00, 2, 0xef, 0x0f, 0x00, 1, 111, 1, 2, 3, 4];
        readdress(&mut payload, PayloadType(109));
        assert_eq!(payload, [0xed, 0x1e, 0x00, 2, 0xed, 0x0f, 0x00, 1, 109, 1, 2, 3, 4]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_frame_inside_them_or_none(mut bytes in vec(any::<u8>(), 0..80)) {
            let before = primary(&bytes);
            prop_assert!(before.is_none_or(|at| at < bytes.len()));
            let len: usize = older(&bytes).map(|(_, frame)| frame.len()).sum();
            prop_assert!(len <= bytes.len());
            readdress(&mut bytes, PayloadType(96));
            prop_assert_eq!(primary(&bytes), before);
        }
    }
}
