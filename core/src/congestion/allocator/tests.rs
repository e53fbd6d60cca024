use super::*;

/// What a network does to each step, told to an allocator every 100 ms.
struct Run {
    now: Instant,
    allocator: Allocator<u8>,
    ladder: Vec<Step<u8>>,
    forwarded: u8,
    changes: Vec<(u64, u8)>,
    start: Instant,
}

impl Run {
    fn new(rates: &[u64]) -> Self {
        let now = Instant::now();
        let step = |(index, rate): (usize, &u64)| Step { target: index as u8, bitrate_bps: *rate };
        let ladder: Vec<_> = rates.iter().enumerate().map(step).collect();
        Self {
            now,
            start: now,
            allocator: Allocator::default(),
            forwarded: ladder.len() as u8 - 1,
            ladder,
            changes: Vec::new(),
        }
    }

    /// For so many seconds, steps up to `carries` arrive whole, and of higher ones half of the packets.
    fn run(&mut self, seconds: u64, carries: u8) {
        for _ in 0..seconds * 10 {
            self.now += Duration::from_millis(100);
            let rate = self.ladder[usize::from(self.forwarded)].bitrate_bps;
            let packets = (rate / 80_000).max(3);
            for index in 0..packets {
                let sent = self.now - Duration::from_millis(30);
                let at = self.now.duration_since(self.start).as_micros() as i64 - 10_000;
                let path = self.allocator.path_mut();
                if self.forwarded > carries && index % 2 == 0 {
                    path.lose(self.now, sent);
                } else {
                    path.acknowledge(self.now, sent, at, 1000, false);
                }
            }
            let change = self.allocator.decide(self.now, &self.ladder, self.forwarded);
            if let Some(change) = change {
                self.forwarded = change.ceiling.unwrap_or(self.ladder.len() as u8 - 1);
                let at = self.now.duration_since(self.start).as_secs();
                self.changes.push((at, self.forwarded));
            }
        }
    }
}

const LADDER: [u64; 3] = [200_000, 800_000, 2_500_000];

#[test]
fn a_network_that_carries_everything_is_left_alone() {
    let mut run = Run::new(&LADDER);
    run.run(200, 2);
    assert_eq!((run.changes.len(), run.allocator.ceiling()), (0, None));
}

#[test]
fn tries_that_fail_are_made_less_and_less_often() {
    let mut run = Run::new(&LADDER);
    run.run(400, 1);
    let ups: Vec<_> = run.changes.iter().filter(|it| it.1 == 2).map(|it| it.0).collect();
    let waits: Vec<_> = ups.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(run.changes[0].0 <= 1 && run.changes[0].1 == 1, "{:?}", run.changes);
    assert_eq!(ups[0] / 2, 5, "{:?}", run.changes);
    assert_eq!(waits[..4].iter().map(|it| it / 10).collect::<Vec<_>>(), [2, 4, 6, 6]);
    // Each ends within a second.
    assert!(run.changes.windows(2).all(|it| it[0].1 != 2 || it[1].0 <= it[0].0 + 1));
}

#[test]
fn a_network_that_gets_better_is_climbed_step_by_step() {
    let mut run = Run::new(&LADDER);
    run.run(30, 0);
    run.changes.clear();
    run.run(90, 2);
    assert_eq!(run.changes.iter().map(|it| it.1).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(run.allocator.ceiling(), None);
    // A success is forgotten failures: the next try waits ten seconds.
    run.run(20, 2);
    run.run(2, 1);
    run.changes.clear();
    run.run(15, 2);
    assert_eq!(run.changes.len(), 1, "{:?}", run.changes);
}

#[test]
fn the_lowest_step_is_kept_whatever_is_lost() {
    let mut run = Run::new(&LADDER);
    run.run(1, 1);
    run.ladder[0].bitrate_bps = 400_000;
    for _ in 0..30 {
        let lowest = run.forwarded;
        run.run(1, 0);
        assert!(run.forwarded <= lowest);
    }
    assert_eq!(run.forwarded, 0);
}

#[test]
fn receiver_reports_do_where_nothing_better_comes() {
    let mut now = Instant::now();
    let mut allocator = Allocator::default();
    let ladder: Vec<_> = [0_u8, 1, 2].map(|target| Step { target, bitrate_bps: 0 }).into();
    let (mut forwarded, mut highest) = (2, 65_000_u32);
    let mut went = vec![2];
    for second in 0..60 {
        now += Duration::from_secs(1);
        highest += 200;
        let lost = if forwarded == 2 && second < 10 { 60 } else { 3 };
        allocator.handle_report(now, lost, highest);
        if let Some(change) = allocator.decide(now, &ladder, forwarded) {
            forwarded = change.ceiling.unwrap_or(2);
            went.push(forwarded);
        }
    }
    assert_eq!(went, [2, 1, 2]);
}
