//! A clock that turns decoded pictures, with their holes and their jitter, into one at each tick.
//!
//! It is pure. **Each tick of its rate has one picture**, whatever comes in; those that begin segments
//! of an absolute grid are to be keyframes.

/// A picture and where it is, in ticks of 90 kHz.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shot<P> {
    pub(super) dts: i64,
    /// Whether it has to become a keyframe.
    pub(super) keyframe: bool,
    pub(super) picture: P,
}

/// What happened to pictures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    /// Shown once more.
    pub(super) repeated: u64,
    /// Left out, since their place was taken.
    pub(super) late: u64,
}

/// Puts pictures at ticks.
pub(super) struct Clock<P> {
    interval: i64,
    segment: i64,
    /// The number of the tick that is next, once something came.
    next: Option<i64>,
    last: Option<P>,
    /// The segment of the last picture.
    open: Option<i64>,
    keyframe_due: bool,
    counters: Counters,
}

// === impl Clock ===

impl<P: Clone> Clock<P> {
    /// A clock of so many pictures a second, whose segments last so many ticks of 90 kHz.
    pub(super) fn new(rate: u32, segment: i64) -> Self {
        Self {
            interval: i64::from(RATE / rate.clamp(1, RATE)),
            segment: segment.max(1),
            next: None,
            last: None,
            open: None,
            keyframe_due: false,
            counters: Counters::default(),
        }
    }

    pub(super) fn counters(&self) -> Counters {
        self.counters
    }

    /// The next picture, or the next but some, is to be a keyframe whatever the grid says.
    pub(super) fn cut(&mut self) {
        self.keyframe_due = true;
    }

    /// Takes a picture that belongs to `at`. One whose place is taken is left out; before one that is
    /// ahead, the last one fills the ticks between, unless they are so many that they are a gap.
    pub(super) fn picture(&mut self, at: i64, picture: P, emit: &mut impl FnMut(Shot<P>)) {
        let tolerated = self.interval * 3 / 4;
        let ahead = self.skip(at);
        if ahead < -tolerated {
            self.counters.late += 1;
            self.last = Some(picture);
            return;
        }
        self.fill(at - tolerated, emit);
        self.last = Some(picture);
        self.show(emit);
    }

    /// Shows the last picture at all ticks before `ticks`.
    pub(super) fn still_until(&mut self, ticks: i64, emit: &mut impl FnMut(Shot<P>)) {
        if self.next.is_some() {
            self.skip(ticks);
            self.fill(ticks, emit);
        }
    }

    /// How far a time is ahead of the next tick. What is too far ahead moves that there.
    fn skip(&mut self, at: i64) -> i64 {
        let nearest = (at + self.interval / 2).div_euclid(self.interval).max(0);
        let next = *self.next.get_or_insert(nearest);
        if at - next * self.interval > LONGEST_HOLE {
            self.next = Some(nearest);
            self.keyframe_due = true;
        }
        at - self.next.unwrap_or(nearest) * self.interval
    }

    fn fill(&mut self, until: i64, emit: &mut impl FnMut(Shot<P>)) {
        while self.last.is_some() && self.next.is_some_and(|next| next * self.interval < until) {
            self.counters.repeated += 1;
            self.show(emit);
        }
    }

    fn show(&mut self, emit: &mut impl FnMut(Shot<P>)) {
        let (Some(next), Some(picture)) = (self.next, self.last.clone()) else { return };
        let dts = next * self.interval;
        let segment = dts.div_euclid(self.segment);
        let begins = self.open.replace(segment) != Some(segment);
        let keyframe = std::mem::take(&mut self.keyframe_due) || begins;
        self.next = Some(next + 1);
        emit(Shot { dts, keyframe, picture });
    }
}

/// Ticks a second.
const RATE: u32 = 90_000;

/// A hole that is longer, one second and a half, is not filled: whoever tells of time does so far more
/// often, and has fallen behind.
const LONGEST_HOLE: i64 = 135_000;

#[cfg(test)]
mod tests {
    use super::*;

    enum Do {
        Show(i64, char),
        Still(i64),
        Cut,
    }
    use Do::{Cut, Show, Still};

