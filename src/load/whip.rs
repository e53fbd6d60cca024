//! A publisher that behaves like a browser (simulcast by rid, keyframes when asked, retransmissions) or
//! like OBS Studio (keyframes by its own clock).

mod figures;

mod media;

mod obs;

mod outgoing;

mod publishing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::bail;
use whitewater_core::media::{Codec, Format, Kind, Rid, Ssrc};
use whitewater_core::rtc::sdp::{PublishOffer, offer_publish};

use super::dial::Dialler;
use super::options::{Like, Whip};
use super::tell;
use super::trace::Trace;
use figures::Figures;
use media::Media;
use outgoing::Identifiers;
use publishing::Publishing;

/// Publishes and prints what went over.
pub(super) fn run(options: &Whip) -> anyhow::Result<()> {
    let trace = Trace::load(&options.trace)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(publish(options, trace))?;
    tell::print(&figures.json(), options.json, || figures.table());
    Ok(())
}

async fn publish(options: &Whip, trace: Trace) -> anyhow::Result<Figures> {
    let dialler = Dialler::new(&options.url, options.token.clone()).await?;
    let number = || dialler.secrets().number();
    let ssrc = || Ssrc((number() as u32).max(1));
    let rids = match options.like {
        Like::Browser => rids(options.layers),
        Like::Obs => obs::rids(options.layers),
    };
    let video = Format::video(
        Codec::H264,
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
    );
    let offer = PublishOffer {
        audio: !options.no_audio,
        video: Some(&video),
        rids: &rids,
        audio_ssrc: ssrc(),
        video_ssrc: ssrc(),
        video_rtx_ssrc: ssrc(),
    };
    let dialled = dialler
        .dial(|local| match options.like {
            Like::Browser => offer_publish(local, &offer),
            Like::Obs => obs::offer(local, &offer),
        })
        .await?;
    let session = dialled.session.clone();

    let mut media = Media::new(trace, options.like, options.gop);
    for section in &dialled.sections {
        let sources: Vec<Identifiers> = match section.kind {
            Kind::Audio => {
                let rtx_ssrc = ssrc();
                vec![Identifiers { ssrc: offer.audio_ssrc, rtx_ssrc, rid: None, seed: number() }]
            }
            Kind::Video if rids.is_empty() => vec![Identifiers {
                ssrc: offer.video_ssrc,
                rtx_ssrc: offer.video_rtx_ssrc,
                rid: None,
                seed: number(),
            }],
            Kind::Video => rids
                .iter()
                .map(|rid| Identifiers {
                    ssrc: ssrc(),
                    rtx_ssrc: ssrc(),
                    rid: Some(rid.clone()),
                    seed: number(),
                })
                .collect(),
        };
        media.add(section, sources);
    }

    let stop = Arc::new(AtomicBool::new(false));
    let thread = {
        let stop = Arc::clone(&stop);
        let (seconds, like) = (options.seconds, options.like);
        std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || Publishing::new(dialled, media, like).run(seconds, &stop))?
    };
    let ended = tokio::task::spawn_blocking(move || thread.join());
    tokio::pin!(ended);
    let ended = tokio::select! {
        ended = &mut ended => ended,
        interrupt = tokio::signal::ctrl_c() => {
            interrupt?;
            stop.store(true, Ordering::Relaxed);
            ended.await
        }
    };
    if let Some(session) = session {
        dialler.delete(session).await;
    }
    match ended? {
        Ok(figures) => Ok(figures),
        Err(_) => bail!("the publisher's thread has panicked"),
    }
}

/// The layers' names, smallest first, as our publish page names them.
fn rids(layers: u8) -> Vec<Rid> {
    match layers {
        1 => Vec::new(),
        layers => {
            ["q", "h", "f"][3 - usize::from(layers)..].iter().map(|it| Rid::from(*it)).collect()
        }
    }
}
