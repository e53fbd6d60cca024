use std::pin::Pin;
use std::sync::Mutex;

use tokio::sync::mpsc;
use whitewater_signaling::control::Facts;

use super::*;
use crate::config::{Secret, SecretSource};

type Script = dyn Fn(&str, u32) -> Result<Answer, String> + Send + Sync;

/// A webhook that answers by a script: by the stream, and how often its event was tried before.
struct Scripted {
    script: Box<Script>,
    takes: Duration,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    /// When, the event's name and its stream.
    tries: Vec<(Duration, String, String)>,
    at_once: usize,
    most_at_once: usize,
}

impl Post for Scripted {
    async fn post(&self, request: Request) -> Result<Answer, String> {
        let body: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let stream = body["data"]["stream"].as_str().unwrap().to_owned();
        let before = {
            let mut seen = self.seen.lock().unwrap();
            seen.at_once += 1;
            seen.most_at_once = seen.most_at_once.max(seen.at_once);
            let before = seen.tries.iter().filter(|(_, id, _)| *id == request.id).count();
            seen.tries.push((start().elapsed(), request.id, stream.clone()));
            before as u32
        };
        tokio::time::sleep(self.takes).await;
        self.seen.lock().unwrap().at_once -= 1;
        (self.script)(&stream, before)
    }
}

struct Notes(mpsc::UnboundedReceiver<Noted>);

impl Journal for Notes {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Option<Noted>> + Send + '_>> {
        Box::pin(self.0.recv())
    }
}

/// A courier with a webhook, and what a test sees of them.
struct Scene {
    notes: mpsc::UnboundedSender<Noted>,
    seen: Arc<Mutex<Seen>>,
    ledger: Ledger,
    metrics: metrics::Webhooks,
    courier: tokio::task::JoinHandle<()>,
    next: u32,
}

impl Scene {
    fn new(
        takes: Duration,
        script: impl Fn(&str, u32) -> Result<Answer, String> + Send + Sync + 'static,
    ) -> Self {
        start();
        let (notes, journal) = mpsc::unbounded_channel();
        let seen = Arc::<Mutex<Seen>>::default();
        let post = Scripted { script: Box::new(script), takes, seen: Arc::clone(&seen) };
        let webhook = Webhook {
            name: "w".into(),
            url: "http://w".into(),
            secret: SecretSource::Inline(Secret::new("")),
            topics: vec![Topic::StreamStarted, Topic::StreamEnded, Topic::ViewerJoined],
            timeout: Duration::from_secs(10),
        };
        let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let (ledger, metrics) = (Ledger::default(), metrics::Webhooks::default());
        let hook = Hook::new(&webhook, key, post, ledger.clone(), metrics.clone());
        let courier = tokio::spawn(Courier::new(hook).run(Box::new(Notes(journal))));
        Self { notes, seen, ledger, metrics, courier, next: 0 }
    }

    fn note(&mut self, stream: &str, topic: Topic) {
        self.next += 1;
        let id = format!("evt_{}", self.next).into();
        let facts = Facts::of(stream.parse().unwrap());
        let occurred = Occurred { id, at: SystemTime::UNIX_EPOCH, topic, facts };
        self.notes.send(Noted::Occurred(occurred)).unwrap();
    }

    /// Ends the journal, and waits until the courier has ended.
    async fn end(self) -> (Vec<(Duration, String, String)>, Ledger, metrics::Webhooks) {
        drop(self.notes);
        self.courier.await.unwrap();
        let tries = std::mem::take(&mut self.seen.lock().unwrap().tries);
        (tries, self.ledger, self.metrics)
    }
}

/// The beginning of the test.
fn start() -> Instant {
    thread_local!(static START: Instant = Instant::now());
    START.with(|start| *start)
}

fn answer(status: u16) -> Result<Answer, String> {
    Ok(Answer { status, retry_after: None })
}

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn an_event_is_sent_again_ever_more_slowly_and_the_next_of_its_stream_waits() {
    let mut scene = Scene::new(MS, |stream, before| match (stream, before) {
        ("a", 0) => Err("it cannot be reached".into()),
        ("a", 1..4) => answer(500),
        _ => answer(204),
    });
    for (stream, topic) in [
        ("a", Topic::StreamStarted),
        ("a", Topic::StreamEnded),
        ("b", Topic::StreamStarted),
        ("b", Topic::PublisherLost),
    ] {
        scene.note(stream, topic);
    }
    let (tries, ledger, _) = scene.end().await;
    let order: Vec<_> = tries.iter().map(|(_, id, _)| id.as_str()).collect();
    let own: Vec<_> = order.iter().filter(|id| **id != "evt_3").collect();
    assert_eq!(own[..5], [&"evt_1"; 5], "{order:?}");
    assert_eq!(own[5..], [&"evt_2"; 5], "{order:?}");
    let other = tries.iter().find(|(_, id, _)| id == "evt_3").unwrap();
    assert!(other.0 < 100 * MS, "another stream does not wait: {tries:?}");
    let first: Vec<_> = tries.iter().filter(|(_, id, _)| id == "evt_1").map(|one| one.0).collect();
    for (pair, least_s) in first.windows(2).zip([1, 2, 4, 8]) {
        let gap = pair[1] - pair[0];
        let least = Duration::from_secs(least_s);
        assert!(gap >= least && gap < 2 * least + Duration::from_secs(1), "{first:?}");
    }
    let rows = ledger.latest(9);
    assert_eq!(rows.len(), 3, "what is not asked for is not sent: {rows:?}");
    assert!(rows.iter().all(|row| row.state == DeliveryState::Delivered), "{rows:?}");
    let one = rows.iter().find(|row| row.id == "evt_1").unwrap();
    assert_eq!((one.tries, one.status, &one.error), (5, Some(204), &None));
}

