//! A count of the bytes that a connection keeps and of the allocations that sealing makes.

#![allow(unsafe_code, clippy::unwrap_used, clippy::print_stdout, reason = "a counting allocator")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use whitewater_core::media::Ssrc;
use whitewater_core::rtc::connection::Config;
use whitewater_core::rtc::srtp::{MasterKey, Sender};
use whitewater_core::rtc::{Connection, Credentials, IceRole, Identity, Profile, Transport};

struct Counting;

static LIVE: AtomicIsize = AtomicIsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator with its own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as isize, Ordering::Relaxed);
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller upholds the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// What the C library under the ciphers keeps is not counted: about 1 KiB per context.
const IDLE_BYTES: isize = 8 * 1_024;
const ESTABLISHED_BYTES: isize = 24 * 1_024;

fn config(
    identity: &Arc<Identity>,
    remote: &Arc<Identity>,
    crypto: &Arc<dyn RTCCryptoProvider>,
    client: bool,
    server_at: SocketAddr,
) -> Config {
    let credentials = |name: &str| Credentials {
        ufrag: name.into(),
        pwd: format!("{name}-password-of-22-characters"),
    };
    let (local, other) = if client { ("client", "server") } else { ("server", "client") };
    Config {
        ice: if client { IceRole::Controlling } else { IceRole::Lite },
        local: credentials(local),
        remote: credentials(other),
        remote_fingerprint: remote.fingerprint().to_vec(),
        dtls_client: client,
        identity: identity.clone(),
        crypto: crypto.clone(),
        remote_candidates: if client { vec![server_at] } else { Vec::new() },
        seed: 1,
    }
}

fn carry(now: Instant, client: &mut Connection, server: &mut Connection, server_at: SocketAddr) {
    let at_server = Transport::udp(None, SocketAddr::from(([192, 0, 2, 2], 40_000)));
    let at_client = Transport::udp(None, server_at);
    client.handle_timeout(now);
    server.handle_timeout(now);
    loop {
        let mut idle = true;
        while let Some((_, datagram)) = client.poll_transmit() {
            idle = false;
            let _ = server.handle_datagram(now, at_server, &datagram);
        }
        while let Some((_, datagram)) = server.poll_transmit() {
            idle = false;
            let _ = client.handle_datagram(now, at_client, &datagram);
        }
        if idle {
            break;
        }
    }
    while client.poll_event().is_some() || server.poll_event().is_some() {}
}

// One test, because the counters belong to the process.
#[test]
fn an_idle_connection_is_small_and_sealing_allocates_nothing() {
    let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(AwsLcRsProvider::new());
    let ours = Identity::generate(&crypto).unwrap();
    let theirs = Identity::generate(&crypto).unwrap();
    let server_at = SocketAddr::from(([192, 0, 2, 1], 7_000));
    let start = Instant::now();

    measure(start, &ours, &theirs, &crypto, server_at);
    seal_without_allocating(&*crypto);
}

fn measure(
    start: Instant,
    ours: &Arc<Identity>,
    theirs: &Arc<Identity>,
    crypto: &Arc<dyn RTCCryptoProvider>,
    server_at: SocketAddr,
) {
    // Fills whatever the libraries set up once.
    drop(aged(start, ours, theirs, crypto, server_at));
    let before = LIVE.load(Ordering::Relaxed);
    let live = || LIVE.load(Ordering::Relaxed) - before;

    let server = Connection::new(start, config(ours, theirs, crypto, false, server_at)).unwrap();
    let created = live();
    drop(server);
    let (server, client) = connected(start, ours, theirs, crypto, server_at);
    drop(client);
    let established = live();
    drop(server);
    let server = aged(start, ours, theirs, crypto, server_at);
    let idle = live();
    drop(server);
    let left = live();
    let inline = size_of::<Connection>();
    println!("{inline} bytes inline; heap: {created} new, {established} connected, {idle} idle");
    assert!(established < ESTABLISHED_BYTES, "{established}");
    assert!(idle < IDLE_BYTES, "{idle}");
    assert!(left < 256, "left behind: {left}");
}

// A server's connection 32 s after the handshake.
fn aged(
    start: Instant,
    ours: &Arc<Identity>,
    theirs: &Arc<Identity>,
    crypto: &Arc<dyn RTCCryptoProvider>,
    server_at: SocketAddr,
) -> Connection {
    let (mut server, mut client) = connected(start, ours, theirs, crypto, server_at);
    for step in 1..=8 {
        carry(start + Duration::from_secs(4 * step), &mut client, &mut server, server_at);
    }
    assert!(server.is_connected());
    server
}

fn connected(
    start: Instant,
    ours: &Arc<Identity>,
    theirs: &Arc<Identity>,
    crypto: &Arc<dyn RTCCryptoProvider>,
    server_at: SocketAddr,
) -> (Connection, Connection) {
    let mut server =
        Connection::new(start, config(ours, theirs, crypto, false, server_at)).unwrap();
    let mut client = Connection::new(start, config(theirs, ours, crypto, true, server_at)).unwrap();
    carry(start, &mut client, &mut server, server_at);
    assert!(server.is_connected() && client.is_connected());
    (server, client)
}

fn seal_without_allocating(crypto: &dyn RTCCryptoProvider) {
    for profile in Profile::ALL {
        let key = vec![7; profile.key_len()];
        let salt = vec![9; profile.salt_len()];
        let mut sender =
            Sender::new(crypto.crypto(), profile, &MasterKey::new(&key, &salt)).unwrap();
        let slot = sender.add(Ssrc(1));
        let mut packet = [0u8; 1_300];
        packet[0] = 0x80;
        packet[11] = 1;
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        for sequence in 0..2_000u16 {
            packet[2..4].copy_from_slice(&sequence.to_be_bytes());
            assert_ne!(sender.protect(slot, &mut packet, 12, 1_200), 0);
        }
        let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(made, 0, "{profile}");
    }
}
