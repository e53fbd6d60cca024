//! An audience: the players that say of themselves that they play, as caches hide them.
//!
//! Nobody can prove what a player says. So it is believed only as far as it can be: within sane ranges,
//! no more stalls than fit into the time since it spoke last, and so many players at most. A player that
//! says nothing for a while has gone.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use whitewater_core::shard::StreamId;
use whitewater_signaling::control::{Beacon, Heard, PlayerId, PlayerProtocol};

/// The players of all streams.
#[derive(Debug, Default)]
pub(super) struct Audience {
    streams: HashMap<StreamId, Players>,
    /// All of them together.
    len: usize,
}

/// How many play a stream in segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Segmented {
    /// Over HLS.
    pub(super) hls: u64,
    /// Over DASH.
    pub(super) dash: u64,
}

/// What is believed of a beacon: what is new since the player's last one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Believed {
    /// The first time that the player says it: from the wish to the first picture.
    pub startup: Option<Duration>,
    /// From the camera to the screen.
    pub latency: Option<Duration>,
    /// Times that it waited for media.
    pub stalls: u64,
    /// How long it waited.
    pub stalled: Duration,
    /// Times that it had to begin anew.
    pub errors: u64,
}

/// The players of one stream.
#[derive(Debug, Default)]
struct Players {
    players: HashMap<PlayerId, Player>,
    /// Names with the time they spoke, oldest first; one that spoke again later is passed over.
    spoke: VecDeque<(Instant, PlayerId)>,
    /// How many of them play in segments, and how many did when somebody was told last.
    segmented: Segmented,
    told: Segmented,
}

#[derive(Debug)]
struct Player {
    protocol: PlayerProtocol,
    spoke_at: Instant,
    has_started: bool,
    stalls: u64,
    stalled_ms: u64,
    errors: u64,
}

// === impl Audience ===

impl Audience {
    /// Takes a player's word about a stream; gives what is believed of it.
    pub(super) fn hear(
        &mut self,
        now: Instant,
        stream: StreamId,
        beacon: &Beacon,
    ) -> (Heard, Believed) {
        let players = self.streams.entry(stream).or_default();
        let before = players.players.get(&beacon.player);
        let since = before.map(|player| now.saturating_duration_since(player.spoke_at));
        if since.is_some_and(|since| since < LEAST_INTERVAL) && !beacon.ended {
            return (Heard::TooSoon, Believed::default());
        }
        let is_full = players.players.len() >= MOST_OF_STREAM || self.len >= MOST;
        if before.is_none() && is_full && !beacon.ended {
            return (Heard::TooMany, Believed::default());
        }
        let believed = believe(before, since, beacon);
        if before.is_some() {
            players.remove(&beacon.player);
            self.len -= 1;
        }
        if !beacon.ended {
            players.insert(now, beacon);
            self.len += 1;
        }
        (Heard::Taken, believed)
    }

    /// How many play a stream in segments.
    pub(super) fn segmented(&self, stream: StreamId) -> Segmented {
        self.streams.get(&stream).map(|players| players.segmented).unwrap_or_default()
    }

    /// Lets those go that have fallen silent, and streams that are no more; gives the streams whose
    /// numbers of viewers in segments are others than last time.
    pub(super) fn tidy(
        &mut self,
        now: Instant,
        is_live: impl Fn(StreamId) -> bool,
    ) -> Vec<(StreamId, Segmented)> {
        let mut changed = Vec::new();
        let mut len = 0;
        self.streams.retain(|stream, players| {
            players.expire(now);
            len += players.players.len();
            if std::mem::replace(&mut players.told, players.segmented) != players.segmented {
                changed.push((*stream, players.segmented));
            }
            let stays = !players.players.is_empty() && is_live(*stream);
            if !stays {
                len -= players.players.len();
            }
            stays
        });
        self.len = len;
        changed
    }
}

// === impl Segmented ===

impl Segmented {
    /// Counts one of a protocol. Who watches over WHEP is counted elsewhere.
    fn count(&mut self, protocol: PlayerProtocol, change: impl Fn(u64) -> u64) {
        match protocol {
            PlayerProtocol::Hls => self.hls = change(self.hls),
            PlayerProtocol::Dash => self.dash = change(self.dash),
            PlayerProtocol::Whep => {}
        }
    }
}

