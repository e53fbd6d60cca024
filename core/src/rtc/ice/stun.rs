//! A codec that reads and writes the STUN messages of connectivity checks (RFC 8489, RFC 8445).

use std::net::SocketAddr;

use bytes::BytesMut;
use rtc_crypto::RTCCrypto;
use rtc_shared::error::Result;
use rtc_stun::attributes::{
    ATTR_FINGERPRINT, ATTR_ICE_CONTROLLED, ATTR_ICE_CONTROLLING, ATTR_MESSAGE_INTEGRITY,
    ATTR_PRIORITY, ATTR_UNKNOWN_ATTRIBUTES, ATTR_USE_CANDIDATE, ATTR_USERNAME, AttrType,
};
use rtc_stun::error_code::{ErrorCode, ErrorCodeAttribute};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{
    BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, MessageType, Setter, TransactionId,
};
use rtc_stun::xoraddr::XorMappedAddress;

/// What a check says about its sender.
pub(super) struct Check<'a> {
    pub(super) id: TransactionId,
    /// Theirs, a colon, ours.
    pub(super) username: &'a str,
    pub(super) tie_breaker: u64,
    pub(super) nominate: bool,
}

/// Reads a message with a right fingerprint as its last attribute; `None` for anything else.
pub(super) fn decode(datagram: &[u8]) -> Option<Message> {
    if datagram.len() > MAX_LEN || !has_few_attributes(datagram) {
        return None;
    }
    let mut message = Message { raw: datagram.to_vec(), ..Message::default() };
    message.decode().ok()?;
    let last = message.attributes.0.last()?;
    if last.typ != ATTR_FINGERPRINT || FINGERPRINT.check(&message).is_err() {
        return None;
    }
    Some(message)
}

/// Checks MESSAGE-INTEGRITY, and forgets the attributes that it does not cover.
pub(super) fn authenticate(message: &mut Message, pwd: &str, crypto: &dyn RTCCrypto) -> bool {
    let at = message.attributes.0.iter().position(|found| found.typ == ATTR_MESSAGE_INTEGRITY);
    let Some(at) = at else { return false };
    if MessageIntegrity::check(message, pwd.as_bytes(), crypto).is_err() {
        return false;
    }
    message.attributes.0.truncate(at);
    true
}

/// The value of USERNAME, if it is text.
pub(super) fn username(message: &Message) -> Option<&str> {
    let found = message.attributes.0.iter().find(|found| found.typ == ATTR_USERNAME)?;
    std::str::from_utf8(&found.value).ok()
}

/// The attributes that a request expects us to know and that we do not.
pub(super) fn unknown(message: &Message) -> Vec<AttrType> {
    let known = [ATTR_USERNAME, ATTR_PRIORITY, ATTR_USE_CANDIDATE];
    let attributes = message.attributes.0.iter().map(|found| found.typ);
    attributes.filter(|found| found.required() && !known.contains(found)).collect()
}

/// Writes a check.
pub(super) fn request(check: &Check<'_>, pwd: &str, crypto: &dyn RTCCrypto) -> Option<BytesMut> {
    seal(BINDING_REQUEST, check.id, pwd, crypto, |message| {
        message.add(ATTR_USERNAME, check.username.as_bytes());
        message.add(ATTR_ICE_CONTROLLING, &check.tie_breaker.to_be_bytes());
        message.add(ATTR_PRIORITY, &PEER_REFLEXIVE_PRIORITY.to_be_bytes());
        if check.nominate {
            message.add(ATTR_USE_CANDIDATE, &[]);
        }
        Ok(())
    })
}

/// Writes the answer that tells the other side its address.
pub(super) fn success(
    id: TransactionId,
    mapped: SocketAddr,
    pwd: &str,
    crypto: &dyn RTCCrypto,
) -> Option<BytesMut> {
    seal(BINDING_SUCCESS, id, pwd, crypto, |message| {
        XorMappedAddress { ip: mapped.ip().to_canonical(), port: mapped.port() }.add_to(message)
    })
}

/// Writes the answer to two sides that claim the same role.
pub(super) fn role_conflict(
    id: TransactionId,
    pwd: &str,
    crypto: &dyn RTCCrypto,
) -> Option<BytesMut> {
    seal(BINDING_ERROR, id, pwd, crypto, |message| error(message, 487, "Role Conflict"))
}

/// Writes the answer to attributes that have to be understood and are not.
pub(super) fn unknown_attributes(
    id: TransactionId,
    unknown: &[AttrType],
    pwd: &str,
    crypto: &dyn RTCCrypto,
) -> Option<BytesMut> {
    seal(BINDING_ERROR, id, pwd, crypto, |message| {
        error(message, 420, "Unknown Attribute")?;
        let list: Vec<u8> = unknown.iter().flat_map(|kind| kind.value().to_be_bytes()).collect();
        message.add(ATTR_UNKNOWN_ATTRIBUTES, &list);
        Ok(())
    })
}

/// Whether the sender claims to be the controlled side.
pub(super) fn claims_controlled(message: &Message) -> bool {
    message.contains(ATTR_ICE_CONTROLLED)
}

/// Whether the sender claims to be the controlling side.
pub(super) fn claims_controlling(message: &Message) -> bool {
    message.contains(ATTR_ICE_CONTROLLING)
}

/// Whether the check nominates its path.
pub(super) fn nominates(message: &Message) -> bool {
    message.contains(ATTR_USE_CANDIDATE)
}

fn error(message: &mut Message, code: u16, reason: &str) -> Result<()> {
    ErrorCodeAttribute { code: ErrorCode(code), reason: reason.into() }.add_to(message)
}

fn seal(
    kind: MessageType,
    id: TransactionId,
    pwd: &str,
    crypto: &dyn RTCCrypto,
    fill: impl FnOnce(&mut Message) -> Result<()>,
) -> Option<BytesMut> {
    let mut message = Message::new();
    message.typ = kind;
    message.transaction_id = id;
    message.write_header();
    fill(&mut message).ok()?;
    MessageIntegrity::new_raw_integrity_with_provider(pwd.as_bytes(), crypto)
        .add_to(&mut message)
        .ok()?;
    FINGERPRINT.add_to(&mut message).ok()?;
    Some(BytesMut::from(message.raw.as_slice()))
}

// The library allocates per attribute, so their number is bounded before it looks.
fn has_few_attributes(datagram: &[u8]) -> bool {
    let Some((header, mut rest)) = datagram.split_at_checked(HEADER_LEN) else { return false };
    if usize::from(u16::from_be_bytes([header[2], header[3]])) != rest.len() {
        return false;
    }
    for _ in 0..MAX_ATTRIBUTES {
        let Some(head) = rest.first_chunk::<4>() else { return rest.is_empty() };
        let length = usize::from(u16::from_be_bytes([head[2], head[3]])).next_multiple_of(4);
        let Some(next) = rest.get(4 + length..) else { return false };
        rest = next;
    }
    rest.is_empty()
}

const HEADER_LEN: usize = 20;
const MAX_LEN: usize = 1_280;
const MAX_ATTRIBUTES: usize = 24;
// RFC 8445 section 5.1.2.1, type preference 110, one interface, one component.
const PEER_REFLEXIVE_PRIORITY: u32 = (110 << 24) | (65_535 << 8) | 255;
