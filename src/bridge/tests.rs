//! Tests of how the tasks of a stream follow each other.

use super::*;
use crate::origin::Limits;

const ID: StreamId = StreamId(7);

/// One stream, and what its shard is told.
#[derive(Default)]
struct Told {
    all: Mutex<Vec<LinkMessage>>,
    /// Whether its shard's queue is full.
    is_full: AtomicBool,
}

impl Told {
    /// Who listens, in the order in which that is told.
    fn listening(&self) -> Vec<bool> {
        let all = self.all.lock().unwrap();
        let listens = all.iter().filter_map(|message| {
            let begins = matches!(message, LinkMessage::Listen { .. });
            (begins || matches!(message, LinkMessage::Unlisten { .. })).then_some(begins)
        });
        listens.collect()
    }
}

impl Packets for Told {
    fn place(&self, _: &StreamName) -> Option<(StreamId, ShardId)> {
        Some((ID, ShardId(0)))
    }

    fn streams(&self) -> Vec<StreamName> {
        Vec::new()
    }

    fn tell(&self, _: ShardId, message: LinkMessage) -> bool {
        let is_taken = !self.is_full.load(Ordering::Relaxed);
        if is_taken {
            self.all.lock().unwrap().push(message);
        }
        is_taken
    }
}

fn stage() -> (Arc<Told>, mpsc::Sender<LinkMessage>, Arc<Bridges>, StreamName) {
    let told = Arc::new(Told::default());
    let (tap_in, tap) = mpsc::channel(1);
    let config = Config {
        when: Box::new(|_| When::OnDemand),
        recorded: Box::new(|_| None),
        picture: Box::new(|_| Picture { ladder: Ladder::default(), codec: Codec::H264 }),
        timing: Box::new(|_| Timing {
            segment: Duration::from_secs(2),
            window: Duration::from_secs(120),
            memory: Duration::from_secs(180),
        }),
        sound: Box::new(|_| Sound { aac: false, opus: true }),
        metrics: metrics::Counted::default().hls,
        patience: Duration::from_secs(5),
        patience_for_keyframes: Duration::from_secs(12),
        idle: Duration::from_secs(30),
    };
    let packets: Arc<dyn Packets> = Arc::<Told>::clone(&told);
    let bridges = start(packets, tap, Store::new(Limits::default()), config);
    (told, tap_in, bridges, "cam".parse().unwrap())
}

async fn ended(stage: &mut watch::Receiver<Stage>) -> Stage {
    let over = stage.wait_for(|stage| matches!(stage, Stage::GivenUp | Stage::Over));
    *tokio::time::timeout(Duration::from_secs(10), over).await.unwrap().unwrap()
}

#[tokio::test]
async fn who_was_given_up_is_followed_only_after_its_shard_has_been_told() {
    let (told, _tap, bridges, name) = stage();
    let mut first = bridges.begin(&name, true).unwrap();
    tokio::task::yield_now().await;
    // More than it can take in before its turn comes.
    for _ in 0..=INLET_BOUND {
        bridges.dispatch(LinkMessage::Tracks { stream: ID, tracks: Vec::new() });
    }
    let same = bridges.begin(&name, true).unwrap();
    assert!(first.same_channel(&same), "its shard believes that it listens");
    assert_eq!(ended(&mut first).await, Stage::GivenUp);
    let next = bridges.begin(&name, true).unwrap();
    tokio::task::yield_now().await;
    assert!(!first.same_channel(&next));
    assert_eq!(told.listening(), [true, false, true]);
}

#[tokio::test(start_paused = true)]
async fn whose_shard_does_not_hear_it_is_begun_anew_until_it_does() {
    let (told, _tap, bridges, name) = stage();
    told.is_full.store(true, Ordering::Relaxed);
    let mut first = bridges.begin(&name, true).unwrap();
    assert_eq!(ended(&mut first).await, Stage::GivenUp);
    let waiting = tokio::spawn(Arc::clone(&bridges).want(name.clone()));
    tokio::time::sleep(Duration::from_secs(1)).await;
    told.is_full.store(false, Ordering::Relaxed);
    // It listens, and nothing comes.
    assert!(matches!(waiting.await.unwrap(), Wanted::NotReady));
    assert!(told.listening().contains(&true));
}