// === impl Players ===

impl Players {
    fn insert(&mut self, now: Instant, beacon: &Beacon) {
        let player = Player {
            protocol: beacon.protocol,
            spoke_at: now,
            has_started: beacon.startup_ms.is_some(),
            stalls: beacon.stalls,
            stalled_ms: beacon.stalled_ms,
            errors: beacon.errors,
        };
        self.segmented.count(beacon.protocol, |viewers| viewers + 1);
        self.players.insert(beacon.player.clone(), player);
        self.spoke.push_back((now, beacon.player.clone()));
    }

    fn remove(&mut self, player: &PlayerId) {
        if let Some(player) = self.players.remove(player) {
            self.segmented.count(player.protocol, |viewers| viewers - 1);
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((spoke_at, player)) = self.spoke.front() {
            if now.saturating_duration_since(*spoke_at) < SILENCE {
                return;
            }
            let (spoke_at, player) = (*spoke_at, player.clone());
            self.spoke.pop_front();
            if self.players.get(&player).is_some_and(|it| it.spoke_at == spoke_at) {
                self.remove(&player);
            }
        }
    }
}

/// What of a beacon can be true.
fn believe(before: Option<&Player>, since: Option<Duration>, beacon: &Beacon) -> Believed {
    // Of one that is not known here, only as much as fits between two beacons.
    let since = since.unwrap_or(USUAL_INTERVAL) + SLACK;
    let (stalls, stalled_ms, errors) =
        before.map_or((0, 0, 0), |player| (player.stalls, player.stalled_ms, player.errors));
    let is_new = |count: u64, known: u64| count.saturating_sub(known);
    let most = (since.as_secs() * STALLS_PER_S).max(1);
    let within = |ms: u64, most: Duration| Some(Duration::from_millis(ms)).filter(|it| *it <= most);
    let starts = before.is_none_or(|player| !player.has_started);
    Believed {
        startup: beacon.startup_ms.filter(|_| starts).and_then(|ms| within(ms, LONGEST_STARTUP)),
        latency: beacon.latency_ms.and_then(|ms| within(ms, LONGEST_LATENCY)),
        stalls: is_new(beacon.stalls, stalls).min(most),
        stalled: Duration::from_millis(is_new(beacon.stalled_ms, stalled_ms)).min(since),
        errors: is_new(beacon.errors, errors).min(most),
    }
}

/// Who says nothing for so long has gone: three beacons were lost.
const SILENCE: Duration = Duration::from_secs(30);
/// How often players are asked to speak.
const USUAL_INTERVAL: Duration = Duration::from_secs(10);
/// Nobody is heard more often.
const LEAST_INTERVAL: Duration = Duration::from_secs(2);
/// Beacons are not on time.
const SLACK: Duration = Duration::from_secs(1);
const STALLS_PER_S: u64 = 2;
const LONGEST_STARTUP: Duration = Duration::from_secs(120);
const LONGEST_LATENCY: Duration = Duration::from_secs(60);

/// Players of one stream, and of all together. One takes about 200 bytes.
const MOST_OF_STREAM: usize = 20_000;
const MOST: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: StreamId = StreamId(1);
    const TWO: StreamId = StreamId(2);

