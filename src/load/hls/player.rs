//! A player that follows one media playlist: one blocking reload after the other, and every part once.

use std::collections::HashSet;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flate2::read::GzDecoder;
use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use reqwest::{Client, Url};

use super::figures::{Answer, Log, Seat};
use super::playlist::Media;

/// When a player asks for a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// When it is hinted at: the request waits for it.
    Ahead,
    /// When it is listed.
    Listed,
}

/// Someone who fetches, and writes down when answers were complete.
#[derive(Clone)]
pub(super) struct Fetcher {
    client: Client,
    log: Arc<Log>,
    seat: Seat,
}

/// An answer as far as it is of use; 0 where there was none.
#[derive(Default)]
struct Got {
    status: u16,
    len: usize,
    zipped: bool,
    body: Vec<u8>,
}

/// Plays until `end`, or until the stream ends.
pub(super) async fn follow(fetcher: Fetcher, url: Url, manner: Manner, end: Instant) {
    let mut fetched: HashSet<String> = HashSet::new();
    let mut query = None;
    let mut parts = tokio::task::JoinSet::new();
    while Instant::now() < end {
        let mut asked = url.clone();
        asked.set_query(query.as_deref());
        let text = fetcher.playlist(asked).await;
        let Some(media) = text.and_then(|text| Media::read(&text).ok()) else {
            // What failed is counted; a player begins anew, not at once.
            query = None;
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        };
        // Who joins has use for what is three parts back, not for more.
        let listed = media.parts.len();
        let recent = if fetched.is_empty() { listed.saturating_sub(3) } else { 0 };
        let hinted = media.hint.iter().filter(|_| manner == Manner::Ahead);
        let wanted = media.init.iter().chain(&media.parts[recent..]).chain(hinted);
        for path in wanted {
            let Ok(part) = url.join(path) else { continue };
            if fetched.insert(path.clone()) {
                let fetcher = fetcher.clone();
                parts.spawn(async move { fetcher.media(part).await });
            }
        }
        // What was listed before one began is not wanted later on.
        fetched.extend(media.parts[..recent].iter().cloned());
        while parts.try_join_next().is_some() {}
        if media.ended {
            break;
        }
        let (msn, part) = media.next;
        let skip = if media.can_skip { "&_HLS_skip=YES" } else { "" };
        query = Some(format!("_HLS_msn={msn}&_HLS_part={part}{skip}"));
    }
    while parts.join_next().await.is_some() {}
}

// === impl Fetcher ===

impl Fetcher {
    pub(super) fn new(client: Client, log: Arc<Log>, seat: Seat) -> Self {
        Self { client, log, seat }
    }

    /// The text of a 200; everything is written down.
    async fn playlist(&self, url: Url) -> Option<String> {
        let (status, body) = self.written(url, true).await;
        String::from_utf8(body).ok().filter(|_| status == 200)
    }

    /// Media is counted and thrown away.
    async fn media(&self, url: Url) {
        self.written(url, false).await;
    }

    async fn written(&self, url: Url, playlist: bool) -> (u16, Vec<u8>) {
        let name = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let asked = Instant::now();
        let mut got = self.whole(url.clone(), playlist).await;
        if got.is_err() {
            // The server may have closed an idle connection just then. Browsers try again, too.
            got = self.whole(url, playlist).await;
        }
        let complete = Instant::now();
        let Got { status, len, zipped, body } = got.unwrap_or_default();
        self.log.write(name, Answer { seat: self.seat, asked, complete, status, len });
        (status, if zipped { expanded(&body) } else { body })
    }

    async fn whole(&self, url: Url, playlist: bool) -> reqwest::Result<Got> {
        let mut request = self.client.get(url).timeout(TIMEOUT);
        if playlist {
            request = request.header(ACCEPT_ENCODING, "gzip");
        }
        let mut answer = request.send().await?;
        let mut got = Got {
            status: answer.status().as_u16(),
            zipped: answer.headers().get(CONTENT_ENCODING).is_some_and(|value| value == "gzip"),
            ..Got::default()
        };
        while let Some(bytes) = answer.chunk().await? {
            got.len += bytes.len();
            if playlist {
                got.body.extend_from_slice(&bytes);
            }
        }
        Ok(got)
    }
}

/// Empty where it cannot be read.
fn expanded(body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match GzDecoder::new(body).read_to_end(&mut plain) {
        Ok(_) => plain,
        Err(_) => Vec::new(),
    }
}

/// Longer than any server holds a request.
const TIMEOUT: Duration = Duration::from_secs(20);
