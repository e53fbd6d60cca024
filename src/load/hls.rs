//! A crowd of HLS players at one address, such as a cache's, measured against players at another, the origin.
//!
//! Each plays one quality and the sound, by blocking reloads. Every other one fetches parts ahead, by
//! preload hint, as Apple's player does, and the rest when they are listed, as hls.js does. A witness
//! per playlist does the same at the origin; how much later than there an answer is complete is what
//! the cache costs. Every twentieth player shares a thread with the witnesses, so that it is not late
//! because this program is busy with the others.

mod figures;
mod player;
pub(super) mod playlist;

use std::future::Future;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use reqwest::{Client, Url};
use tokio::task::JoinSet;

use super::options::Hls;
use super::tell;
use figures::{Figures, Log, Seat};
use player::{Fetcher, Manner};
use playlist::Index;

/// Runs the players and prints what they measured.
pub(super) fn run(options: &Hls) -> anyhow::Result<()> {
    let log = Arc::new(Log::default());
    let tokens = Arc::new(tokens(options)?);
    let quiet = {
        let (options, tokens, log) = (options.clone(), Arc::clone(&tokens), Arc::clone(&log));
        thread::spawn(move || {
            run_alone(async {
                let players = play(&options, &tokens, &log, Seat::Sampled);
                let witness = witness(&options, &tokens, &log);
                tokio::try_join!(players, witness).map(|_| ())
            })
        })
    };
    run_alone(play(options, &tokens, &log, Seat::Crowd))?;
    quiet.join().map_err(|_| anyhow::anyhow!("the thread that measures has died"))??;
    let figures = Figures::of(options.viewers, &log);
    if figures.answers() == 0 {
        bail!("no player got an answer");
    }
    if let Some(file) = &options.times {
        std::fs::write(file, log.times()).context("the times cannot be written")?;
    }
    tell::print(&figures.json(), options.json, || figures.table());
    Ok(())
}

fn run_alone<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// Lets those players play who have such a seat.
async fn play(options: &Hls, tokens: &[String], log: &Arc<Log>, seat: Seat) -> anyhow::Result<()> {
    let client = client()?;
    // Without tokens one index is as good as another.
    let shared = match tokens {
        [] => Some(index(&client, &options.url).await?),
        _ => None,
    };
    let end = Instant::now() + options.seconds;
    let mut players = JoinSet::new();
    for number in 0..options.viewers {
        let own = if number.is_multiple_of(SAMPLED) { Seat::Sampled } else { Seat::Crowd };
        if own != seat {
            continue;
        }
        let start = options.ramp.mul_f64(number as f64 / options.viewers as f64);
        // In all mixtures, among the sampled ones too.
        let turn = number + number / SAMPLED;
        let manner = if turn.is_multiple_of(2) { Manner::Ahead } else { Manner::Listed };
        let (client, url, shared) = (client.clone(), options.url.clone(), shared.clone());
        let token = tokens.get(number % tokens.len().max(1)).cloned();
        let fetcher = Fetcher::new(client.clone(), Arc::clone(log), seat);
        players.spawn(async move {
            tokio::time::sleep(start).await;
            let index = match (shared, token) {
                (Some(index), _) => index,
                (None, token) => index(&client, &with_token(&url, token.as_deref())).await?,
            };
            let picture = index.variants.get((turn / 2) % index.variants.len().max(1));
            let mut followed = JoinSet::new();
            for path in picture.into_iter().chain(&index.sound) {
                followed.spawn(player::follow(fetcher.clone(), url.join(path)?, manner, end));
            }
            followed.join_all().await;
            anyhow::Ok(())
        });
    }
    while let Some(played) = players.join_next().await {
        played.context("a player has died")??;
    }
    Ok(())
}

/// The address of an index as who has a token asks for it.
fn with_token(url: &Url, token: Option<&str>) -> Url {
    let mut url = url.clone();
    if let Some(token) = token {
        url.query_pairs_mut().append_pair("token", token);
    }
    url
}

/// The lines of a file that are not empty.
fn tokens(options: &Hls) -> anyhow::Result<Vec<String>> {
    let Some(file) = &options.tokens else { return Ok(Vec::new()) };
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("the tokens in {} cannot be read", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

/// Follows every playlist at the origin until a little after the crowd.
async fn witness(options: &Hls, tokens: &[String], log: &Arc<Log>) -> anyhow::Result<()> {
    let Some(origin) = &options.origin else { return Ok(()) };
    let client = client()?;
    let there = origin.join(options.url.path())?;
    let token = tokens.first().map(String::as_str);
    let index = index(&client, &with_token(&there, token)).await?;
    let end = Instant::now() + options.seconds + Duration::from_millis(500);
    let mut witnesses = JoinSet::new();
    for path in index.variants.iter().chain(&index.sound) {
        let fetcher = Fetcher::new(client.clone(), Arc::clone(log), Seat::Witness);
        witnesses.spawn(player::follow(fetcher, there.join(path)?, Manner::Ahead, end));
    }
    witnesses.join_all().await;
    Ok(())
}

/// The index, which may take the server a while.
async fn index(client: &Client, url: &Url) -> anyhow::Result<Index> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = client.get(url.clone()).send().await.context("the index cannot be fetched")?;
        let status = answer.status();
        let text = answer.text().await?;
        if status.is_success() {
            return Index::read(&text);
        }
        if Instant::now() > deadline {
            bail!("the index is {status}: {text}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

fn client() -> anyhow::Result<Client> {
    // Less than servers leave a connection idle.
    Ok(Client::builder().pool_idle_timeout(Duration::from_secs(3)).no_proxy().build()?)
}

/// How long a stream that begins is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Of so many players one is measured closely.
const SAMPLED: usize = 20;
