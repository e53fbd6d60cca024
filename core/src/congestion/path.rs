//! A path that tells from feedback how a viewer's network takes what is sent to it.
//!
//! Three things tell that it is too much: packets are lost, packets take longer and longer, and less
//! arrives than is sent. Delay is counted from the quickest packet of the last seconds, so the clocks
//! of both ends need not agree.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// What feedback has told of one viewer's network.
#[derive(Debug, Default)]
pub struct Path {
    epoch: Option<Instant>,
    arrivals: VecDeque<Arrival>,
    quickest: Quickest,
    losses: Losses,
    heard: Option<Instant>,
    /// Since when the queue has been long.
    long_since: Option<Instant>,
}

/// How the network takes what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// Nothing was heard of it lately.
    Silent,
    /// It carries it.
    Clear,
    /// It may or may not carry it: packets are lost, or a queue has grown.
    Strained,
    /// It does not carry it.
    Overloaded {
        /// What arrived instead, in bits per second; 0 if that is not known.
        delivered_bps: u64,
    },
}

/// Packets that arrived together.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    /// When the last of them was sent, in microseconds since the epoch.
    sent_us: i64,
    /// When the first and the last of them arrived, by the receiver's clock.
    first_us: i64,
    last_us: i64,
    /// The least time that one of them took, by the difference of both clocks.
    delay_us: i64,
    bytes: u32,
}

/// The least delay of the last ten to twenty seconds.
#[derive(Debug, Default)]
struct Quickest {
    since_us: i64,
    now_us: Option<i64>,
    before_us: Option<i64>,
}

/// Packets and losses by the time they were sent.
#[derive(Debug, Default)]
struct Losses {
    slots: VecDeque<LossSlot>,
}

#[derive(Clone, Copy, Debug)]
struct LossSlot {
    index: i64,
    packets: u32,
    lost: u32,
}

/// The queue before the narrowest link.
#[derive(Clone, Copy, Debug)]
struct Queue {
    length_us: i64,
    falling: bool,
}

// === impl Path ===

impl Path {
    /// A packet arrived, at a time of the receiver's clock; `found` if it was given up before.
    pub fn acknowledge(
        &mut self,
        now: Instant,
        sent: Instant,
        arrived_us: i64,
        bytes: usize,
        found: bool,
    ) {
        let sent_us = self.micros(sent);
        let delay_us = arrived_us - sent_us;
        if self.quickest.get().is_some_and(|quickest| (delay_us - quickest).abs() > OTHER_CLOCK_US)
        {
            // The receiver's clock was set, or has wrapped.
            self.arrivals.clear();
            self.quickest = Quickest::default();
        }
        self.heard = Some(now);
        self.quickest.note(arrived_us, delay_us);
        self.losses.note(sent_us, if found { Fate::Found } else { Fate::Arrived });
        let bytes = bytes as u32;
        if let Some(last) = self.arrivals.back_mut()
            && arrived_us - last.first_us < TOGETHER_US
        {
            last.sent_us = last.sent_us.max(sent_us);
            last.last_us = last.last_us.max(arrived_us);
            last.delay_us = last.delay_us.min(delay_us);
            last.bytes += bytes;
            return;
        }
        if self.arrivals.len() == MAX_ARRIVALS {
            self.arrivals.pop_front();
        }
        let (first_us, last_us) = (arrived_us, arrived_us);
        self.arrivals.push_back(Arrival { sent_us, first_us, last_us, delay_us, bytes });
    }

    /// A packet did not arrive.
    pub fn lose(&mut self, now: Instant, sent: Instant) {
        let sent_us = self.micros(sent);
        self.heard = Some(now);
        self.losses.note(sent_us, Fate::Lost);
    }

