//! A responder that authenticates the other side's checks and answers them.
//!
//! What is not authentic is dropped without an answer: nobody can make it send anything to an
//! address that has not proved to know the password.

use std::sync::Arc;

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_stun::message::{BINDING_REQUEST, Message};

use super::{IceRole, Secrets, stun};
use crate::rtc::connection::Dropped;
use crate::rtc::transport::Transport;

/// The credentials of a session, also over a restart.
pub(super) struct Responder {
    crypto: Arc<dyn RTCCryptoProvider>,
    role: IceRole,
    current: Secrets,
    // Waits for its first authentic check; until then `current` keeps working.
    next: Option<Secrets>,
}

/// An authentic check and its answer.
pub(super) struct Answer {
    pub(super) reply: BytesMut,
    /// Whether the check passed, rather than being answered with an error.
    pub(super) passed: bool,
    pub(super) nominated: bool,
    /// Whether this check ended the old ICE session.
    pub(super) restarted: bool,
}

// === impl Responder ===

impl Responder {
    pub(super) fn new(role: IceRole, secrets: Secrets, crypto: Arc<dyn RTCCryptoProvider>) -> Self {
        Self { crypto, role, current: secrets, next: None }
    }

    pub(super) fn restart(&mut self, secrets: Secrets) {
        self.next = Some(secrets);
    }

    pub(super) fn crypto(&self) -> &dyn RTCCryptoProvider {
        &*self.crypto
    }

    pub(super) fn newest(&self) -> &Secrets {
        self.next.as_ref().unwrap_or(&self.current)
    }

    pub(super) fn current(&self) -> &Secrets {
        &self.current
    }

    pub(super) fn is_restarting(&self) -> bool {
        self.next.is_some()
    }

    /// Ends the old ICE session.
    pub(super) fn promote(&mut self) {
        if let Some(next) = self.next.take() {
            self.current = next;
        }
    }

    pub(super) fn answer(
        &mut self,
        transport: Transport,
        mut message: Message,
    ) -> Result<Answer, Dropped> {
        if message.typ != BINDING_REQUEST {
            return Err(Dropped::Unexpected);
        }
        let username = stun::username(&message).ok_or(Dropped::Malformed)?;
        let names = |secrets: &Secrets| {
            username.split_once(':').is_some_and(|(local, remote)| {
                local == secrets.local.ufrag && remote == secrets.remote.ufrag
            })
        };
        let restarted = self.next.as_ref().is_some_and(names);
        if !restarted && !names(&self.current) {
            return Err(Dropped::UnknownUfrag);
        }
        let crypto = self.crypto.crypto();
        let pwd = if restarted { &self.newest().local.pwd } else { &self.current.local.pwd };
        if !stun::authenticate(&mut message, pwd, crypto) {
            return Err(Dropped::BadIntegrity);
        }
        let id = message.transaction_id;
        let conflict = match self.role {
            IceRole::Lite => stun::claims_controlled(&message),
            IceRole::Controlling => stun::claims_controlling(&message),
        };
        let unknown = stun::unknown(&message);
        let passed = !conflict && unknown.is_empty();
        let reply = if conflict {
            stun::role_conflict(id, pwd, crypto)
        } else if unknown.is_empty() {
            stun::success(id, transport.remote, pwd, crypto)
        } else {
            stun::unknown_attributes(id, &unknown, pwd, crypto)
        };
        let reply = reply.ok_or(Dropped::Malformed)?;
        let restarted = restarted && passed;
        if restarted {
            self.promote();
        }
        Ok(Answer { reply, passed, nominated: passed && stun::nominates(&message), restarted })
    }
}
