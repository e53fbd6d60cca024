use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A writer of bit strings, for descriptors of our own.
#[derive(Default)]
struct Text(String);

impl Text {
    fn put(mut self, value: u32, bits: usize) -> Self {
        self.0 += &format!("{value:0bits$b}");
        self
    }

    fn bytes(mut self) -> Vec<u8> {
        while self.0.len() % 8 != 0 {
            self.0.push('0');
        }
        let byte = |at: usize| u8::from_str_radix(&self.0[at..at + 8], 2).unwrap();
        (0..self.0.len()).step_by(8).map(byte).collect()
    }
}

/// The first packet of a keyframe of two spatial layers and two temporal ones: four decode targets,
/// two chains, sizes.
fn keyframe() -> Text {
    let mut text = Text::default()
        .put(0b10, 2)
        .put(62, 6)
        .put(500, 16)
        .put(0b1_0000, 5)
        .put(62, 6) // the ids wrap after the second template
        .put(3, 5);
    // Templates: S0T0 (key), S0T0, S0T1, S1T0 (key), S1T0, S1T1.
    for next in [0, 1, 2, 0, 1, 3] {
        text = text.put(next, 2);
    }
    for _ in 0..6 {
        text = text.put(0b10_10_10_10, 8);
    }
    let needs: [&[u32]; 6] = [&[], &[4], &[2], &[1], &[1, 4], &[1, 2]];
    for needs in needs {
        for distance in needs {
            text = text.put(1, 1).put(distance - 1, 4);
        }
        text = text.put(0, 1);
    }
    // Two of up to four: ns(5). Protected by chain 0, 0, 1, 1: ns(2).
    text = text.put(2, 2).put(0b0011, 4);
    for _ in 0..6 {
        text = text.put(0x12, 8);
    }
    text.put(1, 1).put(319, 16).put(179, 16).put(639, 16).put(359, 16)
}

fn dependence(spatial: u8, temporal: u8, needs: &[u16]) -> Dependence {
    let size = Some(if spatial == 0 { (320, 180) } else { (640, 360) });
    Dependence { spatial, temporal, needs: Distances::from_slice(needs), size }
}

#[test]
fn a_structure_is_kept_and_what_follows_names_its_templates() {
    let mut reader = Reader::default();
    let first = reader.read(&keyframe().bytes()).unwrap();
    assert!(first.starts_frame && !first.ends_frame && first.brings_structure);
    assert_eq!((first.frame_number, first.active_targets), (500, Some(0b1111)));
    assert_eq!(first.frame, Some(dependence(0, 0, &[])));
    assert_eq!(reader.structure().map(Structure::top), Some((1, 1)));
    let structure = reader.structure().unwrap();
    assert_eq!((structure.targets, structure.chains), (4, 2));

    let rows: [(u8, &[u16], u8, u8); 5] = [
        (63, &[4], 0, 0),
        (0, &[2], 0, 1),
        (1, &[1], 1, 0),
        (2, &[1, 4], 1, 0),
        (3, &[1, 2], 1, 1),
    ];
    for (id, needs, spatial, temporal) in rows {
        let descriptor = reader.read(&[0x40 | id, 1, 0xFF]).unwrap();
        assert_eq!(descriptor.frame, Some(dependence(spatial, temporal, needs)), "{id}");
        assert!(!descriptor.starts_frame && descriptor.ends_frame, "{id}");
        assert_eq!(descriptor.frame_number, 511);
    }
    let unknown = reader.read(&[4, 1, 0xFF]).unwrap();
    assert_eq!((unknown.frame, unknown.frame_number), (None, 511), "no template has the id");
}

