//! A layer that takes in the packets of one encoding, once each, and keeps count.

use std::time::{Duration, Instant};

use super::keyframe::{Arbiter, Habit};
use super::parts::{Part, Parts};
use super::ring::Ring;
use super::timeline::Anchor;
use crate::media::arrived::PictureIds;
use crate::media::codec::PayloadInfo;
use crate::media::seq::{Unwrapper16, Unwrapper32};
use crate::media::time::{micros_to_ticks, ticks_to_micros};
use crate::media::{Arrived, Ntp, Packet, Rid, Ssrc};

/// A packet that an ingress hands in.
#[derive(Clone, Debug)]
pub struct Offered {
    /// The packet.
    pub packet: Packet,
    /// What its payload tells.
    pub info: PayloadInfo,
    /// VP8 and VP9 picture ids.
    pub picture: PictureIds,
    /// When the machine received it.
    pub received: Instant,
    /// Capture time in the server's clock that the packet itself carried.
    pub capture: Option<Ntp>,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Its sequence number has come before.
    Duplicate,
    /// It is further behind than duplicates are remembered.
    TooOld,
}

/// One encoding of a track.
#[derive(Debug, Default)]
pub struct Layer {
    /// Its restriction identifier, where the publisher gave one.
    pub rid: Option<Rid>,
    /// Its packets.
    pub ring: Ring,
    /// Its keyframe requests.
    pub arbiter: Arbiter,
    /// Ticks from its clock to the track's timeline, once known.
    pub shift: Option<i64>,
    /// Whether that was guessed from arrivals, when the layer's source changed.
    pub shift_guessed: bool,
    /// Its last sender report: RTP time against the publisher's clock.
    pub report: Option<Anchor>,
    /// Its earliest arrival: RTP time against the server's clock, for want of a report.
    pub arrival: Option<Anchor>,
    /// Whether packets arrive now.
    pub active: bool,
    era: u32,
    ssrc: Option<Ssrc>,
    seqs: Unwrapper16,
    timestamps: Unwrapper32,
    seen: Seen,
    meter: Meter,
    /// There once more than one spatial or temporal layer came.
    parts: Option<Box<Parts>>,
    totals: Totals,
    size: Option<(u16, u16)>,
    newest_frame: Option<i64>,
    first_seq: Option<i64>,
    expected_before: u64,
    keyframes: Keyframes,
}

/// The latest keyframe and how far it was from the one before.
#[derive(Clone, Copy, Debug, Default)]
struct Keyframes {
    latest: Option<(i64, Instant)>,
    apart_ticks: Option<i64>,
}

/// What a layer counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets taken.
    pub packets: u64,
    /// Frames begun.
    pub frames: u64,
    /// Keyframes begun.
    pub keyframes: u64,
    /// Duplicates and packets too old.
    pub refused: u64,
}

/// The last 1,024 sequence numbers, one bit each.
#[derive(Debug)]
struct Seen {
    highest: Option<i64>,
    bits: [u64; SEEN_WORDS],
}

/// Bytes and frames of the running second and of the one before.
#[derive(Debug, Default)]
struct Meter {
    since: Option<Instant>,
    bytes: u64,
    frames: u64,
    bitrate_bps: u64,
    fps: f64,
}

// === impl Layer ===

impl Layer {
    /// An empty layer.
    pub fn new(rid: Option<Rid>) -> Self {
        Self { rid, ..Self::default() }
    }

    /// Takes in a packet and returns it as the ring keeps it.
    pub fn accept(
        &mut self,
        now: Instant,
        wall: Ntp,
        clock_rate: u32,
        offered: Offered,
        capture: impl FnOnce(&Self, i64) -> Option<Ntp>,
    ) -> Result<&Arrived, Refused> {
        let moved =
            self.ssrc.replace(offered.packet.ssrc).is_some_and(|ssrc| ssrc != offered.packet.ssrc);
        if moved {
            self.restart(now, clock_rate, offered.packet.timestamp);
        }
        let seq = self.seqs.extend(offered.packet.seq);
        if let Err(refused) = self.seen.insert(seq) {
            self.totals.refused += 1;
            return Err(refused);
        }
        self.first_seq = Some(self.first_seq.map_or(seq, |first| first.min(seq)));
        let timestamp = self.timestamps.extend(offered.packet.timestamp);
        self.note_arrival(timestamp, wall, clock_rate);
        let capture = offered.capture.or_else(|| capture(self, timestamp));
        let Offered { packet, info, picture, received, .. } = offered;
        self.store(Arrived {
            packet,
            info,
            picture,
            era: self.era,
            seq,
            timestamp,
            at: now,
            received,
            capture,
        });
        Ok(self.ring.last().expect("a packet was just stored"))
    }

