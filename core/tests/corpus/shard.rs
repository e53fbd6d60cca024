//! A check of whole shards: two of them, joined by links, with a publisher, viewers on both, and a
//! session that is still shaking hands, under any datagrams, commands, messages and delays.
//!
//! The first byte chooses the codec. Then come steps, each one byte for its kind and what the kind
//! reads. Publisher and viewers have the keys and mean no good: what they send is sealed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use whitewater_core::forward::{Parts, Wish};
use whitewater_core::media::{Codec, Ntp, Rid, Ssrc};
use whitewater_core::rtc::connection::{Connection, Opening};
use whitewater_core::rtc::{Credentials, IceRole, Identity, Transport, connection};
use whitewater_core::shard::command::{Publish, Subscribe};
use whitewater_core::shard::{
    Command, Config, LinkMessage, MAX_SHARDS, Reply, SessionKey, Shard, ShardId, StreamId,
};

#[path = "../simulation/agreed.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the simulation")]
mod agreed;
#[path = "input.rs"]
mod input;
#[path = "../simulation/ledger.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the simulation")]
mod ledger;

use input::Input;
use ledger::Ledger;

/// Runs one plan.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let codec = CODECS[usize::from(input.byte()) % CODECS.len()];
    let mut house = House::new(codec);
    for _ in 0..MAX_STEPS {
        if input.is_empty() {
            break;
        }
        house.step(&mut input);
        house.drain();
    }
    house.end();
}

struct House {
    now: Instant,
    codec: Codec,
    shards: [Shard; 2],
    clients: Vec<Client>,
    opened: u32,
    seqs: [u16; SOURCES],
    buffer: Vec<u8>,
    links: usize,
    ledger: Ledger,
}

/// The far end of a session.
struct Client {
    shard: usize,
    key: SessionKey,
    number: u32,
    connection: Option<Connection>,
    /// What it sealed, by source and number: the same again is sent as it was.
    sealed: BTreeMap<(usize, u16), Vec<u8>>,
}

impl Client {
    fn new(shard: usize, key: SessionKey, number: u32, connection: Option<Connection>) -> Self {
        Self { shard, key, number, connection, sealed: BTreeMap::new() }
    }
}

impl House {
    fn new(codec: Codec) -> Self {
        let now = Instant::now();
        let wall = (now, Ntp::from_unix_seconds(1_700_000_000.0));
        let shards =
            [0, 1].map(|id| Shard::new(Config { id: ShardId(id), seed: 7, wall, max_burst: 64 }));
        let (buffer, clients) = (vec![0; 65_000], Vec::new());
        let mut house = Self {
            now,
            codec,
            shards,
            clients,
            opened: 0,
            seqs: [1; SOURCES],
            buffer,
            links: 0,
            ledger: Ledger::default(),
        };
        house.publish(3, false);
        house.watch(0);
        house.watch(1);
        house.publish_by_handshake();
        house.drain();
        house
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let kind = input.byte();
        match kind % 16 {
            // Media, from the publisher and from a viewer.
            0..=4 => self.media(0, input),
            5 => self.media(1, input),
            6 => self.report(0, input),
            7 | 8 => self.report(1 + usize::from(kind >> 7), input),
            9 => {
                self.now += Duration::from_micros(u64::from(input.short()) * 100);
                for shard in &mut self.shards {
                    shard.handle_timeout(self.now);
                }
            }
            10 => {
                let from = agreed::client(u32::from(kind >> 4));
                let bytes = input.slice();
                self.datagram(usize::from(kind >> 7), from, bytes);
            }
            11 => self.command(input),
            12 => self.message(input),
            13 => self.handshake(input),
            14 => {
                let from = SocketAddr::from(([203, 0, 113, kind >> 4], input.short()));
                let bytes = input.slice();
                self.datagram(usize::from(kind >> 7), from, bytes);
            }
            _ => self.now += Duration::from_millis(u64::from(input.byte())),
        }
    }

