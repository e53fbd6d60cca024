//! Short clips of real H.264 and Opus that are played in a loop.

/// Pictures of one size.
pub(super) struct Clip {
    /// The NAL units of each picture, without start codes. The first picture is the only IDR.
    pub(super) pictures: Vec<Vec<&'static [u8]>>,
}

/// The clips, smallest first.
pub(super) fn clips() -> [Clip; 3] {
    [SMALL, MIDDLE, LARGE].map(Clip::parse)
}

/// Opus packets of 20 ms.
pub(super) fn tone() -> Vec<&'static [u8]> {
    let mut rest = TONE;
    let mut packets = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len));
        let Some((packet, after)) = after.split_at_checked(len) else { break };
        packets.push(packet);
        rest = after;
    }
    packets
}

// === impl Clip ===

impl Clip {
    fn parse(stream: &'static [u8]) -> Self {
        let mut pictures: Vec<Vec<&'static [u8]>> = Vec::new();
        let mut has_slices = true;
        for nal in units(stream) {
            let is_slice = matches!(nal[0] & 0x1F, 1 | 5);
            // The first macroblock's number is 0, a single set bit, in a picture's first slice.
            let is_first = is_slice && nal.get(1).is_some_and(|byte| byte & 0x80 != 0);
            if has_slices && (is_first || !is_slice) {
                pictures.push(Vec::new());
                has_slices = false;
            }
            has_slices |= is_slice;
            if let Some(picture) = pictures.last_mut() {
                picture.push(nal);
            }
        }
        Self { pictures }
    }
}

/// The NAL units of a byte stream (H.264 annex B).
fn units(stream: &'static [u8]) -> impl Iterator<Item = &'static [u8]> {
    let starts: Vec<usize> = stream
        .windows(3)
        .enumerate()
        .filter(|(_, it)| *it == [0, 0, 1])
        .map(|(at, _)| at)
        .collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([stream.len()]).collect();
    starts.into_iter().zip(ends).filter_map(move |(start, end)| {
        let nal = &stream[start + 3..end];
        // A unit ends with a set bit; zeros belong to the start code that follows.
        let len = nal.iter().rposition(|byte| *byte != 0)? + 1;
        Some(&nal[..len])
    })
}

const SMALL: &[u8] = include_bytes!("media/320x180.h264");
const MIDDLE: &[u8] = include_bytes!("media/640x360.h264");
const LARGE: &[u8] = include_bytes!("media/1280x720.h264");
const TONE: &[u8] = include_bytes!("media/tone.opus");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clip_is_ten_seconds_that_begin_with_parameters_and_an_idr() {
        for clip in clips() {
            assert_eq!(clip.pictures.len(), 300);
            let kinds: Vec<u8> = clip.pictures[0].iter().map(|nal| nal[0] & 0x1F).collect();
            assert_eq!(kinds[..3], [7, 8, 5]);
            let later = clip.pictures[1..].iter().flatten();
            assert!(later.into_iter().all(|nal| nal[0] & 0x1F == 1));
        }
    }

    #[test]
    fn the_tone_is_four_seconds_of_opus() {
        assert_eq!(tone().len(), 201);
        assert!(tone().iter().all(|packet| !packet.is_empty()));
    }
}
