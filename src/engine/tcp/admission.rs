//! An admission that bounds how many TCP connections there are, and how many have not shown yet
//! that they belong to a session.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts connections.
#[derive(Debug)]
pub(super) struct Admission {
    max_open: usize,
    counts: Mutex<Counts>,
}

/// A connection's place. It is given back when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    admission: Arc<Admission>,
    stranger: Option<IpAddr>,
}

#[derive(Debug, Default)]
struct Counts {
    open: usize,
    strangers: usize,
    by_network: HashMap<IpAddr, usize>,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(max_open: usize) -> Arc<Self> {
        Arc::new(Self { max_open, counts: Mutex::default() })
    }

    /// Admits a stranger, unless there are too many connections, or too many strangers, or too
    /// many of them from one place.
    pub(super) fn admit(self: &Arc<Self>, ip: IpAddr) -> Option<Ticket> {
        let network = network(ip);
        let mut counts = self.counts();
        let neighbours = counts.by_network.get(&network).copied().unwrap_or_default();
        if counts.open >= self.max_open
            || counts.strangers >= MAX_STRANGERS
            || neighbours >= MAX_STRANGERS_OF_A_NETWORK
        {
            return None;
        }
        counts.open += 1;
        counts.strangers += 1;
        counts.by_network.insert(network, neighbours + 1);
        Some(Ticket { admission: Arc::clone(self), stranger: Some(network) })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Counts ===

impl Counts {
    fn forget_stranger(&mut self, network: IpAddr) {
        self.strangers -= 1;
        let Some(neighbours) = self.by_network.get_mut(&network) else { return };
        *neighbours -= 1;
        if *neighbours == 0 {
            self.by_network.remove(&network);
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// The connection is a stranger's no more.
    pub(super) fn known(&mut self) {
        if let Some(network) = self.stranger.take() {
            self.admission.counts().forget_stranger(network);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.known();
        self.admission.counts().open -= 1;
    }
}

/// Whoever has one IPv6 address has its whole /64.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
    }
}

const MAX_STRANGERS: usize = 2_048;
/// A whole company may stand behind one address and join a stream in the same second.
const MAX_STRANGERS_OF_A_NETWORK: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_network_may_have_some_strangers_and_others_are_not_affected() {
        for (one, other) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8:0:1::1")] {
            let admission = Admission::new(10_000);
            let mut tickets: Vec<_> = (0..MAX_STRANGERS_OF_A_NETWORK)
                .map(|_| admission.admit(ip(one)).unwrap())
                .collect();
            assert!(admission.admit(ip(one)).is_none());
            assert!(admission.admit(ip(other)).is_some());
            tickets[0].known();
            tickets[0].known();
            assert!(admission.admit(ip(one)).is_some(), "who is known counts no more");
            drop(tickets);
            assert!(admission.counts().by_network.is_empty());
        }
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_count_together() {
        let admission = Admission::new(10_000);
        let address = |host: usize| ip(&format!("2001:db8::{host:x}"));
        let tickets: Vec<_> = (1..=200).map_while(|host| admission.admit(address(host))).collect();
        assert_eq!(tickets.len(), MAX_STRANGERS_OF_A_NETWORK);
    }

    #[test]
    fn all_connections_and_all_strangers_are_bounded() {
        let address = |at: usize| ip(&format!("10.0.{}.{}", at / 250, at % 250));
        let strangers = Admission::new(10_000);
        let tickets: Vec<_> = (0..).map_while(|at| strangers.admit(address(at))).collect();
        assert_eq!(tickets.len(), MAX_STRANGERS);

        let few = Admission::new(3);
        let mut tickets: Vec<_> = (0..3).map(|at| few.admit(address(at)).unwrap()).collect();
        tickets.iter_mut().for_each(Ticket::known);
        assert!(few.admit(address(4)).is_none());
        tickets.pop();
        assert!(few.admit(address(4)).is_some(), "who leaves makes room");
    }
}
