//! A world of shards, publishers and viewers with a network between them, in virtual time.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use whitewater_core::forward::{Parts, Wish};
use whitewater_core::media::{Codec, Ntp, Rid, Ssrc};
use whitewater_core::rtc::connection::{Connection, Opening};
use whitewater_core::rtc::{Section, Transport};
use whitewater_core::shard::command::{Publish, SessionReport, StreamReport, Subscribe};
use whitewater_core::shard::{
    Command, Config, Event, Gauges, LinkMessage, Reply, SessionKey, Shard, ShardId, StreamId,
    Transmit,
};

use super::agreed::{client, crypto, presets, sections, server, with_red};
use super::ledger::Ledger;
use super::network::{Conditions, Network};
use super::publisher::Publisher;
use super::random::Random;
use super::viewer::Viewer;

/// Everything.
pub struct World {
    /// Virtual time.
    pub now: Instant,
    /// When it began.
    pub began: Instant,
    /// The server.
    pub shards: Vec<Shard>,
    /// All publishers that ever were.
    pub publishers: Vec<Publishing>,
    /// All viewers that ever were.
    pub viewers: Vec<Viewing>,
    /// From clients to the server.
    pub up: Conditions,
    /// From the server to clients.
    pub down: Conditions,
    /// Share of media packets that links lose.
    pub link_loss: f64,
    /// What shards reported.
    pub events: Vec<(ShardId, Event)>,
    /// What shards gave to the tap.
    pub tapped: Vec<LinkMessage>,
    /// What codec the picture has.
    pub codec: Codec,
    /// How long viewers wait for a lost publisher.
    pub window: Duration,
    /// Whether a publisher takes over only a stream that is still there.
    pub resumes: bool,
    /// Whether publishers repeat each frame of sound in the next packet.
    pub red: bool,
    /// What was sealed, if anybody wants to know.
    pub ledger: Option<Ledger>,
    /// Of all that shards send, and when.
    pub digest: Option<DefaultHasher>,
    /// Counts allocations and bytes held, if anybody wants to know.
    pub heap: Option<fn() -> (usize, isize)>,
    /// Allocations made while sending.
    pub allocated: usize,
    /// Bytes that shards keep more than when counting began.
    pub kept: isize,
    /// Ciphers.
    pub crypto: Arc<dyn RTCCryptoProvider>,
    network: Network<Flying>,
    random: Random,
    at: HashMap<SocketAddr, Client>,
    clients: u32,
    buffer: Vec<u8>,
    out: Vec<BytesMut>,
}

/// A publisher and its session.
pub struct Publishing {
    /// The model.
    pub publisher: Publisher,
    /// Its session.
    pub key: SessionKey,
    /// Its shard.
    pub shard: usize,
    address: SocketAddr,
}

/// A viewer and its session.
pub struct Viewing {
    /// The model.
    pub viewer: Viewer,
    /// Its session.
    pub key: SessionKey,
    /// Its shard.
    pub shard: usize,
    address: SocketAddr,
    /// Which shard the kernel gives its datagrams to.
    pub arrives_at: usize,
    /// Its own way from the server, if that differs from the others'.
    pub down: Option<Conditions>,
    /// Its own way to the server, likewise.
    pub up: Option<Conditions>,
}

#[derive(Clone, Copy)]
enum Client {
    Publisher(usize),
    Viewer(usize),
}

#[derive(Clone)]
enum Flying {
    Up(usize, SocketAddr, BytesMut),
    Down(SocketAddr, BytesMut),
}

/// The one stream.
pub const STREAM: StreamId = StreamId(7);

// === impl World ===

impl World {
    /// A world without clients.
    pub fn new(shards: usize, seed: u64) -> Self {
        let now = Instant::now();
        let wall = Ntp::from_unix_seconds(1_700_000_000.0);
        let shard = |index: usize| {
            Shard::new(Config {
                id: ShardId(index as u8),
                seed: seed + index as u64,
                wall: (now, wall),
                max_burst: 64,
            })
        };
        Self {
            now,
            began: now,
            shards: (0..shards).map(shard).collect(),
            publishers: Vec::new(),
            viewers: Vec::new(),
            up: Conditions::clean(),
            down: Conditions::clean(),
            link_loss: 0.0,
            events: Vec::new(),
            tapped: Vec::new(),
            codec: Codec::Vp8,
            window: Duration::from_secs(10),
            resumes: false,
            red: false,
            ledger: None,
            digest: None,
            heap: None,
            allocated: 0,
            kept: 0,
            crypto: crypto(),
            network: Network::new(seed),
            random: Random::new(seed ^ 0xffff),
            at: HashMap::new(),
            clients: 0,
            buffer: vec![0; 65_000],
            out: Vec::new(),
        }
    }

