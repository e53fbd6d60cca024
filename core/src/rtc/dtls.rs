//! A DTLS association that agrees on SRTP keys with the side whose fingerprint the SDP named.
//!
//! It stands around `rtc-dtls`, feeds it only what a [`sieve`] lets through, and owns the
//! retransmission timer: the library forgets its own when a flight arrives in part or twice.

mod identity;

mod sieve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rtc_crypto::{HashAlgorithm, RTCCryptoProvider};
use rtc_dtls::config::HandshakeConfig;
use rtc_dtls::endpoint::{Endpoint, EndpointEvent};
use rtc_dtls::state::State;
use rtc_shared::TransportProtocol;
use rtc_shared::error::Error;

use super::connection::{CloseReason, Dropped};
use super::srtp::{Profile, SessionKeys};
pub use identity::{Identity, IdentityError};
use sieve::Sieve;

/// One association, in either role.
pub(super) struct Association {
    identity: Arc<Identity>,
    crypto: Arc<dyn RTCCryptoProvider>,
    remote_fingerprint: Vec<u8>,
    client: bool,
    endpoint: Option<Endpoint>,
    sieve: Sieve,
    timer: Timer,
    // The first flight of a client that may have to be read again with other profiles.
    hello: Vec<Bytes>,
    fell_back: bool,
    progress: Progress,
    // What it takes to say goodbye after the endpoint is gone.
    farewell: Option<Vec<u8>>,
}

/// What happened in the association.
pub(super) enum Happened {
    /// The other side is who the SDP said, and these are the keys.
    Connected(Profile, SessionKeys),
    /// It is over.
    Closed(CloseReason),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Handshaking,
    /// Since when.
    Done(Instant),
    Closed,
}

/// RFC 6347 section 4.2.4: doubles from retransmission to retransmission of a flight.
#[derive(Default)]
struct Timer {
    // The endpoint's own time, which tells when it has sent another flight.
    armed: Option<Instant>,
    due: Option<Instant>,
    retransmissions: u32,
}

// === impl Association ===

impl Association {
    pub(super) fn new(
        identity: Arc<Identity>,
        crypto: Arc<dyn RTCCryptoProvider>,
        remote_fingerprint: Vec<u8>,
        client: bool,
    ) -> Self {
        Self {
            endpoint: Some(endpoint((!client).then(|| identity.server()))),
            identity,
            crypto,
            remote_fingerprint,
            client,
            sieve: Sieve::new(client),
            timer: Timer::default(),
            hello: Vec::new(),
            fell_back: false,
            progress: Progress::Handshaking,
            farewell: None,
        }
    }

    /// Sends the first flight, as client.
    pub(super) fn start(&mut self, now: Instant) -> Option<Happened> {
        if !self.client || self.progress != Progress::Handshaking {
            return None;
        }
        let config = self.identity.client();
        match self.endpoint.as_mut()?.connect(now, REMOTE, config, None) {
            Ok(()) => {
                self.timer.watch(self.armed(), now);
                None
            }
            Err(error) => Some(self.fail(&error)),
        }
    }

    /// Takes a datagram from a validated address. `Ok(None)` says that nothing has happened yet.
    pub(super) fn handle(
        &mut self,
        now: Instant,
        datagram: &[u8],
    ) -> Result<Option<Happened>, Dropped> {
        let records = match self.progress {
            Progress::Closed => return Err(Dropped::Closed),
            Progress::Handshaking => self.sieve.handshaking(datagram)?,
            Progress::Done(_) => self.sieve.established(datagram)?,
        };
        if self.endpoint.is_none() {
            self.restore(now)?;
        }
        if !self.may_fall_back() {
            self.hello = Vec::new();
        } else if self.hello.len() < MAX_HELLO_DATAGRAMS {
            self.hello.push(Bytes::copy_from_slice(&records));
        }
        let happened = match self.feed(now, records) {
            Err(Error::ErrServerNoMatchingSrtpProfile) if self.may_fall_back() => {
                self.fall_back(now)
            }
            result => self.conclude(now, result),
        };
        self.timer.watch(self.armed(), now);
        Ok(happened)
    }

