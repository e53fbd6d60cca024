//! A selector that decides, frame by frame, what of a scalable layer a viewer gets.
//!
//! A frame is sent if it lies within the viewer's limits and everything it needs was sent. Going down
//! takes effect with the next picture. Temporal layers come back with the first frame that needs
//! nothing left out; spatial ones too, which is mostly a keyframe: the selector says when it waits
//! for one. What was decided of a frame holds for all its packets, whenever they come.

use crate::media::frame_info::{FrameInfo, Needs};
use crate::media::{Arrived, Unwrapper32};

/// How much of a scalable layer is sent at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Parts {
    /// The highest spatial layer.
    pub spatial: u8,
    /// The highest temporal layer.
    pub temporal: u8,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent.
    Send {
        /// Whether it is the last of what is sent of its picture.
        marker: bool,
    },
    /// It is left out.
    LeaveOut {
        /// Whether all that is missing between it and the packet before it is left out too.
        all_between: bool,
    },
}

/// The selector of one viewer and one layer's source.
#[derive(Debug)]
pub struct Selector {
    numbers: Unwrapper32,
    frames: Memory,
    /// Up to this timestamp all was sent before there was a selector.
    whole_until: i64,
    /// Since which frame nothing is left out.
    whole_since: Option<i64>,
    /// The limits of the picture at hand.
    limits: Parts,
    /// The highest spatial layer that goes out, and what it was before the last change.
    spatial: u8,
    spatial_before: u8,
    changed_at: i64,
    /// The highest spatial layer of the newest picture, while nothing of that is sent.
    ahead: Option<u8>,
    /// The highest temporal layer that goes out where needs are implied.
    temporal: u8,
    newest_picture: Option<i64>,
    /// The packet with the highest sequence number: that, its frame, and whether it was left out.
    newest: Option<(i64, i64, bool)>,
    waits: bool,
}

/// What was decided of the latest frames, by their numbers.
#[derive(Debug)]
struct Memory {
    highest: Option<i64>,
    fates: [Fate; MEMORY],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Unseen,
    LeftOut,
    /// Sent, and whether its last packet ends the picture.
    Sent {
        last: bool,
    },
}

// === impl Parts ===

impl Parts {
    /// No limits.
    pub const ALL: Self = Self { spatial: u8::MAX, temporal: u8::MAX };

    /// The stricter of two limits.
    pub fn min(self, other: Self) -> Self {
        Self {
            spatial: self.spatial.min(other.spatial),
            temporal: self.temporal.min(other.temporal),
        }
    }
}

impl Default for Parts {
    fn default() -> Self {
        Self::ALL
    }
}

// === impl Selector ===

impl Selector {
    /// A selector for a source of which everything up to a timestamp was sent.
    pub fn new(whole_until: i64) -> Self {
        Self {
            numbers: Unwrapper32::default(),
            frames: Memory { highest: None, fates: [Fate::Unseen; MEMORY] },
            whole_until,
            whole_since: None,
            limits: Parts::ALL,
            spatial: u8::MAX,
            spatial_before: u8::MAX,
            changed_at: i64::MIN,
            ahead: None,
            temporal: u8::MAX,
            newest_picture: Some(whole_until),
            newest: None,
            waits: false,
        }
    }

    /// Decides a packet of the source under the viewer's present limits.
    pub fn judge(&mut self, arrived: &Arrived, limits: Parts) -> Verdict {
        let whole = Verdict::Send { marker: arrived.packet.marker };
        let Some(frame) = arrived.info.frame else { return whole };
        let number = self.numbers.extend(frame.number);
        if arrived.timestamp <= self.whole_until {
            self.frames.set(number, Fate::Sent { last: false });
        }
        let fate = match self.frames.get(number) {
            Fate::Unseen if frame.needs == Needs::Unknown => return whole,
            Fate::Unseen => {
                let fate = self.decide(arrived, &frame, number, limits);
                self.frames.set(number, fate);
                fate
            }
            known @ (Fate::LeftOut | Fate::Sent { .. }) => known,
        };
        let left_out = fate == Fate::LeftOut;
        let before = self.newest.filter(|(seq, ..)| *seq < arrived.seq);
        if self.newest.is_none_or(|(seq, ..)| seq < arrived.seq) {
            self.newest = Some((arrived.seq, number, left_out));
        }
        match fate {
            Fate::Sent { last } => {
                Verdict::Send { marker: arrived.packet.marker || last && frame.ends }
            }
            Fate::LeftOut | Fate::Unseen => Verdict::LeaveOut {
                // Nothing lies between two packets of one frame, or of two that follow each other,
                // but packets of these.
                all_between: before
                    .is_some_and(|(_, of, left_out)| left_out && number - of <= 1 && number >= of),
            },
        }
    }

    /// Whether a spatial layer within the limits waits for a keyframe.
    pub fn waits_for_keyframe(&self) -> bool {
        self.waits
    }

