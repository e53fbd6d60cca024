//! A peer that publishes or watches with the client role of our own session, over a real socket.

mod drive;
mod log;
pub(crate) mod wire;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rtc_crypto::RTCCryptoProvider;
use rtc_crypto::providers::AwsLcRsProvider;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use whitewater_core::media::ext::{extensions_len, write_extensions};
use whitewater_core::media::{Codec, ExtensionKind, Format, Kind, Rid, Ssrc};
use whitewater_core::rtc::connection::{Config, Connection};
use whitewater_core::rtc::sdp::{self, Agreed, Local, PublishOffer};
use whitewater_core::rtc::{Credentials, IceRole, Identity, Section};

use super::Server;
use super::http::{self, As, Opened};
pub(crate) use drive::Do;
pub(crate) use log::{Log, Report, Rtp, missing};
use wire::Wire;

/// How a peer connects.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The DTLS role that it offers.
    pub(crate) setup: &'static str,
    /// Whether it offers another fingerprint than its certificate has.
    pub(crate) spoil: bool,
    /// Whether it leaves DTLS to the test.
    pub(crate) no_dtls: bool,
    /// Whether it comes over TCP.
    pub(crate) tcp: bool,
    /// Where its socket is bound.
    pub(crate) bind: String,
    /// Where it sends to, if not to the answer's candidates.
    pub(crate) to: Option<SocketAddr>,
    /// A session that it replaces.
    pub(crate) replaces: Option<String>,
    /// Its bearer token.
    pub(crate) token: Option<String>,
    /// What it publishes.
    pub(crate) video: Format,
    /// The layers that it publishes.
    pub(crate) rids: Vec<Rid>,
    /// Where its SSRCs begin.
    pub(crate) ssrc: u32,
    /// Whether it asks for what it misses.
    pub(crate) nack: bool,
}

/// One client with its session; its clones are the same client. It goes silently with the last.
#[derive(Clone)]
pub(crate) struct Peer {
    pub(crate) session: Opened,
    pub(crate) offer: String,
    pub(crate) sections: Vec<Section>,
    pub(crate) local: Credentials,
    ssrc: u32,
    transport_seq: Arc<AtomicU16>,
    log: Arc<Mutex<Log>>,
    commands: mpsc::UnboundedSender<Do>,
}

/// A packet to send, before its header is written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) marker: bool,
    pub(crate) seq: u16,
    pub(crate) timestamp: u32,
    /// Header extensions besides MID and rid.
    pub(crate) extensions: Vec<(ExtensionKind, Vec<u8>)>,
    pub(crate) payload: Vec<u8>,
}

// === impl Ask ===

impl Default for Ask {
    fn default() -> Self {
        Self {
            setup: "actpass",
            spoil: false,
            no_dtls: false,
            tcp: false,
            bind: "127.0.0.1:0".into(),
            to: None,
            replaces: None,
            token: None,
            video: Format::video(Codec::Vp8, ""),
            rids: Vec::new(),
            ssrc: 1000,
            nack: false,
        }
    }
}

// === impl Peer ===

