//! A reader of CMAF as a player sees it, by box types that are not ours.

use mp4_atom::{Any, Decode, Moof};

/// What a segment's boxes say, from its first chunk to its last.
pub(crate) struct Fragment {
    /// Decode time of its first sample, and where its last one ends, in ticks.
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Whether decoding can begin at its first sample.
    pub(crate) starts_with_sync: bool,
    /// Whether each chunk is numbered higher than the one before.
    pub(crate) rising: bool,
}

/// Ticks per second of a track.
pub(crate) fn timescale(init: &[u8]) -> u32 {
    let mut buf = init;
    while !buf.is_empty() {
        if let Any::Moov(moov) = Any::decode(&mut buf).unwrap() {
            return moov.trak[0].mdia.mdhd.timescale;
        }
    }
    panic!("no moov");
}

// === impl Fragment ===

impl Fragment {
    /// Reads a segment; its chunks must follow each other without a hole.
    #[allow(clippy::wildcard_enum_match_arm, reason = "no other box belongs there")]
    pub(crate) fn read(segment: &[u8]) -> Self {
        let mut chunks = Vec::new();
        let mut buf = segment;
        while !buf.is_empty() {
            match Any::decode(&mut buf).unwrap() {
                Any::Moof(moof) => chunks.push(moof),
                Any::Styp(_) | Any::Prft(_) | Any::Mdat(_) => {}
                other => panic!("C3: {other:?}"),
            }
        }
        let spans: Vec<_> = chunks.iter().map(span).collect();
        assert!(spans.windows(2).all(|pair| pair[0].1 == pair[1].0), "C5: {spans:?}");
        let numbers: Vec<_> = chunks.iter().map(|moof| moof.mfhd.sequence_number).collect();
        let [traf] = chunks[0].traf.as_slice() else { panic!("C3: one traf") };
        let first = traf.trun[0].samples.iter().next().unwrap();
        let flags = first.flags.or(traf.tfhd.default_sample_flags).unwrap();
        Self {
            start: spans[0].0,
            end: spans[spans.len() - 1].1,
            starts_with_sync: flags & 0x1_0000 == 0,
            rising: numbers.windows(2).all(|pair| pair[0] < pair[1]),
        }
    }
}

/// Decode time of a chunk's first sample, and where its last one ends.
fn span(moof: &Moof) -> (u64, u64) {
    let [traf] = moof.traf.as_slice() else { panic!("C3: one traf") };
    let [trun] = traf.trun.as_slice() else { panic!("C3: one trun") };
    let default = traf.tfhd.default_sample_duration;
    let durations = trun.samples.iter().map(|sample| sample.duration.or(default).unwrap());
    let start = traf.tfdt.as_ref().unwrap().base_media_decode_time;
    (start, start + durations.map(u64::from).sum::<u64>())
}
