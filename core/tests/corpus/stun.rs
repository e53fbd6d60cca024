//! A check of ICE: only what knows the password validates an address or gets an answer.
//!
//! The first byte chooses how the rest becomes a check: as it is, as attributes of a well-formed
//! message, or with a right password too.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{Message, Setter};
use whitewater_core::rtc::connection::{Config, Connection};
use whitewater_core::rtc::{Credentials, IceRole, Identity, Transport};

/// Feeds one check to a server and to a client.
pub fn run(data: &[u8]) {
    let Some((mode, rest)) = data.split_first() else { return };
    let now = Instant::now();
    for role in [IceRole::Lite, IceRole::Controlling] {
        let mut connection = open(now, role);
        while connection.poll_transmit().is_some() {}
        let honest = mode % 4 == 2;
        let datagram = match mode % 4 {
            0 => rest.to_vec(),
            1 => message(rest, Some("not-the-password-22-characters")),
            2 => message(rest, Some(OURS.1)),
            _ => message(rest, None),
        };
        let taken = connection.handle_datagram(now, transport(5), &datagram);
        let answered = connection.poll_transmit().is_some();
        if !honest && role == IceRole::Lite {
            // What is as it is may be right by chance of a fuzzer that has seen the right ones.
            assert!(mode % 4 == 0 || taken.is_err(), "a wrong password is refused");
            assert!(taken.is_ok() || !answered, "nothing goes to who has not proved anything");
        }
        // Again, and from elsewhere: neither breaks anything.
        let _ = connection.handle_datagram(now, transport(6), &datagram);
        while let Some((_, reply)) = connection.poll_transmit() {
            assert!(reply.len() <= 1_280);
        }
    }
}

/// A message of two bytes of type and attributes; the lengths are made right.
fn message(bytes: &[u8], pwd: Option<&str>) -> Vec<u8> {
    let (head, attributes) = bytes.split_at(bytes.len().min(2));
    let mut raw = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
    raw[..head.len()].copy_from_slice(head);
    raw[0] &= 0x3f;
    raw.extend_from_slice(b"transaction!");
    raw.extend_from_slice(attributes);
    raw.resize(raw.len().next_multiple_of(4), 0);
    raw.truncate(20 + 1_200);
    let length = raw.len() - 20;
    raw[2..4].copy_from_slice(&(length as u16).to_be_bytes());
    let mut message = Message { raw, ..Message::default() };
    if message.decode().is_err() {
        return message.raw;
    }
    if let Some(pwd) = pwd {
        let crypto = PROVIDER.crypto();
        let integrity = MessageIntegrity::new_raw_integrity_with_provider(pwd.as_bytes(), crypto);
        let _ = integrity.add_to(&mut message);
    }
    let _ = FINGERPRINT.add_to(&mut message);
    message.raw
}

fn open(now: Instant, ice: IceRole) -> Connection {
    let of = |(ufrag, pwd): (&str, &str)| Credentials { ufrag: ufrag.into(), pwd: pwd.into() };
    let config = Config {
        ice,
        local: of(OURS),
        remote: of(THEIRS),
        remote_fingerprint: vec![7; 32],
        dtls_client: true,
        identity: IDENTITY.clone(),
        crypto: PROVIDER.clone(),
        remote_candidates: vec![transport(5).remote],
        seed: 1,
    };
    Connection::new(now, config).expect("the fingerprint has 32 bytes")
}

fn transport(port: u16) -> Transport {
    Transport::udp(None, SocketAddr::from(([192, 0, 2, 1], port)))
}

const OURS: (&str, &str) = ("0ours", "our-password-of-22-characters");
const THEIRS: (&str, &str) = ("them", "their-password-of-22-characters");

static PROVIDER: LazyLock<Arc<dyn RTCCryptoProvider>> =
    LazyLock::new(|| Arc::new(AwsLcRsProvider::new()));
static IDENTITY: LazyLock<Arc<Identity>> =
    LazyLock::new(|| Identity::generate(&PROVIDER).expect("a certificate can be made"));
