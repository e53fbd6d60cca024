//! A weaver that turns decoded sound, with its holes and its drift, into one unbroken row of blocks.
//!
//! It is pure. **Each block begins where the one before ended**, whatever comes in.

use bytes::{Bytes, BytesMut};

/// Samples in a block, and in a frame of AAC.
pub(super) const BLOCK: i64 = 1024;

/// Bytes of one sample: two channels of 16 bits.
pub(super) const SAMPLE_BYTES: usize = 4;

/// Some samples of sound and where they are, in ticks of 48 kHz.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) start: i64,
    pub(super) pcm: Bytes,
}

/// What was put in and left out, in samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) silence: u64,
    pub(super) trimmed: u64,
}

/// Puts sound where its time says.
pub(super) struct Weaver {
    /// Blocks begin this many ticks after a multiple of [`BLOCK`], so that the encoder's delay brings
    /// its frames onto multiples.
    lead: i64,
    /// Where the next sample goes, once something came.
    next: Option<i64>,
    /// Where the source's last frame ended by its own time.
    source_end: i64,
    /// Whether the source's samples follow each other, so that small differences are drift.
    follows: bool,
    pending: BytesMut,
    counters: Counters,
}

// === impl Weaver ===

impl Weaver {
    pub(super) fn new(lead: i64) -> Self {
        Self {
            lead: lead.rem_euclid(BLOCK),
            next: None,
            source_end: 0,
            follows: false,
            pending: BytesMut::new(),
            counters: Counters::default(),
        }
    }

    /// Where the sound ends so far.
    pub(super) fn end(&self) -> Option<i64> {
        self.next
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// Takes the samples of one frame. One that is further ahead than [`MAX_AHEAD`] is left out: its
    /// time is nonsense, or somebody forgot to tell of a pause.
    pub(super) fn frame(&mut self, dts: i64, pcm: &[u8], emit: &mut impl FnMut(Block)) {
        let samples = (pcm.len() / SAMPLE_BYTES) as i64;
        let end = self.begin(dts);
        if dts - end > MAX_AHEAD {
            self.counters.trimmed += samples as u64;
            return;
        }
        let jumped = !self.follows || (dts - self.source_end).abs() >= JUMP;
        let off = dts - end;
        let shift = if jumped || off.abs() > MAX_DRIFT { off } else { 0 };
        if shift > 0 {
            self.silence(shift, emit);
        }
        let cut = (-shift).clamp(0, samples);
        self.counters.trimmed += cut as u64;
        if cut == samples {
            return;
        }
        self.write(&pcm[cut as usize * SAMPLE_BYTES..samples as usize * SAMPLE_BYTES], emit);
        self.source_end = dts + samples;
        self.follows = true;
    }

    /// Fills with silence up to here, if there is nothing yet.
    pub(super) fn gap_until(&mut self, ticks: i64, emit: &mut impl FnMut(Block)) {
        let missing = ticks - self.begin(ticks);
        if missing > 0 {
            self.silence(missing, emit);
            self.follows = false;
        }
    }

    /// Where the sound ends. At first, where it has to begin so that the first frame of AAC is the
    /// first that has a place at or after `ticks`, and none comes before zero.
    fn begin(&mut self, ticks: i64) -> i64 {
        let lead = self.lead;
        *self.next.get_or_insert_with(|| {
            let first = (ticks.max(0) + BLOCK - 1).div_euclid(BLOCK) * BLOCK;
            if lead == 0 { first } else { first + lead - BLOCK }
        })
    }

    fn silence(&mut self, samples: i64, emit: &mut impl FnMut(Block)) {
        self.counters.silence += samples as u64;
        let mut left = samples;
        while left > 0 {
            let room = BLOCK - (self.pending.len() / SAMPLE_BYTES) as i64;
            let some = left.min(room);
            self.write(&SILENCE[..some as usize * SAMPLE_BYTES], emit);
            left -= some;
        }
    }

    fn write(&mut self, mut pcm: &[u8], emit: &mut impl FnMut(Block)) {
        while !pcm.is_empty() {
            let room = BLOCK as usize * SAMPLE_BYTES - self.pending.len();
            let (some, rest) = pcm.split_at(room.min(pcm.len()));
            self.pending.extend_from_slice(some);
            pcm = rest;
            let next = self.next.get_or_insert(0);
            *next += (some.len() / SAMPLE_BYTES) as i64;
            if self.pending.len() == BLOCK as usize * SAMPLE_BYTES {
                emit(Block { start: *next - BLOCK, pcm: self.pending.split().freeze() });
            }
        }
    }
}

static SILENCE: [u8; BLOCK as usize * SAMPLE_BYTES] = [0; BLOCK as usize * SAMPLE_BYTES];

/// A source whose time and samples differ by more than this, 20 ms, is put right.
const MAX_DRIFT: i64 = 960;

/// Between one frame and the next a clock that is put right creeps by less than this; the shortest
/// packet of Opus, 2.5 ms, is as long.
const JUMP: i64 = 120;

/// The longest silence that a single frame can call for: 60 s.
const MAX_AHEAD: i64 = 60 * 48_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds frames of ones, `(dts, samples)`, then fills up to `until`; gives where ones are.
    fn woven(lead: i64, frames: &[(i64, usize)], until: i64) -> (i64, Vec<(i64, i64)>) {
        let mut weaver = Weaver::new(lead);
        let mut blocks = Vec::new();
        for (dts, samples) in frames {
            weaver.frame(*dts, &vec![1; samples * SAMPLE_BYTES], &mut |block| blocks.push(block));
        }
        weaver.gap_until(until, &mut |block| blocks.push(block));
        let first = blocks[0].start;
        for (index, block) in blocks.iter().enumerate() {
            assert_eq!(block.start, first + index as i64 * BLOCK);
            assert_eq!(block.pcm.len(), BLOCK as usize * SAMPLE_BYTES);
        }
        let pcm: Vec<u8> = blocks.iter().flat_map(|block| block.pcm.to_vec()).collect();
        let mut runs: Vec<(i64, i64)> = Vec::new();
        for (index, sample) in pcm.chunks(SAMPLE_BYTES).enumerate() {
            let place = first + index as i64;
            match runs.last_mut() {
                _ if sample[0] == 0 => {}
                Some(run) if run.1 == place => run.1 += 1,
                _ => runs.push((place, place + 1)),
            }
        }
        (first, runs)
    }

