use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use rtc_crypto::providers::AwsLcRsProvider;
use rtc_stun::attributes::{ATTR_ICE_CONTROLLED, ATTR_USE_CANDIDATE, AttrType};
use rtc_stun::fingerprint::FINGERPRINT;
use rtc_stun::integrity::MessageIntegrity;
use rtc_stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, Setter};

use super::*;

fn crypto() -> Arc<dyn RTCCryptoProvider> {
    Arc::new(AwsLcRsProvider::new())
}

fn credentials(name: &str) -> Credentials {
    Credentials { ufrag: name.into(), pwd: format!("{name}-password-of-22-characters") }
}

fn setup(role: IceRole, local: &str, remote: &str, candidates: &[SocketAddr]) -> Setup {
    Setup {
        role,
        local: credentials(local),
        remote: credentials(remote),
        candidates: candidates.to_vec(),
        crypto: crypto(),
        seed: 7,
    }
}

fn at(port: u16) -> Transport {
    Transport::udp(None, SocketAddr::from(([192, 0, 2, 1], port)))
}

fn lite() -> Agent {
    Agent::new(Instant::now(), setup(IceRole::Lite, "server", "client", &[]))
}

fn message(username: &str, pwd: &str, fill: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut message = Message::new();
    message.typ = BINDING_REQUEST;
    message.transaction_id.0 = *b"transaction!";
    message.write_header();
    message.add(AttrType(6), username.as_bytes());
    fill(&mut message);
    MessageIntegrity::new_raw_integrity_with_provider(pwd, crypto().crypto())
        .add_to(&mut message)
        .unwrap();
    FINGERPRINT.add_to(&mut message).unwrap();
    message.raw
}

fn check(nominate: bool) -> Vec<u8> {
    message("server:client", &credentials("server").pwd, |message| {
        if nominate {
            message.add(ATTR_USE_CANDIDATE, &[]);
        }
    })
}

fn reply(agent: &mut Agent) -> Option<(Transport, Message)> {
    let (transport, bytes) = agent.poll_transmit()?;
    let mut message = stun::decode(&bytes).unwrap();
    let pwd = credentials("server").pwd;
    assert!(stun::authenticate(&mut message, &pwd, crypto().crypto()));
    Some((transport, message))
}

// Carries everything between a client at `port` and a server at port 1.
fn carry(now: Instant, client: &mut Agent, server: &mut Agent, port: u16) {
    loop {
        let mut idle = true;
        while let Some((to, bytes)) = client.poll_transmit() {
            idle = false;
            if to.remote == at(1).remote {
                server.handle_stun(now, at(port), &bytes).unwrap();
            }
        }
        while let Some((to, bytes)) = server.poll_transmit() {
            idle = false;
            if to.remote == at(port).remote {
                client.handle_stun(now, at(1), &bytes).unwrap();
            }
        }
        if idle {
            break;
        }
    }
}

#[test]
fn a_right_check_is_answered_and_validates_its_address() {
    let mut agent = lite();
    assert!(!agent.is_validated(at(5).origin()));
    agent.handle_stun(Instant::now(), at(5), &check(false)).unwrap();
    let (to, message) = reply(&mut agent).unwrap();
    assert_eq!((to, message.typ), (at(5), BINDING_SUCCESS));
    assert_eq!(message.transaction_id.0, *b"transaction!");
    assert!(agent.is_validated(at(5).origin()));
    assert_eq!(agent.path(), Some(at(5)));
}

#[test]
fn the_path_is_the_last_nominated_and_until_then_the_last_checked() {
    let mut agent = lite();
    let now = Instant::now();
    for (port, nominate, path) in
        [(1, false, 1), (2, false, 2), (1, true, 1), (3, false, 1), (3, true, 3), (1, true, 1)]
    {
        agent.handle_stun(now, at(port), &check(nominate)).unwrap();
        assert_eq!(agent.path(), Some(at(path)), "after port {port}");
    }
}

#[test]
fn the_same_address_over_udp_and_tcp_is_two_paths() {
    let mut agent = lite();
    let (now, server) = (Instant::now(), |host| IpAddr::from([192, 0, 2, host]));
    let (udp, tcp) = (at(5), Transport::tcp(server(1), at(5).remote));
    let other_tcp = Transport::tcp(server(2), at(5).remote);
    for (path, nominate, expected) in [
        (tcp, false, tcp),
        (udp, true, udp),
        (tcp, false, udp),
        (tcp, true, tcp),
        (other_tcp, true, other_tcp),
        (udp, true, udp),
    ] {
        agent.handle_stun(now, path, &check(nominate)).unwrap();
        assert_eq!(agent.path(), Some(expected));
        assert_eq!(reply(&mut agent).unwrap().0, path, "the answer takes the check's own path");
    }
    agent.forget(other_tcp.origin());
    let validated = [udp, tcp, other_tcp].map(|path| agent.is_validated(path.origin()));
    assert_eq!(validated, [true, true, false]);
}

