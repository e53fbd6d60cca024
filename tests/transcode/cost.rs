//! A measurement of what transcoding pictures costs, beside the same decoder and encoders alone.

use std::thread;
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

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
        let mut dropped = 0;
        let ours = cost(|| {
            let mut running = Running::start(sides);
            running.play(&frames);
            thread::sleep(Duration::from_millis(500));
            let end = SECONDS as i64 * 90_000 - 15_000;
            dropped = running.counters().dropped_behind + running.counters().dropped_late;
            if dropped == 0 {
                running.until(end);
            }
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
        println!(
            "{sides:?}: ours {ours:.3}, bare {bare:.3} CPU-seconds per second, {dropped} dropped"
        );
    }
}
