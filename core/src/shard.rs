//! A shard: the packet world of one core, composed of sessions, streams and forwarders.
//!
//! **The contract:** feed it one input with a `handle_` method; after a batch of inputs drain
//! `poll_transmit`, `poll_link` and `poll_event` until they give nothing; wake it with
//! `handle_timeout` when `poll_timeout` says, which also says why. It reads no clock and owns no
//! socket, so a test runs many shards in virtual time in one thread.
//!
//! What arrives is sorted into rings at once; fan-out happens while transmits are drained, one burst
//! per viewer and track, so a whole batch of datagrams leaves in few writes.

mod allocation;

mod allowance;

mod burst;

pub mod command;

mod egress;

mod disconnect;

mod fan_out;

mod history;

mod ingress;

mod ladder;

mod layer_news;

pub mod link;

mod links;

mod liveness;

mod number_hash;

mod receiver_report;

mod repair;

mod sender_report;

mod session;

mod session_report;

mod slab;

mod stencil;

mod stream;

mod timers;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::BytesMut;

pub use command::{Command, Event, Reply, SessionKey, ShardId, StreamId};
pub use fan_out::Transmit;
pub use link::LinkMessage;
pub use liveness::SILENCE;
pub use timers::Reason;

use crate::hub::Offered;
use crate::media::{Kind, Ntp};
use crate::rtc::demux::{self, Class};
use crate::rtc::transport::{Origin, Protocol, Transport};
use allowance::Allowance;
use fan_out::FanOut;
use number_hash::BuildNumberHasher;
use session::{Role, Session};
use slab::Slab;
use stream::Stream;
use timers::Timers;

/// What a shard is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Its place.
    pub id: ShardId,
    /// Where its random choices start.
    pub seed: u64,
    /// An instant and the wall-clock time it stands for.
    pub wall: (Instant, Ntp),
    /// Most packets in one write; 1 forbids bursts.
    pub max_burst: usize,
}

/// One core's part of the packet world.
pub struct Shard {
    config: Config,
    random: u64,
    sessions: Slab<Session>,
    streams: HashMap<StreamId, Stream, BuildNumberHasher>,
    by_ufrag: HashMap<String, SessionKey>,
    by_remote: HashMap<Origin, SessionKey>,
    /// Addresses of other shards' sessions, as those shards say.
    elsewhere: HashMap<Origin, ShardId>,
    /// Addresses whose datagrams belong to another shard, as unauthenticated checks claim.
    claimed: HashMap<Origin, ShardId>,
    claims: Allowance,
    timers: Timers,
    out: VecDeque<(Transport, BytesMut)>,
    links: VecDeque<(ShardId, LinkMessage)>,
    hang_ups: VecDeque<Transport>,
    events: VecDeque<Event>,
    fan_out: FanOut,
    /// How long the datagrams that are being fed have waited already.
    waited: Duration,
    scratch: Vec<BytesMut>,
    gauges: Gauges,
}

/// Whose a datagram is.
#[derive(Clone, Copy, Debug)]
enum Home {
    Here(SessionKey),
    /// Another shard's, as it has said itself.
    Shard(ShardId),
    /// Another shard's, as the datagram or an earlier one of its sender claims.
    Claimed(ShardId),
}

