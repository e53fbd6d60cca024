//! A connection that carries one session's media: ICE, DTLS and SRTP over whatever path holds.
//!
//! It knows no tracks and no streams; those belong to the session that owns it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;

use super::dtls::{Association, Happened, Identity};
use super::ice::{Agent, Credentials, IceRole, Setup};
use super::srtp::receiver::Refused;
use super::srtp::{KeyError, Profile, Receiver, Sender, SessionKeys};
use super::transport::Transport;

/// What a connection starts from.
pub struct Config {
    /// Our side of ICE.
    pub ice: IceRole,
    /// Our ICE name and password.
    pub local: Credentials,
    /// Theirs.
    pub remote: Credentials,
    /// SHA-256 of their certificate, 32 bytes, from `a=fingerprint`.
    pub remote_fingerprint: Vec<u8>,
    /// Whether our side starts the DTLS handshake (`a=setup:active`).
    pub dtls_client: bool,
    /// Our certificate.
    pub identity: Arc<Identity>,
    /// Ciphers, hashes and keys.
    pub crypto: Arc<dyn RTCCryptoProvider>,
    /// Where to send checks to; for [`IceRole::Controlling`] only.
    pub remote_candidates: Vec<SocketAddr>,
    /// Seeds transaction ids and jitter.
    pub seed: u64,
}

/// Keys and a path that are known beforehand, for simulations and load generators.
pub struct Preset {
    /// Protects media and reports of both directions.
    pub keys: SessionKeys,
    /// How.
    pub profile: Profile,
    /// The one path.
    pub path: Transport,
    /// Ciphers.
    pub crypto: Arc<dyn RTCCryptoProvider>,
}

/// How a connection comes up.
pub enum Opening {
    /// By ICE and DTLS.
    Handshake(Config),
    /// At once, see [`Connection::preset`].
    Preset(Box<Preset>),
}

/// One connection.
pub struct Connection {
    // `None` with preset keys.
    agent: Option<Agent>,
    association: Option<Association>,
    crypto: Arc<dyn RTCCryptoProvider>,
    media: Option<Media>,
    path: Option<Transport>,
    transmits: VecDeque<(Transport, BytesMut)>,
    events: VecDeque<Event>,
    deadline: Instant,
    last_authenticated: Instant,
    dtls_started: bool,
    closed: bool,
}

struct Media {
    sender: Sender,
    receiver: Receiver,
}

/// What a connection reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The other side is who the SDP said; media may flow.
    Connected {
        /// How it is protected.
        profile: Profile,
    },
    /// It is over, and nothing follows.
    Closed(CloseReason),
    /// The path to send on was chosen, or changed.
    Path(Transport),
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The other side said goodbye.
    #[error("closed by the other side")]
    PeerClosed,
    /// The other side's certificate is not the one of the SDP.
    #[error("certificate does not match the fingerprint")]
    FingerprintMismatch,
    /// The other side showed no certificate.
    #[error("no certificate")]
    NoCertificate,
    /// ICE and DTLS did not come to an end in time.
    #[error("handshake timed out")]
    HandshakeTimeout,
    /// DTLS failed.
    #[error("handshake failed: {0}")]
    HandshakeFailed(String),
    /// Nothing authentic arrived for [`CONSENT_TIMEOUT`].
    #[error("consent lost")]
    ConsentLost,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Preset keys do not fit their profile.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The fingerprint is not one of SHA-256.
    #[error("fingerprint is not 32 bytes long: {length}")]
    Fingerprint {
        /// Its length in bytes.
        length: usize,
    },
}

/// Why a datagram was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, thiserror::Error)]
pub enum Dropped {
    /// It is not what it looks like.
    #[error("malformed")]
    Malformed,
    /// It is well formed, and nothing waits for it: a repeated flight, a late answer.
    #[error("unexpected")]
    Unexpected,
    /// A check for another session.
    #[error("unknown ufrag")]
    UnknownUfrag,
    /// A check or an answer with a wrong password.
    #[error("bad message integrity")]
    BadIntegrity,
    /// It comes from an address that passed no check.
    #[error("address not validated")]
    UnknownAddress,
    /// Media before the handshake has ended.
    #[error("not connected")]
    NotConnected,
    /// Media that fails authentication.
    #[error("forged")]
    Forged,
    /// Media that came before.
    #[error("replayed")]
    Replayed,
    /// Media of more sources than a session may have.
    #[error("too many ssrcs")]
    TooManySsrcs,
    /// The connection has ended.
    #[error("closed")]
    Closed,
}

/// How long ICE and DTLS may take together.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(20);

/// How long the other side may be silent (RFC 7675 section 5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);

// === impl Connection ===

impl Connection {
    /// Starts a connection either way.
    pub fn open(now: Instant, opening: Opening) -> Result<Self, ConfigError> {
        match opening {
            Opening::Handshake(config) => Self::new(now, config),
            Opening::Preset(preset) => {
                let Preset { keys, profile, path, crypto } = *preset;
                Ok(Self::preset(now, &keys, profile, path, crypto)?)
            }
        }
    }