    /// A publisher with so many layers begins, on shard 0.
    pub fn publish(&mut self, layers: usize) -> usize {
        let number = self.next_client();
        let (ours, theirs) = presets(number, &self.crypto);
        let connection = Connection::open(self.now, Opening::Preset(Box::new(theirs))).unwrap();
        self.publish_with(number, layers, ours, connection)
    }

    /// A publisher begins with a connection of its own.
    pub fn publish_with(
        &mut self,
        number: u32,
        layers: usize,
        ours: Opening,
        connection: Connection,
    ) -> usize {
        let reply = self.try_publish(number, layers, ours, connection);
        reply.unwrap_or_else(|reply| panic!("{reply:?}"))
    }

    /// A publisher tries to begin.
    pub fn try_publish(
        &mut self,
        number: u32,
        layers: usize,
        ours: Opening,
        connection: Connection,
    ) -> Result<usize, Reply> {
        let request = Publish {
            stream: STREAM,
            resumes: self.resumes,
            connection: ours,
            sections: self.publishing(layers),
            window: self.window,
            max_bitrate_bps: 0,
        };
        let reply = self.shards[0].handle_command(self.now, Command::Publish(Box::new(request)));
        let Reply::Opened(key) = reply else { return Err(reply) };
        let seed = u64::from(number) + 1;
        let mut publisher =
            Publisher::new(self.now, self.began, connection, self.codec, layers, seed);
        publisher.red = self.red;
        let address = client(number);
        self.at.insert(address, Client::Publisher(self.publishers.len()));
        self.publishers.push(Publishing { publisher, key, shard: 0, address });
        Ok(self.publishers.len() - 1)
    }

    /// A viewer joins on a shard.
    pub fn watch(&mut self, shard: usize) -> usize {
        self.watch_with(shard, true)
    }

    /// A viewer joins, with retransmission under a source of its own or without.
    pub fn watch_with(&mut self, shard: usize, rtx: bool) -> usize {
        let number = self.next_client();
        let (ours, theirs) = presets(number, &self.crypto);
        let connection = Connection::open(self.now, Opening::Preset(Box::new(theirs))).unwrap();
        let sections = sections(self.codec, 0, rtx);
        self.join(number, shard, sections, ours, connection).unwrap()
    }

    /// A viewer joins that can read repeated sound.
    pub fn watch_red(&mut self, shard: usize) -> usize {
        let number = self.next_client();
        let (ours, theirs) = presets(number, &self.crypto);
        let connection = Connection::open(self.now, Opening::Preset(Box::new(theirs))).unwrap();
        let sections = with_red(sections(self.codec, 0, true));
        self.join(number, shard, sections, ours, connection).unwrap()
    }

    fn publishing(&self, layers: usize) -> Vec<Section> {
        let plain = sections(self.codec, layers, true);
        if self.red { with_red(plain) } else { plain }
    }

    /// A viewer joins with what was agreed and a connection of its own.
    pub fn join(
        &mut self,
        number: u32,
        shard: usize,
        sections: Vec<Section>,
        ours: Opening,
        connection: Connection,
    ) -> Option<usize> {
        let ssrc = Ssrc(0x0200_0000 + number);
        let request = Subscribe {
            stream: STREAM,
            home: ShardId(0),
            connection: ours,
            sections,
            audio: Ssrc(0x0100_0000 + number),
            video: ssrc,
            video_rtx: Ssrc(0x0300_0000 + number),
            cname: "simulation".into(),
        };
        let command = Command::Subscribe(Box::new(request));
        let before = self.heap();
        let reply = self.shards[shard].handle_command(self.now, command);
        self.kept += self.heap().1 - before.1;
        let Reply::Opened(key) = reply else { return None };
        let address = client(number);
        let viewer = Viewer::new(self.now, self.began, connection, self.codec, ssrc);
        self.at.insert(address, Client::Viewer(self.viewers.len()));
        self.viewers.push(Viewing {
            viewer,
            key,
            shard,
            address,
            arrives_at: shard,
            down: None,
            up: None,
        });
        Some(self.viewers.len() - 1)
    }

