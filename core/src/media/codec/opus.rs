//! Opus payloads (RFC 7587): every packet is a frame of its own.

use super::PayloadInfo;

/// Says that decoding can begin at any packet that has a table of contents.
pub(super) fn inspect(payload: &[u8]) -> PayloadInfo {
    let present = !payload.is_empty();
    PayloadInfo { starts_frame: present, keyframe: present, ..PayloadInfo::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_begins_a_frame_that_can_be_joined() {
        let info = inspect(&[0xF8, 0xFF, 0xFE]);
        assert!(info.starts_frame && info.keyframe);
        assert_eq!(info.size, None);
    }
}
