use super::*;

/// A link with a rate and a queue in front of it, in virtual time.
struct Link {
    start: Instant,
    now_us: i64,
    rate_bps: i64,
    queue_us: i64,
    loss_every: u64,
    busy_until_us: i64,
    count: u64,
    path: Path,
    waiting: VecDeque<(i64, Option<i64>, usize)>,
}

impl Link {
    fn new(rate_bps: i64, queue_ms: i64) -> Self {
        Self {
            start: Instant::now(),
            now_us: 0,
            rate_bps,
            queue_us: queue_ms * 1000,
            loss_every: u64::MAX,
            busy_until_us: 0,
            count: 0,
            path: Path::default(),
            waiting: VecDeque::new(),
        }
    }

    fn at(&self, us: i64) -> Instant {
        self.start + Duration::from_micros(us as u64)
    }

    /// Sends frames of 30 per second, the first of so many bytes; says when a sign first was such.
    fn run(&mut self, ms: i64, bps: i64, first: i64, want: fn(Sign) -> bool) -> Option<i64> {
        let (begun, mut next_frame, mut next_feedback) =
            (self.now_us, self.now_us, self.now_us + 100_000);
        let mut size = first;
        while self.now_us < begun + ms * 1000 {
            if next_frame <= self.now_us {
                next_frame += 33_333;
                self.send(size);
                size = bps / 240;
            }
            if next_feedback <= self.now_us {
                next_feedback += 100_000;
                self.feed_back();
                let sign = self.path.judge(self.at(self.now_us), self.at(begun), bps as u64);
                if want(sign) {
                    return Some((self.now_us - begun) / 1000);
                }
            }
            self.now_us += 1000;
        }
        None
    }

    fn send(&mut self, mut bytes: i64) {
        while bytes > 0 {
            let size = bytes.min(1200);
            bytes -= size;
            self.count += 1;
            let start = self.busy_until_us.max(self.now_us);
            let lost =
                start - self.now_us > self.queue_us || self.count.is_multiple_of(self.loss_every);
            let arrival = (!lost).then(|| {
                self.busy_until_us = start + size * 8_000_000 / self.rate_bps;
                self.busy_until_us + 20_000
            });
            self.waiting.push_back((self.now_us, arrival, size as usize));
        }
    }

    /// Tells of all that arrived, and of what was lost among it.
    fn feed_back(&mut self) {
        let now = self.at(self.now_us);
        let here = |it: &(i64, Option<i64>, usize)| it.1.is_some_and(|at| at <= self.now_us);
        let Some(last) = self.waiting.iter().rposition(here) else { return };
        for (sent, arrival, size) in self.waiting.drain(..=last).collect::<Vec<_>>() {
            let sent = self.at(sent);
            match arrival {
                // The clocks of the ends have nothing to do with each other.
                Some(at) => self.path.acknowledge(now, sent, at + 77_777_777_777, size, false),
                None => self.path.lose(now, sent),
            }
        }
    }
}

fn is_overloaded(sign: Sign) -> bool {
    matches!(sign, Sign::Overloaded { .. })
}

#[test]
fn a_link_too_narrow_is_noticed_within_some_hundred_ms() {
    // Rate of the link, queue in ms, rate and keyframe of what is sent.
    let rows = [
        (1_500_000, 2000, 2_500_000, 40_000),
        (1_500_000, 60, 2_500_000, 40_000),
        (300_000, 5000, 2_500_000, 40_000),
        (300_000, 100, 2_500_000, 40_000),
        (300_000, 1000, 600_000, 8000),
        (1_500_000, 300, 1_900_000, 8000),
    ];
    for (rate, queue, sent, keyframe) in rows {
        let mut link = Link::new(rate, queue);
        link.run(5000, rate / 4, 3000, is_overloaded).map_or((), |at| panic!("{at}"));
        let noticed = link.run(5000, sent, keyframe, is_overloaded);
        let bound = if sent > rate * 3 / 2 { 700 } else { 1200 };
        assert!(noticed.is_some_and(|ms| ms <= bound), "{rate} {queue} {sent}: {noticed:?}");
    }
}

#[test]
fn what_arrives_instead_is_known() {
    let mut link = Link::new(1_500_000, 3000);
    link.run(2000, 300_000, 2000, is_overloaded);
    let mut told = 0;
    for _ in 0..20 {
        link.run(110, 2_500_000, 10_000, |_| false);
        let (now, since) = (link.at(link.now_us), link.at(2_000_000));
        if let Sign::Overloaded { delivered_bps } = link.path.judge(now, since, 2_500_000) {
            told = delivered_bps;
        }
    }
    assert!((1_350_000..1_600_000).contains(&told), "{told}");
}

#[test]
fn a_link_wide_enough_stays_clear_whatever_keyframes_do() {
    let rows = [
        (1_500_000, 2000, 1_200_000, 60_000),
        (300_000, 2000, 200_000, 8000),
        (10_000_000, 200, 2_500_000, 100_000),
    ];
    for (rate, queue, sent, keyframe) in rows {
        let mut link = Link::new(rate, queue);
        for _ in 0..5 {
            let noticed = link.run(6000, sent, keyframe, is_overloaded);
            assert_eq!(noticed, None, "{rate} {sent}");
        }
        assert_eq!(link.run(500, sent, sent / 240, |it| it != Sign::Clear), None, "{rate} {sent}");
    }
}

#[test]
fn a_tenth_may_be_lost_and_no_more() {
    for (every, want) in [(20, false), (11, false), (7, true), (4, true)] {
        let mut link = Link::new(20_000_000, 500);
        link.loss_every = every;
        let noticed = link.run(20_000, 2_500_000, 10_000, is_overloaded);
        assert_eq!(noticed.is_some(), want, "one of {every}: {noticed:?}");
    }
}

#[test]
fn silence_tells_nothing() {
    let mut link = Link::new(1_000_000, 500);
    link.run(1000, 300_000, 1000, |_| false);
    let (later, since) = (link.at(link.now_us + 2_000_000), link.at(0));
    assert_eq!(link.path.judge(later, since, 300_000), Sign::Silent);
    assert_eq!(Path::default().judge(later, since, 300_000), Sign::Silent);
}