    #[test]
    fn sound_lies_where_its_time_says() {
        type Row<'a> = (&'a str, i64, &'a [(i64, usize)], i64, &'a [(i64, i64)]);
        let rows: &[Row<'_>] = &[
            ("on the grid", 0, &[(2048, 960), (3008, 960)], 2048, &[(2048, 3968)]),
            ("begins at the next block", 0, &[(2000, 960), (2960, 960)], 2048, &[(2048, 3920)]),
            (
                "short frames before the first block",
                0,
                &[(10, 120), (130, 960), (1090, 960)],
                1024,
                &[(1024, 2050)],
            ),
            ("one lost", 0, &[(0, 480), (960, 480)], 0, &[(0, 480), (960, 1440)]),
            ("twice the same", 0, &[(0, 960), (0, 960), (960, 960)], 0, &[(0, 1920)]),
            ("drift is let be", 0, &[(0, 960), (965, 960), (1930, 960)], 0, &[(0, 2880)]),
            ("a lead begins before", 576, &[(1024, 960), (1984, 960)], 576, &[(1024, 2944)]),
            ("nonsense ahead", 0, &[(0, 960), (i64::MAX / 4, 960), (960, 960)], 0, &[(0, 1920)]),
        ];
        for (name, lead, frames, first, expected) in rows {
            assert_eq!(woven(*lead, frames, 10_000), (*first, expected.to_vec()), "{name}");
        }
    }

    #[test]
    fn drift_over_20_ms_is_put_right() {
        for creep in [50_i64, -50] {
            let mut weaver = Weaver::new(0);
            let mut dts = 0;
            for _ in 0..200 {
                weaver.frame(dts, &[1; 960 * SAMPLE_BYTES], &mut |_| {});
                dts += 960 + creep;
            }
            let off = (weaver.end().unwrap() - (dts - creep)).abs();
            assert!(off <= MAX_DRIFT, "{creep}: {off}");
            let Counters { silence, trimmed } = weaver.counters();
            assert!(if creep > 0 { silence > 8_000 } else { trimmed > 8_000 }, "{creep}");
        }
    }

    #[test]
    fn what_comes_after_its_place_was_filled_is_left_out() {
        let mut weaver = Weaver::new(0);
        weaver.gap_until(0, &mut |_| {});
        weaver.gap_until(4_800, &mut |_| {});
        weaver.frame(3_840, &[1; 960 * SAMPLE_BYTES], &mut |_| {});
        weaver.frame(4_320, &[1; 960 * SAMPLE_BYTES], &mut |_| {});
        assert_eq!(weaver.end(), Some(5_280));
        assert_eq!(weaver.counters(), Counters { silence: 4_800, trimmed: 1_440 });
    }
}
