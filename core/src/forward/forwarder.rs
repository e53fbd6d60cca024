//! A forwarder that decides which packets of a track one viewer gets.
//!
//! It follows one layer with a cursor, changes to another on that layer's keyframe once the frame in
//! hand is complete, and lets a joiner catch up from the ring's last keyframe.

use std::time::{Duration, Instant};

use super::left::Left;
use super::munger::{Munger, Rewrite, Start};
use super::selector::{Parts, Selector, Verdict};
use super::sent::SentMap;
use super::target::Target;
use crate::media::{Arrived, Kind, Rid};

/// What a forwarder sees of a track.
pub trait Layers {
    /// Counts the publishers that this track had: layers of another generation have other clocks.
    fn generation(&self) -> u32;
    /// The highest layer that arrives now.
    fn best(&self) -> Option<u8>;
    /// Whether a layer arrives now.
    fn is_active(&self, layer: u8) -> bool;
    /// The layer of a rid, and whether it arrives now.
    fn find(&self, rid: &Rid) -> Option<(u8, bool)>;
    /// The packet at a position of a layer's ring.
    fn packet(&self, layer: u8, position: u64) -> Option<&Arrived>;
    /// The oldest and the next position of a layer's ring.
    fn bounds(&self, layer: u8) -> Option<(u64, u64)>;
    /// Counts the sources that a layer had: each has numbers and a clock of its own.
    fn era(&self, layer: u8) -> u32;
    /// Where the latest keyframe of a layer starts.
    fn keyframe(&self, layer: u8) -> Option<u64>;
    /// How old a keyframe of a layer may be to start from it.
    fn reach(&self, layer: u8, now: Instant) -> Duration;
    /// Ticks from a layer's clock to the track's common timeline, at `now` if it has to be guessed.
    fn shift(&self, layer: u8, now: Instant) -> i64;
}

/// Which layer a viewer asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wish {
    /// The highest that arrives, within the [limit](Forwarder::limit).
    #[default]
    Highest,
    /// This one; the highest while it does not arrive.
    Rid(Rid),
}

/// A packet to send and how.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    /// Its layer.
    pub layer: u8,
    /// Its place in the layer's ring.
    pub position: u64,
    /// The numbers it leaves with.
    pub rewrite: Rewrite,
    /// Whether it came while the viewer followed its layer, and nothing older was still to be sent.
    pub live: bool,
}

/// What a forwarder lacks after planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// A keyframe of this layer.
    Keyframe(u8),
}

/// The forwarder of one viewer and track.
#[derive(Debug)]
pub struct Forwarder {
    kind: Kind,
    clock_rate: u32,
    wish: Wish,
    limit: Option<Target>,
    /// A pause of a layer that the network does not carry.
    hold: Option<Hold>,
    /// What was left because the network does not carry it.
    left: Option<Left>,
    source: Option<Source>,
    /// When a viewer that could not decode what it got was last given it once more.
    again: Option<Instant>,
    munger: Munger,
    due: Option<Instant>,
    /// How much of a scalable layer the viewer asked for.
    parts: Parts,
    /// Whether the viewer can tell the parts of a scalable layer apart.
    takes_parts: bool,
    /// There while not everything of the source is sent.
    selector: Option<Box<Selector>>,
    /// What was sent, for retransmission.
    pub sent: SentMap,
    counters: Counters,
}

/// Totals of one forwarder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Layer changes.
    pub switches: u64,
    /// Beginnings once more.
    pub again: u64,
    /// Packets that the ring had already let go when the viewer's turn came.
    pub overrun: u64,
    /// Packets from before the source's start.
    pub before_start: u64,
    /// Packets of scalable layers that were left out.
    pub left_out: u64,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    generation: u32,
    layer: u8,
    since: Instant,
    era: u32,
    cursor: u64,
    /// The ring's end when it was taken up.
    live_from: u64,
    /// The newest timestamp of a packet sent; before the first one a time long ago.
    newest: i64,
    /// Timestamp of the last packet sent, and whether its frame is complete.
    frame_open: Option<(i64, Instant)>,
    catch_up: Option<CatchUp>,
}

