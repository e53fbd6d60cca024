//! A lite agent that answers checks and follows the other side's nominations.

use rtc_stun::message::Message;

use super::responder::Responder;
use super::{IceRole, Secrets, Setup, Transmits, Validated};
use crate::rtc::connection::Dropped;
use crate::rtc::transport::{Origin, Transport};

/// The server's side.
pub(in crate::rtc) struct Lite {
    responder: Responder,
    pub(super) validated: Validated,
    pub(super) transmits: Transmits,
    checked: Option<Transport>,
    nominated: Option<Transport>,
}

// === impl Lite ===

impl Lite {
    pub(super) fn new(setup: Setup) -> Self {
        let secrets = Secrets { local: setup.local, remote: setup.remote };
        Self {
            responder: Responder::new(IceRole::Lite, secrets, setup.crypto),
            validated: Validated::default(),
            transmits: Transmits::new(),
            checked: None,
            nominated: None,
        }
    }

    pub(super) fn handle(&mut self, transport: Transport, message: Message) -> Result<(), Dropped> {
        let answer = self.responder.answer(transport, message)?;
        self.transmits.push_back((transport, answer.reply));
        if !answer.passed {
            return Ok(());
        }
        self.validated.insert(transport.origin());
        if answer.restarted {
            self.nominated = None;
        }
        self.checked = Some(transport);
        if answer.nominated {
            self.nominated = Some(transport);
        }
        Ok(())
    }

    /// Forgets an origin; a path to it is no path.
    pub(super) fn forget(&mut self, origin: Origin) {
        self.validated.remove(origin);
        for path in [&mut self.checked, &mut self.nominated] {
            path.take_if(|path| path.origin() == origin);
        }
    }

    /// The last nominated path; until there is one, the last checked.
    pub(super) fn path(&self) -> Option<Transport> {
        self.nominated.or(self.checked)
    }

    pub(super) fn restart(&mut self, secrets: Secrets) {
        self.responder.restart(secrets);
    }

    pub(super) fn newest(&self) -> &Secrets {
        self.responder.newest()
    }
}
