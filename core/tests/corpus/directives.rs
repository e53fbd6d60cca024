//! A check of delivery directives: what is held is answered once enough has come, and never refused.
//!
//! A byte for the parts of a segment and one for how far the window is, then the query.

use bytes::Bytes;
use whitewater_core::media::{Init, Ntp, Packaged, Part, VideoRange};
use whitewater_core::playlist::{Answer, Config, Directives, Window, decide};

#[path = "input.rs"]
mod input;

/// Reads one query and follows what becomes of it while a stream goes on, and when it ends.
pub fn run(data: &[u8]) {
    let mut input = input::Input(data);
    let parts = u32::from(input.byte() % 8) + 1;
    let before = input.byte() % 40;
    let Ok(query) = std::str::from_utf8(input.0) else { return };
    let Ok(directives) = Directives::parse(query) else { return };
    assert!(directives.part.is_none() || directives.msn.is_some(), "{directives:?}");
    assert_eq!(directives.is_blocking(), directives.msn.is_some());

    let config = Config::new("v".parse().unwrap(), 1_000, Ntp::default());
    let mut window = Window::new(config);
    window.handle(init()).unwrap();
    assert_eq!(decide(&directives, &window.state()), Answer::Wait, "nothing is there");
    let mut at = (0, 0);
    for _ in 0..before {
        step(&mut window, &mut at, parts);
    }
    let first = decide(&directives, &window.state());
    // Two segments ahead at most, and the first part of the one after them.
    let enough = (parts + 1) * 4;
    for _ in 0..enough {
        step(&mut window, &mut at, parts);
        let answer = decide(&directives, &window.state());
        match first {
            // Nothing is known before the first part.
            Answer::Wait if before == 0 => {}
            Answer::BadRequest(_) => {}
            Answer::Wait => assert!(!matches!(answer, Answer::BadRequest(_)), "{directives:?}"),
            Answer::Now | Answer::Delta => {
                assert!(matches!(answer, Answer::Now | Answer::Delta), "{directives:?}");
            }
        }
        if answer == Answer::Delta {
            let unskipped = window.state().unskipped.expect("something is left out");
            assert!(directives.msn.is_none_or(|msn| msn >= unskipped), "{directives:?}");
        }
    }
    if before > 0 && first == Answer::Wait {
        let answer = decide(&directives, &window.state());
        assert!(matches!(answer, Answer::Now | Answer::Delta), "{directives:?}: {answer:?}");
    }
    window.end();
    assert_eq!(decide(&directives, &window.state()), Answer::Now, "{directives:?}");
}

/// The next part, or the end of a segment that has all of them.
fn step(window: &mut Window, (segment, index): &mut (u64, u32), parts: u32) {
    let duration = 300;
    let item = if *index < parts {
        let start = *segment as i64 * 3_000 + i64::from(*index) * 300;
        let bytes = Some(Bytes::from_static(b"part"));
        let independent = *index == 0;
        let (segment, at) = (*segment, *index);
        *index += 1;
        Packaged::Part(Part { segment, index: at, start, duration, independent, bytes })
    } else {
        let ended = *segment;
        (*segment, *index) = (ended + 1, 0);
        Packaged::SegmentEnd { segment: ended, duration: duration * u64::from(parts) }
    };
    window.handle(item).expect("it is what comes next");
}

fn init() -> Packaged {
    let bytes = Bytes::from_static(b"init");
    Packaged::Init(Init {
        version: 0,
        bytes,
        codecs: "Opus".into(),
        size: None,
        range: VideoRange::Sdr,
    })
}