#[test]
fn without_its_path_a_session_takes_the_last_checked_one_or_waits() {
    let mut agent = lite();
    let (now, tcp) = (Instant::now(), Transport::tcp([192, 0, 2, 1].into(), at(5).remote));
    agent.handle_stun(now, tcp, &check(true)).unwrap();
    agent.handle_stun(now, at(6), &check(false)).unwrap();
    assert_eq!(agent.path(), Some(tcp));
    agent.forget(tcp.origin());
    assert_eq!(agent.path(), Some(at(6)));
    agent.handle_stun(now, tcp, &check(true)).unwrap();
    agent.handle_stun(now, tcp, &check(false)).unwrap();
    agent.forget(tcp.origin());
    assert_eq!(agent.path(), None);
    agent.handle_stun(now, tcp, &check(false)).unwrap();
    assert_eq!(agent.path(), Some(tcp));
}

#[test]
fn only_the_last_eight_addresses_stay_validated() {
    let mut agent = lite();
    for port in 1..=9 {
        agent.handle_stun(Instant::now(), at(port), &check(false)).unwrap();
    }
    assert!(!agent.is_validated(at(1).origin()));
    assert!((2..=9).all(|port| agent.is_validated(at(port).origin())));
}

#[test]
fn checks_that_are_not_authentic_get_no_answer() {
    let pwd = credentials("server").pwd;
    let plain = |_: &mut Message| {};
    for (bytes, why) in [
        (message("server:client", "wrong", plain), Dropped::BadIntegrity),
        (message("other:client", &pwd, plain), Dropped::UnknownUfrag),
        (message("server:other", &pwd, plain), Dropped::UnknownUfrag),
        (message("server", &pwd, plain), Dropped::UnknownUfrag),
        (check(false)[..60].to_vec(), Dropped::Malformed),
        (vec![0; 20], Dropped::Malformed),
    ] {
        let mut agent = lite();
        assert_eq!(agent.handle_stun(Instant::now(), at(5), &bytes), Err(why));
        assert!(agent.poll_transmit().is_none());
        assert!(!agent.is_validated(at(5).origin()));
    }
}

#[test]
fn a_use_candidate_behind_the_integrity_does_not_nominate() {
    let mut agent = lite();
    let now = Instant::now();
    agent.handle_stun(now, at(1), &check(true)).unwrap();
    let mut forged = Message::new();
    forged.raw = check(false);
    forged.decode().unwrap();
    forged.raw.truncate(forged.raw.len() - 8);
    forged.attributes.0.pop();
    forged.length -= 8;
    forged.add(ATTR_USE_CANDIDATE, &[]);
    FINGERPRINT.add_to(&mut forged).unwrap();
    agent.handle_stun(now, at(2), &forged.raw).unwrap();
    assert_eq!(agent.path(), Some(at(1)));
}

#[test]
fn a_client_that_claims_our_role_or_asks_for_the_unknown_is_told_so() {
    let pwd = credentials("server").pwd;
    for (kind, value) in [(ATTR_ICE_CONTROLLED, vec![0; 8]), (AttrType(0x7ff0), vec![1])] {
        let mut agent = lite();
        let bytes = message("server:client", &pwd, |message| message.add(kind, &value));
        agent.handle_stun(Instant::now(), at(5), &bytes).unwrap();
        assert_eq!(reply(&mut agent).unwrap().1.typ, BINDING_ERROR);
        assert!(!agent.is_validated(at(5).origin()));
    }
}

#[test]
fn a_client_checks_nominates_and_keeps_asking_for_consent() {
    let start = Instant::now();
    let mut client = Agent::new(
        start,
        setup(IceRole::Controlling, "client", "server", &[at(9).remote, at(1).remote]),
    );
    let mut server = lite();
    let mut now = start;
    let mut requests = 0;
    while now < start + Duration::from_secs(60) {
        client.handle_timeout(now);
        requests += 1;
        carry(now, &mut client, &mut server, 5);
        now = client.poll_timeout().unwrap();
    }
    assert_eq!(client.path().map(|path| path.remote), Some(at(1).remote));
    assert_eq!(server.path(), Some(at(5)));
    // One for the dead candidate, one for the live, and one every four to six seconds.
    assert!((10..=18).contains(&requests), "{requests}");
}

#[test]
fn a_client_repeats_lost_checks_with_doubling_pauses() {
    let start = Instant::now();
    let mut client =
        Agent::new(start, setup(IceRole::Controlling, "client", "server", &[at(1).remote]));
    let mut sent = Vec::new();
    let mut now = start;
    for _ in 0..5 {
        client.handle_timeout(now);
        let (_, bytes) = client.poll_transmit().unwrap();
        sent.push((now - start, bytes));
        now = client.poll_timeout().unwrap();
    }
    let pauses: Vec<_> = sent.iter().map(|(at, _)| at.as_millis()).collect();
    assert_eq!(pauses, [0, 500, 1_500, 3_500, 7_500]);
    assert!(sent.iter().all(|(_, bytes)| *bytes == sent[0].1));
}

