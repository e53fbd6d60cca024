use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

// The first bytes of a 642x362 keyframe and of the frame after it, as libvpx writes them.
const KEYFRAME: [u8; 10] = [0x82, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16, 0x96, 0x06];
const INTER: [u8; 6] = [0x86, 0x00, 0x40, 0x92, 0xF0, 0xC1];

// A keyframe of three spatial layers: I, L, B, V; a structure with three sizes and a group of one
// picture.
const STRUCTURE: [u8; 20] = [
    0xAA, 0x81, 0x02, 0x00, 0x07, // flags, picture id, layer indices, TL0PICIDX
    0x58, 0x01, 0x40, 0x00, 0xB4, 0x02, 0x80, 0x01, 0x68, 0x05, 0x00, 0x02, 0xD0, // sizes
    0x01, 0x00, // one picture without references
];

#[test]
fn optional_fields_are_read_where_they_are_announced() {
    let full = Descriptor::parse(&[0xAD, 0x92, 0x34, 0x55, 0x56, 9]).unwrap();
    assert_eq!((full.header_len, full.picture_id, full.picture_id_bits), (5, Some(0x1234), 15));
    assert_eq!((full.temporal, full.spatial, full.tl0_pic_idx), (2, 2, Some(0x56)));
    assert!(full.switching_up && full.inter_layer && full.start && full.end);
    assert!(full.not_upper_reference && !full.inter_picture && !full.flexible);

    let bare = Descriptor::parse(&[0x08]).unwrap();
    assert_eq!((bare.header_len, bare.picture_id, bare.tl0_pic_idx), (1, None, None));

    // Flexible mode has references in place of TL0PICIDX.
    let flexible = Descriptor::parse(&[0xF8, 0x7F, 0x20, 0x03, 0x05, 0x06, 9]).unwrap();
    assert_eq!((flexible.header_len, flexible.picture_id_bits), (6, 7));
    assert_eq!((flexible.tl0_pic_idx, flexible.temporal), (None, 1));
    assert_eq!(Descriptor::parse(&[0x50, 0x03, 0x05, 0x07, 0x08]), None);
}

#[test]
fn the_structure_gives_the_size_of_the_highest_layer() {
    let descriptor = Descriptor::parse(&STRUCTURE).unwrap();
    assert_eq!((descriptor.header_len, descriptor.size), (20, Some((1280, 720))));
    // One layer, no sizes, a group of two pictures with two and three references.
    let group = [0x0A, 0x08, 2, 0x08, 1, 2, 0x2C, 1, 2, 3, 9];
    let descriptor = Descriptor::parse(&group).unwrap();
    assert_eq!((descriptor.header_len, descriptor.size), (10, None));
}

#[test]
fn a_descriptor_that_is_cut_short_is_refused_and_left_alone() {
    for len in 0..STRUCTURE.len() {
        let mut cut = STRUCTURE[..len].to_vec();
        assert_eq!(Descriptor::parse(&cut), None, "{len}");
        assert!(!rewrite(&mut cut, Some(1), Some(2)));
        assert_eq!(cut, STRUCTURE[..len]);
    }
}

#[test]
fn only_the_lowest_layer_of_a_keyframe_begins_it() {
    let info = |starts_frame, keyframe, size, spatial, temporal| PayloadInfo {
        starts_frame,
        keyframe,
        size,
        spatial,
        temporal,
        frame: None,
    };
    let rows: [(&str, &[u8], &[u8], PayloadInfo); 9] = [
        ("keyframe", &[0x88, 0x01], &KEYFRAME, info(true, true, Some((642, 362)), 0, 0)),
        ("svc keyframe", &STRUCTURE, &KEYFRAME, info(true, true, Some((1280, 720)), 0, 0)),
        ("its middle", &[0x80, 0x01], &KEYFRAME, info(false, false, None, 0, 0)),
        ("its upper layer", &[0xA8, 0x01, 0x03, 0x07], &INTER, info(false, false, None, 1, 0)),
        ("inter", &[0xC8, 0x01], &INTER, info(true, false, None, 0, 0)),
        ("temporal layer", &[0xE8, 0x01, 0x50, 0x07], &INTER, info(true, false, None, 0, 2)),
        ("no reference claimed", &[0x08], &INTER, info(true, false, None, 0, 0)),
        ("cut keyframe", &[0x08], &KEYFRAME[..8], info(true, true, None, 0, 0)),
        ("malformed", &[0x80], &[], PayloadInfo::default()),
    ];
    for (name, head, frame, want) in rows {
        assert_eq!(inspect(&[head, frame].concat()), want, "{name}");
    }
}

#[test]
fn fields_are_patched_in_their_own_width() {
    let mut wide = [0xA8, 0x92, 0x34, 0x40, 0x56, 0x01];
    assert!(rewrite(&mut wide, Some(0x8005), Some(7)));
    assert_eq!(wide, [0xA8, 0x80, 0x05, 0x40, 7, 0x01]);
    let mut narrow = [0xA8, 0x12, 0x40, 0x56, 0x01];
    assert!(rewrite(&mut narrow, Some(0x0185), None));
    assert_eq!(narrow, [0xA8, 0x05, 0x40, 0x56, 0x01]);
    let mut bare = [0x08, 0x01];
    assert!(rewrite(&mut bare, Some(1), Some(2)));
    assert_eq!(bare, [0x08, 0x01]);
}

proptest! {
    #[test]
    fn what_is_patched_is_read_and_nothing_else_moves(
        mut payload in vec(any::<u8>(), 0..24),
        id in any::<u16>(),
        tl0 in any::<u8>(),
    ) {
        let before = Descriptor::parse(&payload);
        let copy = payload.clone();
        prop_assert_eq!(rewrite(&mut payload, Some(id), Some(tl0)), before.is_some());
        match before {
            None => prop_assert_eq!(payload, copy),
            Some(before) => {
                let mask = ((1_u32 << before.picture_id_bits) - 1) as u16;
                let want = Descriptor {
                    picture_id: before.picture_id.map(|_| id & mask),
                    tl0_pic_idx: before.tl0_pic_idx.map(|_| tl0),
                    ..before
                };
                prop_assert_eq!(Descriptor::parse(&payload), Some(want));
                prop_assert_eq!(&payload[before.header_len..], &copy[before.header_len..]);
            }
        }
    }
}
