//! A tally of who has how many sessions.

use std::collections::HashMap;
use std::hash::Hash;

use whitewater_signaling::control::{Open, Refusal};
use whitewater_signaling::rate::Network;

use super::Limits;
use super::registry::SessionEntry;

/// How many sessions each address and each holder of a permission has. Who has none is not in it.
#[derive(Debug, Default)]
pub(super) struct Tally {
    addresses: HashMap<Network, u32>,
    holders: HashMap<[u8; 32], u32>,
}

// === impl Tally ===

impl Tally {
    /// Refuses one more than a client may have. What is replaced ends, and does not count.
    pub(super) fn check(&self, request: &Open, limits: &Limits) -> Result<(), Refusal> {
        let replaced = u32::from(request.replaces.is_some());
        let is_full = |count: Option<&u32>, max: u32| {
            max > 0 && count.copied().unwrap_or(0) >= max.saturating_add(replaced)
        };
        let address = request.client.map(Network::of);
        if is_full(address.and_then(|key| self.addresses.get(&key)), limits.address_sessions) {
            let max = limits.address_sessions;
            return Err(Refusal::TooMany(format!("your address has its {max} sessions")));
        }
        let holder = request.grant.identity.as_ref().map(|identity| identity.digest());
        if is_full(holder.and_then(|key| self.holders.get(&key)), limits.token_sessions) {
            let max = limits.token_sessions;
            return Err(Refusal::TooMany(format!("the token has its {max} sessions")));
        }
        Ok(())
    }

    /// A session is there.
    pub(super) fn add(&mut self, session: &SessionEntry) {
        let (address, holder) = keys(session);
        more(&mut self.addresses, address);
        more(&mut self.holders, holder);
    }

    /// A session has gone.
    pub(super) fn remove(&mut self, session: &SessionEntry) {
        let (address, holder) = keys(session);
        less(&mut self.addresses, address);
        less(&mut self.holders, holder);
    }

    /// How many addresses and holders there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.addresses.len(), self.holders.len())
    }
}

fn keys(session: &SessionEntry) -> (Option<Network>, Option<[u8; 32]>) {
    let holder = session.grant.identity.as_ref();
    (session.client.map(Network::of), holder.map(|identity| identity.digest()))
}

fn more<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: Option<K>) {
    if let Some(key) = key {
        *counts.entry(key).or_default() += 1;
    }
}

fn less<K: Hash + Eq>(counts: &mut HashMap<K, u32>, key: Option<K>) {
    if let Some(key) = key
        && let Some(count) = counts.get_mut(&key)
    {
        *count -= 1;
        if *count == 0 {
            counts.remove(&key);
        }
    }
}