    /// Runs 10 pictures a second in segments of half a second; gives pictures by tick number, keyframes
    /// as capitals.
    fn run(steps: &[Do]) -> (i64, String, Counters) {
        let mut clock = Clock::new(10, 45_000);
        let mut shots = Vec::new();
        for step in steps {
            let mut emit = |shot| shots.push(shot);
            match step {
                Show(ms, picture) => clock.picture(ms * 90, *picture, &mut emit),
                Still(ms) => clock.still_until(ms * 90, &mut emit),
                Cut => clock.cut(),
            }
        }
        let first = shots.first().map_or(-1, |shot: &Shot<char>| shot.dts / 9_000);
        let text = shots.iter().map(|shot| {
            assert_eq!(shot.dts % 9_000, 0);
            if shot.keyframe { shot.picture.to_ascii_uppercase() } else { shot.picture }
        });
        let text = text.collect();
        assert!(shots.windows(2).all(|pair| pair[0].dts < pair[1].dts));
        (first, text, clock.counters())
    }

    #[test]
    fn each_tick_has_one_picture() {
        type Row<'a> = (&'a str, &'a [Do], (i64, &'a str), (u64, u64));
        let rows: &[Row<'_>] = &[
            ("regular", &[Show(0, 'a'), Show(100, 'b'), Show(200, 'c')], (0, "Abc"), (0, 0)),
            (
                "jitter of less than half a tick",
                &[Show(0, 'a'), Show(140, 'b'), Show(160, 'c'), Show(340, 'd'), Show(370, 'e')],
                (0, "Abcde"),
                (0, 0),
            ),
            ("a hole", &[Show(0, 'a'), Show(400, 'b'), Show(500, 'c')], (0, "AaaabC"), (3, 0)),
            ("too many", &[Show(0, 'a'), Show(10, 'b'), Show(110, 'c')], (0, "Ac"), (0, 1)),
            ("begins later", &[Show(1_040, 'a'), Show(1_140, 'b')], (10, "Ab"), (0, 0)),
            (
                "stands still",
                &[Show(0, 'a'), Still(250), Still(250), Still(610), Show(800, 'b')],
                (0, "AaaaaAaab"),
                (7, 0),
            ),
            ("nothing to stand still", &[Still(900), Show(1_000, 'a')], (10, "A"), (0, 0)),
            (
                "comes after its place was filled",
                &[Show(0, 'a'), Still(400), Show(100, 'b'), Still(500)],
                (0, "Aaaab"),
                (4, 1),
            ),
            ("a pause that nobody told of", &[Show(0, 'a'), Show(9_020, 'b')], (0, "AB"), (0, 0)),
            (
                "a cut between ticks of the grid",
                &[Show(0, 'a'), Cut, Show(100, 'b'), Show(200, 'c')],
                (0, "ABc"),
                (0, 0),
            ),
            ("before the beginning", &[Show(-500, 'a'), Show(0, 'b')], (0, "B"), (0, 1)),
        ];
        for (name, steps, (first, want), (repeated, late)) in rows {
            let got = run(steps);
            let want = (*first, (*want).to_owned(), Counters { repeated: *repeated, late: *late });
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn a_source_that_is_a_little_faster_or_slower_loses_or_repeats_few() {
        for (us, want) in [(33_000, (0, 18)), (33_700, (19, 0))] {
            let mut clock = Clock::new(30, 180_000);
            let mut shown = 0;
            for n in 0..1_800 {
                clock.picture(n * us * 9 / 100, (), &mut |_| shown += 1);
            }
            let Counters { repeated, late } = clock.counters();
            let off = (repeated as i64 - want.0).abs() + (late as i64 - want.1).abs();
            assert!(off <= 2, "{us}: {repeated} {late}");
            assert_eq!(shown, 1_800 + repeated - late);
        }
    }

    #[test]
    fn every_segment_of_the_grid_begins_with_a_keyframe() {
        for rate in [24, 25, 30, 50, 60] {
            let mut clock = Clock::new(rate, 180_000);
            let mut keyframes = Vec::new();
            for n in 0..i64::from(rate) * 9 {
                clock.picture(n * 90_000 / i64::from(rate), (), &mut |shot| {
                    keyframes.extend(shot.keyframe.then_some(shot.dts));
                });
            }
            assert_eq!(keyframes, [0, 180_000, 360_000, 540_000, 720_000], "{rate}");
        }
    }
}
