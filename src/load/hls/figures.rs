//! A log of answers, and the figures that come out of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::load::tell::{Spread, rounded};
use crate::load::usage::own_cpu;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seat {
    /// A player in a thread with many others.
    Crowd,
    /// A player in a thread with few others.
    Sampled,
    /// A player at the origin.
    Witness,
}

/// When something was asked for, and what came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) seat: Seat,
    pub(super) asked: Instant,
    pub(super) complete: Instant,
    /// 0 where there was no answer.
    pub(super) status: u16,
    pub(super) len: usize,
}

/// All answers by path and query.
#[derive(Default)]
pub(super) struct Log(Mutex<Logged>);

#[derive(Default)]
struct Logged {
    played: HashMap<String, Vec<Answer>>,
    witnessed: HashMap<String, Answer>,
}

/// What was measured.
pub(super) struct Figures {
    players: usize,
    answers: usize,
    distinct: usize,
    bytes: usize,
    statuses: BTreeMap<u16, usize>,
    /// How much later than at the origin answers to sampled players were complete, of what had been
    /// asked for before.
    late: Vec<Duration>,
    /// How long it took them where the origin had answered before.
    kept: Vec<Duration>,
    /// Either, of all players.
    all: Vec<Duration>,
}

// === impl Log ===

impl Log {
    pub(super) fn write(&self, name: String, answer: Answer) {
        let mut log = self.lock();
        match answer.seat {
            Seat::Witness => drop(log.witnessed.insert(name, answer)),
            Seat::Crowd | Seat::Sampled => log.played.entry(name).or_default().push(answer),
        }
    }

    /// A line for each answer of the origin: when it was complete, its status, and what it was.
    pub(super) fn times(&self) -> String {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let mut text = String::new();
        for (name, answer) in &self.lock().witnessed {
            let at = wall - now.saturating_duration_since(answer.complete);
            let micros = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
            let _ = writeln!(text, "{micros} {} {name}", answer.status);
        }
        text
    }

    fn lock(&self) -> MutexGuard<'_, Logged> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Figures ===

impl Figures {
    pub(super) fn of(players: usize, log: &Log) -> Self {
        let log = log.lock();
        let mut figures = Self {
            players,
            answers: 0,
            distinct: log.played.len(),
            bytes: 0,
            statuses: BTreeMap::new(),
            late: Vec::new(),
            kept: Vec::new(),
            all: Vec::new(),
        };
        for (name, answers) in &log.played {
            let origin = log.witnessed.get(name).filter(|origin| origin.status == 200);
            for answer in answers {
                figures.count(answer, origin);
            }
        }
        figures
    }

    pub(super) fn answers(&self) -> usize {
        self.statuses.iter().filter(|(status, _)| **status != 0).map(|(_, count)| count).sum()
    }

    fn count(&mut self, answer: &Answer, origin: Option<&Answer>) {
        self.answers += 1;
        self.bytes += answer.len;
        *self.statuses.entry(answer.status).or_default() += 1;
        let Some(origin) = origin.filter(|_| answer.status == 200) else { return };
        let due = answer.asked.max(origin.complete);
        let took = answer.complete.saturating_duration_since(due);
        self.all.push(took);
        if answer.seat == Seat::Sampled {
            let list = if due == answer.asked { &mut self.kept } else { &mut self.late };
            list.push(took);
        }
    }

    pub(super) fn json(&self) -> Value {
        let sampled: Vec<_> = self.late.iter().chain(&self.kept).copied().collect();
        let spread = |some: &[Duration]| Spread::json(Spread::of(some.iter().copied()));
        json!({
            "players": self.players,
            "requests": self.answers,
            "distinct": self.distinct,
            "bytes": self.bytes,
            "own_cpu_seconds": rounded(own_cpu().as_secs_f64(), 2),
            "statuses": self.statuses,
            "sampled": sampled.len(),
            "sampled_that_waited": self.late.len(),
            "later_than_origin_ms": spread(&sampled),
            "waited_ms": spread(&self.late),
            "kept_ms": spread(&self.kept),
            "all_ms": spread(&self.all),
        })
    }

    pub(super) fn table(&self) -> Vec<(String, String)> {
        let sampled: Vec<_> = self.late.iter().chain(&self.kept).copied().collect();
        let statuses: Vec<_> =
            self.statuses.iter().map(|(status, count)| format!("{count} x {status}")).collect();
        let row = |name: &str, value: String| (name.to_owned(), value);
        let spread = |some: &[Duration]| Spread::text(Spread::of(some.iter().copied()));
        vec![
            row("players", self.players.to_string()),
            row("answers", format!("{} to {} addresses", self.answers, self.distinct)),
            row("statuses", statuses.join(", ")),
            row("bytes", self.bytes.to_string()),
            row("later than the origin", spread(&sampled)),
            row("what was waited for", spread(&self.late)),
            row("what was there", spread(&self.kept)),
            row("all players", spread(&self.all)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_compared_with_the_origin_s() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let answer = |seat, asked, complete| Answer {
            seat,
            asked: at(asked),
            complete: at(complete),
            status: 200,
            len: 10,
        };
        let log = Log::default();
        log.write("/a".into(), answer(Seat::Witness, 0, 100));
        log.write("/a".into(), answer(Seat::Sampled, 50, 130));
        log.write("/a".into(), answer(Seat::Sampled, 50, 90));
        log.write("/a".into(), answer(Seat::Sampled, 500, 505));
        log.write("/a".into(), answer(Seat::Crowd, 50, 900));
        log.write("/b".into(), answer(Seat::Sampled, 0, 1));
        log.write("/a".into(), Answer { status: 503, ..answer(Seat::Sampled, 0, 200) });
        let figures = Figures::of(4, &log);
        assert_eq!(figures.answers(), 6);
        assert_eq!(figures.late, [Duration::from_millis(30), Duration::ZERO]);
        assert_eq!(figures.kept, [Duration::from_millis(5)]);
        assert!(figures.all.contains(&Duration::from_millis(800)));
        assert!(log.times().ends_with(" 200 /a\n"), "{}", log.times());
        assert_eq!(figures.json()["statuses"]["503"], 1);
    }
}