    /// Takes in a packet that another shard already accepted. **Once**, too: what is told of twice, as
    /// when this shard is introduced to the stream again, would leave twice under one number.
    pub fn mirror(&mut self, arrived: Arrived) -> Result<(), Refused> {
        if arrived.era != self.era {
            self.era = arrived.era;
            self.ring.clear();
            self.newest_frame = None;
            self.seen = Seen::default();
        }
        self.seen.insert(arrived.seq)?;
        self.store(arrived);
        Ok(())
    }

    /// Counts the sources that the layer had: an encoder that starts again has another SSRC, other
    /// numbers and another clock.
    pub fn era(&self) -> u32 {
        self.era
    }

    /// When the last packet came.
    pub fn last_arrival(&self) -> Option<Instant> {
        self.ring.last().map(|arrived| arrived.at)
    }

    /// Totals since the layer started.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// Pixels, once a keyframe told.
    pub fn size(&self) -> Option<(u16, u16)> {
        self.size
    }

    /// Bits per second over the last second.
    pub fn bitrate_bps(&self) -> u64 {
        if self.active { self.meter.bitrate_bps } else { 0 }
    }

    /// Frames per second over the last second.
    pub fn fps(&self) -> f64 {
        if self.active { self.meter.fps } else { 0.0 }
    }

    /// The parts of a scalable layer over the last second, lowest spatial layer first.
    pub fn parts(&self) -> &[Part] {
        self.parts.as_ref().filter(|_| self.active).map_or(&[], |parts| parts.known())
    }

    /// Packets that never came, neither by themselves nor as retransmissions.
    pub fn lost(&self) -> u64 {
        (self.expected_before + self.expected()).saturating_sub(self.totals.packets)
    }

    /// Extends a timestamp of the layer's clock, such as a sender report's.
    pub fn unwrap_timestamp(&self, timestamp: u32) -> i64 {
        self.timestamps.peek(timestamp)
    }

    /// How old a keyframe may be that somebody starts from who could ask for another one.
    pub fn reach(&self, now: Instant) -> Duration {
        match self.arbiter.habit(now) {
            Habit::Answers => REACH,
            Habit::Ignores => GOP_REACH,
            // Who asked first, in vain, has what it could have had at once.
            Habit::Unknown if self.arbiter.unanswered(now) >= PATIENCE => GOP_REACH + PATIENCE,
            Habit::Unknown => REACH,
        }
    }

    /// How old a keyframe may be that somebody may come to start from.
    pub fn longest_reach(&self, now: Instant) -> Duration {
        if self.arbiter.habit(now) == Habit::Answers { REACH } else { GOP_REACH }
    }

    /// The time between the latest two keyframes, or since the latest where that is longer.
    pub fn gop(&self, now: Instant, clock_rate: u32) -> Option<Duration> {
        let (_, at) = self.keyframes.latest?;
        let running = if self.active { now.saturating_duration_since(at) } else { Duration::ZERO };
        let apart = self.keyframes.apart_ticks.map(|ticks| ticks_to_micros(ticks, clock_rate));
        let apart = apart.map(|us| Duration::from_micros(us.max(0) as u64));
        Some(apart.map_or(running, |apart| apart.max(running)))
    }

    fn expected(&self) -> u64 {
        match (self.first_seq, self.seen.highest) {
            (Some(first), Some(highest)) => (highest - first + 1).max(0) as u64,
            _ => 0,
        }
    }

    /// Begins with another source, whose clock is set by the time that went by since the last one.
    fn restart(&mut self, now: Instant, clock_rate: u32, timestamp: u32) {
        let here = self.shift.zip(self.ring.last()).map(|(shift, last)| {
            let us = now.saturating_duration_since(last.at).as_micros() as i64;
            shift + last.timestamp + micros_to_ticks(us, clock_rate)
        });
        self.shift = here.map(|here| here - i64::from(timestamp));
        self.shift_guessed = self.shift.is_some();
        self.expected_before += self.expected();
        self.era += 1;
        self.ring.clear();
        (self.seqs, self.timestamps) = (Unwrapper16::default(), Unwrapper32::default());
        (self.seen, self.first_seq) = (Seen::default(), None);
        (self.report, self.arrival, self.newest_frame) = (None, None, None);
        self.keyframes = Keyframes::default();
        self.parts = None;
    }

