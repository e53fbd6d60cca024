//! An agent that finds and keeps the path of a session (RFC 8445), as server or as client.

mod client;

mod lite;

mod responder;

mod rng;

mod stun;

use std::collections::VecDeque;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use smallvec::SmallVec;

use super::connection::Dropped;
use super::transport::{Origin, Transport};
use client::Client;
use lite::Lite;

/// Which side of ICE a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IceRole {
    /// Answers checks and sends none: the server.
    Lite,
    /// Sends checks to the remote candidates, nominates the first that answers, and keeps asking
    /// for consent: the client.
    Controlling,
}

/// The name and password of one side for one ICE session (RFC 8839 section 5.4).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// `a=ice-ufrag`, 4 to 256 characters.
    pub ufrag: String,
    /// `a=ice-pwd`, 22 to 256 characters.
    pub pwd: String,
}

/// What an agent starts from.
pub(super) struct Setup {
    pub(super) role: IceRole,
    pub(super) local: Credentials,
    pub(super) remote: Credentials,
    pub(super) candidates: Vec<SocketAddr>,
    pub(super) crypto: Arc<dyn RTCCryptoProvider>,
    pub(super) seed: u64,
}

/// Either side of ICE.
pub(super) enum Agent {
    Lite(Lite),
    Client(Client),
}

/// Both sides' credentials of one ICE session.
struct Secrets {
    local: Credentials,
    remote: Credentials,
}

/// The last origins that passed an authenticated check, the newest last.
#[derive(Default)]
struct Validated(SmallVec<[Origin; MAX_VALIDATED]>);

type Transmits = VecDeque<(Transport, BytesMut)>;

// === impl Credentials ===

impl Credentials {
    /// Checks what RFC 8839 section 5.4 demands of both values and says what is wrong.
    pub fn check(&self) -> Result<(), &'static str> {
        // A colon separates the two fragments in a STUN user name.
        let plain = |text: &str| text.bytes().all(|c| c.is_ascii_graphic() && c != b':');
        if !(4..=256).contains(&self.ufrag.len()) || !plain(&self.ufrag) {
            return Err("ice-ufrag must have 4 to 256 characters");
        }
        if !(22..=256).contains(&self.pwd.len()) || !plain(&self.pwd) {
            return Err("ice-pwd must have 22 to 256 characters");
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    /// Leaves the password out, so that it reaches no log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

// === impl Agent ===

impl Agent {
    pub(super) fn new(now: Instant, setup: Setup) -> Self {
        match setup.role {
            IceRole::Lite => Self::Lite(Lite::new(setup)),
            IceRole::Controlling => Self::Client(Client::new(now, setup)),
        }
    }

    /// Takes a STUN message. `Ok` means that it was authentic.
    pub(super) fn handle_stun(
        &mut self,
        now: Instant,
        transport: Transport,
        datagram: &[u8],
    ) -> Result<(), Dropped> {
        let message = stun::decode(datagram).ok_or(Dropped::Malformed)?;
        match self {
            Self::Lite(lite) => lite.handle(transport, message),
            Self::Client(client) => client.handle(now, transport, message),
        }
    }

    /// Whether an origin passed an authenticated check of this session.
    pub(super) fn is_validated(&self, origin: Origin) -> bool {
        match self {
            Self::Lite(lite) => lite.validated.contains(origin),
            Self::Client(client) => client.validated.contains(origin),
        }
    }

    /// Forgets an origin that nothing reaches any more.
    pub(super) fn forget(&mut self, origin: Origin) {
        match self {
            Self::Lite(lite) => lite.forget(origin),
            // Its candidates are UDP, where nobody says that an address has gone.
            Self::Client(_) => {}
        }
    }

    pub(super) fn path(&self) -> Option<Transport> {
        match self {
            Self::Lite(lite) => lite.path(),
            Self::Client(client) => client.path(),
        }
    }

    pub(super) fn restart(&mut self, local: Credentials, remote: Credentials) {
        let secrets = Secrets { local, remote };
        match self {
            Self::Lite(lite) => lite.restart(secrets),
            Self::Client(client) => client.restart(secrets),
        }
    }

    pub(super) fn add_candidate(&mut self, candidate: SocketAddr) {
        match self {
            // The other side sends the checks; it reaches us, or nobody does.
            Self::Lite(_) => {}
            Self::Client(client) => client.add_candidate(candidate),
        }
    }

    /// The newest credentials, local first.
    pub(super) fn credentials(&self) -> (&Credentials, &Credentials) {
        let secrets = match self {
            Self::Lite(lite) => lite.newest(),
            Self::Client(client) => client.newest(),
        };
        (&secrets.local, &secrets.remote)
    }

    pub(super) fn poll_transmit(&mut self) -> Option<(Transport, BytesMut)> {
        match self {
            Self::Lite(lite) => lite.transmits.pop_front(),
            Self::Client(client) => client.transmits.pop_front(),
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Lite(_) => None,
            Self::Client(client) => client.poll_timeout(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match self {
            Self::Lite(_) => {}
            Self::Client(client) => client.handle_timeout(now),
        }
    }
}

// === impl Validated ===

impl Validated {
    fn contains(&self, origin: Origin) -> bool {
        self.0.contains(&origin)
    }

    fn insert(&mut self, origin: Origin) {
        if self.0.last() == Some(&origin) {
            return;
        }
        self.remove(origin);
        if self.0.len() >= MAX_VALIDATED {
            self.0.remove(0);
        }
        self.0.push(origin);
    }

    fn remove(&mut self, origin: Origin) {
        self.0.retain(|known| *known != origin);
    }
}

const MAX_VALIDATED: usize = 8;

#[cfg(test)]
mod tests;
