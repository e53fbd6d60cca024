//! Tests that compare playlists with files, which people can read.

use std::path::Path;

use super::super::{Config, Form, Position, Report, render};
use super::kit::{config, fill, filled, init, part};
use crate::media::{Packaged, Part};

/// Compares a text with a file of `fixtures/`; a file that is not there is written, and to be looked at.
pub(super) fn compare(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/playlist/fixtures");
    let file = file.join(format!("{name}.m3u8"));
    if !file.exists() {
        std::fs::write(&file, text).unwrap();
        panic!("{} was not there: look at it", file.display());
    }
    let want = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, want, "{}", file.display());
}

fn audio(msn: u64, part: u32) -> Report {
    Report { name: "audio".parse().unwrap(), last: Position { msn, part } }
}

#[test]
fn the_first_part_of_a_stream_is_written_like_this() {
    let mut window = filled(config("video"), 0..0);
    fill(&mut window, 0, 1);
    compare("first-part", &render(&window, Form::Full, &[audio(0, 0)]));
}

#[test]
fn a_live_stream_is_written_like_this() {
    let mut window = filled(config("video"), 4..9);
    fill(&mut window, 9, 3);
    compare("live", &render(&window, Form::Full, &[audio(9, 2)]));
}

#[test]
fn a_delta_is_written_like_this() {
    let mut window = filled(config("video"), 100..150);
    fill(&mut window, 150, 2);
    compare("delta", &render(&window, Form::Delta, &[audio(150, 2)]));
}

#[test]
fn a_publisher_that_came_back_with_another_size_is_written_like_this() {
    let mut window = filled(config("video"), 0..3);
    for index in 0..5 {
        let start = 9_000 + i64::from(index) * 500;
        let gap = Part { bytes: None, ..part(3, index, start, 500) };
        window.handle(Packaged::Part(gap)).unwrap();
    }
    window.handle(Packaged::SegmentEnd { segment: 3, duration: 2_500 }).unwrap();
    window.handle(Packaged::Discontinuity).unwrap();
    window.handle(init(1)).unwrap();
    compare("before-the-return", &render(&window, Form::Full, &[]));
    fill(&mut window, 4, 2);
    compare("after-the-return", &render(&window, Form::Full, &[]));
}

#[test]
fn an_ended_stream_is_written_like_this() {
    let short = Config { dvr: std::time::Duration::from_secs(9), ..config("video") };
    let mut window = filled(short, 20..30);
    fill(&mut window, 30, 2);
    window.end();
    compare("ended", &render(&window, Form::Full, &[audio(30, 1)]));
}
