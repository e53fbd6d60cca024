use bytes::Bytes;

use super::*;
use crate::media::ExtensionIds;
use crate::media::ext::write_extensions;

fn packet(descriptor: Option<&[u8]>, payload: &[u8]) -> Packet {
    let mut bytes = vec![0x80, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    if let Some(data) = descriptor {
        let mut block = [0; 256];
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

fn vp9(reader: &mut Reader, payload: &[u8]) -> Option<FrameInfo> {
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
    let want = FrameInfo {
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

/// The packets that begin or end a frame, of Chromium 156's first pictures: the RTP timestamp since
/// the first, the marker, the descriptor, and the payload's first bytes.
const CHROMIUM: [(Codec, &str, (u8, u8), &str); 4] = [
    (Codec::Vp9, "L3T3", (2, 2), include_str!("../dependency/fixtures/chromium-156-vp9-l3t3.txt")),
    (
        Codec::Vp9,
        "L2T3_KEY",
        (1, 2),
        include_str!("../dependency/fixtures/chromium-156-vp9-l2t3-key.txt"),
    ),
    (Codec::Av1, "L3T3", (2, 2), include_str!("../dependency/fixtures/chromium-156-av1-l3t3.txt")),
    (
        Codec::Av1,
        "L2T3_KEY",
        (1, 2),
        include_str!("../dependency/fixtures/chromium-156-av1-l2t3-key.txt"),
    ),
];

fn unhex(text: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[test]
fn chromium_s_pictures_are_read_and_need_only_what_came_before() {
    for (codec, mode, top, fixture) in CHROMIUM {
        let mut reader = Reader::default();
        let mut seen: Vec<(u32, u8, u8)> = Vec::new();
        let mut pictures = Vec::new();
        for line in fixture.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let info =
                read(&mut reader, codec, &packet(Some(&unhex(fields[2])), &unhex(fields[3])));
            let (name, frame) = (format!("{codec} {mode}: {line}"), info.frame.unwrap());
            let (spatial, temporal) = (info.spatial, info.temporal);
            let Needs::Listed(back) = frame.needs else { panic!("{name}") };
            for back in back.into_iter().filter(|back| *back != 0) {
                let needed = seen.iter().find(|(it, ..)| *it == frame.number - u32::from(back));
                let (_, below, slower) = needed.unwrap_or_else(|| panic!("needs {back}: {name}"));
                assert!(*below <= spatial && *slower <= temporal, "{name}");
            }
            // 1280x718 in three layers, 640x359 in two: the lower ones are rounded.
            let (width, height) = frame.size.unwrap();
            assert_eq!((width >> spatial, (height + 1) >> spatial >> 2), (320, 45), "{name}");
            if !seen.contains(&(frame.number, spatial, temporal)) {
                seen.push((frame.number, spatial, temporal));
            }
            if fields[1] == "1" {
                assert!(frame.ends, "{name}");
                pictures.push(temporal);
            }
        }
        let highest = |of: fn(&(u32, u8, u8)) -> u8| seen.iter().map(of).max().unwrap();
        assert_eq!((highest(|it| it.1), highest(|it| it.2)), top, "{codec} {mode}");
        assert_eq!(pictures[..5], [0, 2, 1, 2, 0], "{codec} {mode}");
    }
}

#[test]
fn descriptors_and_payloads_of_chromium_s_vp9_tell_the_same() {
    for (codec, mode, _, fixture) in CHROMIUM.into_iter().filter(|row| row.0 == Codec::Vp9) {
        let (mut described, mut plain) = (Reader::default(), Reader::default());
        // Which picture and layer each frame number stands for.
        let mut frames = std::collections::HashMap::new();
        for line in fixture.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let (data, payload) = (unhex(fields[2]), unhex(fields[3]));
            let by_descriptor = read(&mut described, codec, &packet(Some(&data), &payload));
            let inside = codec::inspect(codec, &payload);
            assert_eq!(
                (by_descriptor.spatial, by_descriptor.temporal),
                (inside.spatial, inside.temporal)
            );
            let by_payload = vp9(&mut plain, &payload).unwrap();
            let by_descriptor = by_descriptor.frame.unwrap();
            assert_eq!(by_descriptor.ends, by_payload.ends, "{mode}: {line}");
            frames.insert(by_descriptor.number, by_payload.number);
            let of = |frame: FrameInfo| {
                let Needs::Listed(back) = frame.needs else { panic!("{mode}: {line}") };
                let back = back.into_iter().filter(|back| *back != 0);
                back.map(move |back| frame.number - u32::from(back))
            };
            let mut one: Vec<u32> = of(by_descriptor).map(|number| frames[&number]).collect();
            let mut other: Vec<u32> = of(by_payload).collect();
            one.sort_unstable();
            other.sort_unstable();
            assert_eq!(one, other, "{mode}: {line}");
        }
    }
}
