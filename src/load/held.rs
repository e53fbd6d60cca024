//! A crowd of connections that ask for one playlist all at once: when it is there, and before it is.
//!
//! What it tells is whether those who waited are answered as fast as those who did not have to.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::hls::playlist::Media;
use super::options::Held;
use super::tell::{self, Spread, millis};
use super::usage::resident_bytes;

/// Asks in turns, and prints how long either took.
pub(super) fn run(options: &Held) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rounds = runtime.block_on(measure(options))?;
    let spread = |some: fn(&Round) -> Duration| Spread::of(rounds.iter().map(some));
    let (unheld, held) = (spread(|round| round.unheld), spread(|round| round.held));
    let resident = rounds.iter().filter_map(|round| round.resident).max();
    let before = rounds.iter().filter_map(|round| round.before).min();
    let json = json!({
        "connections": options.count,
        "rounds": rounds.iter().map(|round| json!({
            "unheld_ms": millis(round.unheld),
            "held_ms": millis(round.held),
        })).collect::<Vec<_>>(),
        "unheld_ms": Spread::json(unheld),
        "held_ms": Spread::json(held),
        "resident_before": before,
        "resident_while_held": resident,
    });
    tell::print(&json, options.json, || {
        vec![
            ("connections".into(), options.count.to_string()),
            ("answered at once".into(), Spread::text(unheld)),
            ("answered after waiting".into(), Spread::text(held)),
        ]
    });
    Ok(())
}

/// One turn of either.
struct Round {
    /// From the first request to the last answer.
    unheld: Duration,
    /// From the first answer to the last.
    held: Duration,
    /// The server's memory before anybody was connected, and while all were held.
    before: Option<u64>,
    resident: Option<u64>,
}

/// A connection that asks again and again.
struct Asker {
    stream: TcpStream,
    buffer: Vec<u8>,
}

async fn measure(options: &Held) -> anyhow::Result<Vec<Round>> {
    let before = options.pid.and_then(resident_bytes);
    let address = options.url.socket_addrs(|| None)?;
    let address = *address.first().context("the URL has no address")?;
    let mut askers = Vec::new();
    for _ in 0..options.count {
        let stream = TcpStream::connect(address).await.context("no more connections")?;
        stream.set_nodelay(true)?;
        askers.push(Asker { stream, buffer: Vec::with_capacity(8_192) });
    }
    let mut rounds = Vec::new();
    for _ in 0..options.rounds {
        let (mut unheld, mut held, mut resident) = (Duration::ZERO, Duration::ZERO, None);
        for wait in [false, true] {
            let path = path(options, wait).await?;
            let began = Instant::now();
            let asked = all(&mut askers, options, path);
            let memory = async {
                // All have asked by then, and none is answered.
                tokio::time::sleep(options.settle).await;
                options.pid.filter(|_| wait).and_then(resident_bytes)
            };
            let (answers, measured) = tokio::join!(asked, memory);
            let answers = answers?;
            let first = answers.iter().min().context("no answer")?;
            let last = answers.iter().max().context("no answer")?;
            match wait {
                false => unheld = *last - began,
                true => {
                    ensure!(*first - began > options.settle, "they were not held long enough");
                    held = *last - *first;
                    resident = measured;
                }
            }
        }
        rounds.push(Round { unheld, held, before, resident });
    }
    Ok(rounds)
}

/// What to ask for: the playlist as it is, by directives too, or with a part after the next one.
async fn path(options: &Held, wait: bool) -> anyhow::Result<String> {
    let text = reqwest::get(options.url.clone()).await?.error_for_status()?.text().await?;
    let media = Media::read(&text)?;
    let (msn, part) = media.next;
    let query = match wait {
        // The next one may come while they ask.
        true => format!("_HLS_msn={msn}&_HLS_part={}", part + options.ahead),
        false => format!("_HLS_msn={}", msn.saturating_sub(3)),
    };
    Ok(format!("{}?{query}", options.url.path()))
}

/// Lets all ask at once, and returns when each had its answer.
async fn all(
    askers: &mut Vec<Asker>,
    options: &Held,
    path: String,
) -> anyhow::Result<Vec<Instant>> {
    let host = options.url.host_str().unwrap_or_default();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept-Encoding: gzip\r\n\r\n");
    let request: Arc<[u8]> = request.into_bytes().into();
    let start = Arc::new(Barrier::new(askers.len()));
    let mut asking = JoinSet::new();
    for mut asker in askers.drain(..) {
        let (request, start) = (Arc::clone(&request), Arc::clone(&start));
        asking.spawn(async move {
            start.wait().await;
            let answered = asker.ask(&request).await?;
            io::Result::Ok((asker, answered))
        });
    }
    let mut answers = Vec::new();
    while let Some(done) = asking.join_next().await {
        let (asker, answered) = done?.context("a connection failed")?;
        askers.push(asker);
        answers.push(answered);
    }
    if answers.is_empty() {
        bail!("nobody asked");
    }
    Ok(answers)
}

// === impl Asker ===

impl Asker {
    async fn ask(&mut self, request: &[u8]) -> io::Result<Instant> {
        self.buffer.clear();
        self.stream.write_all(request).await?;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(len) = whole(&self.buffer)?
                && self.buffer.len() >= len
            {
                return Ok(Instant::now());
            }
        }
    }
}

/// How long a 200 is, head and body, once its head is there.
fn whole(answer: &[u8]) -> io::Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let parsed = response.parse(answer).map_err(io::Error::other)?;
    let httparse::Status::Complete(head) = parsed else { return Ok(None) };
    if response.code != Some(200) {
        return Err(io::Error::other(format!("status {:?}", response.code)));
    }
    let named = |header: &&httparse::Header<'_>| header.name.eq_ignore_ascii_case("content-length");
    let body = response.headers.iter().find(named).map(|header| header.value);
    let body = body.and_then(|text| std::str::from_utf8(text).ok()?.parse::<usize>().ok());
    let body = body.ok_or_else(|| io::Error::other("an answer without a length"))?;
    Ok(Some(head + body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_by_its_length() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(whole(&answer[..20]).unwrap(), None);
        assert_eq!(whole(answer).unwrap(), Some(answer.len()));
        assert!(whole(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n").is_err());
    }
}
