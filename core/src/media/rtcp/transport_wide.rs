//! Transport-wide feedback: when each packet of a connection arrived
//! (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).

use crate::media::Ssrc;

/// One feedback packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportWide<'a> {
    /// The source the feedback is addressed to.
    pub media_ssrc: Ssrc,
    /// Transport-wide number of the first packet reported on.
    pub base_seq: u16,
    /// What the first delta counts from, in microseconds of the receiver's clock; wraps after
    /// 12 days.
    pub reference_time_us: i64,
    /// Number of this feedback packet, modulo 256.
    pub feedback_count: u8,
    /// How many packets are reported on.
    pub packet_count: u16,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

/// Walks the packets that a feedback packet reports on.
///
/// A hostile packet of a hundred bytes may list 65,535 lost packets: take no more than the history
/// of sent packets is long.
#[derive(Clone, Debug)]
pub struct Arrivals<'a> {
    seq: u16,
    left: u16,
    chunk: Chunk,
    chunks: &'a [[u8; 2]],
    deltas: &'a [u8],
}

// === impl TransportWide ===

impl<'a> TransportWide<'a> {
    /// Reads what follows the two sources; `None` if its chunks report on fewer packets than it
    /// says.
    pub(super) fn parse(media_ssrc: Ssrc, body: &'a [u8]) -> Option<Self> {
        let (&[b0, b1, n0, n1, r0, r1, r2, feedback_count], rest) = body.split_first_chunk()?;
        let packet_count = u16::from_be_bytes([n0, n1]);
        let (pairs, _) = rest.as_chunks();
        let mut chunks = 0;
        let mut covered = 0_u32;
        while covered < u32::from(packet_count) {
            covered += u32::from(Chunk::new(*pairs.get(chunks)?).left);
            chunks += 1;
        }
        // The fourth byte is shifted out again, which extends the sign of the other three.
        let reference_time = i32::from_be_bytes([r0, r1, r2, 0]) >> 8;
        Some(Self {
            media_ssrc,
            base_seq: u16::from_be_bytes([b0, b1]),
            reference_time_us: i64::from(reference_time) * REFERENCE_TICK_US,
            feedback_count,
            packet_count,
            chunks: &pairs[..chunks],
            deltas: &rest[chunks * 2..],
        })
    }

    /// The packets in order: transport-wide number, and for those that arrived the microseconds
    /// since the previous arrival (for the first, since the reference time), which may be negative.
    ///
    /// Ends early where a delta is missing.
    pub fn arrivals(&self) -> Arrivals<'a> {
        Arrivals {
            seq: self.base_seq,
            left: self.packet_count,
            chunk: Chunk::default(),
            chunks: self.chunks,
            deltas: self.deltas,
        }
    }
}

// === impl Arrivals ===

impl Iterator for Arrivals<'_> {
    type Item = (u16, Option<i32>);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        while self.chunk.left == 0 {
            let (&chunk, rest) = self.chunks.split_first()?;
            self.chunk = Chunk::new(chunk);
            self.chunks = rest;
        }
        let delta = match self.chunk.take() {
            SMALL_DELTA => {
                let (&[delta], rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Some(i32::from(delta))
            }
            LARGE_DELTA => {
                let (&delta, rest) = self.deltas.split_first_chunk()?;
                self.deltas = rest;
                Some(i32::from(i16::from_be_bytes(delta)))
            }
            _ => None,
        };
        let seq = self.seq;
        self.seq = seq.wrapping_add(1);
        Some((seq, delta.map(|delta| delta * DELTA_TICK_US)))
    }
}

/// What is left of a status chunk: a run of one status, or a list of one- or two-bit ones.
#[derive(Clone, Copy, Debug, Default)]
struct Chunk {
    left: u16,
    symbols: u16,
    form: Form,
}

#[derive(Clone, Copy, Debug, Default)]
enum Form {
    #[default]
    Run,
    OneBit,
    TwoBit,
}

impl Chunk {
    fn new(bytes: [u8; 2]) -> Self {
        let chunk = u16::from_be_bytes(bytes);
        match chunk >> 14 {
            0 | 1 => Self { left: chunk & 0x1FFF, symbols: chunk >> 13 & 3, form: Form::Run },
            2 => Self { left: 14, symbols: chunk << 2, form: Form::OneBit },
            _ => Self { left: 7, symbols: chunk << 2, form: Form::TwoBit },
        }
    }

    /// Takes the next status; lists hold it in their upper bits.
    fn take(&mut self) -> u16 {
        self.left -= 1;
        match self.form {
            Form::Run => self.symbols,
            Form::OneBit => {
                let symbol = self.symbols >> 15;
                self.symbols <<= 1;
                symbol
            }
            Form::TwoBit => {
                let symbol = self.symbols >> 14;
                self.symbols <<= 2;
                symbol
            }
        }
    }
}

const SMALL_DELTA: u16 = 1;
const LARGE_DELTA: u16 = 2;
const DELTA_TICK_US: i32 = 250;
const REFERENCE_TICK_US: i64 = 64_000;