/// What a shard counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Sessions open.
    pub sessions: usize,
    /// Streams known, mirrored ones too.
    pub streams: usize,
    /// Addresses of sessions known.
    pub addresses: usize,
    /// Timers armed.
    pub timers: usize,
    /// Datagrams that came in.
    pub datagrams_in: u64,
    /// Datagrams of no session, and of no known kind.
    pub dropped_stranger: u64,
    /// Datagrams handed to the shard they belong to.
    pub handed_over: u64,
    /// STUN and DTLS that was refused.
    pub dropped_handshake: u64,
    /// Checks of strangers above what they may cost a session or another shard.
    pub dropped_flood: u64,
    /// RTP and RTCP that did not authenticate, replays too.
    pub dropped_unauthentic: u64,
    /// Packets of SSRCs that belong to no layer.
    pub dropped_unknown_ssrc: u64,
    /// Packets above a publisher's limit.
    pub dropped_over_limit: u64,
    /// Packets that came twice or far too late.
    pub dropped_duplicate: u64,
    /// Media packets taken in.
    pub packets_in: u64,
    /// Media packets sent, without retransmissions.
    pub packets_out: u64,
    /// Writes that carried them.
    pub bursts_out: u64,
    /// Retransmissions sent.
    pub resent: u64,
    /// Packets that viewers reported as received.
    pub delivered: u64,
    /// Packets that viewers reported as lost.
    pub reported_lost: u64,
    /// Keyframe requests sent.
    pub keyframe_requests: u64,
    /// Keyframe requests of viewers.
    pub keyframes_wanted: u64,
    /// Packets that viewers asked for once more.
    pub nacked: u64,
    /// Times that viewers were given another layer.
    pub layer_switches: u64,
}

// === impl Shard ===

impl Shard {
    /// A shard without sessions.
    pub fn new(config: Config) -> Self {
        Self {
            random: config.seed ^ 0x9e37_79b9_7f4a_7c15,
            fan_out: FanOut::new(config.max_burst),
            config,
            sessions: Slab::default(),
            streams: HashMap::default(),
            by_ufrag: HashMap::new(),
            by_remote: HashMap::new(),
            elsewhere: HashMap::new(),
            claimed: HashMap::new(),
            claims: Allowance::new(CLAIMS_PER_INTERVAL, CLAIMS_INTERVAL),
            timers: Timers::default(),
            out: VecDeque::new(),
            links: VecDeque::new(),
            hang_ups: VecDeque::new(),
            events: VecDeque::new(),
            waited: Duration::ZERO,
            scratch: Vec::new(),
            gauges: Gauges::default(),
        }
    }

    /// Says how long ago the machine received the datagrams that are fed next.
    pub fn set_waited(&mut self, waited: Duration) {
        self.waited = waited;
    }

    /// Takes in one datagram. What belongs to nobody costs a look-up or two, and allocates nothing.
    pub fn handle_datagram(&mut self, now: Instant, transport: Transport, datagram: &[u8]) {
        self.gauges.datagrams_in += 1;
        let class = demux::classify(datagram);
        // A TCP connection stays with the shard that its first check named.
        let may_move = transport.protocol == Protocol::Udp;
        match self.home(class, transport.origin(), datagram) {
            Some(Home::Here(key)) => _ = self.deliver(now, key, class, transport, datagram),
            Some(Home::Shard(shard)) if may_move => self.hand_over(shard, transport, datagram),
            Some(Home::Claimed(shard)) if may_move && self.claims.take(now) => {
                self.remember_claim(transport.origin(), shard);
                self.hand_over(shard, transport, datagram);
            }
            Some(Home::Claimed(_)) if may_move => self.gauges.dropped_flood += 1,
            Some(Home::Shard(_) | Home::Claimed(_)) | None => self.gauges.dropped_stranger += 1,
        }
    }

    fn hand_over(&mut self, to: ShardId, transport: Transport, datagram: &[u8]) {
        self.gauges.handed_over += 1;
        let (from, bytes) = (self.config.id, BytesMut::from(datagram));
        self.links.push_back((to, LinkMessage::Datagram { from, transport, bytes }));
    }

    /// Takes in a datagram that another shard handed over. It goes no further: two shards that
    /// believed the same address to be the other's would hand it over for ever.
    fn handle_handed_over(
        &mut self,
        now: Instant,
        from: ShardId,
        transport: Transport,
        datagram: &[u8],
    ) {
        let class = demux::classify(datagram);
        match self.home(class, transport.origin(), datagram) {
            Some(Home::Here(key)) => {
                let authentic = self.deliver(now, key, class, transport, datagram);
                if authentic && class == Class::Stun {
                    let (remote, home) = (transport.origin(), self.config.id);
                    self.links.push_back((from, LinkMessage::Proved { remote, home }));
                }
            }
            Some(Home::Shard(_) | Home::Claimed(_)) | None => self.gauges.dropped_stranger += 1,
        }
    }