/// Nothing is begun until a keyframe comes, and none is asked for before a time.
#[derive(Clone, Copy, Debug)]
struct Hold {
    from: Instant,
    until: Instant,
}

/// A joiner on its way through an older GOP.
#[derive(Clone, Copy, Debug)]
struct CatchUp {
    started: Instant,
    first_at: Instant,
}

// === impl Forwarder ===

impl Forwarder {
    /// A forwarder without a source yet; `seed` chooses its first numbers.
    pub fn new(kind: Kind, clock_rate: u32, seed: u64) -> Self {
        Self {
            kind,
            clock_rate,
            wish: Wish::default(),
            limit: None,
            hold: None,
            left: None,
            source: None,
            again: None,
            munger: Munger::new(clock_rate, seed),
            due: None,
            parts: Parts::ALL,
            takes_parts: true,
            selector: None,
            sent: SentMap::default(),
            counters: Counters::default(),
        }
    }

    /// Chooses another layer. It changes when that layer's keyframe comes.
    pub fn choose(&mut self, wish: Wish) {
        self.wish = wish;
        self.hold = None;
    }

    /// Whether the viewer leaves the choice to us. One who asked for fewer frames only still does.
    pub fn is_automatic(&self) -> bool {
        self.wish == Wish::Highest && self.parts.spatial == Target::ALL
    }

    /// Sets the most that is sent while the viewer leaves the choice to us; `None` is no limit.
    pub fn limit(&mut self, now: Instant, limit: Option<Target>) {
        let before = self.carried();
        (self.limit, self.hold, self.left) = (limit, None, None);
        let is_changed = self.carried() != before;
        if let Some(source) = self.source.as_mut().filter(|_| is_changed) {
            source.since = now;
        }
    }

    /// As [`Self::limit`], for a network that does not carry what is sent now and is busy with it for
    /// a while: of the present layer no new frame is begun. The other's keyframe is asked for when it
    /// finds the network free.
    ///
    /// Where that does not come in time, the layer goes on where it stopped.
    pub fn limit_at_once(&mut self, now: Instant, limit: Option<Target>, busy: Duration) {
        if let Some(kept) = limit.filter(|limit| self.layer() == Some(limit.layer)) {
            // Less of the same layer needs no keyframe, unless something of it is lost.
            self.limit(now, limit);
            self.left = Some(Left::above(now, kept));
            return;
        }
        self.limit = limit;
        self.hold = Some(Hold::while_busy(now, busy));
        self.left = self.layer().map(Left::Layer);
    }

    /// The network has room for sending again what it lost of a layer that goes on.
    pub fn keep_left(&mut self) {
        self.left.take_if(|left| matches!(left, Left::Above { .. }));
    }

    /// Whether packets of a layer's spatial layer are not worth sending again: the network does not
    /// carry them, and a keyframe will make them needless.
    pub fn has_left(&self, now: Instant, layer: u8, spatial: u8) -> bool {
        self.left.is_some_and(|left| match left {
            Left::Layer(_) if !self.is_holding(now) && self.layer() == Some(layer) => false,
            Left::Layer(_) | Left::Above { .. } => left.covers(layer, spatial),
        })
    }

    /// The viewer needs a keyframe. If it lacks something of what was left, nothing more is sent before
    /// that, and it is asked for when the network is free. Says whether it is so.
    pub fn puts_off_keyframe(&mut self, now: Instant, busy: Duration) -> bool {
        let Some(left) = self.left.filter(|left| left.explains(now)) else { return false };
        if left.is_settled(now) && !self.is_holding(now) {
            self.hold = Some(Hold::while_busy(now, busy));
        }
        true
    }

    /// Chooses how much of a scalable layer to send at most. Less is sent from the next picture on.
    pub fn restrict(&mut self, parts: Parts) {
        self.parts = parts;
    }

