//! A controlling agent that checks the remote candidates and keeps one pair alive.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtc_stun::message::{BINDING_ERROR, BINDING_REQUEST, BINDING_SUCCESS, Message, TransactionId};

use super::responder::Responder;
use super::rng::Rng;
use super::stun::{self, Check};
use super::{IceRole, Secrets, Setup, Transmits, Validated};
use crate::rtc::connection::Dropped;
use crate::rtc::transport::Transport;

/// The client's side.
pub(in crate::rtc) struct Client {
    responder: Responder,
    pub(super) validated: Validated,
    pub(super) transmits: Transmits,
    rng: Rng,
    tie_breaker: u64,
    pairs: Vec<Pair>,
    phase: Phase,
    sent: VecDeque<Sent>,
    // The other side's address and ours on the pair in use.
    path: Option<Transport>,
    // The latest time anybody told; candidates come without one.
    clock: Instant,
}

/// A remote candidate that is being checked.
struct Pair {
    remote: SocketAddr,
    attempt: Attempt,
}

/// A check and its retransmissions, which share one transaction id.
struct Attempt {
    id: Option<TransactionId>,
    transmissions: u32,
    at: Instant,
}

enum Phase {
    /// Every pair is checked.
    Checking,
    /// One pair has answered and is told so.
    Nominating(SocketAddr, Attempt),
    /// The pair is in use; consent is asked for next at this time.
    Consenting(SocketAddr, Instant),
}

/// A request that may still be answered.
struct Sent {
    id: TransactionId,
    remote: SocketAddr,
    restarting: bool,
}

// === impl Client ===

impl Client {
    pub(super) fn new(now: Instant, setup: Setup) -> Self {
        let secrets = Secrets { local: setup.local, remote: setup.remote };
        let mut rng = Rng::new(setup.seed);
        let mut client = Self {
            responder: Responder::new(IceRole::Controlling, secrets, setup.crypto),
            validated: Validated::default(),
            transmits: Transmits::new(),
            tie_breaker: rng.next(),
            rng,
            pairs: Vec::new(),
            phase: Phase::Checking,
            sent: VecDeque::new(),
            path: None,
            clock: now,
        };
        for candidate in setup.candidates {
            client.add_candidate(candidate);
        }
        client
    }

    pub(super) fn add_candidate(&mut self, remote: SocketAddr) {
        if self.pairs.len() >= MAX_PAIRS || self.pairs.iter().any(|pair| pair.remote == remote) {
            return;
        }
        let latest = self.pairs.iter().filter(|pair| pair.attempt.transmissions == 0);
        let latest = latest.map(|pair| pair.attempt.at + PACE).max();
        let at = latest.unwrap_or(self.clock).max(self.clock);
        self.pairs.push(Pair { remote, attempt: Attempt::at(at) });
    }

    pub(super) fn restart(&mut self, secrets: Secrets) {
        self.responder.restart(secrets);
        self.phase = Phase::Checking;
        let mut at = self.clock;
        for pair in &mut self.pairs {
            pair.attempt = Attempt::at(at);
            at += PACE;
        }
    }

    pub(super) fn path(&self) -> Option<Transport> {
        self.path
    }

    pub(super) fn newest(&self) -> &Secrets {
        self.responder.newest()
    }

    pub(super) fn handle(
        &mut self,
        now: Instant,
        transport: Transport,
        message: Message,
    ) -> Result<(), Dropped> {
        self.clock = now;
        if message.typ == BINDING_REQUEST {
            let answer = self.responder.answer(transport, message)?;
            self.transmits.push_back((transport, answer.reply));
            if answer.passed {
                self.validated.insert(transport.origin());
                self.add_candidate(transport.remote);
            }
            return Ok(());
        }
        if message.typ != BINDING_SUCCESS && message.typ != BINDING_ERROR {
            return Err(Dropped::Unexpected);
        }
        self.handle_response(now, transport, message)
    }