    /// Starts a connection.
    pub fn new(now: Instant, config: Config) -> Result<Self, ConfigError> {
        if config.remote_fingerprint.len() != FINGERPRINT_LEN {
            return Err(ConfigError::Fingerprint { length: config.remote_fingerprint.len() });
        }
        let setup = Setup {
            role: config.ice,
            local: config.local,
            remote: config.remote,
            candidates: config.remote_candidates,
            crypto: config.crypto.clone(),
            seed: config.seed,
        };
        let association = Association::new(
            config.identity,
            config.crypto.clone(),
            config.remote_fingerprint,
            config.dtls_client,
        );
        Ok(Self {
            agent: Some(Agent::new(now, setup)),
            association: Some(association),
            crypto: config.crypto,
            media: None,
            path: None,
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            deadline: now + HANDSHAKE_TIMEOUT,
            last_authenticated: now,
            dtls_started: false,
            closed: false,
        })
    }

    /// Makes a connection that is connected from the start, with known keys and one fixed path.
    ///
    /// For simulation: it speaks neither ICE nor DTLS. Consent works as ever, so that one of its
    /// kind that hears nothing for [`CONSENT_TIMEOUT`] ends.
    pub fn preset(
        now: Instant,
        keys: &SessionKeys,
        profile: Profile,
        path: Transport,
        crypto: Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, KeyError> {
        let mut connection = Self {
            agent: None,
            association: None,
            crypto,
            media: None,
            path: Some(path),
            transmits: VecDeque::new(),
            events: VecDeque::from([Event::Path(path)]),
            deadline: now,
            last_authenticated: now,
            dtls_started: true,
            closed: false,
        };
        connection.install(profile, keys)?;
        Ok(connection)
    }

    /// Takes a STUN or DTLS datagram.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        transport: Transport,
        datagram: &[u8],
    ) -> Result<(), Dropped> {
        if self.closed {
            return Err(Dropped::Closed);
        }
        let agent = self.agent.as_mut().ok_or(Dropped::Unexpected)?;
        // RFC 7983: the two lowest values of the first byte are STUN's message class.
        if datagram.first().is_some_and(|first| *first < 4) {
            let result = agent.handle_stun(now, transport, datagram);
            if result.is_ok() {
                self.last_authenticated = now;
            }
            self.follow(now);
            return result;
        }
        if !agent.is_validated(transport.origin()) {
            return Err(Dropped::UnknownAddress);
        }
        let association = self.association.as_mut().ok_or(Dropped::Unexpected)?;
        let happened = association.handle(now, datagram)?;
        self.settle(now, happened);
        Ok(())
    }

    /// Learns that a TCP connection has ended. What was sent there takes the last checked path that
    /// is left, or waits for a new one; how long is a matter of consent.
    pub fn handle_disconnect(&mut self, now: Instant, transport: Transport) {
        if let Some(agent) = &mut self.agent {
            agent.forget(transport.origin());
            self.follow(now);
        }
    }

    /// Opens an SRTP packet and returns the plain one. It counts as consent.
    pub fn unprotect_rtp(
        &mut self,
        now: Instant,
        transport: &Transport,
        datagram: &[u8],
    ) -> Result<BytesMut, Dropped> {
        let plain = self.receiver(transport)?.open_rtp(datagram)?;
        self.last_authenticated = now;
        Ok(plain)
    }

    /// Opens an SRTCP packet and returns the plain one. It counts as consent.
    pub fn unprotect_rtcp(
        &mut self,
        now: Instant,
        transport: &Transport,
        datagram: &[u8],
    ) -> Result<BytesMut, Dropped> {
        let plain = self.receiver(transport)?.open_rtcp(datagram)?;
        self.last_authenticated = now;
        Ok(plain)
    }

    /// Protects a compound RTCP packet; `None` before the connection is up.
    pub fn protect_rtcp(&mut self, plain: &[u8]) -> Option<BytesMut> {
        self.media.as_mut()?.receiver.protect_rtcp(plain)
    }

    /// What seals outgoing RTP; `None` before the connection is up.
    pub fn sender(&mut self) -> Option<&mut Sender> {
        Some(&mut self.media.as_mut()?.sender)
    }

    /// Where to send.
    pub fn path(&self) -> Option<Transport> {
        self.path
    }

    /// Whether media may flow.
    pub fn is_connected(&self) -> bool {
        self.media.is_some() && !self.closed
    }

    /// When the last authentic packet came: a check, media, a report, the end of the handshake.
    pub fn last_authenticated(&self) -> Instant {
        self.last_authenticated
    }

    /// Our newest ufrag; empty with preset keys.
    pub fn local_ufrag(&self) -> &str {
        self.agent.as_ref().map_or("", |agent| &agent.credentials().0.ufrag)
    }

    /// Their newest ufrag; empty with preset keys.
    pub fn remote_ufrag(&self) -> &str {
        self.agent.as_ref().map_or("", |agent| &agent.credentials().1.ufrag)
    }