    /// Tells whether the viewer understands the parts of a scalable layer; else it gets the smallest
    /// size of every layer, and all of that.
    pub fn take_parts(&mut self, takes_parts: bool) {
        self.takes_parts = takes_parts;
    }

    /// The layer that is forwarded now.
    pub fn layer(&self) -> Option<u8> {
        self.source.map(|source| source.layer)
    }

    /// Since when that is.
    pub fn layer_since(&self) -> Option<Instant> {
        self.source.map(|source| source.since)
    }

    /// The generation of the track that is forwarded now.
    pub fn generation(&self) -> Option<u32> {
        self.source.map(|source| source.generation)
    }

    /// The rewriting state.
    pub fn munger(&self) -> &Munger {
        &self.munger
    }

    /// Totals.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// When planning again is worth while even if no packet arrives until then.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether that time has come. It comes once.
    pub fn takes_due(&mut self, now: Instant) -> bool {
        self.due.take_if(|due| *due <= now).is_some()
    }

    /// What the viewer is allowed now; it may have asked for less.
    pub fn forwarded(&self) -> Option<Target> {
        let Parts { spatial, temporal } = self.carried();
        Some(Target { layer: self.layer()?, spatial, temporal })
    }

    /// Whether the viewer can tell the parts of a scalable layer apart.
    pub fn takes_parts(&self) -> bool {
        self.takes_parts
    }

    /// How much of its layer the viewer gets now: what it asked for, what its network carries.
    fn limits(&self) -> Parts {
        if !self.takes_parts {
            return Parts { spatial: 0, ..Parts::ALL };
        }
        let Parts { spatial, temporal } = self.carried();
        Parts {
            spatial: self.parts.spatial.min(spatial),
            temporal: self.parts.temporal.min(temporal),
        }
    }

    /// How much of its layer the viewer's network carries.
    fn carried(&self) -> Parts {
        self.limit
            .filter(|limit| self.is_automatic() && self.layer() == Some(limit.layer))
            .filter(|_| self.takes_parts)
            .map_or(Parts::ALL, |limit| Parts { spatial: limit.spatial, temporal: limit.temporal })
    }

    /// Begins once more with the latest keyframe of the layer, for a viewer that cannot decode what
    /// came of it, and tells whether it does so: within the layer's reach, once a second at most.
    ///
    /// Everything has new numbers, and stands behind what was sent.
    pub fn start_again(&mut self, now: Instant, track: &impl Layers) -> bool {
        let Some(source) = self.source.filter(|source| source.is_of(track)) else { return false };
        let is_early = self.again.is_some_and(|at| now.saturating_duration_since(at) < AGAIN_AFTER);
        if is_early || self.hold.is_some() || self.target(track) != Some(source.layer) {
            return false;
        }
        let Some(position) = self.entry(now, track, source.layer, false) else { return false };
        let Some(first) = track.packet(source.layer, position) else { return false };
        // A younger one cannot be what the viewer misses.
        if now.saturating_duration_since(first.at) <= LIVE_AGE || position >= source.cursor {
            return false;
        }
        self.again = Some(now);
        self.source = None;
        self.start(now, track, source.layer, position);
        if let Some(started) = &mut self.source {
            started.since = source.since;
        }
        self.counters.again += 1;
        true
    }

