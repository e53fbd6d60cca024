use super::*;

// The first bytes of a 642x362 keyframe as libvpx writes it.
const VP8_KEY: [u8; 12] = [0x30, 0xCE, 0x00, 0x9D, 0x01, 0x2A, 0x82, 0x02, 0x6A, 0x01, 0x77, 0x78];
const VP8_DELTA: [u8; 3] = [0xB1, 0x15, 0x00];

fn fresh_vp8() -> Depacketizer {
    Depacketizer::new(&Format::video(Codec::Vp8, ""))
}

#[test]
fn descriptors_of_vp8_are_taken_off() {
    let mut vp8 = fresh_vp8();
    let (head, tail) = VP8_KEY.split_at(10);
    let first = [&[0x90, 0x80, 0x81, 0x02], head].concat();
    let second = [&[0x80, 0x80, 0x81, 0x02], tail].concat();
    assert!(joins(&vp8, Codec::Vp8, &first) && !joins(&vp8, Codec::Vp8, &second));
    let made = assemble(&mut vp8, &[&first, &second]);
    assert_eq!(unit(made.clone()), Some((VP8_KEY.to_vec(), true)));
    let key = setup(made);
    assert_eq!(*key, Setup::Vp8 { size: (642, 362) });
    // A second partition that begins in a packet of its own.
    let made = assemble(&mut vp8, &[&[&[0x10], &VP8_DELTA[..]].concat(), &[0x11, 9, 9]]);
    assert_eq!(unit(made.clone()), Some((vec![0xB1, 0x15, 0x00, 9, 9], false)));
    assert!(Arc::ptr_eq(&key, &setup(made)));
}

#[test]
fn nonsense_of_vp8_is_broken() {
    let rows: [(&str, Vec<&[u8]>); 6] = [
        ("no descriptor", vec![&[0x90]]),
        ("no first packet", vec![&[0x00, 1, 2]]),
        ("two first packets", vec![&[0x10, 0xB1, 1], &[0x10, 0xB1, 1]]),
        ("the second partition first", vec![&[0x11, 0xB1, 1]]),
        ("nothing behind the descriptor", vec![&[0x10]]),
        ("a keyframe without a size", vec![&[0x10, 0x30, 0xCE, 0x00, 0x9D]]),
    ];
    for (name, payloads) in rows {
        let mut vp8 = fresh_vp8();
        assemble(&mut vp8, &[&[&[0x10], &VP8_KEY[..]].concat()]);
        assert_eq!(assemble(&mut vp8, &payloads), Made::Broken, "{name}");
    }
    let made = assemble(&mut fresh_vp8(), &[&[0x10, 0xB1, 1]]);
    assert_eq!(made, Made::Unknown, "there was no keyframe");
}

const VP9_KEY: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06];
const VP9_DELTA: [u8; 4] = [0x86, 0x00, 0x40, 0x92];

fn fresh_vp9() -> Depacketizer {
    Depacketizer::new(&Format::video(Codec::Vp9, "profile-id=0"))
}

#[test]
fn one_frame_of_vp9_is_the_picture() {
    let mut vp9 = fresh_vp9();
    let (head, tail) = VP9_KEY.split_at(9);
    let (first, last) = ([&[0x08], head].concat(), [&[0x04], tail].concat());
    assert!(joins(&vp9, Codec::Vp9, &first) && !joins(&vp9, Codec::Vp9, &last));
    let made = assemble(&mut vp9, &[&first, &last]);
    assert_eq!(unit(made.clone()), Some((VP9_KEY.to_vec(), true)));
    let key = setup(made);
    let want =
        Setup::Vp9 { size: (642, 362), profile: 0, bit_depth: 8, chroma: 1, full_range: false };
    assert_eq!(*key, want);
    let made = assemble(&mut vp9, &[&[&[0x4C], &VP9_DELTA[..]].concat()]);
    assert_eq!(unit(made.clone()), Some((VP9_DELTA.to_vec(), false)));
    assert!(Arc::ptr_eq(&key, &setup(made)));
}

#[test]
fn several_frames_of_vp9_are_a_superframe_with_its_index() {
    let mut vp9 = fresh_vp9();
    // Layer indices (L, spatial 0 and 1), a structure with two sizes on the first.
    let structure = [0x30, 0x01, 0x40, 0x00, 0xB4, 0x02, 0x80, 0x01, 0x68];
    let base = [&[0x2E, 0x00, 0x07], &structure[..], &VP9_KEY].concat();
    let upper_start = [&[0x28, 0x03, 0x07], &[7; 200][..]].concat();
    let upper_end = [&[0x24, 0x03, 0x07], &[8; 100][..]].concat();
    let made = assemble(&mut vp9, &[&base, &upper_start, &upper_end]);
    let index = [0xC9, 10, 0, 44, 1, 0xC9];
    let want = [&VP9_KEY[..], &[7; 200], &[8; 100], &index].concat();
    assert_eq!(unit(made.clone()), Some((want, true)));
    assert_eq!(setup(made).size(), Some((640, 360)), "of the highest layer");
}

#[test]
fn nonsense_of_vp9_is_broken() {
    let nine: Vec<&[u8]> = vec![&[0x0C, 0x86, 0x00]; 9];
    let rows: [(&str, Vec<&[u8]>); 5] = [
        ("no descriptor", vec![&[0x88]]),
        ("no first packet", vec![&[0x04, 1, 2]]),
        ("an empty frame", vec![&[0x0C]]),
        ("nine frames", nine),
        ("a broken keyframe", vec![&[0x0C, 0x82, 0x49, 0x83, 0x43, 0x00, 0x28, 0x10]]),
    ];
    for (name, payloads) in rows {
        let mut vp9 = fresh_vp9();
        assemble(&mut vp9, &[&[&[0x0C], &VP9_KEY[..]].concat()]);
        assert_eq!(assemble(&mut vp9, &payloads), Made::Broken, "{name}");
    }
    let made = assemble(&mut fresh_vp9(), &[&[0x4C, 0x86, 0x00]]);
    assert_eq!(made, Made::Unknown, "there was no keyframe");
}
