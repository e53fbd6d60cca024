//! The fan-out: which viewers have something to send, and one burst for each.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Shard;
use super::burst::{self, Burst};
use super::command::{SessionKey, StreamId};
use super::session::Role;
use super::timers::Reason;
use crate::forward::{Need, Planned};
use crate::hub::Track;
use crate::media::Kind;
use crate::rtc::transport::Transport;

/// Datagrams for one destination, side by side in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Where they go.
    pub transport: Transport,
    /// Bytes in the buffer.
    pub len: usize,
    /// Bytes of each datagram but the last.
    pub segment: usize,
    /// When the oldest packet of it was received that is forwarded for the first time and live.
    pub received: Option<Instant>,
}

/// Work that waits for transmits to be drained.
pub(super) struct FanOut {
    max_burst: usize,
    pub(super) touched: VecDeque<(StreamId, Kind)>,
    walk: Option<Walk>,
    ready: VecDeque<SessionKey>,
    planned: Vec<Planned>,
    pending: Option<Pending>,
    pub(super) packets: u64,
    pub(super) bursts: u64,
    pub(super) resent: u64,
    pub(super) switches: u64,
}

/// A walk over the listeners of a touched track.
struct Walk {
    stream: StreamId,
    kind: Kind,
    next: usize,
}

/// The listener whose packets are planned, and how far they are written.
struct Pending {
    key: SessionKey,
    stream: StreamId,
    kind: Kind,
    written: usize,
    more: bool,
}

// === impl FanOut ===

impl FanOut {
    pub(super) fn new(max_burst: usize) -> Self {
        Self {
            max_burst: max_burst.clamp(1, MAX_BURST),
            touched: VecDeque::new(),
            walk: None,
            ready: VecDeque::new(),
            planned: Vec::with_capacity(MAX_BURST),
            pending: None,
            packets: 0,
            bursts: 0,
            resent: 0,
            switches: 0,
        }
    }

    /// One viewer has something of its own: it joined, changed layers or lost packets.
    pub(super) fn make_ready(&mut self, key: SessionKey) {
        if self.ready.back() != Some(&key) {
            self.ready.push_back(key);
        }
    }
}