    fn store(&mut self, arrived: Arrived) {
        self.totals.packets += 1;
        self.active = true;
        let new_frame = self.newest_frame.is_none_or(|newest| arrived.timestamp > newest);
        if new_frame {
            self.newest_frame = Some(arrived.timestamp);
            self.totals.frames += 1;
        }
        self.meter.add(arrived.at, arrived.packet.len(), new_frame);
        if self.parts.is_some() || arrived.info.spatial > 0 || arrived.info.temporal > 0 {
            self.parts.get_or_insert_default().add(&arrived);
        }
        self.size = arrived.info.size.or(self.size);
        let before = self.ring.keyframe();
        let (timestamp, at) = (arrived.timestamp, arrived.at);
        self.ring.keep_gop(self.longest_reach(at) > REACH);
        self.ring.push(arrived);
        if self.ring.keyframe() != before && self.ring.keyframe().is_some() {
            self.totals.keyframes += 1;
            self.arbiter.satisfied(at);
            let apart = self.keyframes.latest.map(|(latest, _)| timestamp - latest);
            self.keyframes = Keyframes { latest: Some((timestamp, at)), apart_ticks: apart };
        }
    }

    /// Keeps the earliest arrival relative to the RTP clock: the delay of the fastest packet.
    fn note_arrival(&mut self, timestamp: i64, wall: Ntp, clock_rate: u32) {
        let earlier = self
            .arrival
            .is_none_or(|anchor| wall.micros_since(anchor.ntp_at(timestamp, clock_rate)) < 0);
        if earlier {
            self.arrival = Some(Anchor { timestamp, ntp: wall });
        }
    }
}

// === impl Seen ===

impl Seen {
    fn insert(&mut self, seq: i64) -> Result<(), Refused> {
        let highest = *self.highest.get_or_insert(seq - 1);
        if seq > highest {
            if seq - highest >= SEEN_SPAN {
                self.bits = [0; SEEN_WORDS];
            } else {
                for skipped in highest + 1..seq {
                    self.clear(skipped);
                }
            }
            self.highest = Some(seq);
            self.clear(seq);
        } else if highest - seq >= SEEN_SPAN {
            return Err(Refused::TooOld);
        }
        let (word, bit) = Self::place(seq);
        if self.bits[word] & bit != 0 {
            return Err(Refused::Duplicate);
        }
        self.bits[word] |= bit;
        Ok(())
    }

    fn clear(&mut self, seq: i64) {
        let (word, bit) = Self::place(seq);
        self.bits[word] &= !bit;
    }

    fn place(seq: i64) -> (usize, u64) {
        let index = seq.rem_euclid(SEEN_SPAN) as usize;
        (index / 64, 1 << (index % 64))
    }
}

impl Default for Seen {
    fn default() -> Self {
        Self { highest: None, bits: [0; SEEN_WORDS] }
    }
}

// === impl Meter ===

impl Meter {
    fn add(&mut self, now: Instant, bytes: usize, new_frame: bool) {
        let since = *self.since.get_or_insert(now);
        let elapsed = now.saturating_duration_since(since);
        if elapsed >= Duration::from_secs(1) {
            self.bitrate_bps = (self.bytes as f64 * 8.0 / elapsed.as_secs_f64()) as u64;
            self.fps = self.frames as f64 / elapsed.as_secs_f64();
            (self.since, self.bytes, self.frames) = (Some(now), 0, 0);
        }
        self.bytes += bytes as u64;
        self.frames += u64::from(new_frame);
    }
}

/// A publisher that answers makes a better start than an older keyframe.
const REACH: Duration = Duration::from_secs(1);

/// Where no keyframe can be had, a joiner catches up from one that is up to this old: of a GOP of 4 s
/// nobody waits longer than 400 ms for the next one, and has 100 ms left to decode it.
const GOP_REACH: Duration = Duration::from_millis(3600);

/// How long a joiner waits to see whether a publisher answers.
const PATIENCE: Duration = Duration::from_millis(250);

const SEEN_WORDS: usize = 16;
const SEEN_SPAN: i64 = SEEN_WORDS as i64 * 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_number_is_taken_once() {
        let mut seen = Seen::default();
        for seq in [5, 6, 9, 7] {
            assert_eq!(seen.insert(seq), Ok(()));
        }
        for seq in [5, 6, 9, 7] {
            assert_eq!(seen.insert(seq), Err(Refused::Duplicate));
        }
        assert_eq!(seen.insert(8), Ok(()));
        assert_eq!(seen.insert(9 + 1024), Ok(()));
        assert_eq!(seen.insert(9), Err(Refused::TooOld));
        assert_eq!(seen.insert(10), Ok(()));
        assert_eq!(seen.insert(10), Err(Refused::Duplicate));
    }
}