    /// Plans up to `budget` packets that are due now into `out` and moves the cursor past them.
    pub fn plan(
        &mut self,
        now: Instant,
        track: &impl Layers,
        budget: usize,
        out: &mut Vec<Planned>,
    ) -> Need {
        let need = match self.follow(now, track) {
            Need::Nothing => self.resume(now, track),
            need @ Need::Keyframe(_) => need,
        };
        self.due = (need != Need::Nothing).then(|| now + ASK_AGAIN);
        let holding = self.is_holding(now);
        let limits = self.limits();
        while out.len() < budget {
            let Some(source) = &mut self.source else { break };
            if !source.is_of(track) {
                // The numbers of what follows are another's: it waits for a keyframe.
                break;
            }
            if let Some(position) = source.shortcut(track) {
                let layer = source.layer;
                self.start(now, track, layer, position);
                continue;
            }
            let Some((start, end)) = track.bounds(source.layer) else { break };
            if source.cursor < start {
                self.counters.overrun += start - source.cursor;
                source.cursor = start;
            }
            if source.cursor >= end {
                source.catch_up = None;
                break;
            }
            let Some(arrived) = track.packet(source.layer, source.cursor) else { break };
            let due =
                source.catch_up.map(|catch_up| catch_up.due(arrived)).filter(|due| *due > now);
            if due.is_some() {
                self.due = due;
                break;
            }
            if holding && source.frame_open.is_none_or(|(open, _)| open < arrived.timestamp) {
                break;
            }
            let planned = match judge(&mut self.selector, source.newest, arrived, limits) {
                Verdict::Send { marker } => {
                    let rewrite = self.munger.rewrite(arrived);
                    self.counters.before_start += u64::from(rewrite.is_none());
                    if rewrite.is_some() {
                        source.newest = source.newest.max(arrived.timestamp);
                        source.frame_open = (!marker).then_some((arrived.timestamp, now));
                    }
                    rewrite.map(|rewrite| Rewrite { marker, ..rewrite })
                }
                Verdict::LeaveOut { all_between } => {
                    self.counters.left_out += 1;
                    self.munger.leave_out(arrived, all_between)
                }
            };
            let (layer, position) = (source.layer, source.cursor);
            let live = position >= source.live_from && source.catch_up.is_none();
            out.extend(planned.map(|rewrite| Planned { layer, position, rewrite, live }));
            source.cursor += 1;
        }
        match (need, &self.source, &self.selector) {
            (Need::Nothing, Some(source), Some(selector)) if selector.waits_for_keyframe() => {
                Need::Keyframe(source.layer)
            }
            _ => need,
        }
    }

    /// Takes up the wished layer when it can be.
    fn follow(&mut self, now: Instant, track: &impl Layers) -> Need {
        if self.hold.is_some_and(|hold| now < hold.from) {
            return Need::Nothing;
        }
        let Some(target) = self.target(track) else { return Need::Nothing };
        let same_track = self.source.filter(|source| source.generation == track.generation());
        match (self.kind, same_track) {
            (_, Some(source)) if source.layer == target && source.is_of(track) => Need::Nothing,
            (Kind::Audio, _) => {
                if let Some((start, end)) = track.bounds(target)
                    && end > start
                {
                    self.start(now, track, target, end - 1);
                }
                Need::Nothing
            }
            (Kind::Video, source) => match self.entry(now, track, target, source.is_some()) {
                None => Need::Keyframe(target),
                Some(_) if source.is_some_and(|it| it.is_of(track) && it.in_frame(now)) => {
                    Need::Nothing
                }
                Some(position) => {
                    self.start(now, track, target, position);
                    Need::Nothing
                }
            },
        }
    }

    /// Goes on with a keyframe of the same layer after what was left of it.
    fn resume(&mut self, now: Instant, track: &impl Layers) -> Need {
        let (Some(source), Some(hold)) = (self.source, self.hold) else { return Need::Nothing };
        let target = self.target(track);
        if target != Some(source.layer) || !(hold.from..hold.until).contains(&now) {
            return Need::Nothing;
        }
        match track.keyframe(source.layer).filter(|position| *position >= source.cursor) {
            None => Need::Keyframe(source.layer),
            Some(_) if source.in_frame(now) => Need::Nothing,
            Some(position) => {
                self.start(now, track, source.layer, position);
                self.left.iter_mut().for_each(|left| left.note_keyframe(now));
                Need::Nothing
            }
        }
    }

