//! A measurement of what transcoding pictures costs, beside the same decoder and encoders alone.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

use whitewater_core::media::Frame;

use crate::video::Running;
use crate::{media, pictures};

const SECONDS: usize = 8;

/// The CPU-seconds per second of media that some work takes.
fn cost(work: impl FnOnce()) -> f64 {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    };
    let before = used();
    work();
    (used() - before) / SECONDS as f64
}

#[test]
#[ignore = "it measures: run it alone, on a machine that does nothing else"]
fn what_a_rung_costs_beside_the_bare_encoder() {
    let frames = pictures::vp8((1280, 720), SECONDS * 30);
    let input: Vec<_> = frames.iter().map(|frame| frame.data.to_vec()).collect();
    for sides in [&[720][..], &[720, 360]] {
        let (mut dropped, mut waits) = (0, Vec::new());
        let ours = cost(|| {
            let mut running = Running::start(sides);
            let begun = running.play(&frames);
            thread::sleep(Duration::from_millis(500));
            let end = SECONDS as i64 * 90_000 - 15_000;
            dropped = running.counters().dropped_behind + running.counters().dropped_late;
            // What is left out on a busy machine is told of below.
            let reaches = |rung: &Vec<Frame>| rung.last().is_some_and(|f| f.dts > end - 90_000);
            running.wait(|running| running.got.iter().all(reaches));
            let wait = |(dts, at): &(i64, Instant)| {
                let since = at.saturating_duration_since(begun).as_secs_f64();
                (since - *dts as f64 / 90_000.0) * 1e3
            };
            waits = running.times.iter().skip(30).map(wait).collect();
            waits.sort_by(f64::total_cmp);
        });
        let rung = |side: &u16| {
            format!(
                "t. ! queue ! videoscale method=bilinear n-threads=1 \
                 ! video/x-raw,width={},height={side} ! x264enc tune=zerolatency \
                 speed-preset=veryfast pass=qual quantizer=23 bitrate={} vbv-buf-capacity=400 \
                 key-int-max=60 bframes=0 threads=1 option-string=\"scenecut=0:open-gop=0\" \
                 ! video/x-h264,profile=main ! {} ",
                side * 16 / 9,
                if *side == 720 { 2_500 } else { 802 },
                if *side == 720 { "appsink name=out sync=false" } else { "fakesink sync=false" },
            )
        };
        let rungs: String = sides.iter().map(rung).collect();
        let description = format!(
            "appsrc name=in format=time do-timestamp=true caps=\"video/x-vp8,framerate=30/1\" \
             ! vp8dec ! videoconvert n-threads=1 ! video/x-raw,format=I420 ! tee name=t {rungs}"
        );
        let bare = cost(|| assert_eq!(media::run(&description, &input).len(), frames.len()));
        if let (Some(p50), Some(p95)) =
            (waits.get(waits.len() / 2), waits.get(waits.len() * 19 / 20))
        {
            println!("{sides:?}: from a frame to its rung's p50 {p50:.1} ms, p95 {p95:.1} ms");
        }
        println!(
            "{sides:?}: ours {ours:.3}, bare {bare:.3} CPU-seconds per second, {dropped} dropped"
        );
    }
}