    fn handle_response(
        &mut self,
        now: Instant,
        transport: Transport,
        mut message: Message,
    ) -> Result<(), Dropped> {
        let id = message.transaction_id;
        let at = self.sent.iter().position(|sent| sent.id == id && sent.remote == transport.remote);
        let at = at.ok_or(Dropped::Unexpected)?;
        // After the old session has ended, what it left unanswered counts for the new one.
        let restarting = self.sent[at].restarting && self.responder.is_restarting();
        let secrets = if restarting { self.responder.newest() } else { self.responder.current() };
        let crypto = self.responder.crypto().crypto();
        if !stun::authenticate(&mut message, &secrets.remote.pwd, crypto) {
            return Err(Dropped::BadIntegrity);
        }
        self.sent.remove(at);
        if message.typ == BINDING_ERROR {
            return Ok(());
        }
        if restarting {
            self.responder.promote();
        }
        self.validated.insert(transport.origin());
        match &self.phase {
            // An answer of the old session does not choose the pair of the new one.
            Phase::Checking if self.responder.is_restarting() => {}
            Phase::Checking => {
                self.path = Some(transport);
                self.phase = Phase::Nominating(transport.remote, Attempt::at(now));
                self.handle_timeout(now);
            }
            Phase::Nominating(remote, attempt) => {
                let remote = *remote;
                if attempt.id == Some(id) {
                    self.phase = Phase::Consenting(remote, now + self.consent_interval());
                }
            }
            Phase::Consenting(remote, _) => {
                if *remote == transport.remote {
                    self.path = Some(transport);
                }
            }
        }
        Ok(())
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Checking => self.pairs.iter().map(|pair| pair.attempt.at).min(),
            Phase::Nominating(_, attempt) => Some(attempt.at),
            Phase::Consenting(_, at) => Some(*at),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.clock = now;
        match &mut self.phase {
            Phase::Checking => {
                let mut due = Vec::new();
                for pair in &mut self.pairs {
                    if let Some(id) = pair.attempt.next(now, &mut self.rng) {
                        due.push((id, pair.remote));
                    }
                }
                for (id, remote) in due {
                    self.send(id, remote, false);
                }
            }
            Phase::Nominating(remote, attempt) => {
                let remote = *remote;
                if let Some(id) = attempt.next(now, &mut self.rng) {
                    self.send(id, remote, true);
                }
            }
            Phase::Consenting(remote, at) => {
                let remote = *remote;
                if *at > now {
                    return;
                }
                let id = self.rng.transaction_id();
                self.phase = Phase::Consenting(remote, now + self.consent_interval());
                // Nominating again moves the server along when a NAT gives us another address.
                self.send(id, remote, true);
            }
        }
    }

    fn send(&mut self, id: TransactionId, remote: SocketAddr, nominate: bool) {
        let secrets = self.responder.newest();
        let username = format!("{}:{}", secrets.remote.ufrag, secrets.local.ufrag);
        let check = Check { id, username: &username, tie_breaker: self.tie_breaker, nominate };
        let crypto = self.responder.crypto().crypto();
        let Some(bytes) = stun::request(&check, &secrets.remote.pwd, crypto) else { return };
        if !self.sent.iter().any(|sent| sent.id == id) {
            if self.sent.len() >= MAX_SENT {
                self.sent.pop_front();
            }
            let restarting = self.responder.is_restarting();
            self.sent.push_back(Sent { id, remote, restarting });
        }
        let local = self.path.filter(|path| path.remote == remote).and_then(|path| path.local);
        self.transmits.push_back((Transport::udp(local, remote), bytes));
    }

    // RFC 7675 section 5.1: every 5 s, 0.8 to 1.2 times.
    fn consent_interval(&mut self) -> Duration {
        Duration::from_millis(u64::from(4_000 + self.rng.below(2_000)))
    }
}

// === impl Attempt ===

impl Attempt {
    fn at(at: Instant) -> Self {
        Self { id: None, transmissions: 0, at }
    }

    // The id to send under, if it is time. After the last retransmission a new attempt begins.
    fn next(&mut self, now: Instant, rng: &mut Rng) -> Option<TransactionId> {
        if self.at > now {
            return None;
        }
        if self.transmissions >= MAX_TRANSMISSIONS {
            *self = Self::at(now);
        }
        let id = *self.id.get_or_insert_with(|| rng.transaction_id());
        self.at = now + FIRST_RETRANSMISSION * (1 << self.transmissions);
        self.transmissions += 1;
        Some(id)
    }
}

const PACE: Duration = Duration::from_millis(50);
const FIRST_RETRANSMISSION: Duration = Duration::from_millis(500);
const MAX_TRANSMISSIONS: u32 = 5;
const MAX_PAIRS: usize = 16;
const MAX_SENT: usize = 32;
