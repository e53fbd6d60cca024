//! An allocator that decides which step of a ladder one viewer's network is given.
//!
//! Down at once when the network does not carry the present step; up, one step at a time, after ten
//! clean seconds. The step up is the probe: it fails or it stays. After a failure the next try waits
//! twice as long, up to a minute, until one succeeds.

use std::time::{Duration, Instant};

use super::path::{Path, Sign, is_too_much};

/// One choice and what it costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<T> {
    /// The choice.
    pub target: T,
    /// Bits per second; 0 while that is not known.
    pub bitrate_bps: u64,
}

/// What is given from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// The highest step; `None` for whatever is highest.
    pub ceiling: Option<T>,
    /// Whether what is sent now overloads the network and should stop.
    pub at_once: Option<Overload>,
}

/// What a network is left with that does not carry what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overload {
    /// How long what is on its way keeps it busy.
    pub backlog: Duration,
    /// Whether it carries twice what is given from now on, so that what was lost can be sent again.
    pub has_room: bool,
}

/// The allocator of one viewer.
#[derive(Debug)]
pub struct Allocator<T> {
    path: Path,
    report: Option<Report>,
    ceiling: Option<T>,
    /// Since when the present step is forwarded.
    since: Option<Instant>,
    clean_since: Option<Instant>,
    patience: Duration,
    /// Whether the last change was one down.
    went_down: bool,
    /// Where to go back to while a try may fail.
    trial: Option<T>,
}

/// What the last receiver reports told.
#[derive(Clone, Copy, Debug)]
struct Report {
    at: Instant,
    highest_seq: u32,
    too_much: bool,
    clear: bool,
}

// === impl Allocator ===

impl<T> Default for Allocator<T> {
    fn default() -> Self {
        Self {
            path: Path::default(),
            report: None,
            ceiling: None,
            since: None,
            clean_since: None,
            patience: PATIENCE,
            trial: None,
            went_down: false,
        }
    }
}

impl<T: Copy + PartialEq> Allocator<T> {
    /// What transport-wide feedback tells.
    pub fn path_mut(&mut self) -> &mut Path {
        &mut self.path
    }

    /// Takes in a receiver report: the share lost since the last one, in 1/256, and the highest
    /// sequence number. It counts where no transport-wide feedback comes.
    pub fn handle_report(&mut self, now: Instant, fraction_lost: u8, highest_seq: u32) {
        let before = self.report.map_or(highest_seq, |report| report.highest_seq);
        let packets = highest_seq.wrapping_sub(before).min(MAX_REPORTED);
        let lost = packets * u32::from(fraction_lost) / 256;
        self.report = Some(Report {
            at: now,
            highest_seq,
            too_much: is_too_much(packets, lost),
            clear: packets > 0 && lost * 10 <= packets,
        });
    }

    /// The highest step that is given; `None` for whatever is highest.
    pub fn ceiling(&self) -> Option<T> {
        self.ceiling
    }

    /// Decides anew, given the steps there are, least first, and the one that is forwarded since a
    /// time.
    pub fn decide(
        &mut self,
        now: Instant,
        ladder: &[Step<T>],
        (forwarded, since): (T, Instant),
    ) -> Option<Change<T>> {
        let place = |target: T| ladder.iter().position(|step| step.target == target);
        let top = ladder.len().checked_sub(1)?;
        let here = place(forwarded)?;
        let wanted = self.ceiling.and_then(place).unwrap_or(top);
        if self.since.replace(since) != Some(since) {
            self.clean_since = None;
        }
        if wanted < here {
            // It was decided, and waits for a keyframe.
            return None;
        }
        match self.judge(now, since, ladder[here].bitrate_bps) {
            Sign::Overloaded { delivered_bps } => {
                self.clean_since = None;
                let back = self.trial.take();
                if back.is_some() {
                    self.patience = (self.patience * 2).min(MAX_PATIENCE);
                }
                let lower =
                    back.and_then(place).filter(|index| *index < here).unwrap_or_else(|| {
                        let fits = |step: &Step<T>| {
                            delivered_bps == 0 || step.bitrate_bps <= delivered_bps / 10 * 9
                        };
                        ladder[..here].iter().rposition(fits).unwrap_or(0)
                    });
                let target = ladder[lower].target;
                let is_news = lower < wanted;
                self.ceiling = Some(target).filter(|_| lower < top);
                self.went_down = true;
                let has_room = ladder[lower].bitrate_bps * 2 <= delivered_bps;
                let at_once =
                    (lower < here).then(|| Overload { backlog: self.path.backlog(now), has_room });
                is_news.then_some(Change { ceiling: self.ceiling, at_once })
            }
            Sign::Strained | Sign::Silent => {
                self.clean_since = None;
                None
            }
            Sign::Clear => self.climb(now, ladder, (here, wanted), since),
        }
    }

    fn climb(
        &mut self,
        now: Instant,
        ladder: &[Step<T>],
        (here, wanted): (usize, usize),
        since: Instant,
    ) -> Option<Change<T>> {
        let clean = now.saturating_duration_since(*self.clean_since.get_or_insert(now));
        let has_lasted = now.saturating_duration_since(since) >= TRIAL;
        if self.trial.is_some_and(|from| from != ladder[here].target) && has_lasted {
            (self.trial, self.patience) = (None, PATIENCE);
        }
        let next = here + 1;
        if wanted > here || next >= ladder.len() || clean < self.patience {
            return None;
        }
        self.trial = Some(ladder[here].target);
        self.went_down = false;
        self.clean_since = None;
        self.ceiling = Some(ladder[next].target).filter(|_| next + 1 < ladder.len());
        Some(Change { ceiling: self.ceiling, at_once: None })
    }

    fn judge(&mut self, now: Instant, since: Instant, demand_bps: u64) -> Sign {
        // A step that was gone back to begins in a queue of what was too much.
        let judged_from = if self.went_down { since + SETTLING } else { since };
        match self.path.judge(now, judged_from, demand_bps, self.trial.is_none()) {
            Sign::Silent => {}
            sign @ (Sign::Clear | Sign::Strained | Sign::Overloaded { .. }) => return sign,
        }
        let Some(report) = self.report else { return Sign::Silent };
        // It speaks of the second before it, and of what was sent a round trip earlier.
        let speaks_of_this = report.at >= since + REPORT_SPAN;
        let is_fresh = now.saturating_duration_since(report.at) < REPORT_SPAN;
        match (speaks_of_this && is_fresh, report.too_much, report.clear) {
            (false, _, _) => Sign::Silent,
            (true, true, _) => Sign::Overloaded { delivered_bps: 0 },
            (true, false, true) => Sign::Clear,
            (true, false, false) => Sign::Strained,
        }
    }
}

/// This long a network has to be clean before more is tried.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest wait after tries that failed.
const MAX_PATIENCE: Duration = Duration::from_secs(60);

/// A try that has lasted so long has not failed.
const TRIAL: Duration = Duration::from_secs(15);

/// A network needs this long to empty its queue of what was too much.
const SETTLING: Duration = Duration::from_millis(500);

/// Reports come every second, or every few.
const REPORT_SPAN: Duration = Duration::from_millis(1500);

/// More packets than this between two reports are a jump of numbers.
const MAX_REPORTED: u32 = 20_000;

#[cfg(test)]
mod tests;
