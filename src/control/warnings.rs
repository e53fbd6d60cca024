//! A reader of reports that finds what a host should change.

use std::time::Duration;

use whitewater_core::hub::Habit;
use whitewater_core::media::Rid;
use whitewater_core::shard::command::{LayerReport, StreamReport};

/// What the host of a stream should change, in sentences.
pub(super) fn of(report: &StreamReport) -> Vec<String> {
    let layers = report.tracks.iter().flat_map(|track| &track.layers);
    layers.filter_map(long_gop).collect()
}

/// A publisher that answers requests needs no keyframes of its own.
fn long_gop(layer: &LayerReport) -> Option<String> {
    let gop = layer.gop.filter(|gop| *gop > LONGEST_GOP + SLACK)?;
    if !layer.active || layer.habit != Habit::Ignores {
        return None;
    }
    let name = layer.rid.as_ref().map(Rid::to_string);
    let of_layer = name.map(|rid| format!(" of layer {rid}")).unwrap_or_default();
    Some(format!(
        "The keyframes{of_layer} are {:.0} s apart, and the encoder sends none on request: who joins \
         may wait that long for the picture. Set the keyframe interval to 2 s (in OBS: Settings > \
         Output > Keyframe Interval; in FFmpeg: -g with twice the frame rate).",
        gop.as_secs_f64()
    ))
}

/// A joiner gets a picture at once up to 3.6 s after a keyframe, and waits 0.4 s at most here.
const LONGEST_GOP: Duration = Duration::from_secs(4);

/// The latest keyframe's age is measured by arrivals, which vary.
const SLACK: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use whitewater_core::media::{Format, Mid};
    use whitewater_core::shard::command::TrackReport;

    use super::*;

    fn report(gop_ms: u64, habit: Habit, active: bool, rid: Option<&str>) -> StreamReport {
        let layer = LayerReport {
            parts: Vec::new(),
            rid: rid.map(Rid::new),
            active,
            bitrate_bps: 1,
            fps: 30.0,
            size: None,
            keyframes: 2,
            keyframe_requests: 1,
            packets_lost: 0,
            gop: Some(Duration::from_millis(gop_ms)),
            habit,
        };
        let track = TrackReport { mid: Mid::new("1"), format: Format::opus(), layers: vec![layer] };
        StreamReport { live: true, window: None, tracks: vec![track] }
    }

    #[test]
    fn only_a_long_gop_of_who_ignores_requests_is_worth_a_word() {
        use Habit::{Answers, Ignores, Unknown};
        for (gop_ms, habit, active, want) in [
            (10_000, Ignores, true, 1),
            (4_300, Ignores, true, 1),
            (4_050, Ignores, true, 0),
            (2_000, Ignores, true, 0),
            (10_000, Ignores, false, 0),
            (10_000, Answers, true, 0),
            (10_000, Unknown, true, 0),
        ] {
            let warnings = of(&report(gop_ms, habit, active, None));
            assert_eq!(warnings.len(), want, "{gop_ms} {habit:?} {active}");
        }
    }

    #[test]
    fn the_sentence_names_layer_and_time_and_what_to_do() {
        let words = of(&report(8_000, Habit::Ignores, true, Some("0"))).remove(0);
        assert!(words.starts_with("The keyframes of layer 0 are 8 s apart"), "{words}");
        assert!(words.contains("Settings > Output > Keyframe Interval"), "{words}");
    }
}
