use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_crypto::{CryptoError, RTCCrypto, RTCRandom};

use super::*;
use crate::media::Ssrc;
use crate::rtc::demux::{self, Class};
use crate::rtc::srtp::Slot;

const DELAY: Duration = Duration::from_millis(10);

// The real ciphers with randomness from a seed.
struct Seeded {
    real: AwsLcRsProvider,
    state: AtomicU64,
}

impl RTCCryptoProvider for Seeded {
    fn name(&self) -> &'static str {
        "seeded"
    }

    fn crypto(&self) -> &dyn RTCCrypto {
        self.real.crypto()
    }

    fn random(&self) -> &dyn RTCRandom {
        self
    }
}

impl RTCRandom for Seeded {
    fn fill(&self, output: &mut [u8]) -> Result<(), CryptoError> {
        for byte in output {
            let state = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            *byte = (state ^ (state >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_be_bytes()[0];
        }
        Ok(())
    }
}

fn seeded(seed: u64) -> Arc<dyn RTCCryptoProvider> {
    Arc::new(Seeded { real: AwsLcRsProvider::new(), state: AtomicU64::new(seed) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

#[derive(Clone)]
struct Setting {
    client_starts: bool,
    spoil: Option<Side>,
}

type Loss = Box<dyn FnMut(Side, &[u8]) -> bool>;

// A client and a server on a wire with a delay, in virtual time.
struct Wire {
    now: Instant,
    start: Instant,
    client: Connection,
    server: Connection,
    client_at: SocketAddr,
    server_at: SocketAddr,
    flying: VecDeque<(Instant, Side, SocketAddr, BytesMut)>,
    events: Vec<(Instant, Side, Event)>,
    lost: Loss,
    reasons: Vec<(Side, Dropped)>,
}

fn credentials(name: &str) -> Credentials {
    Credentials { ufrag: name.into(), pwd: format!("{name}-password-of-22-characters") }
}

fn address(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

impl Wire {
    fn new(setting: &Setting) -> Self {
        let start = Instant::now();
        let provider = [seeded(1), seeded(2)];
        let identity = [0, 1].map(|at| Identity::generate(&provider[at]).unwrap());
        let server_at = address(1, 7_000);
        let config = |side: Side| {
            let (us, them) = match side {
                Side::Client => (0, 1),
                Side::Server => (1, 0),
            };
            let names = [credentials("client"), credentials("server")];
            let mut remote_fingerprint = identity[them].fingerprint().to_vec();
            if setting.spoil == Some(side) {
                remote_fingerprint[0] ^= 1;
            }
            Config {
                ice: [IceRole::Controlling, IceRole::Lite][us],
                local: names[us].clone(),
                remote: names[them].clone(),
                remote_fingerprint,
                dtls_client: setting.client_starts == (side == Side::Client),
                identity: identity[us].clone(),
                crypto: provider[us].clone(),
                remote_candidates: if side == Side::Client { vec![server_at] } else { vec![] },
                seed: us as u64,
            }
        };
        Self {
            now: start,
            start,
            client: Connection::new(start, config(Side::Client)).unwrap(),
            server: Connection::new(start, config(Side::Server)).unwrap(),
            client_at: address(2, 40_000),
            server_at,
            flying: VecDeque::new(),
            events: Vec::new(),
            lost: Box::new(|_, _| false),
            reasons: Vec::new(),
        }
    }

    fn collect(&mut self) {
        for side in [Side::Client, Side::Server] {
            let connection = match side {
                Side::Client => &mut self.client,
                Side::Server => &mut self.server,
            };
            while let Some((to, datagram)) = connection.poll_transmit() {
                if !(self.lost)(side, &datagram) {
                    self.flying.push_back((self.now + DELAY, side, to.remote, datagram));
                }
            }
            while let Some(event) = connection.poll_event() {
                self.events.push((self.now, side, event));
            }
        }
    }

    fn deliver(&mut self, from: Side, to: SocketAddr, datagram: &[u8]) {
        let result = match from {
            Side::Client if to == self.server_at => {
                let transport = Transport::udp(Some(self.server_at.ip()), self.client_at);
                self.server.handle_datagram(self.now, transport, datagram)
            }
            Side::Server if to == self.client_at => {
                let transport = Transport::udp(Some(self.client_at.ip()), self.server_at);
                self.client.handle_datagram(self.now, transport, datagram)
            }
            Side::Client | Side::Server => return,
        };
        if let Err(dropped) = result {
            self.reasons.push((from, dropped));
        }
    }

    fn run_until(&mut self, end: Instant, mut stop: impl FnMut(&Self) -> bool) {
        loop {
            self.collect();
            if stop(self) {
                return;
            }
            let timers = [self.client.poll_timeout(), self.server.poll_timeout()];
            let landing = self.flying.iter().map(|(at, ..)| *at).min();
            let next = timers.into_iter().flatten().chain(landing).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(next);
            for _ in 0..self.flying.len() {
                let flown = self.flying.pop_front().unwrap();
                if flown.0 <= self.now {
                    self.deliver(flown.1, flown.2, &flown.3);
                } else {
                    self.flying.push_back(flown);
                }
            }
            let now = self.now;
            for connection in [&mut self.client, &mut self.server] {
                if connection.poll_timeout().is_some_and(|due| due <= now) {
                    connection.handle_timeout(now);
                }
            }
        }
    }

    fn run(&mut self, duration: Duration) {
        self.run_until(self.now + duration, |_| false);
    }

    fn connect(&mut self) -> Duration {
        self.run_until(self.now + Duration::from_secs(25), |wire| {
            wire.client.is_connected() && wire.server.is_connected()
        });
        self.now - self.start
    }

    fn closed(&self, side: Side) -> Option<&CloseReason> {
        self.events.iter().find_map(|(_, at, event)| match event {
            Event::Closed(reason) if *at == side => Some(reason),
            Event::Closed(_) | Event::Connected { .. } | Event::Path(_) => None,
        })
    }

    fn profile(&self, side: Side) -> Option<Profile> {
        self.events.iter().find_map(|(_, at, event)| match event {
            Event::Connected { profile } if *at == side => Some(*profile),
            Event::Closed(_) | Event::Connected { .. } | Event::Path(_) => None,
        })
    }

    fn at_server(&self) -> Transport {
        Transport::udp(Some(self.server_at.ip()), self.client_at)
    }

    fn at_client(&self) -> Transport {
        Transport::udp(Some(self.client_at.ip()), self.server_at)
    }

    // A packet and a report each way.
    fn talk(&mut self, sequence: u16) {
        let (at_server, at_client) = (self.at_server(), self.at_client());
        let plain = rtp(sequence);
        let sealed = seal(&mut self.client, &plain);
        assert_eq!(self.server.unprotect_rtp(self.now, &at_server, &sealed).unwrap(), plain);
        let sealed = seal(&mut self.server, &plain);
        assert_eq!(self.client.unprotect_rtp(self.now, &at_client, &sealed).unwrap(), plain);
        let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
        let sealed = self.client.protect_rtcp(&report).unwrap();
        assert_eq!(self.server.unprotect_rtcp(self.now, &at_server, &sealed).unwrap(), report[..]);
        let sealed = self.server.protect_rtcp(&report).unwrap();
        assert_eq!(self.client.unprotect_rtcp(self.now, &at_client, &sealed).unwrap(), report[..]);
    }
}

fn rtp(sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 96];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 42]);
    bytes.extend_from_slice(b"media");
    bytes
}

fn seal(connection: &mut Connection, plain: &[u8]) -> Vec<u8> {
    let sender = connection.sender().unwrap();
    let slot: Slot = sender.add(Ssrc(42));
    let mut out = plain.to_vec();
    out.resize(plain.len() + sender.overhead(), 0);
    assert_eq!(sender.protect(slot, &mut out, 12, plain.len()), out.len());
    out
}

fn settings() -> [Setting; 2] {
    [true, false].map(|client_starts| Setting { client_starts, spoil: None })
}

fn is_dtls(datagram: &[u8]) -> bool {
    demux::classify(datagram) == Class::Dtls
}

#[test]
fn both_dtls_roles_connect_with_gcm_and_carry_media() {
    for setting in settings() {
        let mut wire = Wire::new(&setting);
        let took = wire.connect();
        assert!(took < Duration::from_millis(250), "{took:?}");
        for side in [Side::Client, Side::Server] {
            assert_eq!(wire.profile(side), Some(Profile::AeadAes128Gcm));
        }
        wire.talk(1);
        assert_eq!(wire.server.path(), Some(wire.at_server()));
        assert_eq!(wire.client.path(), Some(wire.at_client()));
        wire.run(Duration::from_secs(100));
        wire.talk(2);
        assert_eq!((wire.closed(Side::Client), wire.closed(Side::Server)), (None, None));
    }
}

#[test]
fn any_one_or_two_datagrams_of_the_handshake_may_be_lost() {
    for setting in settings() {
        let mut wire = Wire::new(&setting);
        let count = std::rc::Rc::new(std::cell::Cell::new(0));
        let counter = count.clone();
        wire.lost = Box::new(move |_, datagram| {
            counter.set(counter.get() + usize::from(is_dtls(datagram)));
            false
        });
        wire.connect();
        let total = count.get();
        assert!(total >= 6, "{total}");
        for first in 0..total {
            for second in first..total + 2 {
                let mut wire = Wire::new(&setting);
                let mut number = 0;
                wire.lost = Box::new(move |_, datagram| {
                    number += usize::from(is_dtls(datagram));
                    is_dtls(datagram) && (number == first + 1 || number == second + 1)
                });
                let took = wire.connect();
                let bound = if first == second { 400 } else { 800 };
                let client_starts = setting.client_starts;
                assert!(
                    took < Duration::from_millis(bound),
                    "client starts: {client_starts}, lost {first} and {second}: {took:?}"
                );
                wire.talk(1);
            }
        }
    }
}

#[test]
fn a_handshake_gets_through_when_every_third_datagram_is_lost() {
    for setting in settings() {
        for phase in 0..3 {
            let mut wire = Wire::new(&setting);
            let mut number = phase;
            wire.lost = Box::new(move |_, _| {
                number += 1;
                number % 3 == 0
            });
            let took = wire.connect();
            assert!(took < Duration::from_secs(8), "{took:?}");
            wire.talk(1);
        }
    }
}

#[test]
fn a_wrong_fingerprint_ends_the_session_before_any_key_is_used() {
    for Setting { client_starts, .. } in settings() {
        for (side, other) in [(Side::Client, Side::Server), (Side::Server, Side::Client)] {
            let mut wire = Wire::new(&Setting { client_starts, spoil: Some(side) });
            wire.run(Duration::from_secs(2));
            assert_eq!(wire.closed(side), Some(&CloseReason::FingerprintMismatch));
            assert_eq!(wire.profile(side), None);
            let connection = match side {
                Side::Client => &mut wire.client,
                Side::Server => &mut wire.server,
            };
            assert!(!connection.is_connected());
            assert!(connection.sender().is_none());
            assert_eq!(connection.protect_rtcp(&[0x80, 201, 0, 1, 0, 0, 0, 7]), None);
            wire.run(Duration::from_secs(20));
            assert!(wire.closed(other).is_some());
        }
    }
}

#[test]
fn the_path_follows_the_client_to_another_address_and_dtls_survives() {
    for setting in settings() {
        let mut wire = Wire::new(&setting);
        wire.connect();
        wire.talk(1);
        wire.run(Duration::from_secs(1));
        wire.client_at = address(3, 50_000);
        let at_server = wire.at_server();
        let sealed = seal(&mut wire.client, &rtp(2));
        let refused = wire.server.unprotect_rtp(wire.now, &at_server, &sealed);
        assert_eq!(refused, Err(Dropped::UnknownAddress));
        wire.run(Duration::from_secs(7));
        assert_eq!(wire.server.path(), Some(at_server));
        assert!(wire.events.iter().any(|event| event.2 == Event::Path(at_server)));
        assert_eq!(wire.server.unprotect_rtp(wire.now, &at_server, &sealed).unwrap(), rtp(2));
        wire.talk(3);
        wire.client.close(wire.now);
        wire.run(Duration::from_secs(1));
        assert_eq!(wire.closed(Side::Server), Some(&CloseReason::PeerClosed));
    }
}

#[test]
fn an_ice_restart_keeps_keys_and_media() {
    for setting in settings() {
        let mut wire = Wire::new(&setting);
        wire.connect();
        wire.talk(1);
        let (client, server) = (credentials("client2"), credentials("server2"));
        wire.server.restart_ice(server.clone(), client.clone());
        wire.run(Duration::from_secs(12));
        wire.talk(2);
        wire.client.restart_ice(client, server);
        wire.client_at = address(3, 50_000);
        wire.run(Duration::from_secs(1));
        assert_eq!(wire.server.path(), Some(wire.at_server()));
        assert_eq!(wire.server.local_ufrag(), "server2");
        assert_eq!(wire.server.remote_ufrag(), "client2");
        wire.talk(3);
        wire.run(Duration::from_secs(60));
        assert!(wire.client.is_connected() && wire.server.is_connected());
        assert_eq!(wire.profile(Side::Client), Some(Profile::AeadAes128Gcm));
    }
}

#[test]
fn thirty_seconds_of_silence_end_a_session() {
    let mut wire = Wire::new(&settings()[0]);
    wire.connect();
    let connected = wire.now;
    wire.lost = Box::new(|_, _| true);
    wire.run(Duration::from_secs(29));
    assert!(wire.server.is_connected());
    wire.run(Duration::from_secs(10));
    for side in [Side::Client, Side::Server] {
        assert_eq!(wire.closed(side), Some(&CloseReason::ConsentLost));
    }
    let (at, ..) = wire.events.last().unwrap();
    assert!(*at - connected < Duration::from_secs(31));
    assert_eq!(wire.server.poll_timeout(), None);
}

#[test]
fn media_and_reports_alone_keep_a_session_alive() {
    let mut wire = Wire::new(&settings()[0]);
    wire.connect();
    wire.lost = Box::new(|_, _| true);
    for sequence in 0..10 {
        wire.run(Duration::from_secs(20));
        wire.talk(sequence);
        assert_eq!(wire.server.last_authenticated(), wire.now);
    }
    assert!(wire.client.is_connected() && wire.server.is_connected());
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let mut wire = Wire::new(&settings()[0]);
    wire.lost = Box::new(|_, datagram| is_dtls(datagram));
    wire.run(Duration::from_secs(19));
    assert_eq!(wire.closed(Side::Server), None);
    wire.run(Duration::from_secs(2));
    for side in [Side::Client, Side::Server] {
        assert_eq!(wire.closed(side), Some(&CloseReason::HandshakeTimeout));
    }
}

#[test]
fn goodbye_is_said_and_heard_at_once_and_long_after_the_handshake() {
    for setting in settings() {
        for (pause, first) in
            [(1, Side::Client), (1, Side::Server), (100, Side::Client), (100, Side::Server)]
        {
            let mut wire = Wire::new(&setting);
            wire.connect();
            wire.run(Duration::from_secs(pause));
            let (connection, other) = match first {
                Side::Client => (&mut wire.client, Side::Server),
                Side::Server => (&mut wire.server, Side::Client),
            };
            connection.close(wire.now);
            assert!(!connection.is_connected());
            wire.run(Duration::from_secs(1));
            assert_eq!(wire.closed(other), Some(&CloseReason::PeerClosed), "after {pause} s");
            assert_eq!(wire.closed(first), None);
        }
    }
}

#[test]
fn replayed_forged_and_foreign_media_is_dropped() {
    let mut wire = Wire::new(&settings()[0]);
    let (now, at_server) = (wire.now, wire.at_server());
    assert_eq!(wire.server.unprotect_rtp(now, &at_server, &rtp(1)), Err(Dropped::UnknownAddress));
    wire.connect();
    let sealed = seal(&mut wire.client, &rtp(1));
    assert!(wire.server.unprotect_rtp(wire.now, &at_server, &sealed).is_ok());
    let again = wire.server.unprotect_rtp(wire.now, &at_server, &sealed);
    assert_eq!(again, Err(Dropped::Replayed));
    let heard = wire.server.last_authenticated();
    let mut forged = seal(&mut wire.client, &rtp(2));
    forged[14] ^= 1;
    let later = wire.now + Duration::from_secs(1);
    assert_eq!(wire.server.unprotect_rtp(later, &at_server, &forged), Err(Dropped::Forged));
    let elsewhere = Transport::udp(None, address(9, 9));
    let sealed = seal(&mut wire.client, &rtp(3));
    let foreign = wire.server.unprotect_rtp(later, &elsewhere, &sealed);
    assert_eq!(foreign, Err(Dropped::UnknownAddress));
    assert_eq!(wire.server.last_authenticated(), heard);
}

#[test]
fn a_connection_whose_path_is_gone_waits_for_another_within_its_consent() {
    let mut wire = Wire::new(&settings()[0]);
    let tcp = Transport::tcp(wire.server_at.ip(), wire.client_at);
    let mut check = None;
    while let Some((_, datagram)) = {
        wire.client.handle_timeout(wire.now);
        wire.client.poll_transmit()
    } {
        check.get_or_insert(datagram);
    }
    let check = check.unwrap();
    wire.server.handle_datagram(wire.now, tcp, &check).unwrap();
    assert_eq!(wire.server.path(), Some(tcp));
    wire.server.handle_disconnect(wire.now, tcp);
    assert_eq!(wire.server.path(), None);
    let record = [22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    let result = wire.server.handle_datagram(wire.now, tcp, &record);
    assert_eq!(result, Err(Dropped::UnknownAddress));
    wire.server.handle_datagram(wire.now, tcp, &check).unwrap();
    assert_eq!(wire.server.path(), Some(tcp), "a new one of the same address");
    wire.server.handle_disconnect(wire.now, tcp);
    let end = wire.start + HANDSHAKE_TIMEOUT;
    assert_eq!(wire.server.poll_timeout(), Some(end));
}

#[test]
fn dtls_from_an_address_without_a_check_is_dropped() {
    let mut wire = Wire::new(&settings()[0]);
    let mut record = vec![22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20];
    record.resize(33, 1);
    let result = wire.server.handle_datagram(wire.now, wire.at_server(), &record);
    assert_eq!(result, Err(Dropped::UnknownAddress));
    assert!(wire.server.poll_transmit().is_none());
}

#[test]
fn preset_connections_talk_without_a_handshake() {
    let now = Instant::now();
    let crypto = seeded(3);
    for profile in Profile::ALL {
        let material: Vec<u8> = (0..profile.keying_material_len() as u8).collect();
        let keys = SessionKeys::from_keying_material(profile, &material, true).unwrap();
        let path = Transport::udp(None, address(1, 1));
        let mut one = Connection::preset(now, &keys, profile, path, crypto.clone()).unwrap();
        let mut two =
            Connection::preset(now, &keys.swapped(), profile, path, crypto.clone()).unwrap();
        assert_eq!(one.poll_event(), Some(Event::Path(path)));
        assert_eq!(one.poll_event(), Some(Event::Connected { profile }));
        let sealed = seal(&mut one, &rtp(1));
        assert_eq!(two.unprotect_rtp(now, &path, &sealed).unwrap(), rtp(1));
        assert_eq!(one.handle_datagram(now, path, &[0; 20]), Err(Dropped::Unexpected));
        assert_eq!(one.poll_timeout(), Some(now + CONSENT_TIMEOUT));
    }
}

#[test]
fn a_fingerprint_of_another_length_is_refused() {
    let crypto = seeded(1);
    let config = Config {
        ice: IceRole::Lite,
        local: credentials("server"),
        remote: credentials("client"),
        remote_fingerprint: vec![0; 20],
        dtls_client: false,
        identity: Identity::generate(&crypto).unwrap(),
        crypto,
        remote_candidates: Vec::new(),
        seed: 1,
    };
    let refused = Connection::new(Instant::now(), config).err();
    assert!(matches!(refused, Some(ConfigError::Fingerprint { length: 20 })));
}

fn datagrams() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let datagram = (any::<u8>(), prop::collection::vec(any::<u8>(), 0..100), 0u8..5, any::<u16>());
    let datagram = datagram.prop_map(|(first, mut bytes, shape, number)| {
        if let Some(byte) = bytes.first_mut() {
            *byte = first;
        }
        if shape < 3 && bytes.len() >= 13 {
            // A record whose header is right, and for some a handshake message too.
            let length = bytes.len() - 13;
            bytes[..3].copy_from_slice(&[20 + first % 4, 0xfe, 0xfd]);
            bytes[3..5].copy_from_slice(&[0, shape % 2]);
            bytes[11..13].copy_from_slice(&(length as u16).to_be_bytes());
            if shape == 0 && length > 12 {
                let part = [0, 0, (length - 12) as u8];
                bytes[0] = 22;
                bytes[13] = [1, 2, 3, 11, 12, 13, 14, 15, 16, 20][usize::from(first % 10)];
                bytes[14..17].copy_from_slice(&part);
                bytes[17..19].copy_from_slice(&(number % 6).to_be_bytes());
                bytes[19..22].copy_from_slice(&[0, 0, 0]);
                bytes[22..25].copy_from_slice(&part);
            }
        }
        bytes
    });
    prop::collection::vec(datagram, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn garbage_never_panics_and_a_stranger_gets_no_answer(
        garbage in datagrams(),
        before in 0u64..60,
        client_starts in any::<bool>(),
    ) {
        let mut wire = Wire::new(&Setting { client_starts, spoil: None });
        wire.run(Duration::from_millis(before));
        wire.collect();
        let (now, at_server, at_client) = (wire.now, wire.at_server(), wire.at_client());
        let stranger = Transport::udp(None, address(9, 9));
        for datagram in &garbage {
            let _ = wire.client.handle_datagram(now, at_client, datagram);
            let _ = wire.client.unprotect_rtp(now, &at_client, datagram);
            let _ = wire.client.unprotect_rtcp(now, &at_client, datagram);
            let _ = wire.server.unprotect_rtp(now, &at_server, datagram);
            let _ = wire.server.unprotect_rtcp(now, &at_server, datagram);
            prop_assert!(wire.server.handle_datagram(now, stranger, datagram).is_err());
            prop_assert!(wire.server.poll_transmit().is_none());
            let _ = wire.server.handle_datagram(now, at_server, datagram);
            wire.collect();
        }
        wire.run(Duration::from_secs(60));
    }
}
