//! What a flood costs a shard: no allocation, no place that strangers can fill, no check of the
//! session's own that is kept away.

#![allow(
    unsafe_code,
    clippy::unwrap_used,
    dead_code,
    unreachable_pub,
    reason = "a counting allocator; what is shared with the simulation is not all used here"
)]

#[path = "simulation/agreed.rs"]
mod agreed;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtc_crypto::RTCCryptoProvider;
use rtc_stun::attributes::ATTR_USERNAME;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};
use whitewater_core::media::{Codec, Ntp, Ssrc};
use whitewater_core::rtc::{Credentials, IceRole, Identity, Transport, connection};
use whitewater_core::shard::command::{Publish, Subscribe};
use whitewater_core::shard::{Command, Config, LinkMessage, Reply, Shard, ShardId, StreamId};

struct Counting;

// Of each thread for itself: tests run side by side.
thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator with its own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A shard with a publisher, a viewer with preset keys, and a viewer that is to shake hands.
struct House {
    now: Instant,
    shard: Shard,
    crypto: std::sync::Arc<dyn RTCCryptoProvider>,
}

impl House {
    fn new(id: u8) -> Self {
        let now = Instant::now();
        let wall = (now, Ntp::from_unix_seconds(1_700_000_000.0));
        let shard = Shard::new(Config { id: ShardId(id), seed: 1, wall, max_burst: 64 });
        let mut house = Self { now, shard, crypto: agreed::crypto() };
        let request = Publish {
            resumes: false,
            stream: STREAM,
            connection: agreed::presets(1, &house.crypto).0,
            sections: agreed::sections(Codec::Vp8, 3, true),
            window: Duration::from_secs(10),
            max_bitrate_bps: 0,
        };
        house.order(Command::Publish(Box::new(request)));
        let preset = agreed::presets(2, &house.crypto).0;
        let handshake = house.handshake(id);
        for (number, connection) in [(2, preset), (3, handshake.into())] {
            let request = Subscribe {
                stream: STREAM,
                home: ShardId(id),
                connection,
                sections: agreed::sections(Codec::Vp8, 0, true),
                audio: Ssrc(0x100 + number),
                video: Ssrc(0x200 + number),
                video_rtx: Ssrc(0x300 + number),
                cname: "flood".into(),
            };
            house.order(Command::Subscribe(Box::new(request)));
        }
        house
    }

    fn handshake(&self, id: u8) -> connection::Config {
        let of = |ufrag: String| Credentials { ufrag, pwd: PWD.into() };
        connection::Config {
            ice: IceRole::Lite,
            local: of(format!("{id}home")),
            remote: of("them".into()),
            remote_fingerprint: vec![7; 32],
            dtls_client: false,
            identity: Identity::generate(&self.crypto).unwrap(),
            crypto: self.crypto.clone(),
            remote_candidates: Vec::new(),
            seed: 1,
        }
    }

    fn order(&mut self, command: Command) {
        let reply = self.shard.handle_command(self.now, command);
        assert!(matches!(reply, Reply::Opened(_)), "{reply:?}");
    }

    fn take(&mut self, from: SocketAddr, datagram: &[u8]) {
        let transport = Transport::udp(Some(agreed::server().ip()), from);
        self.shard.handle_datagram(self.now, transport, datagram);
    }

    /// Allocations of a thousand such datagrams.
    fn cost(&mut self, from: impl Fn(u32) -> SocketAddr, datagram: &[u8]) -> usize {
        let addresses: Vec<_> = (0..1000).map(from).collect();
        let before = ALLOCATIONS.get();
        for address in addresses {
            self.take(address, datagram);
        }
        ALLOCATIONS.get() - before
    }

    /// A check of the session that shakes hands.
    fn check(&self, username: &str, pwd: &str) -> Vec<u8> {
        let mut message = Message::new();
        message.typ = BINDING_REQUEST;
        message.transaction_id = TransactionId(*b"transaction!");
        message.write_header();
        message.add(ATTR_USERNAME, username.as_bytes());
        let crypto = self.crypto.crypto();
        let integrity = MessageIntegrity::new_raw_integrity_with_provider(pwd.as_bytes(), crypto);
        integrity.add_to(&mut message).unwrap();
        FINGERPRINT.add_to(&mut message).unwrap();
        message.raw
    }

    fn has_reply(&mut self) -> bool {
        let mut buffer = vec![0; 65_000];
        let mut any = false;
        while self.shard.poll_transmit(self.now, &mut buffer).is_some() {
            any = true;
        }
        any
    }

    fn links(&mut self) -> Vec<(ShardId, LinkMessage)> {
        std::iter::from_fn(|| self.shard.poll_link()).collect()
    }
}

fn stranger(number: u32) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, (number / 60_000) as u8], (1024 + number % 60_000) as u16))
}

