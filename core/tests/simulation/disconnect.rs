//! Tests of clients that come over TCP, whose connections have an end that UDP does not know.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use whitewater_core::media::{Codec, Kind, Ntp, Ssrc};
use whitewater_core::rtc::Transport;
use whitewater_core::rtc::connection::{Connection, Opening, Preset};
use whitewater_core::shard::command::Publish;
use whitewater_core::shard::{
    Command, Config, Event, Reply, SessionKey, Shard, ShardId, StreamId, ufrag_letter,
};

use super::agreed::{crypto, presets, sections, server};

fn shard(now: Instant) -> Shard {
    let wall = (now, Ntp::from_unix_seconds(1_700_000_000.0));
    Shard::new(Config { id: ShardId(0), seed: 1, wall, max_burst: 64 })
}

fn remote() -> SocketAddr {
    "10.0.0.1:20001".parse().unwrap()
}

fn publish(
    shard: &mut Shard,
    now: Instant,
    number: u32,
    path: Transport,
) -> (SessionKey, Connection) {
    let (ours, theirs) = presets(number, &crypto());
    let Opening::Preset(ours) = ours else { unreachable!("presets are preset") };
    let command = Command::Publish(Box::new(Publish {
        stream: StreamId(u64::from(number)),
        resumes: false,
        connection: Opening::Preset(Box::new(Preset { path, ..*ours })),
        sections: sections(Codec::Vp8, 1, true),
        window: Duration::from_secs(10),
        max_bitrate_bps: 0,
    }));
    let Reply::Opened(key) = shard.handle_command(now, command) else { panic!("it opens") };
    let Preset { keys, profile, path, crypto } = theirs;
    (key, Connection::preset(now, &keys, profile, path, crypto).unwrap())
}

/// A sealed packet of sound.
fn sound(connection: &mut Connection, seq: u16) -> Vec<u8> {
    let mut packet = vec![0x90, 111, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet.extend([0xbe, 0xde, 0, 1, 0x10, b'0', 0, 0]);
    let header_len = packet.len();
    packet.extend([7; 40]);
    let plain_len = packet.len();
    let sender = connection.sender().unwrap();
    let slot = sender.add(Ssrc(9));
    packet.resize(plain_len + sender.overhead(), 0);
    let len = sender.protect(slot, &mut packet, header_len, plain_len);
    packet.truncate(len);
    packet
}

fn started(shard: &mut Shard) -> Vec<u64> {
    std::iter::from_fn(|| shard.poll_event())
        .filter_map(|event| match event {
            Event::MediaStarted { stream, kind: Kind::Audio } => Some(stream.0),
            _ => None,
        })
        .collect()
}

#[test]
fn clients_that_share_an_address_over_udp_and_tcp_are_told_apart() {
    let now = Instant::now();
    let mut shard = shard(now);
    let paths = [
        Transport::udp(Some(server().ip()), remote()),
        Transport::tcp(server().ip(), remote()),
        Transport::tcp([192, 0, 2, 2].into(), remote()),
    ];
    let mut clients: Vec<_> =
        (1..).zip(paths).map(|(number, path)| publish(&mut shard, now, number, path).1).collect();
    assert_eq!(shard.gauges().addresses, 3);
    for (number, (client, path)) in (1..).zip(clients.iter_mut().zip(paths)) {
        shard.handle_datagram(now, path, &sound(client, 1));
        assert_eq!(started(&mut shard), [number]);
    }
    assert_eq!(shard.gauges().dropped_unauthentic, 0);
}

#[test]
fn a_session_that_ends_leaves_its_tcp_connection_to_be_closed() {
    let now = Instant::now();
    let mut shard = shard(now);
    let (udp, tcp) = (Transport::udp(None, remote()), Transport::tcp(server().ip(), remote()));
    let keys = [(1, udp), (2, tcp)].map(|(number, path)| publish(&mut shard, now, number, path).0);
    assert_eq!(shard.poll_hang_up(), None);
    for key in keys {
        assert!(matches!(shard.handle_command(now, Command::Close(key)), Reply::Done));
    }
    assert_eq!(shard.poll_hang_up(), Some(tcp));
    assert_eq!(shard.poll_hang_up(), None);
    assert_eq!(shard.gauges().addresses, 0);
}

#[test]
fn a_tcp_connection_that_ends_is_forgotten_and_its_session_goes_on() {
    let now = Instant::now();
    let mut shard = shard(now);
    let tcp = Transport::tcp(server().ip(), remote());
    let (_, mut client) = publish(&mut shard, now, 1, tcp);
    shard.handle_disconnect(now, tcp);
    assert_eq!((shard.gauges().addresses, shard.gauges().sessions), (0, 1));
    assert_eq!(shard.poll_hang_up(), None, "there is nothing left to close");
    shard.handle_datagram(now, tcp, &sound(&mut client, 1));
    assert_eq!(shard.gauges().dropped_stranger, 1);
    shard.handle_disconnect(now, tcp);
}

#[test]
fn a_check_for_another_shard_in_a_tcp_connection_is_not_handed_over() {
    let now = Instant::now();
    let mut shard = shard(now);
    let username = format!("{}ufrag:them", ufrag_letter(ShardId(1)));
    let mut check = vec![0, 1, 0, 16, 0x21, 0x12, 0xa4, 0x42];
    check.extend([1; 12]);
    check.extend([0, 6, 0, 11]);
    check.extend(username.as_bytes());
    check.push(0);
    assert_eq!(check.len(), 36);
    shard.handle_datagram(now, Transport::tcp(server().ip(), remote()), &check);
    assert!(shard.poll_link().is_none());
    shard.handle_datagram(now, Transport::udp(None, remote()), &check);
    assert!(shard.poll_link().is_some(), "over UDP it is");
}