    fn player(name: &str) -> Beacon {
        Beacon {
            stream: "a".parse().unwrap(),
            player: format!("player-{name}").try_into().unwrap(),
            protocol: PlayerProtocol::Hls,
            startup_ms: None,
            latency_ms: None,
            stalls: 0,
            stalled_ms: 0,
            errors: 0,
            ended: false,
        }
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn who_speaks_counts_until_it_ends_or_falls_silent() {
        let (mut audience, now) = (Audience::default(), Instant::now());
        for name in ["1", "2", "3"] {
            assert_eq!(audience.hear(now, ONE, &player(name)).0, Heard::Taken);
        }
        audience.hear(now, TWO, &player("1"));
        let whep = Beacon { protocol: PlayerProtocol::Whep, ..player("4") };
        audience.hear(now, ONE, &whep);
        let dash = Beacon { protocol: PlayerProtocol::Dash, ..player("5") };
        audience.hear(now, ONE, &dash);
        let counts = |hls, dash| Segmented { hls, dash };
        assert_eq!(audience.segmented(ONE), counts(3, 1), "WHEP is counted elsewhere");
        let mut changed = audience.tidy(now, |_| true);
        changed.sort_by_key(|(stream, _)| stream.0);
        assert_eq!(changed, [(ONE, counts(3, 1)), (TWO, counts(1, 0))]);
        assert_eq!(audience.tidy(now, |_| true), [], "nothing is new");

        audience.hear(now + s(10), ONE, &player("1"));
        let ended = Beacon { ended: true, ..player("2") };
        assert_eq!(
            audience.hear(now + s(1), ONE, &ended).0,
            Heard::Taken,
            "an end is never too soon"
        );
        assert_eq!(audience.segmented(ONE), counts(2, 1));
        let mut changed = audience.tidy(now + s(30), |_| true);
        changed.sort_by_key(|(stream, _)| stream.0);
        let expected = [(ONE, counts(1, 0)), (TWO, counts(0, 0))];
        assert_eq!(changed, expected, "the others said nothing for 30 s");
        assert_eq!((audience.len, audience.streams.len()), (1, 1));
        assert_eq!(audience.tidy(now + s(31), |_| false), []);
        assert_eq!((audience.len, audience.streams.len()), (0, 0), "its stream is over");
    }

    #[test]
    fn a_player_is_heard_every_two_seconds_and_its_counts_count_once() {
        let (mut audience, now) = (Audience::default(), Instant::now());
        let first = Beacon {
            startup_ms: Some(800),
            latency_ms: Some(2_000),
            stalls: 1,
            stalled_ms: 500,
            ..player("1")
        };
        let expected = Believed {
            startup: Some(Duration::from_millis(800)),
            latency: Some(s(2)),
            stalls: 1,
            stalled: Duration::from_millis(500),
            errors: 0,
        };
        assert_eq!(audience.hear(now, ONE, &first), (Heard::Taken, expected));
        let nothing = Believed::default();
        assert_eq!(audience.hear(now + s(1), ONE, &first), (Heard::TooSoon, nothing));
        let expected = Believed { latency: Some(s(2)), ..nothing };
        assert_eq!(audience.hear(now + s(2), ONE, &first), (Heard::Taken, expected));
        let later = Beacon { latency_ms: None, stalls: 3, stalled_ms: 900, errors: 1, ..first };
        let expected =
            Believed { stalls: 2, stalled: Duration::from_millis(400), errors: 1, ..nothing };
        assert_eq!(audience.hear(now + s(12), ONE, &later), (Heard::Taken, expected));
        let anew = Beacon { stalls: 0, stalled_ms: 0, errors: 0, ..later };
        assert_eq!(audience.hear(now + s(22), ONE, &anew), (Heard::Taken, nothing));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        let (mut audience, now) = (Audience::default(), Instant::now());
        let boast = Beacon {
            startup_ms: Some(u64::MAX),
            latency_ms: Some(60_001),
            stalls: u64::MAX,
            stalled_ms: u64::MAX,
            errors: u64::MAX,
            ..player("1")
        };
        let (_, believed) = audience.hear(now, ONE, &boast);
        let expected =
            Believed { startup: None, latency: None, stalls: 22, stalled: s(11), errors: 22 };
        assert_eq!(believed, expected);
        assert_eq!(audience.hear(now + s(10), ONE, &boast).1, Believed::default());
    }

    #[test]
    fn there_are_so_many_at_most_and_nothing_is_kept_of_those_who_left() {
        let (mut audience, now) = (Audience::default(), Instant::now());
        for number in 0..MOST_OF_STREAM {
            audience.hear(now, ONE, &player(&number.to_string()));
        }
        assert_eq!(audience.hear(now, ONE, &player("x")).0, Heard::TooMany);
        assert_eq!(audience.hear(now, TWO, &player("x")).0, Heard::Taken);
        assert_eq!(audience.hear(now + s(3), ONE, &player("7")).0, Heard::Taken, "who is known");
        // One that speaks as often as it may leaves a trace of each time, for as long as it takes to expire.
        for number in 1..1_000 {
            audience.hear(now + s(3 + 2 * number), TWO, &player("x"));
            audience.tidy(now + s(3 + 2 * number), |_| true);
        }
        assert!(audience.streams[&TWO].spoke.len() < 20);
        assert_eq!(audience.len, 1);
    }
}