    /// The number of the next client.
    pub fn next_client(&mut self) -> u32 {
        self.clients += 1;
        self.clients
    }

    /// A viewer chooses a layer.
    pub fn choose(&mut self, viewer: usize, rid: &str) {
        let (shard, key) = (self.viewers[viewer].shard, self.viewers[viewer].key);
        let wish = Wish::Rid(Rid::new(rid));
        self.shards[shard]
            .handle_command(self.now, Command::Choose { key, wish, parts: Parts::ALL });
    }

    /// A viewer leaves.
    pub fn leave(&mut self, viewer: usize) {
        let (shard, key) = (self.viewers[viewer].shard, self.viewers[viewer].key);
        self.shards[shard].handle_command(self.now, Command::Close(key));
    }

    /// A publisher is gone, without or with a word.
    pub fn unpublish(&mut self, publisher: usize, word: bool) {
        self.publishers[publisher].publisher.sending = false;
        if word {
            let key = self.publishers[publisher].key;
            self.shards[0].handle_command(self.now, Command::Close(key));
        }
    }

    /// A publisher's process stops for a time and goes on.
    pub fn freeze_publisher(&mut self, publisher: usize, ms: u64) {
        self.publishers[publisher].publisher.frozen = true;
        self.run(ms);
        let now = self.now;
        self.publishers[publisher].publisher.thaw(now);
    }

    /// A viewer's process stops for a time and goes on.
    pub fn freeze_viewer(&mut self, viewer: usize, ms: u64) {
        self.viewers[viewer].viewer.frozen = true;
        self.run(ms);
        self.viewers[viewer].viewer.frozen = false;
    }

    /// What a shard counts.
    pub fn gauges(&self, shard: usize) -> Gauges {
        self.shards[shard].gauges()
    }

    /// The stream at its home.
    pub fn report(&mut self) -> Option<StreamReport> {
        match self.shards[0].handle_command(self.now, Command::Describe(STREAM)) {
            Reply::Stream(report) => Some(*report),
            _ => None,
        }
    }

    /// How a viewer fares, as its shard says.
    pub fn session(&mut self, viewer: usize) -> Option<SessionReport> {
        let (shard, key) = (self.viewers[viewer].shard, self.viewers[viewer].key);
        match self.shards[shard].handle_command(self.now, Command::DescribeSessions(vec![key])) {
            Reply::Sessions(mut reports) => reports.pop().flatten(),
            _ => None,
        }
    }

    /// Lets go of all that is known of clients, for those who count memory.
    pub fn forget_clients(&mut self) {
        self.publishers = Vec::new();
        self.viewers = Vec::new();
        self.events = Vec::new();
        self.at = HashMap::new();
    }

