//! An allowance that bounds how often one address, or the bearers of one token, may ask for something.
//!
//! Each has a bucket: it holds a burst, and fills up at a rate (GCRA). Buckets are made when somebody is
//! seen first, and the table keeps the latest of them: an attacker who has more addresses than it has
//! room for gains fresh buckets, not our memory.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use governor::clock::{Clock, DefaultClock, Reference};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::auth::client;
use crate::control::Identity;
use crate::problem::Problem;
use crate::router::Shared;

/// How often somebody may do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// So often, without end; 0 is no limit.
    pub times: u32,
    /// Within this time.
    pub within: Duration,
    /// So often at once, after a pause.
    pub burst: u32,
}

/// How often requests that change something are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rates {
    /// From one IPv4 address or IPv6 /64; 100 a second by default, 1,000 at once.
    pub address: Rate,
    /// With one token; 200 a second by default, 2,000 at once.
    pub token: Rate,
}

/// Those who share what one may do: an IPv4 address, or a /64 of IPv6, which one customer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// Too much was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests: the next is taken in {} s", self.seconds())]
pub struct TooMany {
    /// How long it takes until the next is taken.
    pub wait: Duration,
}

/// Buckets by key.
pub struct Allowance<K, C: Clock = DefaultClock> {
    quota: Option<Quota>,
    clock: C,
    buckets: Cache<K, Arc<Bucket<C>>>,
    refused: AtomicU64,
}

struct Bucket<C: Clock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>,
    /// Nothing is taken before, where the last that was taken emptied it.
    closed_until: Mutex<Option<C::Instant>>,
}

/// What holds for requests, while the server runs: it can be changed.
pub(crate) struct Guard {
    rates: RwLock<Arc<Both>>,
    /// What earlier rates refused.
    before: AtomicU64,
    warned: Mutex<Option<Instant>>,
}

struct Both {
    rates: Rates,
    address: Allowance<Network>,
    token: Allowance<[u8; 32]>,
}

// === impl Rate ===

impl Rate {
    /// No limit.
    pub const NONE: Self = Self { times: 0, within: Duration::from_secs(1), burst: 0 };

    fn quota(self) -> Option<Quota> {
        let each = self.within.checked_div(self.times)?;
        let burst = NonZeroU32::new(self.burst).unwrap_or(NonZeroU32::MIN);
        Some(Quota::with_period(each)?.allow_burst(burst))
    }
}

impl Default for Rates {
    fn default() -> Self {
        let within = Duration::from_secs(1);
        Self {
            address: Rate { times: 100, within, burst: 1_000 },
            token: Rate { times: 200, within, burst: 2_000 },
        }
    }
}

// === impl Network ===

impl Network {
    /// The network of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        })
    }
}

// === impl TooMany ===

impl TooMany {
    /// The time to wait in whole seconds, as `Retry-After` has it.
    pub fn seconds(&self) -> u64 {
        (self.wait.as_millis().div_ceil(1_000) as u64).max(1)
    }
}

// === impl Allowance ===

impl<K: Hash + Eq + Send + Sync + 'static> Allowance<K> {
    /// Buckets of this rate.
    pub fn new(rate: Rate) -> Self {
        Self::with_clock(rate, DefaultClock::default())
    }
}