    /// How the network takes what was sent since a time, which should be so much.
    pub fn judge(&mut self, now: Instant, since: Instant, demand_bps: u64) -> Sign {
        if self.heard.is_none_or(|heard| now.saturating_duration_since(heard) > SILENCE) {
            self.long_since = None;
            return Sign::Silent;
        }
        let since_us = self.micros(since);
        let now_us = self.micros(now);
        for window_us in LOSS_WINDOWS_US {
            let (packets, lost, spread) = self.losses.count((now_us - window_us).max(since_us));
            // A keyframe that overflows a short queue once is no overload.
            if spread >= MIN_SPREAD && is_too_much(packets, lost) {
                return Sign::Overloaded { delivered_bps: self.delivered_bps(since_us, false) };
            }
        }
        let Some(queue) = self.queue(since_us) else { return Sign::Clear };
        let is_long = queue.length_us >= VERY_LONG_US && !queue.falling;
        self.long_since = if is_long { self.long_since.or(Some(now)) } else { None };
        if queue.length_us >= LONG_US && !queue.falling {
            let delivered_bps = self.delivered_bps(since_us, true);
            let too_little = delivered_bps > 0 && delivered_bps < demand_bps / 100 * ENOUGH_PERCENT;
            let for_long = self
                .long_since
                .is_some_and(|since| now.saturating_duration_since(since) >= LONG_ENOUGH);
            if too_little || for_long {
                return Sign::Overloaded { delivered_bps };
            }
        }
        let (packets, lost, _) = self.losses.count((now_us - LOSS_WINDOWS_US[1]).max(since_us));
        if queue.length_us >= CLEAR_US || packets > 0 && lost * 10 > packets {
            return Sign::Strained;
        }
        Sign::Clear
    }

    /// What arrived lately of what was sent since a time; of a queue only, if it is to tell how fast
    /// that is emptied.
    fn delivered_bps(&self, since_us: i64, queued: bool) -> u64 {
        let (Some(quickest), Some(newest)) = (self.quickest.get(), self.arrivals.back()) else {
            return 0;
        };
        let (mut bytes, mut start_us) = (0, newest.last_us);
        for arrival in self.arrivals.iter().rev() {
            start_us = arrival.last_us;
            let is_short = queued && arrival.delay_us - quickest < QUEUED_US;
            let is_old = newest.last_us - arrival.last_us > DELIVERY_WINDOW_US;
            if is_short || is_old || arrival.sent_us < since_us {
                break;
            }
            bytes += u64::from(arrival.bytes);
        }
        let took_us = (newest.last_us - start_us) as u64;
        if took_us < MIN_DELIVERY_US {
            return 0;
        }
        bytes * 8 * 1_000_000 / took_us
    }

    fn queue(&self, since_us: i64) -> Option<Queue> {
        let quickest = self.quickest.get()?;
        let newest = self.arrivals.back()?;
        let judged = || self.arrivals.iter().rev().filter(|it| it.sent_us >= since_us);
        if judged().nth(FEW - 1).is_none() {
            return None;
        }
        let now_us = judged().take(FEW).map(|it| it.delay_us).min()?;
        let earlier = judged().filter(|it| it.first_us <= newest.last_us - TREND_US);
        let before_us = earlier.take(FEW).map(|it| it.delay_us).min().unwrap_or(quickest);
        Some(Queue { length_us: now_us - quickest, falling: now_us + FALL_US < before_us })
    }

    fn micros(&mut self, at: Instant) -> i64 {
        // Packets that were sent before the first one told of stand before the epoch.
        let epoch = *self.epoch.get_or_insert(at);
        match at.checked_duration_since(epoch) {
            Some(after) => after.as_micros() as i64,
            None => -(epoch.saturating_duration_since(at).as_micros() as i64),
        }
    }
}

// === impl Quickest ===

impl Quickest {
    fn get(&self) -> Option<i64> {
        self.now_us.into_iter().chain(self.before_us).min()
    }

    fn note(&mut self, arrived_us: i64, delay_us: i64) {
        if arrived_us - self.since_us > QUICKEST_WINDOW_US || self.now_us.is_none() {
            self.before_us = self.now_us.take();
            self.since_us = arrived_us;
        }
        self.now_us = Some(self.now_us.map_or(delay_us, |least| least.min(delay_us)));
    }
}

