use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What may happen to a rendition; times in ticks after what happened last.
#[derive(Clone, Debug)]
enum Event {
    Frame { after: i64, pts: i64, keyframe: bool },
    Due { after: i64 },
    Gap { after: i64 },
    Setup { width: u16 },
    Discontinuity { jump: i64 },
    End,
}

fn event() -> impl Strategy<Value = Event> {
    let interval = prop_oneof![8 => 2_000..4_500_i64, 2 => 1..20_000_i64, 1 => -9_000..300_000_i64];
    prop_oneof![
        60 => (interval, 0..9_000_i64, prop::bool::weighted(0.1))
            .prop_map(|(after, pts, keyframe)| Event::Frame { after, pts, keyframe }),
        4 => (-9_000..60_000_i64).prop_map(|after| Event::Due { after }),
        2 => (-9_000..300_000_i64).prop_map(|after| Event::Gap { after }),
        1 => (1..3_u16).prop_map(|width| Event::Setup { width }),
        1 => (-900_000..900_000_i64).prop_map(|jump| Event::Discontinuity { jump }),
        1 => Just(Event::End),
    ]
}

fn play(config: Config, events: &[Event]) -> Bench {
    let sound = config.kind == Kind::Audio;
    let opus = |channels| Arc::new(Setup::Opus { channels });
    let setup = |width: u16| if sound { opus(width as u8) } else { vp9(width * 320) };
    let mut bench = Bench::new(config, setup(2));
    let mut now = 100_000;
    for event in events {
        let result = match *event {
            Event::Frame { after, pts, keyframe } => {
                now += after;
                let frame = bench.frame(now, keyframe || sound);
                let pts = if sound { 0 } else { pts };
                bench.feed_frame(&Frame { pts: now + pts, ..frame })
            }
            Event::Due { after } => bench.segmenter.close_due(now + after),
            Event::Gap { after } => bench.gap(now + after),
            Event::Setup { width } => {
                bench.setup = setup(width);
                Ok(())
            }
            Event::Discontinuity { jump } => {
                bench.segmenter.discontinuity();
                now = (now + jump).max(0);
                Ok(())
            }
            Event::End => {
                bench.segmenter.end();
                Ok(())
            }
        };
        bench.drain();
        if result.is_err() {
            break;
        }
    }
    bench.end();
    bench
}

proptest! {
    #[test]
    fn whatever_comes_players_get_what_they_may_rely_on(
        events in vec(event(), 1..400),
        sound: bool,
        target_ms in prop::sample::select(&[334_u64, 445, 1_000][..]),
    ) {
        let kind = if sound { Kind::Audio } else { Kind::Video };
        let config = Config::new(kind, HZ as u32, Duration::from_millis(target_ms));
        check(&play(config, &events).out, &config);
    }

    #[test]
    fn layers_with_the_same_keyframes_get_the_same_segments(
        keyframes in vec(1..70_i64, 1..30),
        dropped in vec(any::<bool>(), 2_000),
    ) {
        let keyframes: Vec<_> = keyframes.iter().scan(0, |at, after| {
            *at += after;
            Some(*at)
        }).collect();
        let last = keyframes[keyframes.len() - 1];
        let play = |thinned: bool| {
            let mut bench = Bench::video(334);
            for index in keyframes[0]..=last {
                let keyframe = keyframes.contains(&index);
                // Never two in a row, so that what is left still fits into parts.
                let drop = thinned && !keyframe && index % 2 == 1 && dropped[index as usize % 2_000];
                if !drop && bench.feed(index * 2_000, keyframe).is_err() {
                    break;
                }
            }
            bench
        };
        let starts = |bench: &Bench| -> Vec<_> {
            let firsts = bench.parts().filter(|part| part.index == 0);
            firsts.map(|part| (part.segment, part.start)).collect()
        };
        prop_assert_eq!(starts(&play(false)), starts(&play(true)));
    }

    #[test]
    fn any_times_never_panic(
        times in vec((any::<i64>(), any::<i64>(), any::<bool>(), 0..4_u8), 1..50),
        timescale: u32,
        target_us: u64,
    ) {
        let target = Duration::from_micros(target_us);
        let config = Config::new(Kind::Video, timescale, target);
        let mut bench = Bench::new(Config { segment_target: target, ..config }, vp9(640));
        for (dts, pts, keyframe, action) in times {
            let frame = Frame { pts, ..bench.frame(dts, keyframe) };
            let _ = match action {
                0 => bench.segmenter.close_due(dts),
                1 => bench.gap(dts),
                _ => bench.feed_frame(&frame),
            };
        }
        bench.end();
    }
}
