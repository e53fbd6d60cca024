//! A crowd of viewers: they join over a ramp, watch, and leave together.

mod figures;

mod worker;

use std::time::Instant;

use anyhow::{Context, bail};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use whitewater_core::media::{Codec, Format};
use whitewater_core::rtc::sdp::offer_watch;

use super::dial::Dialler;
use super::options::{Verify, Whep};
use super::tell;
use super::usage::{cpu_of, own_cpu, resident_bytes};
use figures::{Measured, Sample};
use worker::Worker;

/// Runs the viewers and prints what they saw.
pub(super) fn run(options: &Whep) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let measured = runtime.block_on(watch(options))?;
    tell::print(&measured.json(), options.json, || measured.table());
    Ok(())
}

async fn watch(options: &Whep) -> anyhow::Result<Measured> {
    let dialler = Dialler::new(&options.url, options.token.clone()).await?.over_tcp(options.tcp);
    let before = Sample::take(options, &dialler).await;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let threads = options.threads.unwrap_or(cores.min(MAX_THREADS)).max(1);
    let workers: Vec<Worker> =
        (0..threads.min(options.viewers.max(1))).map(Worker::start).collect::<Result<_, _>>()?;

    let (sessions, failures) = join(options, &dialler, &workers).await;
    if sessions.is_empty() && failures.len() == options.viewers {
        let why = failures.first().map_or("no viewers", String::as_str);
        bail!("no viewer could join: {why}");
    }
    tokio::time::sleep(options.settle).await;

    let begun = Instant::now();
    let begin = Sample::take(options, &dialler).await;
    let at_begin = ask(&workers, Worker::mark).await?;
    tokio::time::sleep(options.seconds).await;
    let measured_for = begun.elapsed();
    let end = Sample::take(options, &dialler).await;
    let at_end = ask(&workers, Worker::finish).await?;

    leave(&dialler, sessions).await;
    Ok(Measured {
        viewers: options.viewers,
        sample: options.verify == Verify::Sample,
        failures,
        measured_for,
        at_begin,
        at_end,
        before,
        begin,
        end,
    })
}

/// Lets the viewers join, evenly over the ramp; returns the sessions and what went wrong.
async fn join(
    options: &Whep,
    dialler: &Dialler,
    workers: &[Worker],
) -> (Vec<reqwest::Url>, Vec<String>) {
    let mut joining = JoinSet::new();
    let start = Instant::now();
    for index in 0..options.viewers {
        let at = start + options.ramp.mul_f64(index as f64 / options.viewers as f64);
        let dialler = dialler.clone();
        joining.spawn(async move {
            tokio::time::sleep_until(at.into()).await;
            let formats = formats();
            (index, dialler.dial(|local| offer_watch(local, &formats)).await)
        });
    }
    let (mut sessions, mut failures) = (Vec::new(), Vec::new());
    while let Some(joined) = joining.join_next().await {
        match joined {
            Ok((index, Ok(dialled))) => {
                sessions.extend(dialled.session.clone());
                let ssrc = dialler.secrets().number() as u32;
                let all = options.verify == Verify::All || index % SAMPLED == 0;
                workers[index % workers.len()].add(dialled, ssrc, all);
            }
            Ok((_, Err(error))) => failures.push(format!("{error:#}")),
            Err(error) => failures.push(error.to_string()),
        }
    }
    (sessions, failures)
}

async fn ask<T>(
    workers: &[Worker],
    question: impl Fn(&Worker) -> oneshot::Receiver<Vec<T>>,
) -> anyhow::Result<Vec<T>> {
    let mut all = Vec::new();
    for answer in workers.iter().map(question).collect::<Vec<_>>() {
        all.extend(answer.await.context("a receiving thread has ended")?);
    }
    Ok(all)
}

async fn leave(dialler: &Dialler, sessions: Vec<reqwest::Url>) {
    for some in sessions.chunks(LEAVING_AT_ONCE) {
        let mut leaving = JoinSet::new();
        for session in some {
            let (dialler, session) = (dialler.clone(), session.clone());
            leaving.spawn(async move { dialler.delete(session).await });
        }
        leaving.join_all().await;
    }
}

/// What a viewer can take: everything that browsers do.
fn formats() -> Vec<Format> {
    let h264 = |profile: &str| {
        let fmtp =
            format!("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}");
        Format::video(Codec::H264, fmtp)
    };
    vec![
        Format::opus(),
        h264("42e01f"),
        h264("42001f"),
        h264("4d001f"),
        h264("64001f"),
        Format::video(Codec::Vp8, ""),
        Format::video(Codec::Vp9, "profile-id=0"),
        Format::video(Codec::Av1, "level-idx=5;profile=0;tier=0"),
        Format::video(Codec::H265, ""),
    ]
}

// === impl Sample ===

impl Sample {
    async fn take(options: &Whep, dialler: &Dialler) -> Self {
        let server = match &options.sample {
            Some(url) => dialler.fetch(url).await,
            None => None,
        };
        Self {
            own_cpu: own_cpu(),
            cpu: options.pid.and_then(cpu_of),
            resident_bytes: options.pid.and_then(resident_bytes),
            server,
        }
    }
}

const MAX_THREADS: usize = 4;
const SAMPLED: usize = 10;
const LEAVING_AT_ONCE: usize = 50;