    pub(super) fn poll_transmit(&mut self) -> Option<BytesMut> {
        let sent = self.endpoint.as_mut()?.poll_transmit()?;
        Some(sent.message)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.progress {
            Progress::Handshaking => self.timer.due,
            Progress::Done(since) => self.endpoint.is_some().then_some(since + LINGER),
            Progress::Closed => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Happened> {
        if self.poll_timeout().is_none_or(|due| due > now) {
            return None;
        }
        match self.progress {
            Progress::Handshaking => {
                let result = self.endpoint.as_mut()?.handle_timeout(REMOTE, now);
                self.timer.fired(self.armed(), now);
                if let Err(error) = result {
                    return Some(self.fail(&error));
                }
            }
            Progress::Done(_) => self.compact(),
            Progress::Closed => {}
        }
        None
    }

    /// Says goodbye.
    pub(super) fn close(&mut self, now: Instant) {
        if self.progress == Progress::Closed {
            return;
        }
        if self.endpoint.is_some() || self.restore(now).is_ok() {
            self.hang_up(now);
        }
        self.progress = Progress::Closed;
    }

    fn hang_up(&mut self, now: Instant) {
        if let Some(endpoint) = &mut self.endpoint {
            endpoint.stop(now, REMOTE);
        }
    }

    fn armed(&self) -> Option<Instant> {
        self.endpoint.as_ref()?.poll_timeout(&REMOTE)
    }

    fn feed(&mut self, now: Instant, records: BytesMut) -> Result<Vec<EndpointEvent>, Error> {
        let Some(endpoint) = &mut self.endpoint else { return Ok(Vec::new()) };
        endpoint.read(now, REMOTE, None, records)
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "the library's enum is non-exhaustive")]
    fn conclude(
        &mut self,
        now: Instant,
        result: Result<Vec<EndpointEvent>, Error>,
    ) -> Option<Happened> {
        match result {
            Ok(events) => {
                let mut happened = None;
                for event in events {
                    match event {
                        EndpointEvent::HandshakeComplete => happened = Some(self.complete(now)),
                        EndpointEvent::PeerClosed => {
                            self.progress = Progress::Closed;
                            happened = Some(Happened::Closed(CloseReason::PeerClosed));
                        }
                        // There are no data channels.
                        _ => {}
                    }
                }
                happened
            }
            Err(error) => match self.progress {
                Progress::Handshaking => Some(self.fail(&error)),
                Progress::Done(_) if error == Error::ErrAlertFatalOrClose => {
                    self.progress = Progress::Closed;
                    Some(Happened::Closed(CloseReason::PeerClosed))
                }
                Progress::Done(_) | Progress::Closed => None,
            },
        }
    }

    // Nothing is exported before the certificate is the one that the SDP named.
    fn complete(&mut self, now: Instant) -> Happened {
        self.hello = Vec::new();
        match self.keys() {
            Ok((profile, keys)) => {
                self.sieve.finish();
                self.progress = Progress::Done(now);
                Happened::Connected(profile, keys)
            }
            Err(reason) => {
                self.hang_up(now);
                self.progress = Progress::Closed;
                Happened::Closed(reason)
            }
        }
    }

    fn keys(&self) -> Result<(Profile, SessionKeys), CloseReason> {
        let failed = |text: String| CloseReason::HandshakeFailed(text);
        let endpoint = self.endpoint.as_ref().ok_or(CloseReason::NoCertificate)?;
        let state = endpoint.get_connection_state(REMOTE).ok_or(CloseReason::NoCertificate)?;
        let certificate = state.peer_certificates.first().ok_or(CloseReason::NoCertificate)?;
        let fingerprint = self
            .crypto
            .crypto()
            .hash(HashAlgorithm::Sha256, certificate)
            .map_err(|error| failed(error.to_string()))?;
        if !rtc_crypto::constant_time_eq(&fingerprint, &self.remote_fingerprint) {
            return Err(CloseReason::FingerprintMismatch);
        }
        let profile = Profile::from_dtls(state.srtp_protection_profile())
            .ok_or_else(|| failed("no SRTP profile in common".to_owned()))?;
        let material = state
            .export_keying_material(EXPORTER_LABEL, &[], profile.keying_material_len())
            .map_err(|error| failed(error.to_string()))?;
        let keys = SessionKeys::from_keying_material(profile, material.as_ref(), self.client)
            .map_err(|error| failed(error.to_string()))?;
        Ok((profile, keys))
    }

    fn fail(&mut self, error: &Error) -> Happened {
        self.progress = Progress::Closed;
        self.hello = Vec::new();
        Happened::Closed(if *error == Error::ErrClientCertificateRequired {
            CloseReason::NoCertificate
        } else {
            CloseReason::HandshakeFailed(error.to_string())
        })
    }

    // A server starts with the GCM profiles alone, because the library follows the client's order.
    fn may_fall_back(&self) -> bool {
        !self.client
            && self.progress == Progress::Handshaking
            && self.sieve.is_first_flight()
            && !self.fell_back
    }

    // A browser does not try again after an alert, so the alert is thrown away with the endpoint.
    fn fall_back(&mut self, now: Instant) -> Option<Happened> {
        self.fell_back = true;
        self.endpoint = Some(endpoint(Some(self.identity.fallback_server())));
        let mut happened = None;
        for records in std::mem::take(&mut self.hello) {
            let result = self.feed(now, BytesMut::from(&records[..]));
            happened = self.conclude(now, result);
            if happened.is_some() {
                break;
            }
        }
        happened
    }

    // An established endpoint only answers repeated flights and says goodbye; after a while
    // nobody repeats, and its master secret is enough.
    fn compact(&mut self) {
        let Some(endpoint) = &self.endpoint else { return };
        let state = endpoint.get_connection_state(REMOTE);
        if let Some(farewell) = state.and_then(|state| state.marshal_binary().ok()) {
            self.farewell = Some(farewell);
            self.endpoint = None;
        }
    }

    fn restore(&mut self, now: Instant) -> Result<(), Dropped> {
        let farewell = self.farewell.take().ok_or(Dropped::Closed)?;
        let mut state = State::new(self.crypto.clone(), self.client);
        let mut endpoint = endpoint(None);
        let config = self.identity.client();
        let restored = state
            .unmarshal_binary(&farewell)
            .and_then(|()| endpoint.connect(now, REMOTE, config, Some(state)));
        if restored.is_err() {
            return Err(Dropped::Closed);
        }
        self.endpoint = Some(endpoint);
        if let Progress::Done(since) = &mut self.progress {
            *since = now;
        }
        Ok(())
    }
}

// === impl Timer ===

impl Timer {
    // Looks whether the endpoint has sent another flight.
    fn watch(&mut self, armed: Option<Instant>, now: Instant) {
        if armed != self.armed {
            self.armed = armed;
            self.retransmissions = 0;
            self.due = armed.map(|_| now + FIRST_RETRANSMISSION);
        }
    }

    fn fired(&mut self, armed: Option<Instant>, now: Instant) {
        self.armed = armed;
        self.retransmissions += 1;
        // The library gives up for good if it is asked once more.
        let more = armed.is_some() && self.retransmissions < MAX_RETRANSMISSIONS;
        self.due = more.then(|| now + FIRST_RETRANSMISSION * (1 << self.retransmissions));
    }
}

fn endpoint(server: Option<Arc<HandshakeConfig>>) -> Endpoint {
    Endpoint::new(REMOTE, TransportProtocol::UDP, server)
}

// The endpoint is keyed by address; a constant lets the association survive a change of network.
const REMOTE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
const EXPORTER_LABEL: &str = "EXTRACTOR-dtls_srtp";
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(150);
const MAX_RETRANSMISSIONS: u32 = 7;
const MAX_HELLO_DATAGRAMS: usize = 8;
const LINGER: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests;
