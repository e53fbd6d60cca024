use bytes::Bytes;

use super::*;
use crate::media::codec;

mod av1;
mod nal;
mod vpx;

/// Feeds one frame's payloads.
fn assemble(depacketizer: &mut Depacketizer, payloads: &[&[u8]]) -> Made {
    let payloads: Vec<Bytes> =
        payloads.iter().map(|payload| Bytes::copy_from_slice(payload)).collect();
    depacketizer.assemble(&payloads)
}

/// The frame's bytes and whether it is a keyframe; `None` if there is no frame.
fn unit(made: Made) -> Option<(Vec<u8>, bool)> {
    let Made::Unit(unit) = made else { return None };
    Some((unit.data.to_vec(), unit.keyframe))
}

fn setup(made: Made) -> Arc<Setup> {
    let Made::Unit(unit) = made else { panic!("no frame: {made:?}") };
    unit.setup
}

fn joins(depacketizer: &Depacketizer, codec: Codec, payload: &[u8]) -> bool {
    depacketizer.joins(&codec::inspect(codec, payload), payload)
}

#[test]
fn an_opus_payload_is_a_frame_and_its_configuration_stays() {
    let mut opus = Depacketizer::new(&Format::opus());
    let first = setup(assemble(&mut opus, &[&[0xF8, 1, 2]]));
    assert_eq!(*first, Setup::Opus { channels: 2 });
    // One byte is what discontinuous transmission leaves of a frame.
    let made = assemble(&mut opus, &[&[0x08]]);
    assert_eq!(unit(made.clone()), Some((vec![0x08], true)));
    assert!(Arc::ptr_eq(&first, &setup(made)));
    assert!(joins(&opus, Codec::Opus, &[0x08]) && !joins(&opus, Codec::Opus, &[]));
}

mod any_bytes {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_payloads_never_panic_nor_swell(
            payloads in vec(vec(any::<u8>(), 1..60), 1..8),
            heads in vec(prop::sample::select(&HEADS[..]), 8),
        ) {
            for codec in CODECS {
                let mut depacketizer = Depacketizer::new(&Format::video(codec, ""));
                let headed: Vec<Vec<u8>> =
                    payloads.iter().zip(&heads).map(|(tail, head)| [head, &tail[..]].concat()).collect();
                for payloads in [&payloads, &headed] {
                    let payloads: Vec<Bytes> = payloads.iter().cloned().map(Bytes::from).collect();
                    let len: usize = payloads.iter().map(Bytes::len).sum();
                    if let Made::Unit(unit) = depacketizer.assemble(&payloads) {
                        prop_assert!(!unit.data.is_empty() && unit.data.len() <= 4 * len + 20);
                    }
                }
            }
        }
    }

    const CODECS: [Codec; 6] =
        [Codec::Opus, Codec::H264, Codec::H265, Codec::Vp8, Codec::Vp9, Codec::Av1];

    // Starts and ends of fragments, aggregates, sets, descriptors, aggregation headers.
    const HEADS: [&[u8]; 12] = [
        &[0x7C, 0x85],
        &[0x7C, 0x45],
        &[0x78, 0, 4, 0x68, 0xCE, 0x3C, 0x80],
        &[0x67, 0x42, 0xC0, 0x1E, 0xD9, 0x00, 0xA4, 0x2F, 0xE2, 0x24, 0xC0, 0x44, 0x00],
        &[0x65, 0x88],
        &[0x62, 0x01, 0x94],
        &[0x60, 0x01, 0, 3, 0x40, 0x01, 0x0C],
        &[0x10, 0x30, 0, 0, 0x9D, 0x01, 0x2A, 16, 0, 16, 0],
        &[0x08, 0x82, 0x49, 0x83, 0x42, 0x00, 0x28, 0x10, 0x16],
        &[0x28, 12, 0x08, 0x00, 0x00, 0x00, 0x0C, 0xC5, 0x03, 0x69, 0x36, 0xBE, 0x40, 0x10],
        &[0x50],
        &[0x90],
    ];
}