    /// An RTP packet of which only the seal is right.
    fn media(&mut self, client: usize, input: &mut Input<'_>) {
        let (source, marks, ahead) = (input.byte(), input.byte(), input.byte());
        let at = usize::from(source) % SOURCES;
        // Small steps mostly, back at times, and leaps.
        let step = match ahead {
            0..=127 => 1,
            128..=191 => u16::from(ahead - 128),
            192..=223 => 0_u16.wrapping_sub(u16::from(ahead - 192)),
            224..=255 => u16::from(ahead) * 257,
        };
        self.seqs[at] = self.seqs[at].wrapping_add(step);
        let pt = [agreed::VIDEO_PT.0, agreed::RTX_PT.0, agreed::AUDIO_PT.0, marks & 0x7f];
        let pt = pt[usize::from(source >> 6)];
        let mut bytes = vec![0x80 | marks & 0x2f, pt | marks & 0x80];
        bytes.extend_from_slice(&self.seqs[at].to_be_bytes());
        let timestamp = u32::from(self.seqs[at]) * 1500;
        bytes.extend_from_slice(&timestamp.to_be_bytes());
        bytes.extend_from_slice(&(100 + at as u32).to_be_bytes());
        bytes.extend(std::iter::repeat_n(9, 4 * usize::from(bytes[0] & 0x0f)));
        if marks & 0x40 != 0 {
            bytes[0] |= 0x10;
            let rid = agreed::RIDS[at % 3].as_bytes()[0];
            let mid = if pt == agreed::AUDIO_PT.0 { b'0' } else { b'1' };
            let element = if pt == agreed::RTX_PT.0 { 0x30 } else { 0x20 };
            let mut block = vec![0x10, mid, element, rid];
            block.extend_from_slice(input.slice());
            block.resize(block.len().next_multiple_of(4), 0);
            bytes.extend_from_slice(&[0xbe, 0xde, 0, (block.len() / 4) as u8]);
            bytes.extend_from_slice(&block);
        }
        let header_len = bytes.len();
        bytes.extend_from_slice(input.slice());
        let plain_len = bytes.len();
        bytes.resize(plain_len + 16, 0);
        let Some(Client { connection, sealed, .. }) = self.clients.get_mut(client) else { return };
        let Some(sender) = connection.as_mut().and_then(Connection::sender) else { return };
        let slot = sender.add(Ssrc(100 + at as u32));
        let sealed = sealed.entry((at, self.seqs[at])).or_insert_with(|| {
            let len = sender.protect(slot, &mut bytes, header_len, plain_len);
            bytes.truncate(len);
            bytes
        });
        let datagram = sealed.clone();
        self.client_sends(client, &datagram);
    }

    fn report(&mut self, client: usize, input: &mut Input<'_>) {
        let mut plain = vec![0x80 | input.byte() & 0x3f, 200 + input.byte() % 8, 0, 0];
        plain.extend_from_slice(input.slice());
        plain.resize(plain.len().next_multiple_of(4).max(8), 0);
        let words = plain.len() / 4 - 1;
        plain[2..4].copy_from_slice(&(words as u16).to_be_bytes());
        let Some(Client { connection, .. }) = self.clients.get_mut(client) else { return };
        let sealed = connection.as_mut().and_then(|it| it.protect_rtcp(&plain));
        let Some(sealed) = sealed else { return };
        self.client_sends(client, &sealed);
    }

    fn client_sends(&mut self, client: usize, datagram: &[u8]) {
        let Some(Client { shard, number, .. }) = self.clients.get(client) else { return };
        self.datagram(*shard, agreed::client(*number), datagram);
    }

    fn datagram(&mut self, shard: usize, from: SocketAddr, datagram: &[u8]) {
        let transport = Transport::udp(Some(agreed::server().ip()), from);
        self.shards[shard].handle_datagram(self.now, transport, datagram);
    }