impl Peer {
    /// Opens a publisher's session with sound and picture, and begins to connect.
    pub(crate) async fn publish(server: &Server, stream: &str, ask: &Ask) -> Self {
        let offer = |local: &Local<'_>| {
            let offer = PublishOffer {
                audio: true,
                video: Some(&ask.video),
                rids: &ask.rids,
                audio_ssrc: Ssrc(ask.ssrc),
                video_ssrc: Ssrc(ask.ssrc + 1),
                video_rtx_ssrc: Ssrc(ask.ssrc + 2),
            };
            sdp::offer_publish(local, &offer)
        };
        Self::open(server, &format!("/whip/{stream}"), ask, offer).await
    }

    /// Opens a viewer's session, and begins to connect.
    pub(crate) async fn watch(server: &Server, stream: &str, ask: &Ask) -> Self {
        let formats = [
            Format::opus(),
            Format::video(Codec::Vp8, ""),
            Format::video(Codec::H264, "packetization-mode=1;profile-level-id=42e01f"),
            Format::video(Codec::H265, ""),
            Format::video(Codec::Vp9, "profile-id=0"),
        ];
        let offer = |local: &Local<'_>| sdp::offer_watch(local, &formats);
        Self::open(server, &format!("/whep/{stream}"), ask, offer).await
    }

    async fn open(
        server: &Server,
        endpoint: &str,
        ask: &Ask,
        offer: impl FnOnce(&Local<'_>) -> String,
    ) -> Self {
        let mut socket = None;
        if !ask.tcp {
            socket = Some(UdpSocket::bind(&ask.bind).await.unwrap());
        }
        let address = socket.as_ref().map(|socket| socket.local_addr().unwrap());
        let crypto: Arc<dyn RTCCryptoProvider> = Arc::new(AwsLcRsProvider::new());
        let identity = Identity::generate(&crypto).unwrap();
        let local = credentials();
        let mut fingerprint = identity.fingerprint().to_vec();
        fingerprint[0] ^= u8::from(ask.spoil);
        let offer = offer(&Local {
            ice: &local,
            fingerprint: &sdp::Fingerprint::sha256(fingerprint),
            candidates: address.as_slice(),
            tcp: false,
            session_id: 7,
            cname: "peer",
        });
        let offer = offer.replace("a=setup:actpass", &format!("a=setup:{}", ask.setup));
        let who = As { replaces: ask.replaces.as_deref(), token: ask.token.as_deref() };
        let session = http::open_as(server, endpoint, &offer, who).await;
        let agreed = sdp::read_answer(&offer, &session.answer).unwrap();
        let wire = match socket {
            Some(socket) => Wire::Udp(socket),
            None => {
                let to = ask.to.unwrap_or_else(|| http::tcp_candidates(&session.answer)[0]);
                Wire::tcp(ask.bind.parse().unwrap(), to)
            }
        };
        let connection = Connection::new(
            std::time::Instant::now(),
            config(&agreed, ask, &local, identity, crypto),
        )
        .unwrap();
        let (commands, input) = mpsc::unbounded_channel();
        let log = Arc::new(Mutex::new(Log::default()));
        let driver = drive::Driver::new(connection, wire, &agreed.sections, ask.nack, log.clone());
        tokio::spawn(driver.run(input));
        let sections = agreed.sections;
        let transport_seq = Arc::default();
        Self { session, offer, sections, local, ssrc: ask.ssrc, transport_seq, log, commands }
    }

    /// Waits until media may flow.
    pub(crate) async fn connected(self) -> Self {
        self.until("it is connected", 10, |log| log.connected.is_some()).await;
        self
    }

    /// Reads what it saw so far.
    pub(crate) fn log<T>(&self, read: impl FnOnce(&Log) -> T) -> T {
        read(&self.log.lock().unwrap())
    }

    /// Forgets the packets that it saw so far.
    pub(crate) fn forget(&self) {
        self.log.lock().unwrap().rtp.clear();
    }

    /// Waits until what it saw is as expected; panics when that takes too long.
    pub(crate) async fn until(&self, what: &str, seconds: u64, mut is: impl FnMut(&Log) -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(seconds);
        while !self.log(&mut is) {
            let seen = || self.log(Log::summary);
            assert!(tokio::time::Instant::now() < deadline, "{what}: {}", seen());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Has its driver do something.
    pub(crate) fn order(&self, order: Do) {
        self.commands.send(order).unwrap();
    }

    /// Begins another ICE session through the session's URL: the answer's status and body.
    pub(crate) async fn restart_ice(&self) -> (reqwest::StatusCode, String) {
        let local = credentials();
        let (status, _, answer) =
            http::patch(&self.session.url, "*", &local.ufrag, &local.pwd).await;
        let value = |name: &str| http::value_of(&answer, name).to_owned();
        let remote = Credentials { ufrag: value("a=ice-ufrag:"), pwd: value("a=ice-pwd:") };
        self.order(Do::Restart { local, remote });
        (status, answer)
    }

    /// Sends one packet of a track; `layer` counts in the offer's order.
    pub(crate) fn send(&self, kind: Kind, layer: u32, packet: &Outgoing) {
        let Some(section) = self.sections.iter().find(|section| section.kind == kind) else {
            return;
        };
        let mut extensions = vec![(ExtensionKind::Mid, section.mid.as_str().as_bytes().to_vec())];
        if let Some(rid) = section.rids.get(layer as usize) {
            extensions.push((ExtensionKind::Rid, rid.as_str().as_bytes().to_vec()));
        }
        let number = self.transport_seq.fetch_add(1, Ordering::Relaxed);
        extensions.push((ExtensionKind::TransportWide, number.to_be_bytes().to_vec()));
        extensions.extend(packet.extensions.iter().cloned());
        let elements: Vec<(u8, &[u8])> = extensions
            .iter()
            .filter_map(|(kind, value)| Some((section.extensions.id(*kind)?, &value[..])))
            .collect();
        let ssrc = self.ssrc_of(kind, layer);
        let pt = section.formats[0].pt.0;
        let mut bytes = vec![0x90, pt | u8::from(packet.marker) << 7];
        bytes.extend_from_slice(&packet.seq.to_be_bytes());
        bytes.extend_from_slice(&packet.timestamp.to_be_bytes());
        bytes.extend_from_slice(&ssrc.0.to_be_bytes());
        let mut block = vec![0; extensions_len(&elements)];
        write_extensions(&mut block, &elements);
        bytes.extend_from_slice(&block);
        let header_len = bytes.len();
        bytes.extend_from_slice(&packet.payload);
        self.order(Do::Rtp { bytes, header_len });
    }

    /// The SSRC under which it sends.
    pub(crate) fn ssrc_of(&self, kind: Kind, layer: u32) -> Ssrc {
        match kind {
            Kind::Audio => Ssrc(self.ssrc),
            Kind::Video => Ssrc(self.ssrc + 1 + 10 * layer),
        }
    }

    /// The section of a kind.
    pub(crate) fn section(&self, kind: Kind) -> &Section {
        self.sections.iter().find(|section| section.kind == kind).unwrap()
    }
}

/// New ICE credentials.
pub(crate) fn credentials() -> Credentials {
    let text = |len: usize| (0..len).map(|_| fastrand::alphanumeric()).collect();
    Credentials { ufrag: text(8), pwd: text(24) }
}

fn config(
    agreed: &Agreed,
    ask: &Ask,
    local: &Credentials,
    identity: Arc<Identity>,
    crypto: Arc<dyn RTCCryptoProvider>,
) -> Config {
    let ice = &agreed.remote.ice;
    Config {
        ice: IceRole::Controlling,
        local: local.clone(),
        remote: Credentials { ufrag: ice.ufrag.clone(), pwd: ice.pwd.clone() },
        remote_fingerprint: agreed.remote.fingerprint.value.clone(),
        dtls_client: agreed.dtls_client && !ask.no_dtls,
        identity,
        crypto,
        remote_candidates: ask.to.map_or_else(|| agreed.remote.candidates.clone(), |to| vec![to]),
        seed: fastrand::u64(..),
    }
}
