//! A courier that brings one webhook its events, each as often as it takes.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinSet};
use tokio::time::Instant;
use tracing::{debug, info, warn};
use whitewater_signaling::control::{DeliveryState, Journal, Noted, Occurred, StreamName, Topic};

use super::ledger::{Ledger, Row};
use super::post::{Answer, Post, Request};
use super::queue::Queue;
use super::signature::Key;
use crate::config::Webhook;
use crate::metrics;

/// What is known of a webhook.
pub(super) struct Hook<P> {
    name: String,
    topics: Vec<Topic>,
    key: Key,
    post: P,
    ledger: Ledger,
    metrics: metrics::Webhooks,
    /// One for each request that may be under way.
    slots: Semaphore,
    /// Whether the last try failed.
    failing: AtomicBool,
}

/// Who brings them.
pub(super) struct Courier<P> {
    hook: Arc<Hook<P>>,
    queue: Queue<Event>,
    /// What is being delivered, one of each stream at most.
    under_way: JoinSet<()>,
    streams: HashMap<Id, StreamName>,
    /// Events that were dropped since there was room last.
    dropped: u64,
}

/// An event with its row in the ledger.
#[derive(Debug)]
struct Event {
    occurred: Occurred,
    row: Row,
}

/// Why a try failed.
#[derive(Debug)]
struct Failure {
    why: String,
    /// Whether another try may do better.
    may_pass: bool,
    retry_after: Option<Duration>,
}

// === impl Hook ===

impl<P: Post> Hook<P> {
    pub(super) fn new(
        webhook: &Webhook,
        key: Key,
        post: P,
        ledger: Ledger,
        metrics: metrics::Webhooks,
    ) -> Self {
        Self {
            name: webhook.name.clone(),
            topics: webhook.topics.clone(),
            key,
            post,
            ledger,
            metrics,
            slots: Semaphore::new(MAX_AT_ONCE),
            failing: AtomicBool::new(false),
        }
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Sends an event until it is taken or given up.
    async fn deliver(&self, event: Event) {
        let body = Bytes::from(event.occurred.to_json());
        let delivered = (|| self.send(&event, body.clone()))
            .retry(patience())
            .sleep(tokio::time::sleep)
            .when(|failure: &Failure| failure.may_pass)
            .adjust(|failure, delay| {
                let later = failure.retry_after.unwrap_or_default().min(LONGEST_DELAY);
                delay.map(|delay| delay.max(later))
            })
            .notify(|failure, delay| self.complain(&failure.why, delay))
            .await;
        let state = match delivered {
            Ok(()) => {
                if self.failing.swap(false, Ordering::Relaxed) {
                    info!(webhook = self.name, "a webhook takes events again");
                }
                DeliveryState::Delivered
            }
            Err(failure) => {
                let Occurred { id, topic, facts, .. } = &event.occurred;
                warn!(webhook = self.name, %id, event = topic.name(), stream = %facts.stream,
                    why = failure.why, "an event is given up");
                DeliveryState::GivenUp
            }
        };
        self.finish(event.row, state);
    }

    async fn send(&self, event: &Event, body: Bytes) -> Result<(), Failure> {
        let _slot = self.slots.acquire().await.expect("it is never closed");
        let id = event.occurred.id.to_string();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let timestamp_s = since_1970.as_secs();
        let signature = self.key.sign(&id, timestamp_s, &body);
        let began = Instant::now();
        let answer = self.post.post(Request { id, timestamp_s, signature, body }).await;
        let took = began.elapsed();
        let status = answer.as_ref().ok().map(|answer| answer.status);
        let outcome = judge(answer);
        self.metrics.tried(&self.name, status, took);
        let why = outcome.as_ref().err().map(|failure| failure.why.as_str());
        self.ledger.tried(event.row, status, why, took);
        outcome
    }

    fn complain(&self, why: &str, delay: Duration) {
        if self.failing.swap(true, Ordering::Relaxed) {
            debug!(webhook = self.name, why, ?delay, "a webhook does not take an event");
        } else {
            warn!(
                webhook = self.name,
                why, "a webhook does not take events: they wait and are sent again"
            );
        }
    }

    fn finish(&self, row: Row, state: DeliveryState) {
        self.ledger.finished(row, state);
        self.metrics.finished(&self.name, state);
    }
}

// === impl Courier ===

impl<P: Post> Courier<P> {
    pub(super) fn new(hook: Hook<P>) -> Self {
        Self {
            hook: Arc::new(hook),
            queue: Queue::new(),
            under_way: JoinSet::new(),
            streams: HashMap::new(),
            dropped: 0,
        }
    }

