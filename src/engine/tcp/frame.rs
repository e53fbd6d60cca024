//! A framing that lays datagrams one after the other into a byte stream (RFC 4571): two bytes of
//! length before each.

use tokio_util::codec::LengthDelimitedCodec;

/// Reads frames; a longer one than clients have reason to send is an error.
pub(super) fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder()
        .length_field_length(LENGTH_BYTES)
        .max_frame_length(MAX_FRAME)
        .new_codec()
}

/// How many bytes the frames of datagrams take that stand side by side, each `segment` bytes long
/// but the last.
pub(super) fn framed_len(len: usize, segment: usize) -> usize {
    len + LENGTH_BYTES * len.div_ceil(segment.max(1))
}

/// The frames of such datagrams.
pub(super) fn framed(contents: &[u8], segment: usize) -> Vec<u8> {
    let mut frames = Vec::with_capacity(framed_len(contents.len(), segment));
    for datagram in contents.chunks(segment.clamp(1, MAX_LENGTH)) {
        let length = u16::try_from(datagram.len()).expect("a chunk is at most MAX_LENGTH long");
        frames.extend_from_slice(&length.to_be_bytes());
        frames.extend_from_slice(datagram);
    }
    frames
}

const LENGTH_BYTES: usize = 2;
const MAX_LENGTH: usize = 0xffff;
/// Clients send what fits into one Ethernet frame; the rest is room for those that do not.
const MAX_FRAME: usize = 2_048;

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio_util::codec::Decoder;

    use super::*;

    fn read(bytes: &[u8], step: usize) -> Result<Vec<Vec<u8>>, ()> {
        let (mut codec, mut buffer) = (codec(), BytesMut::new());
        let mut frames = Vec::new();
        for chunk in bytes.chunks(step) {
            buffer.extend_from_slice(chunk);
            while let Some(frame) = codec.decode(&mut buffer).map_err(drop)? {
                frames.push(frame.to_vec());
            }
        }
        Ok(frames)
    }

    #[test]
    fn each_datagram_follows_its_length() {
        let rows: [(&[u8], usize, &[u8]); 6] = [
            (b"", 1, b""),
            (b"a", 1, b"\0\x01a"),
            (b"abc", 3, b"\0\x03abc"),
            (b"abcde", 2, b"\0\x02ab\0\x02cd\0\x01e"),
            (b"abcd", 2, b"\0\x02ab\0\x02cd"),
            (b"ab", 0, b"\0\x01a\0\x01b"),
        ];
        for (contents, segment, expected) in rows {
            assert_eq!(framed(contents, segment), expected);
            assert_eq!(framed_len(contents.len(), segment), expected.len());
        }
    }

    #[test]
    fn what_is_framed_is_read_back_however_it_is_cut() {
        let datagrams: Vec<Vec<u8>> =
            [1, 20, 1_200, 2_048, 0, 2].iter().map(|len| vec![*len as u8; *len]).collect();
        let mut stream = Vec::new();
        for datagram in &datagrams {
            stream.extend((datagram.len() as u16).to_be_bytes());
            stream.extend(datagram);
        }
        for step in [1, 2, 3, 7, 1_000, 65_536] {
            assert_eq!(read(&stream, step).as_ref(), Ok(&datagrams), "{step} bytes at a time");
        }
    }

    #[test]
    fn a_frame_is_refused_by_its_length_before_its_bytes_are_there() {
        assert_eq!(read(&2_048_u16.to_be_bytes(), 1), Ok(Vec::new()));
        for length in [2_049_u16, 0x1603, 0x4745, 0xffff] {
            assert_eq!(read(&length.to_be_bytes(), 1), Err(()), "{length}");
        }
    }
}