    /// Gives both sides new credentials. The old ones work until the first authentic check with
    /// the new.
    pub fn restart_ice(&mut self, local: Credentials, remote: Credentials) {
        if let Some(agent) = &mut self.agent {
            agent.restart(local, remote);
        }
    }

    /// Adds an address to send checks to, as [`IceRole::Controlling`].
    pub fn add_remote_candidate(&mut self, candidate: SocketAddr) {
        if let Some(agent) = &mut self.agent {
            agent.add_candidate(candidate);
        }
    }

    /// Says goodbye. What it takes is left in [`Self::poll_transmit`]; no event follows.
    pub fn close(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        if let Some(association) = &mut self.association {
            association.close(now);
        }
        self.flush();
        self.closed = true;
    }

    /// The next STUN or DTLS datagram to send.
    pub fn poll_transmit(&mut self) -> Option<(Transport, BytesMut)> {
        self.transmits.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Self::handle_timeout`]. Any call with a later time may move it.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let agent = self.agent.as_ref().and_then(Agent::poll_timeout);
        let association = self.association.as_ref().and_then(Association::poll_timeout);
        [Some(self.expiry().0), agent, association].into_iter().flatten().min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        let (expiry, reason) = self.expiry();
        if expiry <= now {
            self.end(now, reason);
            return;
        }
        if let Some(agent) = &mut self.agent
            && agent.poll_timeout().is_some_and(|due| due <= now)
        {
            agent.handle_timeout(now);
        }
        let happened = self.association.as_mut().and_then(|it| it.handle_timeout(now));
        self.settle(now, happened);
        self.follow(now);
    }

    fn expiry(&self) -> (Instant, CloseReason) {
        if self.media.is_some() {
            (self.last_authenticated + CONSENT_TIMEOUT, CloseReason::ConsentLost)
        } else {
            (self.deadline, CloseReason::HandshakeTimeout)
        }
    }

    fn receiver(&mut self, transport: &Transport) -> Result<&mut Receiver, Dropped> {
        if self.closed {
            return Err(Dropped::Closed);
        }
        let validated = match &self.agent {
            Some(agent) => agent.is_validated(transport.origin()),
            None => self.path.is_some_and(|path| path.origin() == transport.origin()),
        };
        if !validated {
            return Err(Dropped::UnknownAddress);
        }
        Ok(&mut self.media.as_mut().ok_or(Dropped::NotConnected)?.receiver)
    }

    // Follows the agent to another path, and starts DTLS on the first.
    fn follow(&mut self, now: Instant) {
        // A preset path has no agent that might choose another.
        let Some(agent) = &self.agent else { return };
        let path = agent.path();
        if path != self.path && !self.closed {
            self.path = path;
            self.events.extend(path.map(Event::Path));
        }
        if path.is_some() && !self.dtls_started {
            self.dtls_started = true;
            let happened = self.association.as_mut().and_then(|it| it.start(now));
            self.settle(now, happened);
        }
        self.flush();
    }

    fn settle(&mut self, now: Instant, happened: Option<Happened>) {
        match happened {
            None => self.flush(),
            Some(Happened::Connected(profile, keys)) => {
                self.last_authenticated = now;
                self.flush();
                if let Err(error) = self.install(profile, &keys) {
                    self.end(now, CloseReason::HandshakeFailed(error.to_string()));
                }
            }
            Some(Happened::Closed(reason)) => self.end(now, reason),
        }
    }

    fn install(&mut self, profile: Profile, keys: &SessionKeys) -> Result<(), KeyError> {
        let sender = Sender::new(self.crypto.crypto(), profile, &keys.local)?;
        let receiver = Receiver::new(self.crypto.clone(), profile, keys)?;
        self.media = Some(Media { sender, receiver });
        self.events.push_back(Event::Connected { profile });
        Ok(())
    }

    fn end(&mut self, now: Instant, reason: CloseReason) {
        self.close(now);
        self.events.push_back(Event::Closed(reason));
    }

    fn flush(&mut self) {
        if let Some(agent) = &mut self.agent {
            while let Some(transmit) = agent.poll_transmit() {
                self.transmits.push_back(transmit);
            }
        }
        if let (Some(association), Some(path)) = (&mut self.association, self.path) {
            while let Some(datagram) = association.poll_transmit() {
                self.transmits.push_back((path, datagram));
            }
        }
    }
}

// === impl Opening ===

impl From<Config> for Opening {
    fn from(config: Config) -> Self {
        Self::Handshake(config)
    }
}

// === impl Dropped ===

impl Dropped {
    /// Every reason, for tables of counters.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Unexpected,
        Self::UnknownUfrag,
        Self::BadIntegrity,
        Self::UnknownAddress,
        Self::NotConnected,
        Self::Forged,
        Self::Replayed,
        Self::TooManySsrcs,
        Self::Closed,
    ];
}

impl From<Refused> for Dropped {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::Malformed,
            Refused::Forged => Self::Forged,
            Refused::Replayed => Self::Replayed,
            Refused::TooManySsrcs => Self::TooManySsrcs,
        }
    }
}

const FINGERPRINT_LEN: usize = 32;

#[cfg(test)]
mod tests;