    /// A check or a record for the session that shakes hands, wrong in some way.
    fn handshake(&mut self, input: &mut Input<'_>) {
        let shape = input.byte();
        let body = input.slice();
        let datagram = if shape & 1 == 0 {
            let ufrag = [b"0shakes:them", b"1shakes:them", b"Zshakes:them"];
            let mut bytes = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
            bytes.extend_from_slice(b"transaction!");
            bytes.extend_from_slice(&[0, 6, 0, 12]);
            bytes.extend_from_slice(ufrag[usize::from(shape >> 1) % 3]);
            bytes.extend_from_slice(body);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let len = bytes.len() - 20;
            bytes[2..4].copy_from_slice(&(len as u16).to_be_bytes());
            bytes
        } else {
            let mut bytes = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, body.len() as u8];
            bytes.extend_from_slice(body);
            bytes
        };
        let from = agreed::client(u32::from(shape >> 4));
        self.datagram(usize::from(shape >> 7), from, &datagram);
    }

    fn command(&mut self, input: &mut Input<'_>) {
        let (what, which) = (input.byte(), input.byte());
        let at = usize::from(which) % self.clients.len().max(1);
        let Some(client) = self.clients.get(at) else { return };
        let (shard, key) = (client.shard, client.key);
        let credentials = |name: &str| Credentials {
            ufrag: name.into(),
            pwd: "a-password-of-22-characters".into(),
        };
        let command = match what % 8 {
            0 => Command::Close(key),
            1 => {
                let rid = Rid::new(agreed::RIDS[usize::from(which) % 3]);
                Command::Choose { key, wish: Wish::Rid(rid), parts: Parts::ALL }
            }
            2 => Command::Choose { key, wish: Wish::Highest, parts: Parts::ALL },
            3 => {
                let (local, remote) = (credentials("0again"), credentials("they"));
                Command::RestartIce { key, local, remote }
            }
            4 => Command::Describe(STREAM),
            5 => return self.publish(usize::from(which) % 4, which & 0x80 != 0),
            6 => return self.watch(usize::from(which) % 2),
            _ => Command::Gauges,
        };
        self.shards[shard].handle_command(self.now, command);
    }

    fn message(&mut self, input: &mut Input<'_>) {
        let (what, which) = (input.byte(), input.byte());
        let (to, layer) = (usize::from(what >> 7), which);
        let stream = if which & 0x40 == 0 { STREAM } else { StreamId(u64::from(which)) };
        let from = ShardId(1 - to as u8);
        let message = match what % 6 {
            0 => LinkMessage::Want { stream, layer },
            1 => LinkMessage::Listen { stream, from },
            2 => LinkMessage::Unlisten { stream, from },
            3 => LinkMessage::Gone { stream, ended: false },
            4 => LinkMessage::Gone { stream, ended: true },
            _ => {
                let remote = agreed::client(u32::from(which));
                let transport = Transport::udp(Some(agreed::server().ip()), remote);
                LinkMessage::Datagram { from, transport, bytes: BytesMut::from(input.slice()) }
            }
        };
        self.shards[to].handle_link(self.now, message);
    }

    fn publish(&mut self, layers: usize, limited: bool) {
        let Some((number, ours, theirs)) = self.presets() else { return };
        let request = Publish {
            stream: STREAM,
            resumes: false,
            connection: ours,
            sections: agreed::sections(self.codec, layers, true),
            window: Duration::from_secs(10),
            max_bitrate_bps: u64::from(limited) * 100_000,
        };
        let command = Command::Publish(Box::new(request));
        let reply = self.shards[0].handle_command(self.now, command);
        let Reply::Opened(key) = reply else { panic!("a publisher is let in") };
        self.clients.push(Client::new(0, key, number, Some(theirs)));
        // The first client is the one whose media is sealed.
        let last = self.clients.len() - 1;
        self.clients.swap(0, last);
    }

    fn watch(&mut self, shard: usize) {
        let Some((number, ours, theirs)) = self.presets() else { return };
        let request = Subscribe {
            stream: STREAM,
            home: ShardId(0),
            connection: ours,
            sections: agreed::sections(self.codec, 0, shard == 0),
            audio: Ssrc(0x0100_0000 + number),
            video: Ssrc(0x0200_0000 + number),
            video_rtx: Ssrc(0x0300_0000 + number),
            cname: "fuzz".into(),
        };
        let command = Command::Subscribe(Box::new(request));
        // Without its stream there is nothing to watch.
        let reply = self.shards[shard].handle_command(self.now, command);
        let Reply::Opened(key) = reply else { return };
        self.clients.push(Client::new(shard, key, number, Some(theirs)));
    }

    fn presets(&mut self) -> Option<(u32, Opening, Connection)> {
        if self.opened == MAX_SESSIONS {
            return None;
        }
        let number = self.opened;
        self.opened += 1;
        let (ours, theirs) = agreed::presets(number, &PROVIDER);
        let theirs = Connection::open(self.now, Opening::Preset(Box::new(theirs)));
        Some((number, ours, theirs.expect("the keys fit their profile")))
    }

    fn publish_by_handshake(&mut self) {
        let of = |ufrag: &str| Credentials {
            ufrag: ufrag.into(),
            pwd: "a-password-of-22-characters".into(),
        };
        let config = connection::Config {
            ice: IceRole::Lite,
            local: of("0shakes"),
            remote: of("them"),
            remote_fingerprint: vec![7; 32],
            dtls_client: false,
            identity: IDENTITY.clone(),
            crypto: PROVIDER.clone(),
            remote_candidates: Vec::new(),
            seed: 3,
        };
        let request = Publish {
            stream: StreamId(8),
            resumes: false,
            connection: config.into(),
            sections: agreed::sections(self.codec, 1, true),
            window: Duration::from_secs(10),
            max_bitrate_bps: 0,
        };
        let command = Command::Publish(Box::new(request));
        let reply = self.shards[0].handle_command(self.now, command);
        let Reply::Opened(key) = reply else { panic!("a publisher is let in") };
        self.clients.push(Client::new(0, key, 900, None));
    }

    /// Everything that waits goes where it belongs, and what is due is done.
    fn drain(&mut self) {
        for _ in 0..MAX_ROUNDS {
            let mut idle = true;
            for index in 0..self.shards.len() {
                while let Some((to, message)) = self.shards[index].poll_link() {
                    idle = false;
                    self.links += 1;
                    assert!(usize::from(to.0) < MAX_SHARDS);
                    let Some(to) = self.shards.get_mut(usize::from(to.0)) else { continue };
                    to.handle_link(self.now, message);
                }
                let shard = &mut self.shards[index];
                while let Some(transmit) = shard.poll_transmit(self.now, &mut self.buffer) {
                    assert!((1..=self.buffer.len()).contains(&transmit.len));
                    assert!(transmit.segment > 0 && transmit.segment <= 65_000);
                    for datagram in self.buffer[..transmit.len].chunks(transmit.segment) {
                        self.ledger.record(transmit.transport.remote, datagram);
                    }
                }
                while shard.poll_event().is_some() {}
            }
            if idle {
                return;
            }
        }
        panic!("shards talk for ever");
    }

    /// When everybody has gone nothing is left.
    fn end(&mut self) {
        for _ in 0..40 {
            self.now += Duration::from_secs(1);
            for shard in &mut self.shards {
                shard.handle_timeout(self.now);
            }
            self.drain();
        }
        for shard in &mut self.shards {
            shard.handle_command(self.now, Command::Shutdown);
        }
        self.drain();
        for _ in 0..20 {
            self.now += Duration::from_secs(1);
            for shard in &mut self.shards {
                shard.handle_timeout(self.now);
            }
            self.drain();
        }
        for shard in &self.shards {
            let gauges = shard.gauges();
            assert_eq!((gauges.sessions, gauges.addresses), (0, 0), "{gauges:?}");
        }
        let gauges = self.shards[0].gauges();
        assert_eq!((gauges.streams, gauges.timers), (0, 0), "{gauges:?}");
    }
}

const CODECS: [Codec; 5] = [Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1];
const STREAM: StreamId = StreamId(7);
const SOURCES: usize = 8;
const MAX_STEPS: usize = 400;
const MAX_SESSIONS: u32 = 12;
const MAX_ROUNDS: usize = 64;

static PROVIDER: LazyLock<Arc<dyn RTCCryptoProvider>> = LazyLock::new(agreed::crypto);
static IDENTITY: LazyLock<Arc<Identity>> =
    LazyLock::new(|| Identity::generate(&PROVIDER).expect("a certificate can be made"));
