use bytes::Bytes;

use super::*;
use crate::media::ExtensionIds;
use crate::media::ext::write_extensions;

fn packet(descriptor: Option<&[u8]>, payload: &[u8]) -> Packet {
    let mut bytes = vec![0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    if let Some(data) = descriptor {
        let mut block = [0; 64];
        let len = write_extensions(&mut block, &[(9, data)]);
        bytes[0] |= 0x10;
        bytes.extend_from_slice(&block[..len]);
    }
    bytes.extend_from_slice(payload);
    let mut ids = ExtensionIds::default();
    ids.insert(ExtensionKind::DependencyDescriptor, 9);
    Packet::parse(Bytes::from(bytes), &ids).unwrap()
}

fn read(reader: &mut Reader, codec: Codec, packet: &Packet) -> PayloadInfo {
    let mut info = PayloadInfo::default();
    reader.read(codec, packet, &mut info);
    info
}

fn vp9(reader: &mut Reader, payload: &[u8]) -> Option<Frame> {
    read(reader, Codec::Vp9, &packet(None, payload)).frame
}

// One decode target, two templates: S0T0 without needs, S0T1 that needs the frame before.
const STRUCTURE: [u8; 8] = [0x80, 0xFF, 0xFF, 0x80, 0x00, 0x7A, 0x40, 0x00];

#[test]
fn a_descriptor_tells_of_any_codec() {
    let mut reader = Reader::default();
    let early = read(&mut reader, Codec::Av1, &packet(Some(&[0x40, 0xFF, 0xFE]), &[7]));
    assert_eq!(
        early.frame.map(|frame| (frame.number, frame.needs)),
        Some((65_534, Needs::Unknown))
    );
    let first = read(&mut reader, Codec::Av1, &packet(Some(&STRUCTURE), &[7]));
    assert_eq!(
        first.frame.map(|frame| (frame.number, frame.needs)),
        Some((65_535, Needs::NOTHING))
    );
    let second = read(&mut reader, Codec::H264, &packet(Some(&[0x41, 0, 0]), &[7]));
    let want = Frame {
        number: 65_536,
        ends: true,
        counted: false,
        needs: Needs::listed(&[1]),
        size: None,
    };
    assert_eq!((second.frame, second.temporal), (Some(want), 1));
    assert_eq!(read(&mut reader, Codec::Vp9, &packet(None, &[0x88, 0x01])).frame, None);
    assert_eq!(
        read(&mut reader, Codec::Av1, &packet(Some(&[0x41]), &[7])).frame,
        None,
        "cut short"
    );
    assert_eq!(
        read(&mut reader, Codec::Av1, &packet(Some(&STRUCTURE), &[])).frame,
        None,
        "a probe"
    );
}

#[test]
fn vp9_names_its_references_in_flexible_mode() {
    let mut reader = Reader::default();
    // I, P, L, F, B, E; picture 126, temporal layer 1, spatial layer 1 on the layer below; two
    // references.
    let frame = vp9(&mut reader, &[0xFC, 126, 0x23, 0x03, 0x04, 9]).unwrap();
    assert_eq!(frame.needs, Needs::listed(&[1, 8, 16]));
    assert!(frame.ends && !frame.counted);
    // The id wraps after 127; the lowest layer of a picture with one reference.
    let next = vp9(&mut reader, &[0xF8, 1, 0x20, 0x06, 9]).unwrap();
    assert_eq!((next.needs, next.number - frame.number), (Needs::listed(&[24]), 23));
    let late = vp9(&mut reader, &[0xF8, 127, 0x20, 0x02, 9]).unwrap();
    assert_eq!(late.number - frame.number, 7);
}

#[test]
fn without_references_the_layers_of_vp9_and_vp8_imply_them() {
    let mut reader = Reader::default();
    let implied = |joins, opens| Needs::Implied { joins, opens };
    let rows: [(&[u8], Needs); 4] = [
        (&[0xA8, 5, 0x00, 1, 9], Needs::NOTHING),
        (&[0xA8, 5, 0x03, 1, 9], Needs::listed(&[1])),
        (&[0xE8, 6, 0x50, 1, 9], implied(false, true)),
        (&[0xE8, 7, 0x40, 1, 9], implied(false, false)),
    ];
    for (payload, want) in rows {
        assert_eq!(vp9(&mut reader, payload).map(|it| it.needs), Some(want), "{payload:x?}");
    }
    assert_eq!(vp9(&mut reader, &[0x08, 9]), None, "no picture id, no place");

    let mut reader = Reader::default();
    let mut vp8 = |payload: &[u8]| read(&mut reader, Codec::Vp8, &packet(None, payload)).frame;
    let synced = vp8(&[0x90, 0xE0, 0x80, 3, 7, 0xA0, 1]).unwrap();
    assert!(synced.counted && synced.needs == implied(true, false));
    assert_eq!(
        vp8(&[0x90, 0xE0, 0x80, 4, 7, 0x80, 1]).map(|it| it.needs),
        Some(implied(false, false))
    );
    assert_eq!(vp8(&[0x90, 0x80, 5, 1]), None, "no temporal layers");
}
