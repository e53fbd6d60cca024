//! A network that delays, reorders, loses and duplicates, the same way for the same seed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::random::Random;

/// What happens to datagrams of one direction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// The least time a datagram takes.
    pub delay: Duration,
    /// Up to this much is added, to each datagram for itself: more than the distance reorders.
    pub jitter: Duration,
    /// Share that is lost, 0 to 1.
    pub loss: f64,
    /// Share that comes twice.
    pub duplicates: f64,
    /// Bits per second of the narrowest link; 0 for one that is wide enough.
    pub rate_bps: u64,
    /// How much may wait before that link, in time; what comes then is lost.
    pub queue: Duration,
}

/// Things on their way.
#[derive(Debug)]
pub struct Network<T> {
    random: Random,
    flying: BTreeMap<(Instant, u64), T>,
    count: u64,
    /// Until when the narrowest link to each client is busy.
    busy: BTreeMap<SocketAddr, Instant>,
}

// === impl Conditions ===

impl Conditions {
    /// Five milliseconds and nothing else.
    pub fn clean() -> Self {
        Self { delay: Duration::from_millis(5), ..Self::default() }
    }

    /// Loses a share.
    pub fn losing(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// Reorders within a time.
    pub fn jittering(self, ms: u64) -> Self {
        Self { jitter: Duration::from_millis(ms), ..self }
    }

    /// Carries so much, and queues for so long.
    pub fn carrying(self, rate_bps: u64, queue_ms: u64) -> Self {
        Self { rate_bps, queue: Duration::from_millis(queue_ms), ..self }
    }

    /// Takes so long.
    pub fn taking(self, ms: u64) -> Self {
        Self { delay: Duration::from_millis(ms), ..self }
    }

    /// Repeats a share.
    pub fn repeating(self, duplicates: f64) -> Self {
        Self { duplicates, ..self }
    }
}

// === impl Network ===

impl<T: Clone> Network<T> {
    /// An empty network.
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), flying: BTreeMap::new(), count: 0, busy: BTreeMap::new() }
    }

    /// Sends something off.
    pub fn send(&mut self, now: Instant, conditions: &Conditions, thing: T) {
        if self.random.happens(conditions.loss) {
            return;
        }
        let copies = if self.random.happens(conditions.duplicates) { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = self.random.below(conditions.jitter.as_micros() as u64 + 1);
            let at = now + conditions.delay + Duration::from_micros(jitter);
            self.count += 1;
            self.flying.insert((at, self.count), thing.clone());
        }
    }

    /// Sends a datagram of so many bytes off to or from a client, through its narrowest link.
    pub fn send_through(
        &mut self,
        now: Instant,
        conditions: &Conditions,
        client: SocketAddr,
        bytes: usize,
        thing: T,
    ) {
        if conditions.rate_bps == 0 {
            return self.send(now, conditions, thing);
        }
        let start = self.busy.get(&client).map_or(now, |busy| now.max(*busy));
        if start.saturating_duration_since(now) > conditions.queue {
            return;
        }
        let us = (bytes + IP_AND_UDP) as u64 * 8_000_000 / conditions.rate_bps;
        let done = start + Duration::from_micros(us);
        self.busy.insert(client, done);
        self.send(done, conditions, thing);
    }

    /// What has arrived.
    pub fn receive(&mut self, now: Instant) -> Option<T> {
        let entry = self.flying.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }
}

/// What every datagram weighs beside its bytes.
pub const IP_AND_UDP: usize = 28;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(seed: u64, conditions: Conditions) -> Vec<(u64, u32)> {
        let start = Instant::now();
        let mut network = Network::new(seed);
        let mut arrived = Vec::new();
        for ms in 0..3000 {
            let now = start + Duration::from_millis(ms);
            if ms < 2000 {
                network.send(now, &conditions, ms as u32);
            }
            while let Some(thing) = network.receive(now) {
                arrived.push((ms, thing));
            }
        }
        arrived
    }

    #[test]
    fn a_clean_network_delivers_all_in_order_after_the_delay() {
        let arrived = run(1, Conditions::clean());
        assert_eq!(arrived.len(), 2000);
        assert!(arrived.iter().all(|(at, sent)| *at == u64::from(*sent) + 5));
    }

    #[test]
    fn loss_and_duplicates_come_in_their_shares() {
        let lost = 2000 - run(2, Conditions::clean().losing(0.2)).len();
        assert!((320..480).contains(&lost), "{lost}");
        let twice = run(3, Conditions::clean().repeating(0.1)).len() - 2000;
        assert!((140..260).contains(&twice), "{twice}");
    }

    #[test]
    fn jitter_reorders_within_its_bound() {
        let arrived = run(4, Conditions::clean().jittering(20));
        assert!(arrived.windows(2).any(|pair| pair[0].1 > pair[1].1));
        let late = |(at, sent): &(u64, u32)| at - u64::from(*sent);
        assert!(arrived.iter().all(|packet| (5..=26).contains(&late(packet))));
    }

    #[test]
    fn a_narrow_link_lets_its_rate_through_and_queues_no_more_than_it_may() {
        let start = Instant::now();
        let client = SocketAddr::from(([10, 0, 0, 1], 1));
        let conditions = Conditions::clean().carrying(1_000_000, 100);
        let mut network = Network::new(7);
        let (mut arrived, mut slowest) = (0, 0);
        for ms in 0..2000 {
            let now = start + Duration::from_millis(ms);
            // 2 Mbit/s.
            network.send_through(now, &conditions, client, 250 - IP_AND_UDP, ms);
            while let Some(sent) = network.receive(now) {
                arrived += 1;
                slowest = slowest.max(ms - sent);
            }
        }
        assert!((940..=1000).contains(&arrived), "{arrived}");
        assert!((100..=110).contains(&slowest), "{slowest}");
    }

    #[test]
    fn the_same_seed_gives_the_same_run() {
        let conditions = Conditions::clean().jittering(30).losing(0.1).repeating(0.1);
        assert_eq!(run(5, conditions), run(5, conditions));
        assert_ne!(run(5, conditions), run(6, conditions));
    }
}