    /// Carries out what control asks.
    pub fn handle_command(&mut self, now: Instant, command: Command) -> Reply {
        match command {
            Command::Publish(request) => self.publish(now, *request),
            Command::Subscribe(request) => self.subscribe(now, *request),
            Command::RestartIce { key, local, remote } => {
                let Some(session) = self.sessions.get_mut(key) else { return Reply::Unknown };
                self.by_ufrag.insert(local.ufrag.clone(), key);
                session.ufrags.push(local.ufrag.clone());
                session.connection.restart_ice(local, remote);
                Reply::Done
            }
            Command::Close(key) => {
                if self.sessions.get(key).is_none() {
                    return Reply::Unknown;
                }
                self.close(now, key, true);
                Reply::Done
            }
            Command::Choose { key, wish, parts } => {
                let session = self.sessions.get_mut(key);
                let Some(Role::Viewer(egress)) = session.map(|session| &mut session.role) else {
                    return Reply::Unknown;
                };
                egress.choose(wish, parts);
                self.fan_out.make_ready(key);
                Reply::Done
            }
            Command::Describe(id) => match self.streams.get(&id) {
                Some(stream) => Reply::Stream(Box::new(stream.report(now))),
                None => Reply::Unknown,
            },
            Command::DescribeSessions(keys) => self.describe(now, &keys),
            Command::WantKeyframes(id) => {
                if !self.streams.contains_key(&id) {
                    return Reply::Unknown;
                }
                self.want_keyframes(now, id);
                Reply::Done
            }
            Command::Gauges => Reply::Gauges(Box::new(self.gauges())),
            Command::Shutdown => {
                for key in self.sessions.keys() {
                    self.close(now, key, true);
                }
                Reply::Done
            }
        }
    }