#[tokio::test(start_paused = true)]
async fn what_is_never_taken_is_given_up_after_an_hour_and_the_next_is_tried() {
    let mut scene = Scene::new(MS, |_, _| answer(302));
    scene.note("a", Topic::StreamStarted);
    scene.note("a", Topic::StreamEnded);
    let (tries, ledger, metrics) = scene.end().await;
    let of = |name: &str| {
        let own = tries.iter().filter(|(_, id, _)| id == name).map(|one| one.0);
        own.collect::<Vec<_>>()
    };
    let (one, two) = (of("evt_1"), of("evt_2"));
    let lasted = *one.last().unwrap() - one[0];
    assert!(lasted > Duration::from_secs(2_700) && lasted <= PATIENCE + Duration::from_secs(1));
    assert!((12..40).contains(&one.len()), "{} tries", one.len());
    assert!(two[0] >= *one.last().unwrap(), "it waited for the first");
    for row in ledger.latest(9) {
        assert_eq!((row.state, row.status), (DeliveryState::GivenUp, Some(302)));
        assert!(row.error.unwrap().contains("redirects are not followed"));
    }
    assert_eq!(metrics.of("w", "given_up"), 2);
    assert_eq!(metrics.waiting(&["w".into()]), 0);
}

#[tokio::test(start_paused = true)]
async fn gone_is_final_and_later_is_later() {
    let mut scene = Scene::new(MS, |stream, before| match (stream, before) {
        ("gone", _) => answer(410),
        ("later", 0) => Ok(Answer { status: 429, retry_after: Some(Duration::from_secs(60)) }),
        ("much", 0) => Ok(Answer { status: 503, retry_after: Some(Duration::from_secs(1 << 40)) }),
        _ => answer(200),
    });
    for stream in ["gone", "later", "much"] {
        scene.note(stream, Topic::StreamStarted);
    }
    let (tries, ledger, _) = scene.end().await;
    let times = |name: &str| {
        let own = tries.iter().filter(|(_, _, stream)| stream == name).map(|one| one.0);
        own.collect::<Vec<_>>()
    };
    assert_eq!(times("gone").len(), 1);
    let later = times("later");
    assert!(later.len() == 2 && later[1] - later[0] >= Duration::from_secs(60), "{later:?}");
    let much = times("much");
    assert!(much.len() == 2 && much[1] - much[0] <= LONGEST_DELAY + Duration::from_secs(1));
    let gone = ledger.latest(9).into_iter().find(|row| row.stream == "gone").unwrap();
    assert_eq!((gone.state, gone.tries), (DeliveryState::GivenUp, 1));
}

#[tokio::test(start_paused = true)]
async fn too_many_are_dropped_viewers_first_and_few_are_sent_at_once() {
    let mut scene = Scene::new(Duration::from_secs(5), |_, _| answer(200));
    for number in 0..MOST {
        scene.note(&format!("v{}", number % 100), Topic::ViewerJoined);
    }
    for number in 0..MOST {
        scene.note(&format!("s{}", number % 100), Topic::StreamStarted);
    }
    let seen = Arc::clone(&scene.seen);
    let (tries, _, metrics) = scene.end().await;
    assert_eq!(seen.lock().unwrap().most_at_once, MAX_AT_ONCE);
    let of = |letter: char| tries.iter().filter(|(_, _, it)| it.starts_with(letter)).count();
    assert_eq!((of('v'), of('s')), (MOST_OF_VIEWERS, MOST - MOST_OF_VIEWERS));
    assert_eq!(metrics.of("w", "dropped"), MOST as u64);
    assert_eq!(metrics.of("w", "delivered"), MOST as u64);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_on_one_stream_leaves_the_others_their_turn() {
    // More streams fail than requests may be under way: their pauses hold no place.
    let mut scene = Scene::new(MS, |stream, _| match stream.starts_with('x') {
        true => answer(500),
        false => answer(200),
    });
    for number in 0..4 * MAX_AT_ONCE {
        scene.note(&format!("x{number}"), Topic::StreamStarted);
    }
    tokio::time::sleep(Duration::from_secs(100)).await;
    let before = start().elapsed();
    scene.note("good", Topic::StreamStarted);
    let (tries, ..) = scene.end().await;
    let good = tries.iter().find(|(_, _, stream)| stream == "good").unwrap();
    assert!(good.0 - before < Duration::from_secs(1), "{good:?}");
}