#[test]
fn after_a_restart_the_old_credentials_work_until_the_first_check_with_the_new() {
    let now = Instant::now();
    let mut agent = lite();
    agent.handle_stun(now, at(1), &check(true)).unwrap();
    agent.restart(credentials("server2"), credentials("client2"));
    assert_eq!(agent.credentials().0.ufrag, "server2");
    agent.handle_stun(now, at(1), &check(true)).unwrap();
    let pwd = credentials("server2").pwd;
    let new = message("server2:client2", &pwd, |_| {});
    agent.handle_stun(now, at(2), &new).unwrap();
    assert_eq!(agent.path(), Some(at(2)));
    assert_eq!(agent.handle_stun(now, at(1), &check(true)), Err(Dropped::UnknownUfrag));
    assert!(agent.is_validated(at(1).origin()));
}

#[test]
fn a_client_moves_to_the_new_credentials() {
    let start = Instant::now();
    let mut client =
        Agent::new(start, setup(IceRole::Controlling, "client", "server", &[at(1).remote]));
    let mut server = lite();
    client.handle_timeout(start);
    carry(start, &mut client, &mut server, 5);
    server.restart(credentials("server2"), credentials("client2"));
    client.restart(credentials("client2"), credentials("server2"));
    assert!(client.path().is_some());
    client.handle_timeout(start);
    carry(start, &mut client, &mut server, 6);
    assert_eq!(server.path(), Some(at(6)));
    assert_eq!(server.handle_stun(start, at(5), &check(true)), Err(Dropped::UnknownUfrag));
}

#[test]
fn an_answer_from_elsewhere_or_with_a_wrong_password_is_no_answer() {
    let now = Instant::now();
    let mut client =
        Agent::new(now, setup(IceRole::Controlling, "client", "server", &[at(1).remote]));
    client.handle_timeout(now);
    let (_, request) = client.poll_transmit().unwrap();
    let id = stun::decode(&request).unwrap().transaction_id;
    let crypto = crypto();
    let wrong = stun::success(id, at(5).remote, "wrong", crypto.crypto()).unwrap();
    assert_eq!(client.handle_stun(now, at(1), &wrong), Err(Dropped::BadIntegrity));
    let right =
        stun::success(id, at(5).remote, &credentials("server").pwd, crypto.crypto()).unwrap();
    assert_eq!(client.handle_stun(now, at(2), &right), Err(Dropped::Unexpected));
    assert_eq!(client.path(), None);
    client.handle_stun(now, at(1), &right).unwrap();
    assert_eq!(client.path(), Some(at(1)));
    assert_eq!(client.handle_stun(now, at(1), &right), Err(Dropped::Unexpected));
}

#[test]
fn a_client_answers_the_checks_of_a_full_agent() {
    let now = Instant::now();
    let mut client = Agent::new(now, setup(IceRole::Controlling, "client", "server", &[]));
    let bytes = message("client:server", &credentials("client").pwd, |_| {});
    client.handle_stun(now, at(1), &bytes).unwrap();
    let (to, bytes) = client.poll_transmit().unwrap();
    assert_eq!(to, at(1));
    assert_eq!(stun::decode(&bytes).unwrap().typ, BINDING_SUCCESS);
    client.handle_timeout(now);
    assert_eq!(client.poll_transmit().unwrap().0.remote, at(1).remote);
}

proptest! {
    #[test]
    fn no_datagram_panics_or_is_answered(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        cut in 0usize..100,
        flip in 0usize..100,
    ) {
        let now = Instant::now();
        let mut framed = vec![0, 1];
        framed.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        framed.extend_from_slice(&[0x21, 0x12, 0xa4, 0x42]);
        framed.extend_from_slice(&[1; 12]);
        framed.extend_from_slice(&bytes);
        let mut changed = check(true);
        let at_byte = flip % changed.len();
        changed[at_byte] ^= 1 << (cut % 8);
        let mut short = check(true);
        short.truncate(cut % short.len());
        for datagram in [bytes, framed, changed, short] {
            let mut agent = lite();
            prop_assert!(agent.handle_stun(now, at(5), &datagram).is_err());
            prop_assert!(agent.poll_transmit().is_none());
            let mut client =
                Agent::new(now, setup(IceRole::Controlling, "client", "server", &[]));
            prop_assert!(client.handle_stun(now, at(5), &datagram).is_err());
            prop_assert!(client.poll_transmit().is_none());
        }
    }
}
