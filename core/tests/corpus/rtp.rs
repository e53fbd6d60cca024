//! A check of the RTP readers: the quick view, the whole packet and what RTX wraps agree.

use bytes::Bytes;
use whitewater_core::media::ext::{extensions_len, write_extensions};
use whitewater_core::media::{
    ExtensionIds, ExtensionKind, HeaderView, Packet, PayloadType, Ssrc, unwrap_rtx,
};

/// Reads one plain packet.
pub fn run(data: &[u8]) {
    let view = HeaderView::parse(data);
    let ids = ids();
    let packet = Packet::parse(Bytes::copy_from_slice(data), &ids);
    if let (Ok(view), Ok(packet)) = (&view, &packet) {
        assert_eq!(
            (view.seq, view.timestamp, view.ssrc, view.pt, view.marker),
            (packet.seq, packet.timestamp, packet.ssrc, packet.pt, packet.marker)
        );
        assert_eq!(view.plain_payload().ok(), Some(packet.payload()));
        for (kind, id) in ids.iter() {
            assert_eq!(view.extension(id), packet.extension(kind), "{kind:?}");
        }
        rewrite(packet);
    }
    assert!(packet.is_err() || view.is_ok(), "the view is not stricter than the packet");
    if let Some(original) = unwrap_rtx(data, Ssrc(7), PayloadType(96))
        && let Ok(packet) = Packet::parse(original, &ids)
    {
        assert_eq!((packet.ssrc, packet.pt), (Ssrc(7), PayloadType(96)));
    }
}

/// What is written from a packet's extensions is read as the same.
fn rewrite(packet: &Packet) {
    let ids = ids();
    let elements: Vec<_> =
        ids.iter().filter_map(|(kind, id)| Some((id, packet.extension(kind)?))).collect();
    let mut bytes = vec![0; 12 + extensions_len(&elements)];
    let len = write_extensions(&mut bytes[12..], &elements);
    assert_eq!(12 + len, bytes.len());
    bytes[0] = if len == 0 { 0x80 } else { 0x90 };
    let again = Packet::parse(bytes.into(), &ids).expect("what we write can be read");
    for (kind, _) in ids.iter() {
        let wanted = packet.extension(kind).filter(|data| !data.is_empty());
        let found = again.extension(kind).filter(|data| !data.is_empty());
        assert_eq!(found, wanted, "{kind:?}");
    }
}

fn ids() -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    for (kind, id) in ExtensionKind::ALL.into_iter().zip([1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 200]) {
        ids.insert(kind, id);
    }
    ids
}