#[test]
fn a_frame_may_differ_from_its_template() {
    let mut reader = Reader::default();
    reader.read(&keyframe().bytes()).unwrap();
    let own = Text::default()
        .put(3, 8)
        .put(501, 16)
        .put(0b0_1111, 5)
        .put(0b0011, 4) // two targets are left
        .put(0b01_10_11_00, 8)
        // Distances 3, 40 and 4096 in one, two and three groups.
        .put(1, 2)
        .put(2, 4)
        .put(2, 2)
        .put(39, 8)
        .put(3, 2)
        .put(4095, 12)
        .put(0, 2)
        .put(0xABCD, 16)
        .bytes();
    let descriptor = reader.read(&own).unwrap();
    assert_eq!(descriptor.active_targets, Some(0b0011));
    assert_eq!(descriptor.frame, Some(dependence(1, 1, &[3, 40, 4096])));
    for len in 4..own.len() - 1 {
        assert_eq!(reader.read(&own[..len]), None, "{len}");
    }
}

#[test]
fn packets_of_the_structure_before_are_still_understood() {
    let mut reader = Reader::default();
    assert_eq!(reader.read(&[62, 0, 1]).unwrap().frame, None, "nothing came before");
    reader.read(&keyframe().bytes()).unwrap();
    // One template with id 10, one target, no chains, no sizes.
    let plain = Text::default()
        .put(0b11, 2)
        .put(10, 6)
        .put(600, 16)
        .put(0b1_0000, 5)
        .put(10, 6)
        .put(0, 5)
        .put(3, 2)
        .put(2, 2)
        .put(0, 1)
        .put(0, 1)
        .put(0, 1)
        .bytes();
    let descriptor = reader.read(&plain).unwrap();
    assert_eq!((descriptor.active_targets, reader.structure().unwrap().chains), (Some(1), 0));
    assert_eq!(descriptor.frame.unwrap().size, None);
    reader.read(&plain).unwrap();
    assert_eq!(reader.read(&[63, 1, 0xFF]).unwrap().frame, Some(dependence(0, 0, &[4])));
}

#[test]
fn a_structure_that_is_cut_short_or_too_large_is_refused() {
    let whole = keyframe().bytes();
    for len in 4..whole.len() {
        let mut reader = Reader::default();
        assert_eq!(reader.read(&whole[..len]), None, "{len}");
        assert_eq!(reader.structure(), None, "{len}");
    }
    let start = || Text::default().put(0x80, 8).put(0, 16).put(0b1_0000, 5).put(0, 11);
    let many = (0..70).fold(start(), |text, _| text.put(0, 2)).put(0, 4096).bytes();
    assert_eq!(Reader::default().read(&many), None, "more templates than ids");
    let high = (0..4).fold(start(), |text, _| text.put(2, 2)).put(3, 2).put(0, 4096).bytes();
    assert_eq!(Reader::default().read(&high), None, "a fifth spatial layer");
    let needy = (0..9).fold(start().put(3, 2).put(0, 2), |text, _| text.put(0b1_0000, 5));
    assert_eq!(Reader::default().read(&needy.put(0, 64).bytes()), None, "nine references");
}

#[test]
fn a_frame_number_is_written_over() {
    let mut data = [0xC1, 2, 3, 4];
    renumber(&mut data, 0xFFFE);
    assert_eq!((data, frame_number(&data)), ([0xC1, 0xFF, 0xFE, 4], Some(0xFFFE)));
    renumber(&mut data[..2], 1);
    assert_eq!((data, frame_number(&data[..2])), ([0xC1, 0xFF, 0xFE, 4], None));
}

proptest! {
    #[test]
    fn any_bytes_never_panic_and_leave_little_behind(
        packets in vec(vec(any::<u8>(), 0..60), 0..20),
        cut in 0..40_usize,
    ) {
        let mut reader = Reader::default();
        let mut whole = keyframe().bytes();
        whole.truncate(cut);
        for packet in [whole].iter().chain(&packets) {
            if let Some(descriptor) = reader.read(packet)
                && let Some(frame) = descriptor.frame
            {
                prop_assert!(frame.spatial <= 3 && frame.temporal <= 7);
                prop_assert!(frame.needs.len() <= 8 && !frame.needs.contains(&0));
            }
            if let Some(structure) = reader.structure() {
                prop_assert!(structure.templates.len() <= 64 && structure.targets <= 32);
            }
        }
    }
}