    /// Fires what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(reason) = self.timers.pop(now) {
            match reason {
                Reason::Session(key) => self.session_timeout(now, key),
                Reason::Stream(id) => self.stream_timeout(now, id),
                Reason::Hold(id) => self.release(id),
            }
        }
    }

    /// When `handle_timeout` is due, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, Reason)> {
        self.timers.next()
    }

    /// The next message to another shard.
    pub fn poll_link(&mut self) -> Option<(ShardId, LinkMessage)> {
        self.links.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What the shard counts.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            sessions: self.sessions.len(),
            streams: self.streams.len(),
            addresses: self.by_remote.len(),
            timers: self.timers.len(),
            packets_out: self.fan_out.packets,
            bursts_out: self.fan_out.bursts,
            resent: self.fan_out.resent,
            layer_switches: self.fan_out.switches,
            ..self.gauges
        }
    }

    /// The wall-clock time of an instant.
    pub fn wall(&self, now: Instant) -> Ntp {
        let (anchor, ntp) = self.config.wall;
        ntp.plus_micros(now.saturating_duration_since(anchor).as_micros() as i64)
    }

    /// Ties an instant to the wall clock anew.
    pub fn set_wall(&mut self, now: Instant, wall: Ntp) {
        self.config.wall = (now, wall);
    }

    fn home(&self, class: Class, origin: Origin, datagram: &[u8]) -> Option<Home> {
        if class == Class::Unknown {
            return None;
        }
        if let (Class::Stun, Some(ufrag)) = (class, demux::stun_local_ufrag(datagram)) {
            return self.home_of_ufrag(ufrag, origin);
        }
        // What sessions' own checks proved goes before what strangers' checks claim.
        let here = self.by_remote.get(&origin).copied().map(Home::Here);
        here.or_else(|| self.elsewhere.get(&origin).copied().map(Home::Shard))
            .or_else(|| self.claimed.get(&origin).copied().map(Home::Claimed))
    }

    fn home_of_ufrag(&self, ufrag: &str, origin: Origin) -> Option<Home> {
        if let Some(key) = self.by_ufrag.get(ufrag) {
            return Some(Home::Here(*key));
        }
        let named = shard_of_ufrag(ufrag).filter(|shard| *shard != self.config.id)?;
        let proved = self.elsewhere.get(&origin) == Some(&named);
        Some(if proved { Home::Shard(named) } else { Home::Claimed(named) })
    }

    /// Another shard says that an address is a session's of its own.
    fn remember_elsewhere(&mut self, origin: Origin, home: ShardId) {
        if self.elsewhere.len() >= MAX_ELSEWHERE && !self.elsewhere.contains_key(&origin) {
            // They are learned again from their next STUN checks.
            self.elsewhere.clear();
        }
        self.elsewhere.insert(origin, home);
        self.claimed.remove(&origin);
    }

    fn remember_claim(&mut self, origin: Origin, shard: ShardId) {
        if self.claimed.len() >= MAX_CLAIMED && !self.claimed.contains_key(&origin) {
            self.claimed.clear();
        }
        self.claimed.insert(origin, shard);
    }

    /// Takes an origin away from a session, unless another one has it by now.
    fn forget(&mut self, origin: Origin, key: SessionKey) {
        if self.by_remote.get(&origin) == Some(&key) {
            self.by_remote.remove(&origin);
            self.hang_ups.extend(origin.connection());
        }
    }

    /// Gives a datagram to its session, and says whether it was authentic.
    fn deliver(
        &mut self,
        now: Instant,
        key: SessionKey,
        class: Class,
        transport: Transport,
        datagram: &[u8],
    ) -> bool {
        let authentic = match class {
            Class::Stun => self.deliver_check(now, key, transport, datagram),
            Class::Dtls => self.deliver_dtls(now, key, transport, datagram),
            Class::Rtp => self.deliver_rtp(now, key, transport, datagram),
            Class::Rtcp => self.deliver_rtcp(now, key, transport, datagram),
            Class::Unknown => false,
        };
        // What is refused changes nothing.
        if authentic {
            self.settle(now, key);
        }
        authentic
    }

    fn deliver_check(
        &mut self,
        now: Instant,
        key: SessionKey,
        transport: Transport,
        datagram: &[u8],
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let origin = transport.origin();
        let known = session.remotes.contains(&origin);
        let wrong = if known { &mut session.wrong_checks } else { &mut session.strangers_checks };
        if !wrong.is_left(now) {
            self.gauges.dropped_flood += 1;
            return false;
        }
        if session.connection.handle_datagram(now, transport, datagram).is_err() {
            wrong.take(now);
            self.gauges.dropped_handshake += 1;
            return false;
        }
        // The check was authentic: what comes from there is this session's from now on.
        let mut oldest = None;
        if !known {
            if session.remotes.len() == MAX_REMOTES {
                oldest = Some(session.remotes.remove(0));
            }
            session.remotes.push(origin);
        }
        self.by_remote.insert(origin, key);
        self.elsewhere.remove(&origin);
        self.claimed.remove(&origin);
        if let Some(oldest) = oldest {
            self.forget(oldest, key);
        }
        true
    }

    fn deliver_dtls(
        &mut self,
        now: Instant,
        key: SessionKey,
        transport: Transport,
        datagram: &[u8],
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let taken = session.connection.handle_datagram(now, transport, datagram).is_ok();
        self.gauges.dropped_handshake += u64::from(!taken);
        taken
    }

    fn deliver_rtp(
        &mut self,
        now: Instant,
        key: SessionKey,
        transport: Transport,
        datagram: &[u8],
    ) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let Role::Publisher(ingress) = &mut session.role else {
            self.gauges.dropped_unknown_ssrc += 1;
            return false;
        };
        let id = ingress.stream;
        match ingress.handle_rtp(now, &mut session.connection, &transport, datagram) {
            Ok(inbound) => self.take_in(now, id, inbound.kind, inbound.layer, inbound.offered),
            Err(ingress::Why::Malformed) => {
                self.gauges.dropped_stranger += 1;
                return false;
            }
            Err(ingress::Why::UnknownSsrc) => {
                self.gauges.dropped_unknown_ssrc += 1;
                return false;
            }
            Err(ingress::Why::Connection(_)) => {
                self.gauges.dropped_unauthentic += 1;
                return false;
            }
            Err(ingress::Why::Probe) => {}
            Err(ingress::Why::OverLimit) => self.gauges.dropped_over_limit += 1,
        }
        true
    }

    /// Puts a publisher's packet into its ring and tells who listens.
    fn take_in(&mut self, now: Instant, id: StreamId, kind: Kind, layer: u8, mut offered: Offered) {
        let wall = self.wall(now);
        offered.received = now.checked_sub(self.waited).unwrap_or(now);
        let Some(stream) = self.streams.get_mut(&id) else { return };
        if let Some(carried) = ingress::carried_capture(&offered.packet) {
            offered.capture = stream.clock.to_server(carried);
        }
        let is_mirrored = !stream.mirrors.is_empty();
        let (track, clock) = stream.track_and_clock(kind);
        let Some(track) = track else { return };
        let clock_rate = track.format.clock_rate;
        let started = track.started.is_some();
        let Some(this) = track.layers.get_mut(usize::from(layer)) else { return };
        let shift = this.shift;
        let accepted = this.accept(now, wall, clock_rate, offered, |layer, timestamp| {
            let report = layer.report.map(|anchor| anchor.ntp_at(timestamp, clock_rate));
            report
                .and_then(|theirs| clock.to_server(theirs))
                .or_else(|| Some(layer.arrival?.ntp_at(timestamp, clock_rate)))
        });
        let Ok(arrived) = accepted else {
            self.gauges.dropped_duplicate += 1;
            return;
        };
        self.gauges.packets_in += 1;
        let received = arrived.received;
        let for_mirrors = is_mirrored.then(|| arrived.clone());
        track.note_packet(now, layer);
        let moved = track.layers[usize::from(layer)].shift != shift;
        self.note_packet(now, id, kind, received);
        if !started {
            self.events.push_back(Event::MediaStarted { stream: id, kind });
        }
        let Some(arrived) = for_mirrors else { return };
        let Some(stream) = self.streams.get(&id) else { return };
        for shard in &stream.mirrors {
            if moved && let Some(clocks) = stream.clocks(kind, layer) {
                self.links.push_back((*shard, clocks));
            }
            let arrived = Box::new(arrived.clone());
            let packet = LinkMessage::Packet { stream: id, kind, layer, arrived };
            self.links.push_back((*shard, packet));
        }
    }

    fn next_random(&mut self) -> u64 {
        // SplitMix64: numbers that differ, not secrets.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// The shard that a local ufrag names in its first character.
pub fn shard_of_ufrag(ufrag: &str) -> Option<ShardId> {
    let first = ufrag.bytes().next()?;
    let index = UFRAG_SHARDS.iter().position(|letter| *letter == first)?;
    u8::try_from(index).ok().map(ShardId)
}

/// The first character of the local ufrags of a shard's sessions.
pub fn ufrag_letter(shard: ShardId) -> char {
    char::from(UFRAG_SHARDS[usize::from(shard.0) % UFRAG_SHARDS.len()])
}

const UFRAG_SHARDS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Most shards there can be.
pub const MAX_SHARDS: usize = UFRAG_SHARDS.len();

/// Addresses of other shards' sessions that are remembered.
const MAX_ELSEWHERE: usize = 65_536;

/// Addresses that claim to be of other shards' sessions. What they prove is told at once.
const MAX_CLAIMED: usize = 4_096;

/// Datagrams that claim to be another shard's and are handed over in an interval: ten thousand
/// viewers may come within a second, and a flood takes no more of a link than they.
const CLAIMS_PER_INTERVAL: u32 = 2_000;
const CLAIMS_INTERVAL: Duration = Duration::from_millis(100);

/// Addresses and TCP connections one session may come from.
const MAX_REMOTES: usize = 8;
