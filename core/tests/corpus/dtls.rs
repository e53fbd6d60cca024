//! A check of DTLS in both roles: no datagrams of a validated address break the association or
//! bring it to an end without the right certificate.
//!
//! The first byte chooses the role. Then come datagrams, each a byte that says whether it is taken
//! as it is, as a record or as a message, and its bytes behind their length. A client's hello gets
//! the cookie that the server asked for.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_stun::attributes::{ATTR_PRIORITY, ATTR_USERNAME};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_REQUEST, Message, Setter, TransactionId};
use whitewater_core::rtc::connection::{Config, Connection, Event};
use whitewater_core::rtc::{Credentials, IceRole, Identity, Transport};

#[path = "input.rs"]
mod input;

/// Feeds datagrams to one association.
pub fn run(data: &[u8]) {
    let mut input = input::Input(data);
    let client = input.byte() & 1 == 1;
    let mut now = Instant::now();
    let mut connection = open(now, client);
    connection.handle_datagram(now, path(), &CHECK).expect("the check is right");
    let mut cookie = Vec::new();
    for _ in 0..MAX_DATAGRAMS {
        if input.is_empty() {
            break;
        }
        let shape = input.byte();
        let datagram = match shape & 3 {
            0 => input.slice().to_vec(),
            // A handshake record, an alert, or several records in one datagram.
            1 => record(22, u16::from(shape >> 7), input.slice()),
            2 => record(input.byte(), u16::from(shape >> 7), input.slice()),
            _ => {
                let (kind, body) = (input.byte(), input.slice());
                let body = if kind == CLIENT_HELLO { hello(&cookie, body) } else { body.to_vec() };
                record(22, 0, &handshake(kind, u16::from(shape >> 4), &body))
            }
        };
        let _ = connection.handle_datagram(now, path(), &datagram);
        now += Duration::from_millis(u64::from(shape));
        if connection.poll_timeout().is_some_and(|due| due <= now) {
            connection.handle_timeout(now);
        }
        let mut sent = 0;
        while let Some((to, reply)) = connection.poll_transmit() {
            assert_eq!(to, path());
            sent += 1;
            if let Some(asked) = asked_cookie(&reply) {
                cookie = asked;
            }
        }
        assert!(sent < 64, "{sent} datagrams for one");
        while let Some(event) = connection.poll_event() {
            assert!(!matches!(event, Event::Connected { .. }), "nobody has the certificate");
        }
    }
    connection.close(now);
    assert!(!connection.is_connected());
}

fn record(kind: u8, epoch: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, 0xfe, 0xfd];
    bytes.extend_from_slice(&epoch.to_be_bytes());
    bytes.extend_from_slice(&[0; 6]);
    bytes.extend_from_slice(&(body.len() as u16).to_be_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A whole message in one fragment.
fn handshake(kind: u8, sequence: u16, body: &[u8]) -> Vec<u8> {
    let length = &(body.len() as u32).to_be_bytes()[1..];
    let mut bytes = vec![kind];
    bytes.extend_from_slice(length);
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&[0; 3]);
    bytes.extend_from_slice(length);
    bytes.extend_from_slice(body);
    bytes
}

/// A client's first message with the cookie that it was asked for, up to its cipher suites.
fn hello(cookie: &[u8], rest: &[u8]) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, cookie.len() as u8]);
    body.extend_from_slice(cookie);
    body.extend_from_slice(rest);
    body
}

/// The cookie of a request to verify a hello.
fn asked_cookie(datagram: &[u8]) -> Option<Vec<u8>> {
    let message = datagram.get(13..).filter(|_| datagram[0] == 22)?;
    let body = message.get(12..).filter(|_| message[0] == HELLO_VERIFY_REQUEST)?;
    body.get(3..3 + usize::from(*body.get(2)?)).map(<[u8]>::to_vec)
}

fn open(now: Instant, dtls_client: bool) -> Connection {
    let of = |ufrag: &str, pwd: &str| Credentials { ufrag: ufrag.into(), pwd: pwd.into() };
    let config = Config {
        ice: IceRole::Lite,
        local: of("0ours", PWD),
        remote: of("them", "their-password-of-22-characters"),
        remote_fingerprint: vec![7; 32],
        dtls_client,
        identity: IDENTITY.clone(),
        crypto: PROVIDER.clone(),
        remote_candidates: Vec::new(),
        seed: 1,
    };
    Connection::new(now, config).expect("the fingerprint has 32 bytes")
}

fn path() -> Transport {
    Transport::udp(None, SocketAddr::from(([192, 0, 2, 1], 5)))
}

fn check() -> Vec<u8> {
    let mut message = Message::new();
    message.typ = BINDING_REQUEST;
    message.transaction_id = TransactionId(*b"transaction!");
    message.write_header();
    message.add(ATTR_USERNAME, b"0ours:them");
    message.add(ATTR_PRIORITY, &[0, 0, 0, 1]);
    let crypto = PROVIDER.crypto();
    let integrity = MessageIntegrity::new_raw_integrity_with_provider(PWD.as_bytes(), crypto);
    integrity.add_to(&mut message).expect("there is no fingerprint yet");
    FINGERPRINT.add_to(&mut message).expect("there is room");
    message.raw
}

const PWD: &str = "our-password-of-22-characters";
const CLIENT_HELLO: u8 = 1;
const HELLO_VERIFY_REQUEST: u8 = 3;
const MAX_DATAGRAMS: usize = 64;

static PROVIDER: LazyLock<Arc<dyn RTCCryptoProvider>> =
    LazyLock::new(|| Arc::new(AwsLcRsProvider::new()));
static IDENTITY: LazyLock<Arc<Identity>> =
    LazyLock::new(|| Identity::generate(&PROVIDER).expect("a certificate can be made"));
static CHECK: LazyLock<Vec<u8>> = LazyLock::new(check);