fn starts(first: &[u8]) -> Vec<u8> {
    let mut bytes = first.to_vec();
    bytes.resize(200, 7);
    bytes
}

#[test]
fn what_belongs_to_nobody_costs_no_allocation() {
    let mut house = House::new(0);
    let rows = [
        ("of no kind", starts(&[70, 1])),
        ("media", starts(&[0x80, 96])),
        ("reports", starts(&[0x80, 201])),
        ("records", starts(&[22, 0xfe, 0xfd])),
        ("checks without a name", starts(&[0, 1])),
        ("checks for sessions that are not", house.check("0nobody:them", PWD)),
        ("answers to checks", starts(&[1, 1])),
        ("nothing", Vec::new()),
    ];
    for (what, datagram) in rows {
        assert_eq!(house.cost(stranger, &datagram), 0, "{what}");
    }
    let gauges = house.shard.gauges();
    assert_eq!(gauges.dropped_stranger, 8000, "{gauges:?}");
    assert!(!house.has_reply());
}

#[test]
fn a_viewer_that_sends_media_costs_no_allocation() {
    let mut house = House::new(0);
    assert_eq!(house.cost(|_| agreed::client(2), &starts(&[0x80, 96])), 0);
    assert_eq!(house.shard.gauges().dropped_unknown_ssrc, 1000);
}

#[test]
fn forged_reports_of_many_sources_do_not_each_pay_for_keys() {
    let mut house = House::new(0);
    let mut report = starts(&[0x80, 201, 0, 7]);
    let flag_at = report.len() - 4;
    report[flag_at] |= 0x80;
    let before = ALLOCATIONS.get();
    for source in 0..1000_u32 {
        report[4..8].copy_from_slice(&source.to_be_bytes());
        house.take(agreed::client(2), &report);
    }
    let each = (ALLOCATIONS.get() - before) as f64 / 1000.0;
    assert_eq!(house.shard.gauges().dropped_unauthentic, 1000);
    // Keys of their own take more than ten.
    assert!(each < 6.0, "{each} allocations per report");
}

#[test]
fn checks_with_a_wrong_password_are_looked_at_up_to_a_limit_and_keep_nobody_away() {
    let mut house = House::new(0);
    let (right, wrong) = (house.check("0home:them", PWD), house.check("0home:them", "wrong"));
    house.take(stranger(0), &right);
    assert!(house.has_reply());
    for number in 1..200 {
        house.take(stranger(number), &wrong);
    }
    assert_eq!(house.cost(|number| stranger(1000 + number), &wrong), 0);
    let gauges = house.shard.gauges();
    assert_eq!((gauges.dropped_handshake, gauges.dropped_flood), (100, 1099), "{gauges:?}");
    assert!(!house.has_reply());
    // From where it was right before, a check still is; from elsewhere it is a second later.
    house.take(stranger(0), &right);
    assert!(house.has_reply());
    house.take(stranger(5), &right);
    assert!(!house.has_reply());
    house.now += Duration::from_secs(1);
    house.take(stranger(5), &right);
    assert!(house.has_reply());
}

#[test]
fn what_strangers_claim_to_be_another_shard_s_is_handed_over_up_to_a_limit() {
    let mut house = House::new(0);
    house.links();
    let claim = house.check("1other:them", PWD);
    for number in 0..5000 {
        house.take(stranger(number), &claim);
    }
    assert_eq!(house.links().len(), 2000);
    assert_eq!(house.cost(stranger, &claim), 0);
    assert_eq!(house.shard.gauges().dropped_flood, 4000);
    house.now += Duration::from_millis(100);
    house.take(stranger(9000), &claim);
    assert_eq!(house.links().len(), 1);
}

#[test]
fn what_an_address_has_proved_survives_a_flood_of_claims() {
    let (mut gate, mut home) = (House::new(0), House::new(1));
    (gate.links(), home.links());
    let viewer = stranger(1);
    gate.take(viewer, &home.check("1home:them", PWD));
    for (to, message) in gate.links() {
        assert_eq!(to, ShardId(1));
        home.shard.handle_link(home.now, message);
    }
    for (to, message) in home.links() {
        assert_eq!(to, ShardId(0));
        gate.shard.handle_link(gate.now, message);
    }
    assert!(home.has_reply());
    // A stranger claims the viewer's address for a third shard, and many others are claimed.
    let (third, first) = (gate.check("2third:them", PWD), gate.check("1other:them", PWD));
    gate.take(viewer, &third);
    for number in 0..100_000 {
        gate.take(stranger(10 + number), &first);
        gate.now += Duration::from_micros(60);
    }
    gate.links();
    gate.take(viewer, &starts(&[22, 0xfe, 0xfd]));
    let handed: Vec<_> = gate.links().into_iter().map(|(to, _)| to).collect();
    assert_eq!(handed, [ShardId(1)]);
}

const STREAM: StreamId = StreamId(7);
const PWD: &str = "a-password-of-22-characters";