impl<K, C> Allowance<K, C>
where
    K: Hash + Eq + Send + Sync + 'static,
    C: Clock + Clone + Send + Sync + 'static,
    C::Instant: Send + Sync,
{
    /// As [`Self::new`], by another clock.
    pub fn with_clock(rate: Rate, clock: C) -> Self {
        let quota = rate.quota();
        let full_after = quota.map_or(Duration::ZERO, |quota| quota.burst_size_replenished_in());
        let buckets = Cache::builder()
            .max_capacity(MAX_BUCKETS)
            .eviction_policy(EvictionPolicy::lru())
            // A bucket that is full again is as good as none.
            .time_to_idle(full_after.clamp(Duration::from_secs(1), Duration::from_secs(3_600)))
            .build();
        Self { quota, clock, buckets, refused: AtomicU64::new(0) }
    }

    /// Takes one out of a bucket, if there is one.
    pub fn take(&self, key: K) -> Result<(), TooMany> {
        let Some(quota) = self.quota else { return Ok(()) };
        let bucket = self.buckets.get_with(key, || Arc::new(Bucket::new(quota, &self.clock)));
        bucket.limiter.check().map(drop).map_err(|no| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            TooMany { wait: no.wait_time_from(self.clock.now()) }
        })
    }

    /// Whether there was one left when [`Self::note`] took the last, or it has come back since.
    pub fn is_open(&self, key: &K) -> Result<(), TooMany> {
        let Some(bucket) = self.buckets.get(key) else { return Ok(()) };
        let closed = *bucket.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = closed.map(|until| until.duration_since(self.clock.now()).into());
        match wait.unwrap_or(Duration::ZERO) {
            Duration::ZERO => Ok(()),
            wait => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                Err(TooMany { wait })
            }
        }
    }

    /// Takes one after the fact. Once none is left, [`Self::is_open`] says no until there is.
    pub fn note(&self, key: K) {
        let Some(quota) = self.quota else { return };
        let bucket = self.buckets.get_with(key, || Arc::new(Bucket::new(quota, &self.clock)));
        let now = self.clock.now();
        let wait = match bucket.limiter.check() {
            Ok(state) if state.remaining_burst_capacity() > 0 => return,
            Ok(_) => quota.replenish_interval(),
            Err(no) => no.wait_time_from(now),
        };
        let until = now + wait.into();
        *bucket.closed_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
    }

    /// How often it said no.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

impl<C: Clock + Clone> Bucket<C> {
    fn new(quota: Quota, clock: &C) -> Self {
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone());
        Self { limiter: limiter.with_middleware(), closed_until: Mutex::new(None) }
    }
}

// === impl Guard ===

impl Guard {
    pub(crate) fn new(rates: Rates) -> Self {
        Self {
            rates: RwLock::new(Arc::new(Both::new(rates))),
            before: AtomicU64::new(0),
            warned: Mutex::new(None),
        }
    }

    /// Lets other rates hold from now on; all buckets are full again if they are others.
    pub(crate) fn set(&self, rates: Rates) {
        let mut now = self.rates.write().unwrap_or_else(PoisonError::into_inner);
        if now.rates != rates {
            self.before.fetch_add(now.refused(), Ordering::Relaxed);
            *now = Arc::new(Both::new(rates));
        }
    }

    /// How many requests were refused.
    pub(crate) fn refused(&self) -> u64 {
        self.before.load(Ordering::Relaxed) + self.both().refused()
    }

    /// Takes a request with a token.
    pub(crate) fn token(&self, token: &str) -> Result<(), Problem> {
        let taken = self.both().token.take(Identity::of_token(token).digest());
        taken.map_err(|no| self.refuse(no, "with one token"))
    }

    fn address(&self, address: IpAddr) -> Result<(), Problem> {
        let taken = self.both().address.take(Network::of(address));
        taken.map_err(|no| self.refuse(no, "from one address"))
    }

