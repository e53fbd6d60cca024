//! A claim on a stream's name: who may publish it while it has, or had, a publisher.
//!
//! Who was there last keeps the name until the reconnect window ends, unless it left on purpose. It is
//! known by the session that a POST says it replaces, or by the identity of its grant.

use whitewater_signaling::control::{Identity, SessionId};

/// Who published a stream last.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    /// Its session, which may have ended.
    pub(super) session: SessionId,
    /// The session that it replaced by name, until it is connected: the answer that names the newer one
    /// may have been lost.
    pub(super) before: Option<SessionId>,
    /// Whose grant it came with.
    pub(super) identity: Option<Identity>,
    /// Where it stands.
    pub(super) state: State,
}

/// Where a stream's last publisher stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Its shard opens its session.
    Opening,
    /// Its session is open and not connected yet.
    Expected,
    /// It is heard.
    Present,
    /// It fell silent, or its connection failed.
    Lost,
    /// It ended its session itself.
    Left,
}

/// Who wants to publish the stream now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claimant<'a> {
    /// The session that it says to replace.
    pub(super) replaces: Option<&'a SessionId>,
    /// Whose grant it comes with.
    pub(super) identity: Option<&'a Identity>,
    /// Whether anybody may take a stream of this name over.
    pub(super) takeover: bool,
}

/// What becomes of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The name is the claimant's.
    Granted,
    /// Somebody has it.
    Taken,
    /// Somebody had it and may come back.
    Kept,
}

// === impl Holder ===

impl Holder {
    /// Decides who gets the name.
    pub(super) fn judge(&self, claimant: Claimant<'_>) -> Verdict {
        let named = self.is_named_by(claimant.replaces);
        let same = self.identity.is_some() && self.identity.as_ref() == claimant.identity;
        // Who names a session that is not the last one has been taken over from: taking over in turn,
        // two publishers that reconnect by themselves would do it for ever.
        let takes_over = claimant.takeover && claimant.replaces.is_none();
        let granted = match self.state {
            State::Opening => false,
            State::Expected => named || same || takes_over,
            State::Present => named || takes_over,
            State::Lost => named || same || claimant.takeover,
            State::Left => true,
        };
        match (granted, self.state) {
            (true, _) => Verdict::Granted,
            (false, State::Lost) => Verdict::Kept,
            (false, State::Opening | State::Expected | State::Present | State::Left) => {
                Verdict::Taken
            }
        }
    }

    /// The session that a successor replaces by name, for as long as it may have to name it again.
    pub(super) fn before(&self, replaces: Option<&SessionId>) -> Option<SessionId> {
        let named = self.is_named_by(replaces);
        named.then(|| self.before.clone().unwrap_or_else(|| self.session.clone()))
    }

    fn is_named_by(&self, replaces: Option<&SessionId>) -> bool {
        replaces.is_some_and(|id| *id == self.session || self.before.as_ref() == Some(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SessionId {
        SessionId(text.into())
    }

    #[test]
    fn a_name_goes_to_whom_it_belongs() {
        use State::{Expected, Left, Lost, Opening, Present};
        use Verdict::{Granted, Kept, Taken};
        let claims = [
            ("a stranger", None, None, false),
            ("who names it", Some("new"), None, false),
            ("who names the one before it", Some("old"), None, false),
            ("who names another", Some("older"), None, false),
            ("the same identity", None, Some("one"), false),
            ("another identity", None, Some("two"), false),
            ("anybody, where that is allowed", None, None, true),
            ("who was taken over from", Some("older"), None, true),
        ];
        let rows = [
            (Opening, [Taken, Taken, Taken, Taken, Taken, Taken, Taken, Taken]),
            (Expected, [Taken, Granted, Granted, Taken, Granted, Taken, Granted, Taken]),
            (Present, [Taken, Granted, Granted, Taken, Taken, Taken, Granted, Taken]),
            (Lost, [Kept, Granted, Granted, Kept, Granted, Kept, Granted, Granted]),
            (Left, [Granted; 8]),
        ];
        for (state, verdicts) in rows {
            let holder = Holder {
                session: id("new"),
                before: Some(id("old")),
                identity: Some(Identity::of_token("one")),
                state,
            };
            for ((who, replaces, token, takeover), expected) in claims.into_iter().zip(verdicts) {
                let replaces = replaces.map(id);
                let identity = token.map(Identity::of_token);
                let claimant =
                    Claimant { replaces: replaces.as_ref(), identity: identity.as_ref(), takeover };
                assert_eq!(holder.judge(claimant), expected, "{state:?}: {who}");
            }
        }
    }

    #[test]
    fn who_shows_no_identity_is_never_the_same() {
        let holder = Holder { session: id("a"), before: None, identity: None, state: State::Lost };
        let claimant = Claimant { replaces: None, identity: None, takeover: false };
        assert_eq!(holder.judge(claimant), Verdict::Kept);
    }

    #[test]
    fn the_session_before_is_the_last_that_its_client_knows_of() {
        let connected =
            Holder { session: id("a"), before: None, identity: None, state: State::Lost };
        assert_eq!(connected.before(Some(&id("a"))), Some(id("a")));
        assert_eq!(connected.before(None), None);
        let lost_answer = Holder { session: id("b"), before: Some(id("a")), ..connected };
        assert_eq!(lost_answer.before(Some(&id("a"))), Some(id("a")));
        assert_eq!(lost_answer.before(Some(&id("x"))), None);
    }
}
