use super::*;

// A sequence header of 642x362 as libaom writes it, without its size field and with it.
const SEQUENCE: [u8; 12] = [0x08, 0x00, 0x00, 0x00, 0x0C, 0xC5, 0x03, 0x69, 0x36, 0xBE, 0x40, 0x10];
const SIZED: [u8; 13] =
    [0x0A, 11, 0x00, 0x00, 0x00, 0x0C, 0xC5, 0x03, 0x69, 0x36, 0xBE, 0x40, 0x10];
// Frames: shown key, shown inter.
const KEY: [u8; 4] = [0x30, 0x10, 1, 2];
const DELTA: [u8; 3] = [0x30, 0x30, 5];

fn av1() -> Depacketizer {
    Depacketizer::new(&Format::video(Codec::Av1, ""))
}

/// A temporal unit that made a keyframe known.
fn begun() -> (Depacketizer, Arc<Setup>) {
    let mut av1 = av1();
    let setup = setup(assemble(&mut av1, &[&[&[0x28, 12], &SEQUENCE[..], &KEY].concat()]));
    (av1, setup)
}

#[test]
fn units_come_out_with_sizes_and_without_delimiters() {
    let key = [&SIZED[..], &[0x32, 3, 0x10, 1, 2]].concat();
    let announced = [&[0x28, 12], &SEQUENCE[..], &KEY].concat();
    let counted = [&[0x08, 12], &SEQUENCE[..], &[4], &KEY].concat();
    let delimited = [&[0x38, 1, 0x10, 12], &SEQUENCE[..], &KEY].concat();
    let sized = [&[0x28, 13], &SIZED[..], &[0x32, 3, 0x10, 1, 2]].concat();
    let padded = [&[0x38, 12], &SEQUENCE[..], &[4], &KEY, &[0x78, 0, 0]].concat();
    let (first, second) = ([&[0x68, 12], &SEQUENCE[..], &KEY[..2]].concat(), [0x90, 1, 2]);
    let thirds: [&[u8]; 3] = [&[0x68, 12], &SEQUENCE, &[0x30]];
    let third = thirds.concat();
    let rows: [(&str, Vec<&[u8]>); 7] = [
        ("two announced", vec![&announced]),
        ("none announced", vec![&counted]),
        ("a delimiter", vec![&delimited]),
        ("size fields", vec![&sized]),
        ("padding", vec![&padded]),
        ("two fragments", vec![&first, &second]),
        ("three fragments", vec![&third, &[0xD0, 0x10], &[0x90, 1, 2]]),
    ];
    for (name, payloads) in rows {
        let mut av1 = av1();
        assert!(joins(&av1, Codec::Av1, payloads[0]), "{name}");
        let made = assemble(&mut av1, &payloads);
        assert_eq!(unit(made.clone()), Some((key.clone(), true)), "{name}");
        let sequence_header = Bytes::from_static(&SIZED);
        assert_eq!(*setup(made), Setup::Av1 { size: (642, 362), sequence_header }, "{name}");
    }
}

#[test]
fn a_repeated_sequence_header_is_no_change() {
    let (mut av1, first) = begun();
    let made = assemble(&mut av1, &[&[&[0x10], &DELTA[..]].concat()]);
    assert_eq!(unit(made.clone()), Some((vec![0x32, 2, 0x30, 5], false)));
    assert!(Arc::ptr_eq(&first, &setup(made)));
    let again = assemble(&mut av1, &[&[&[0x28, 12], &SEQUENCE[..], &KEY].concat()]);
    assert!(Arc::ptr_eq(&first, &setup(again)));
}

#[test]
fn only_a_shown_keyframe_behind_a_sequence_header_is_one() {
    let rows: [(&str, Vec<u8>, Option<bool>); 6] = [
        ("no sequence header", [&[0x10], &KEY[..]].concat(), Some(false)),
        ("inter", [&[0x28, 12], &SEQUENCE[..], &DELTA].concat(), Some(false)),
        ("intra only", [&[0x28, 12], &SEQUENCE[..], &[0x30, 0x50]].concat(), Some(false)),
        ("not shown", [&[0x28, 12], &SEQUENCE[..], &[0x30, 0x00]].concat(), Some(false)),
        (
            "header and tiles",
            [&[0x38, 12], &SEQUENCE[..], &[2, 0x18, 0x10, 0x20, 1]].concat(),
            Some(true),
        ),
        ("a sequence header alone", [&[0x18], &SEQUENCE[..]].concat(), None),
    ];
    for (name, payload, want) in rows {
        let (mut av1, _) = begun();
        let made = assemble(&mut av1, &[&payload]);
        assert!(made != Made::Broken, "{name}");
        assert_eq!(unit(made).map(|(_, keyframe)| keyframe), want, "{name}");
    }
}

#[test]
fn layer_indices_stay() {
    let (mut av1, _) = begun();
    let made = assemble(&mut av1, &[&[0x20, 4, 0x34, 0x48, 0x30, 9, 0x34, 0x50, 0x30]]);
    let want = vec![0x36, 0x48, 2, 0x30, 9, 0x36, 0x50, 1, 0x30];
    assert_eq!(unit(made), Some((want, false)));
}

#[test]
fn nonsense_of_av1_is_broken() {
    let rows: [(&str, Vec<&[u8]>); 9] = [
        ("no elements", vec![&[0x10]]),
        ("an element beyond the packet", vec![&[0x20, 9, 0x30, 0x30]]),
        ("one element of two", vec![&[0x20, 2, 0x30, 0x30]]),
        ("no start", vec![&[0x90, 0x30, 5]]),
        ("no end", vec![&[0x50, 0x30, 0x30]]),
        ("a start among fragments", vec![&[0x50, 0x30, 0x30], &[0x10, 0x30, 0x30]]),
        ("a size beyond the unit", vec![&[0x10, 0x32, 9, 0x30]]),
        ("an extension that is missing", vec![&[0x10, 0x34]]),
        ("a broken sequence header", vec![&[0x20, 3, 0x08, 0, 0, 0x30, 0x10]]),
    ];
    for (name, payloads) in rows {
        let (mut av1, _) = begun();
        assert_eq!(assemble(&mut av1, &payloads), Made::Broken, "{name}");
    }
    let made = assemble(&mut av1(), &[&[&[0x10], &DELTA[..]].concat()]);
    assert_eq!(made, Made::Unknown, "there was no sequence header");
}