    /// Whether everything is sent again, and what was left out is so long past that it does not come
    /// any more.
    pub fn is_idle(&self) -> bool {
        let newest = self.frames.highest;
        self.whole_since.zip(newest).is_some_and(|(since, newest)| newest - since > FORGET_AFTER)
    }

    fn decide(&mut self, arrived: &Arrived, frame: &FrameInfo, number: i64, limits: Parts) -> Fate {
        let (spatial, temporal) = (arrived.info.spatial, arrived.info.temporal);
        let at = arrived.timestamp;
        if self.newest_picture.is_none_or(|newest| at > newest) {
            self.newest_picture = Some(at);
            self.limits = limits;
            let is_key = frame.needs == Needs::NOTHING && spatial == 0 || arrived.info.keyframe;
            if limits != Parts::ALL {
                self.whole_since = None;
            } else if is_key {
                self.whole_since = Some(number);
            }
            if is_key {
                (self.temporal, self.waits) = (limits.temporal, false);
                self.ahead = Some(limits.spatial);
            } else {
                let spatial = self.spatial.min(limits.spatial);
                self.temporal = self.temporal.min(limits.temporal);
                self.waits &= spatial < limits.spatial;
                self.ahead = Some(spatial);
            }
        }
        let ahead = self.ahead.filter(|_| self.newest_picture == Some(at));
        let flows = match ahead {
            Some(spatial) => spatial,
            None if at < self.changed_at => self.spatial_before,
            None => self.spatial,
        };
        if spatial > self.limits.spatial || temporal > self.limits.temporal {
            return Fate::LeftOut;
        }
        let met = match frame.needs {
            Needs::Unknown => true,
            Needs::Implied { joins, opens } => {
                self.follow(spatial <= flows, temporal, joins, opens)
            }
            Needs::Listed(back) => {
                back.iter().take_while(|back| **back != 0).all(|back| {
                    match self.frames.get(number - i64::from(*back)) {
                        Fate::Sent { .. } => true,
                        Fate::LeftOut => false,
                        // What is lost on its way to us comes again. Higher layers do not begin on
                        // that hope.
                        Fate::Unseen => spatial <= flows,
                    }
                })
            }
        };
        if !met {
            // A temporal layer takes up again by itself.
            if spatial > flows {
                self.waits = true;
            } else if spatial > 0 && self.is_broken(frame, number) {
                self.waits = true;
                self.go_out(self.spatial.min(spatial - 1), at);
            }
            return Fate::LeftOut;
        }
        if let Some(spatial) = ahead {
            self.go_out(spatial, at);
            self.ahead = None;
        }
        if spatial > flows {
            self.go_out(spatial, at);
            self.waits = spatial < self.limits.spatial && self.waits;
        }
        let flows = flows.max(spatial);
        Fate::Sent { last: spatial == flows }
    }

    /// Whether a frame cannot be sent though the one below it in its picture was.
    fn is_broken(&self, frame: &FrameInfo, number: i64) -> bool {
        match frame.needs {
            Needs::Listed(back) => {
                back.contains(&1) && matches!(self.frames.get(number - 1), Fate::Sent { .. })
            }
            Needs::Implied { .. } | Needs::Unknown => false,
        }
    }

    fn follow(&mut self, flows: bool, temporal: u8, joins: bool, opens: bool) -> bool {
        if joins {
            self.temporal = self.temporal.max(temporal);
        }
        let met = flows && temporal <= self.temporal;
        if met && opens {
            self.temporal = self.limits.temporal;
        }
        met
    }

    fn go_out(&mut self, spatial: u8, at: i64) {
        if spatial != self.spatial {
            (self.spatial_before, self.spatial) = (self.spatial, spatial);
            self.changed_at = at;
        }
    }
}

// === impl Memory ===

impl Memory {
    fn get(&self, number: i64) -> Fate {
        let known = self
            .highest
            .is_some_and(|highest| (highest - MEMORY as i64 + 1..=highest).contains(&number));
        if known { self.fates[Self::place(number)] } else { Fate::Unseen }
    }

    fn set(&mut self, number: i64, fate: Fate) {
        let highest = *self.highest.get_or_insert(number - 1);
        if number <= highest - MEMORY as i64 {
            return;
        }
        for new in (highest + 1).max(number - MEMORY as i64 + 1)..=number {
            self.fates[Self::place(new)] = Fate::Unseen;
        }
        self.fates[Self::place(number)] = fate;
        self.highest = Some(highest.max(number));
    }

    fn place(number: i64) -> usize {
        number.rem_euclid(MEMORY as i64) as usize
    }
}

/// How many frames after the last one left out a selector goes.
const FORGET_AFTER: i64 = MEMORY as i64 / 2;

/// Frame numbers remembered. VP9 uses eight a picture.
const MEMORY: usize = 512;

#[cfg(test)]
mod tests;