impl Shard {
    /// A packet of a track has come in: the track's turn comes now, or with the rest of the frame.
    ///
    /// A frame is of no use before it is whole, and its packets come within a millisecond or two.
    /// One write of them all costs little more than one of the first: where many listen, the others
    /// are waited for, for half the time that the fan-out takes.
    pub(super) fn note_packet(
        &mut self,
        now: Instant,
        id: StreamId,
        kind: Kind,
        received: Instant,
    ) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let hold = (HOLD_PER_LISTENER * stream.listeners(kind).len() as u32).min(MAX_HOLD);
        let due = stream.held.unwrap_or(received + hold);
        let is_open = |track: &Track| {
            track.layers.iter().filter_map(|layer| layer.ring.last()).any(|last| {
                !last.packet.marker && now.saturating_duration_since(last.received) < MAX_HOLD
            })
        };
        let waits = kind == Kind::Video && hold >= MIN_HOLD && now < due;
        if waits && stream.track(kind).is_some_and(is_open) {
            if !stream.is_touched(kind) {
                self.timers.arm(&mut stream.held, Some(due), Reason::Hold(id));
            }
            return;
        }
        match kind {
            Kind::Video => self.release(id),
            Kind::Audio => self.touch(id, kind),
        }
    }

    /// Nothing is waited for any more: a picture's turn comes.
    pub(super) fn release(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        self.timers.arm(&mut stream.held, None, Reason::Hold(id));
        self.touch(id, Kind::Video);
    }

    /// A track has news for all its listeners.
    pub(super) fn touch(&mut self, id: StreamId, kind: Kind) {
        if self.streams.get_mut(&id).is_some_and(|stream| stream.touch(kind)) {
            self.fan_out.touched.push_back((id, kind));
        }
    }

    /// Gives a viewer that cannot decode what it got the latest keyframe once more, if the ring has it
    /// and the path is not one that retransmissions have filled. Nobody is asked for another one then.
    pub(super) fn start_again(&mut self, now: Instant, key: SessionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let Role::Viewer(egress) = &mut session.role else { return false };
        let Some(video) = &mut egress.video else { return false };
        let stream = self.streams.get(&egress.stream);
        let Some(track) = stream.and_then(|stream| stream.track(Kind::Video)) else { return false };
        if !egress.repair.has_credit() || !video.forwarder.start_again(now, track) {
            return false;
        }
        egress.resend.clear();
        self.fan_out.make_ready(key);
        true
    }

    /// Writes the next datagrams to send into `buffer` (at least 2 KiB) and says where they go.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        loop {
            if let Some((transport, bytes)) = self.out.pop_front() {
                let len = bytes.len().min(buffer.len());
                buffer[..len].copy_from_slice(&bytes[..len]);
                return Some(Transmit { transport, len, segment: len, received: None });
            }
            if let Some(transmit) = self.write_pending(now, buffer) {
                return Some(transmit);
            }
            if self.fan_out.pending.is_some() {
                continue;
            }
            if let Some(transmit) = self.write_resend(now, buffer) {
                return Some(transmit);
            }
            if !self.plan_next(now) {
                return None;
            }
        }
    }

    /// Writes one run of what is planned. Leaves `pending` while there is more.
    fn write_pending(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let Pending { key, stream, kind, written, more } = self.fan_out.pending.take()?;
        let rest = &self.fan_out.planned[written..];
        if rest.is_empty() {
            if more {
                self.plan(now, key, stream, kind);
            }
            return None;
        }
        let session = self.sessions.get_mut(key)?;
        let path = session.connection.path()?;
        let Role::Viewer(egress) = &mut session.role else { return None };
        let track = self.streams.get(&stream)?.track(kind)?;
        let sender = session.connection.sender()?;
        let rest = &rest[..rest.len().min(self.fan_out.max_burst)];
        let Burst { packets, len, segment, received } =
            burst::write(now, egress, track, rest, sender, buffer);
        self.fan_out.pending =
            Some(Pending { key, stream, kind, written: written + packets.max(1), more });
        if len == 0 {
            return None;
        }
        if egress.note_sending(now) {
            self.rearm_session(key);
        }
        self.fan_out.packets += packets as u64;
        self.fan_out.bursts += 1;
        Some(Transmit { transport: path, len, segment, received })
    }

    /// Writes a retransmission of the foremost ready viewer.
    fn write_resend(&mut self, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
        let key = *self.fan_out.ready.front()?;
        let session = self.sessions.get_mut(key)?;
        let path = session.connection.path()?;
        let Role::Viewer(egress) = &mut session.role else { return None };
        if egress.resend.is_empty() {
            return None;
        }
        let track = self.streams.get(&egress.stream)?.video.as_ref()?;
        let sender = session.connection.sender()?;
        let Burst { len, segment, .. } = burst::write_resend(now, egress, track, sender, buffer);
        if len == 0 {
            return None;
        }
        self.fan_out.resent += 1;
        Some(Transmit { transport: path, len, segment, received: None })
    }

    /// Plans for the next viewer that may have something to send; false when there is none.
    fn plan_next(&mut self, now: Instant) -> bool {
        if let Some(key) = self.fan_out.ready.pop_front() {
            if let Some(session) = self.sessions.get(key)
                && let Role::Viewer(egress) = &session.role
            {
                let stream = egress.stream;
                self.plan(now, key, stream, Kind::Audio);
                if self.fan_out.pending.is_some() {
                    // One track at a time: the picture's turn comes when the sound is out.
                    self.fan_out.ready.push_front(key);
                } else {
                    self.plan(now, key, stream, Kind::Video);
                }
            }
            return true;
        }
        if self.fan_out.walk.is_none() {
            let Some((stream, kind)) = self.fan_out.touched.pop_front() else { return false };
            if let Some(stream) = self.streams.get_mut(&stream) {
                stream.untouch(kind);
            }
            self.fan_out.walk = Some(Walk { stream, kind, next: 0 });
        }
        let Some(walk) = &mut self.fan_out.walk else { return false };
        let (stream, kind) = (walk.stream, walk.kind);
        let listener = self
            .streams
            .get(&stream)
            .and_then(|stream| stream.listeners(kind).get(walk.next).copied());
        match listener {
            Some(key) => {
                walk.next += 1;
                self.plan(now, key, stream, kind);
            }
            None => self.fan_out.walk = None,
        }
        true
    }

    /// Plans one viewer's track.
    fn plan(&mut self, now: Instant, key: SessionKey, stream: StreamId, kind: Kind) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.connection.is_connected() {
            return;
        }
        let Role::Viewer(egress) = &mut session.role else { return };
        let Some(track) = self.streams.get(&stream).and_then(|stream| stream.track(kind)) else {
            return;
        };
        let Some(outgoing) = egress.track_mut(kind) else { return };
        outgoing.match_format(track.generation, &track.format);
        if outgoing.payload.is_none() {
            return;
        }
        self.fan_out.planned.clear();
        let before = outgoing.forwarder.counters().switches;
        let need = outgoing.forwarder.plan(now, track, MAX_BURST, &mut self.fan_out.planned);
        self.fan_out.switches += outgoing.forwarder.counters().switches - before;
        let wakes = outgoing.forwarder.due().is_some();
        let more = self.fan_out.planned.len() == MAX_BURST;
        if !self.fan_out.planned.is_empty() {
            self.fan_out.pending = Some(Pending { key, stream, kind, written: 0, more });
        }
        if let Need::Keyframe(layer) = need {
            self.want_keyframe(now, stream, layer);
        }
        if wakes {
            self.rearm_session(key);
        }
    }
}

/// What is waited for each listener: half of what a write takes.
const HOLD_PER_LISTENER: Duration = Duration::from_micros(4);

/// Nobody waits longer for the rest of a frame.
const MAX_HOLD: Duration = Duration::from_millis(2);

/// A shorter wait saves nothing.
const MIN_HOLD: Duration = Duration::from_micros(100);

/// The kernel takes up to 64 segments in one write.
const MAX_BURST: usize = 64;