    fn refuse(&self, no: TooMany, of: &'static str) -> Problem {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
            *warned = Some(Instant::now());
            tracing::warn!("more requests {of} than [limits] allows are refused");
        }
        Problem::too_many(no)
    }

    fn both(&self) -> Arc<Both> {
        Arc::clone(&self.rates.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Both {
    fn new(rates: Rates) -> Self {
        let (address, token) = (Allowance::new(rates.address), Allowance::new(rates.token));
        Self { rates, address, token }
    }

    fn refused(&self) -> u64 {
        self.address.refused() + self.token.refused()
    }
}

/// Whether requests of a method change something, and are counted.
pub(crate) fn changes(method: &Method) -> bool {
    ![Method::GET, Method::HEAD, Method::OPTIONS].contains(method)
}

/// Refuses what an address asks for too often, before anything else is done about it.
pub(crate) async fn limit(
    State(shared): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if changes(request.method())
        && let Some(address) = client(request.extensions())
    {
        shared.rates.address(address)?;
    }
    Ok(next.run(request).await)
}

/// Buckets that a table keeps; some 300 bytes each.
const MAX_BUCKETS: u64 = 65_536;

const WARNING_INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn rate(times: u32, burst: u32) -> Rate {
        Rate { times, within: Duration::from_secs(1), burst }
    }

    #[test]
    fn a_bucket_holds_a_burst_and_fills_up_at_its_rate() {
        let clock = FakeRelativeClock::default();
        let allowance = Allowance::with_clock(rate(10, 5), clock.clone());
        let taken = |count: usize| (0..count).filter(|_| allowance.take("a").is_ok()).count();
        assert_eq!(taken(20), 5, "the burst");
        let wait = allowance.take("a").unwrap_err();
        assert_eq!(wait, TooMany { wait: Duration::from_millis(100) });
        assert_eq!(wait.seconds(), 1, "Retry-After is never 0");
        clock.advance(Duration::from_millis(250));
        assert_eq!(taken(20), 2, "the rate");
        clock.advance(Duration::from_secs(60));
        assert_eq!(taken(20), 5, "never more than the burst");
        assert!(allowance.take("b").is_ok(), "another has a bucket of its own");
        assert_eq!(allowance.refused(), 15 + 1 + 18 + 15);
    }

    #[test]
    fn what_is_noted_closes_the_door_once_the_bucket_is_empty() {
        let clock = FakeRelativeClock::default();
        let allowance = Allowance::with_clock(rate(1, 3), clock.clone());
        for _ in 0..3 {
            assert!(allowance.is_open(&"a").is_ok());
            allowance.note("a");
        }
        assert_eq!(allowance.is_open(&"a"), Err(TooMany { wait: Duration::from_secs(1) }));
        assert!(allowance.is_open(&"b").is_ok());
        let mut let_in = 0;
        for _ in 0..100 {
            clock.advance(Duration::from_millis(100));
            if allowance.is_open(&"a").is_ok() {
                let_in += 1;
                allowance.note("a");
            }
        }
        assert_eq!(let_in, 10, "one a second");
    }

    #[test]
    fn no_limit_is_no_limit() {
        let allowance = Allowance::new(Rate::NONE);
        for _ in 0..10_000 {
            allowance.note("a");
            assert!(allowance.take("a").is_ok() && allowance.is_open(&"a").is_ok());
        }
    }

    #[test]
    fn a_table_has_an_end() {
        let allowance = Allowance::new(rate(1, 1));
        for key in 0..2 * MAX_BUCKETS {
            assert!(allowance.take(key).is_ok());
        }
        allowance.buckets.run_pending_tasks();
        assert!(allowance.buckets.entry_count() <= MAX_BUCKETS);
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        let of = |text: &str| Network::of(text.parse().unwrap());
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1:2:3"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }

    #[test]
    fn other_rates_hold_at_once_and_what_was_refused_stays_counted() {
        let none = Rates { address: rate(1, 1), token: Rate::NONE };
        let guard = Guard::new(none);
        let address = "192.0.2.1".parse().unwrap();
        let taken = |count: usize| (0..count).filter(|_| guard.address(address).is_ok()).count();
        assert_eq!((taken(3), guard.refused()), (1, 2));
        guard.set(none);
        assert_eq!((taken(1), guard.refused()), (0, 3), "the same rates keep their buckets");
        guard.set(Rates { address: Rate::NONE, ..none });
        assert_eq!((taken(3), guard.refused()), (3, 3));
    }
}