    /// Delivers what the journal tells, to its end.
    pub(super) async fn run(mut self, mut journal: Box<dyn Journal>) {
        let mut is_over = false;
        loop {
            while let Some((stream, event)) = self.queue.take() {
                let hook = Arc::clone(&self.hook);
                let task = self.under_way.spawn(async move { hook.deliver(event).await });
                self.streams.insert(task.id(), stream);
            }
            self.hook.metrics.waits(&self.hook.name, self.queue.len());
            if is_over && self.under_way.is_empty() {
                return;
            }
            tokio::select! {
                noted = journal.next(), if !is_over => match noted {
                    Some(Noted::Occurred(occurred)) => self.take(occurred),
                    Some(Noted::Missed(missed)) => self.missed(missed),
                    None => is_over = true,
                },
                Some(done) = self.under_way.join_next_with_id() => {
                    let id = done.map_or_else(|error| error.id(), |(id, ())| id);
                    if let Some(stream) = self.streams.remove(&id) {
                        self.queue.done(&stream);
                    }
                }
            }
        }
    }

    fn take(&mut self, occurred: Occurred) {
        let topic = occurred.topic;
        if !self.hook.topics.contains(&topic) {
            return;
        }
        let row = self.hook.ledger.enter(&self.hook.name, &occurred);
        let stream = occurred.facts.stream.clone();
        // Viewers may be many: they leave room for what happens to streams.
        let bound = if topic.is_of_viewers() { MOST_OF_VIEWERS } else { MOST };
        match self.queue.push(&stream, Event { occurred, row }, bound) {
            Ok(()) => self.has_room(),
            Err(event) => {
                if self.dropped == 0 {
                    warn!(
                        webhook = self.hook.name,
                        event = topic.name(),
                        waiting = self.queue.len(),
                        "events for a webhook are dropped, as too many wait"
                    );
                }
                self.dropped += 1;
                self.hook.finish(event.row, DeliveryState::Dropped);
            }
        }
    }

    fn has_room(&mut self) {
        if self.dropped > 0 && self.queue.len() <= MOST_OF_VIEWERS / 2 {
            let dropped = std::mem::take(&mut self.dropped);
            info!(webhook = self.hook.name, dropped, "there is room again for its events");
        }
    }

    fn missed(&self, missed: u64) {
        warn!(
            webhook = self.hook.name,
            missed, "so much happened at once that events for a webhook are lost"
        );
        self.hook.metrics.missed(&self.hook.name, missed);
    }
}

/// What an answer means (Standard Webhooks): anything but 2xx is a failure, and 410 is final.
fn judge(answer: Result<Answer, String>) -> Result<(), Failure> {
    let Answer { status, retry_after } =
        answer.map_err(|why| Failure { why, may_pass: true, retry_after: None })?;
    match status {
        200..=299 => Ok(()),
        410 => {
            Err(Failure { why: "it answers 410: gone".into(), may_pass: false, retry_after: None })
        }
        300..=399 => {
            let why = format!("it answers {status}, and redirects are not followed");
            Err(Failure { why, may_pass: true, retry_after })
        }
        _ => Err(Failure { why: format!("it answers {status}"), may_pass: true, retry_after }),
    }
}

/// When an event is sent again.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::new()
        .with_min_delay(SHORTEST_DELAY)
        .with_factor(2.0)
        .with_max_delay(LONGEST_DELAY)
        .without_max_times()
        .with_total_delay(Some(PATIENCE))
        .with_jitter()
}

const SHORTEST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(300);

/// How long an event is sent again, without the time that the tries themselves take.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Events of a webhook that wait or are being sent.
const MOST: usize = 1_024;
const MOST_OF_VIEWERS: usize = MOST / 2;

/// Requests to one webhook at once.
const MAX_AT_ONCE: usize = 8;

#[cfg(test)]
mod tests;