    fn target(&self, track: &impl Layers) -> Option<u8> {
        let wished = match &self.wish {
            Wish::Highest => {
                let within = self.limit.map(|limit| limit.layer);
                return within.filter(|layer| track.is_active(*layer)).or_else(|| track.best());
            }
            Wish::Rid(rid) => track.find(rid),
        };
        match wished {
            Some((layer, true)) => Some(layer),
            Some((layer, false)) => track.best().or(Some(layer)),
            None => track.best(),
        }
    }

    fn is_holding(&self, now: Instant) -> bool {
        self.hold.is_some_and(|hold| now < hold.until)
    }

    /// The keyframe at which a layer may be taken up now.
    fn entry(&self, now: Instant, track: &impl Layers, layer: u8, switching: bool) -> Option<u64> {
        let position = track.keyframe(layer)?;
        let first = track.packet(layer, position)?;
        if now.saturating_duration_since(first.at) > track.reach(layer, now) {
            return None;
        }
        if switching {
            // An older keyframe would show the viewer again what it has seen.
            let behind = -self.munger.distance(first.timestamp, track.shift(layer, now))?;
            if behind > i64::from(self.clock_rate) * MAX_BACKWARDS_MS / 1000 {
                return None;
            }
        }
        Some(position)
    }

    fn start(&mut self, now: Instant, track: &impl Layers, layer: u8, position: u64) {
        let Some(first) = track.packet(layer, position) else { return };
        let Some((_, end)) = track.bounds(layer) else { return };
        let generation = track.generation();
        let joining = self.source.is_none_or(|source| source.generation != generation);
        let mut floor = first.seq;
        if self.kind == Kind::Video {
            floor = lowest_seq(track, layer, position..end, first);
        }
        let age = now.saturating_duration_since(first.at);
        let late = self.kind == Kind::Video && joining && age > LIVE_AGE;
        let meet = late.then(|| {
            let behind_us = age.as_micros() as i64 * 4 / 3;
            first.timestamp + behind_us * i64::from(self.clock_rate) / 1_000_000
        });
        let new_timeline = self.source.is_some() && joining;
        let shift = track.shift(layer, now);
        self.munger.switch(now, first, Start { floor, shift, new_timeline, meet });
        self.selector = None;
        let from = self.source.map(|source| (source.generation, source.layer, source.era));
        if from.is_some_and(|from| from != (generation, layer, first.era)) {
            self.counters.switches += 1;
        }
        self.hold = None;
        self.source = Some(Source {
            generation,
            layer,
            since: now,
            era: first.era,
            cursor: position,
            live_from: end,
            newest: i64::MIN,
            frame_open: None,
            // A viewer whose layer stopped may find another one's past ahead of what it has seen.
            catch_up: (late || age > MOST_AT_ONCE && self.kind == Kind::Video)
                .then_some(CatchUp { started: now, first_at: first.at }),
        });
    }
}

// === impl Source ===

impl Source {
    /// Whether its layer's packets still come from where it took them up.
    fn is_of(&self, track: &impl Layers) -> bool {
        self.generation == track.generation() && self.era == track.era(self.layer)
    }

    /// The keyframe of its layer that makes the rest of catching up needless.
    fn shortcut(&self, track: &impl Layers) -> Option<u64> {
        let far = self.catch_up.is_some_and(|catch_up| catch_up.is_long());
        let between_frames = far && self.frame_open.is_none();
        track.keyframe(self.layer).filter(|position| between_frames && *position > self.cursor)
    }

    /// Whether the last frame sent still lacks packets that may come.
    fn in_frame(&self, now: Instant) -> bool {
        self.frame_open
            .is_some_and(|(_, since)| now.saturating_duration_since(since) < MAX_FRAME_WAIT)
    }
}

// === impl Hold ===

impl Hold {
    /// While a network is busy, and until a keyframe has had the time to come after that.
    fn while_busy(now: Instant, busy: Duration) -> Self {
        let from = now + busy.saturating_sub(KEYFRAME_TAKES).min(MAX_BUSY);
        Self { from, until: from + MAX_HOLD }
    }
}