// === impl Losses ===

enum Fate {
    Arrived,
    Lost,
    /// Counted as lost, and arrived after all.
    Found,
}

impl Losses {
    fn note(&mut self, sent_us: i64, fate: Fate) {
        let index = sent_us.div_euclid(LOSS_SLOT_US);
        let newest = self.slots.back().map(|slot| slot.index);
        if newest.is_none_or(|newest| newest < index) {
            if self.slots.len() == MAX_LOSS_SLOTS {
                self.slots.pop_front();
            }
            self.slots.push_back(LossSlot { index, packets: 0, lost: 0 });
        }
        let Some(slot) = self.slots.iter_mut().rev().find(|slot| slot.index == index) else {
            return;
        };
        match fate {
            Fate::Arrived => slot.packets += 1,
            Fate::Lost => (slot.packets, slot.lost) = (slot.packets + 1, slot.lost + 1),
            Fate::Found => slot.lost = slot.lost.saturating_sub(1),
        }
    }

    /// Packets sent since a time, how many of them were lost, and in how many slots.
    fn count(&self, since_us: i64) -> (u32, u32, u32) {
        let first = since_us.div_euclid(LOSS_SLOT_US);
        let slots = self.slots.iter().rev().take_while(|slot| slot.index >= first);
        slots.fold((0, 0, 0), |(packets, lost, spread), slot| {
            (packets + slot.packets, lost + slot.lost, spread + u32::from(slot.lost > 0))
        })
    }
}

/// Whether more than a tenth was lost, and not by chance: two standard deviations above it.
pub(super) fn is_too_much(packets: u32, lost: u32) -> bool {
    let tenth = f64::from(packets) * MAX_LOSS;
    packets >= MIN_PACKETS && f64::from(lost) > tenth + 2.0 * (tenth * (1.0 - MAX_LOSS)).sqrt()
}

/// The share of packets that may be lost.
const MAX_LOSS: f64 = 0.1;
const MIN_PACKETS: u32 = 20;
/// Slots of a tenth of a second in which something was lost.
const MIN_SPREAD: u32 = 3;

/// A heavy loss shows within the first, one close to what may be lost within the second.
const LOSS_WINDOWS_US: [i64; 2] = [1_000_000, 3_000_000];
const LOSS_SLOT_US: i64 = 100_000;
const MAX_LOSS_SLOTS: usize = 32;

/// What arrives within this time has come together: a frame, mostly.
const TOGETHER_US: i64 = 5_000;
/// A little more than half a second of single packets.
const MAX_ARRIVALS: usize = 128;

/// Arrivals that have to agree before a queue is believed: one late packet is none.
const FEW: usize = 3;
/// The queue is compared with what it was this long ago.
const TREND_US: i64 = 200_000;
const FALL_US: i64 = 10_000;

/// Shorter queues come and go with keyframes and radio.
const LONG_US: i64 = 120_000;
/// A queue as long as this that does not become shorter is too much, whatever arrives.
const VERY_LONG_US: i64 = 400_000;
const LONG_ENOUGH: Duration = Duration::from_millis(600);
/// Above this the path is not clear.
const CLEAR_US: i64 = 80_000;
/// A packet that took so much longer than the quickest has waited in a queue.
const QUEUED_US: i64 = 20_000;

const QUICKEST_WINDOW_US: i64 = 10_000_000;
const OTHER_CLOCK_US: i64 = 60_000_000;

/// What a layer needs is measured over a second and never exactly what is sent.
const ENOUGH_PERCENT: u64 = 95;
const DELIVERY_WINDOW_US: i64 = 500_000;
const MIN_DELIVERY_US: u64 = 60_000;

/// Feedback comes every 50 to 250 ms.
const SILENCE: Duration = Duration::from_millis(1500);

#[cfg(test)]
mod tests;