    /// Time goes by.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step();
        }
    }

    /// One millisecond goes by.
    pub fn step(&mut self) {
        self.now += Duration::from_millis(1);
        let now = self.now;
        while let Some(flying) = self.network.receive(now) {
            match flying {
                Flying::Up(shard, from, datagram) => {
                    let transport = Transport::udp(Some(server().ip()), from);
                    let before = self.heap();
                    shard_takes(&mut self.shards[shard], now, transport, &datagram);
                    self.kept += self.heap().1 - before.1;
                }
                Flying::Down(to, datagram) => self.arrive(to, &datagram),
            }
        }
        for index in 0..self.shards.len() {
            let before = self.heap();
            shard_fires(&mut self.shards[index], now);
            self.kept += self.heap().1 - before.1;
        }
        self.carry_links();
        self.drain();
        self.carry_links();
        for index in 0..self.publishers.len() {
            let this = &mut self.publishers[index];
            this.publisher.tick(now, &mut self.out);
            let (address, shard) = (this.address, this.shard);
            self.send_up(shard, address);
        }
        for index in 0..self.viewers.len() {
            let this = &mut self.viewers[index];
            this.viewer.tick(now, &mut self.out);
            let (address, shard) = (this.address, this.arrives_at);
            let up = this.up.unwrap_or(self.up);
            self.send_up_by(shard, address, up);
        }
    }

    /// Hands a datagram to a shard as if it came from an address.
    pub fn inject(&mut self, shard: usize, from: SocketAddr, datagram: &[u8]) {
        let transport = Transport::udp(Some(server().ip()), from);
        self.shards[shard].handle_datagram(self.now, transport, datagram);
    }

    /// Fails if anybody saw what must never be.
    pub fn assert_sound(&self) {
        for (index, viewing) in self.viewers.iter().enumerate() {
            let errors = &viewing.viewer.seen.errors;
            let few = &errors[..errors.len().min(5)];
            assert!(errors.is_empty(), "viewer {index}: {} errors, {few:#?}", errors.len());
        }
    }

    fn heap(&self) -> (usize, isize) {
        self.heap.map_or((0, 0), |count| count())
    }

    fn arrive(&mut self, to: SocketAddr, datagram: &[u8]) {
        match self.at.get(&to).copied() {
            Some(Client::Publisher(index)) => {
                let this = &mut self.publishers[index];
                this.publisher.handle(self.now, datagram, &mut self.out);
                let (address, shard) = (this.address, this.shard);
                self.send_up(shard, address);
            }
            Some(Client::Viewer(index)) => {
                self.viewers[index].viewer.handle(self.now, datagram);
            }
            None => {}
        }
    }

    fn send_up(&mut self, shard: usize, from: SocketAddr) {
        self.send_up_by(shard, from, self.up);
    }

    fn send_up_by(&mut self, shard: usize, from: SocketAddr, up: Conditions) {
        for datagram in self.out.drain(..) {
            self.network.send(self.now, &up, Flying::Up(shard, from, datagram));
        }
    }

    fn carry_links(&mut self) {
        loop {
            let mut idle = true;
            for index in 0..self.shards.len() {
                while let Some((to, message)) = self.shards[index].poll_link() {
                    idle = false;
                    let lost = matches!(message, LinkMessage::Packet { .. })
                        && self.random.happens(self.link_loss);
                    match to {
                        ShardId::TAP => self.tapped.push(message),
                        _ if lost => {}
                        _ => self.shards[usize::from(to.0)].handle_link(self.now, message),
                    }
                }
            }
            if idle {
                return;
            }
        }
    }

    fn drain(&mut self) {
        for (index, shard) in self.shards.iter_mut().enumerate() {
            loop {
                let heap = || self.heap.map_or((0, 0), |count| count());
                let before = heap();
                let transmit = shard_sends(shard, self.now, &mut self.buffer);
                let after = heap();
                self.allocated += after.0 - before.0;
                self.kept += after.1 - before.1;
                let Some(transmit) = transmit else { break };
                let segment = transmit.segment.max(1);
                for datagram in self.buffer[..transmit.len].chunks(segment) {
                    if let Some(digest) = &mut self.digest {
                        let ms = self.now.saturating_duration_since(self.began).as_millis();
                        (index, ms, transmit.transport.remote, datagram).hash(digest);
                    }
                    if let Some(ledger) = &mut self.ledger {
                        ledger.record(transmit.transport.remote, datagram);
                    }
                    let to = transmit.transport.remote;
                    let own = match self.at.get(&to) {
                        Some(Client::Viewer(index)) => self.viewers[*index].down,
                        Some(Client::Publisher(_)) | None => None,
                    };
                    let conditions = own.unwrap_or(self.down);
                    let flying = Flying::Down(to, BytesMut::from(datagram));
                    let len = datagram.len();
                    self.network.send_through(self.now, &conditions, to, len, flying);
                }
            }
            while let Some(event) = shard.poll_event() {
                self.events.push((ShardId(index as u8), event));
            }
        }
    }
}

// What a shard does is counted in these, and nothing else is.

#[inline(never)]
fn shard_takes(shard: &mut Shard, now: Instant, transport: Transport, datagram: &[u8]) {
    shard.handle_datagram(now, transport, datagram);
}

#[inline(never)]
fn shard_fires(shard: &mut Shard, now: Instant) {
    if shard.poll_timeout().is_some_and(|(due, _)| due <= now) {
        shard.handle_timeout(now);
    }
}

#[inline(never)]
fn shard_sends(shard: &mut Shard, now: Instant, buffer: &mut [u8]) -> Option<Transmit> {
    shard.poll_transmit(now, buffer)
}