// === impl CatchUp ===

impl CatchUp {
    /// Whether it began so far back that the ring may let go what is still to come.
    fn is_long(&self) -> bool {
        self.started.saturating_duration_since(self.first_at) > LONG_WAY
    }

    /// When a packet of the past is due: four times as fast as it came.
    fn due(&self, arrived: &Arrived) -> Instant {
        let media = arrived.at.saturating_duration_since(self.first_at);
        self.started + media.saturating_sub(FIRST_FRAME) / 4
    }
}

/// Judges a packet, by a selector where the viewer gets or got less than everything.
///
/// Up to the timestamp `newest` something was sent without one.
fn judge(
    selector: &mut Option<Box<Selector>>,
    newest: i64,
    arrived: &Arrived,
    limits: Parts,
) -> Verdict {
    if arrived.info.frame.is_some() && (limits != Parts::ALL || selector.is_some()) {
        let judging = selector.get_or_insert_with(|| Box::new(Selector::new(newest)));
        let verdict = judging.judge(arrived, limits);
        if judging.is_idle() {
            *selector = None;
        }
        return verdict;
    }
    Verdict::Send { marker: arrived.packet.marker }
}

/// The sequence number where a keyframe begins.
///
/// Its first packets may still be on their way, sent again: between the frame before it and what
/// has come of it, room is left for a few.
fn lowest_seq(
    track: &impl Layers,
    layer: u8,
    positions: std::ops::Range<u64>,
    first: &Arrived,
) -> i64 {
    let is_here = |packet: &&Arrived| packet.timestamp == first.timestamp;
    let frame = positions.clone().filter_map(|position| track.packet(layer, position));
    let lowest = frame.filter(is_here).min_by_key(|packet| packet.seq).unwrap_or(first);
    if lowest.info.starts_frame {
        return lowest.seq;
    }
    let lowest = lowest.seq;
    let around = positions.start.saturating_sub(LOOK_BACK)..positions.end;
    let before = around
        .filter_map(|position| track.packet(layer, position))
        .filter(|packet| packet.timestamp < first.timestamp)
        .max_by_key(|packet| packet.seq)
        // Only behind a frame's last packet is it known that what is missing is the keyframe's.
        .filter(|last| last.packet.marker && (lowest - MAX_MISSING..lowest).contains(&last.seq))
        .map(|packet| packet.seq);
    before.map_or(lowest, |before| before + 1)
}

/// Where the frame before a keyframe is looked for, in packets.
const LOOK_BACK: u64 = 32;

/// Packets at a keyframe's beginning that may be missing when it is taken up.
const MAX_MISSING: i64 = 8;

/// Whoever waits for a keyframe looks again after this time: it may turn out that none is sent.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// Up to this age a keyframe counts as live.
const LIVE_AGE: Duration = Duration::from_millis(80);

/// A shorter way to go is gone to its end, whatever comes.
const LONG_WAY: Duration = Duration::from_secs(1);

/// More of the past than this does not go out at once.
const MOST_AT_ONCE: Duration = Duration::from_millis(300);

/// A keyframe's packets may have come in over this time; they go out together.
const FIRST_FRAME: Duration = Duration::from_millis(30);

/// How far a layer's keyframe may lie behind what the viewer saw.
const MAX_BACKWARDS_MS: i64 = 100;

/// A viewer is given what it could not decode once more, but not more often than this.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How long a publisher takes to answer with a keyframe, at least.
const KEYFRAME_TAKES: Duration = Duration::from_millis(60);

/// The longest that a busy network is waited for.
const MAX_BUSY: Duration = Duration::from_millis(1000);

/// How long nothing is sent while a lower layer's keyframe is on its way.
const MAX_HOLD: Duration = Duration::from_millis(600);

/// How long a layer change waits for the rest of the old layer's frame.
const MAX_FRAME_WAIT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests;
