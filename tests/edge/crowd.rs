//! Tests of many players behind one cache.

use std::collections::HashMap;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use whitewater::auth::{self, Claims, Deed, Gate, OneOrMany};
use whitewater::config::{Config, Flags};
use whitewater::origin::{OpenDoors, Wanted};
use whitewater_signaling::control::StreamName;

use super::feed;
use super::origin::{Origin, not_live};
use super::varnish::Varnish;

/// The goal is 50 ms on a machine that does nothing else, which `make bench` measures.
const LATER_THAN_ORIGIN_MS: f64 = 150.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_players_are_one_player_to_the_origin() {
    let (later, figures) = play(Origin::serve().await, &[]).await;
    assert!(later <= LATER_THAN_ORIGIN_MS, "p95 is {later} ms after the origin: {figures}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_tokens_are_one_token_to_the_origin() {
    let secret = ("WHITEWATER_AUTH_JWT_SECRET", "a secret of more than thirty-two bytes");
    let env = [(secret.0.to_owned(), secret.1.to_owned())];
    let config = Config::merge(None, env, &Flags::default()).unwrap();
    let hour = unix_s() / 3_600 + 2;
    // Each has another subject and ends at another time, all in the same hour.
    let token = |number: u64| {
        let claims = Claims {
            exp: hour * 3_600 - number,
            nbf: None,
            aud: None,
            iss: None,
            jti: None,
            sub: Some(format!("viewer-{number}")),
            stream: Some(OneOrMany::One("live".parse().unwrap())),
            action: OneOrMany::One(Deed::Watch),
            max_bitrate_bps: None,
        };
        auth::issue(&config, &claims).unwrap()
    };
    let tokens: Vec<String> = (0..200).map(token).collect();
    let origin = Origin::serve_with(not_live, Gate::new(&config).unwrap()).await;
    play(origin, &tokens).await;
}

fn unix_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Lets the players play, each with a token of its own if there are any, and returns how much later than
/// the origin's their answers are, at p95.
async fn play(origin: Origin, tokens: &[String]) -> (f64, Value) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, tokens.join("\n")).unwrap();
    let varnish = Varnish::before(origin.counted).await;
    let feeding = feed::go_on(feed::open(&origin.store, 20), 20);
    let mut command = Command::new(env!("CARGO_BIN_EXE_whitewater"));
    command
        .args(["load", "hls", "--url", &varnish.url("live/index.m3u8")])
        .args(["--origin", &format!("http://{}", origin.direct)])
        .args(["--viewers", "200", "--seconds", "20", "--ramp", "3", "--json"])
        .arg("--tokens")
        .arg(&file);
    // The origin of this process goes on meanwhile.
    let played = tokio::task::spawn_blocking(move || command.output());
    let output = played.await.unwrap().unwrap();
    feeding.abort();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    let number = |name: &str| figures[name].as_u64().unwrap();

    let requests = number("requests");
    assert_eq!(figures["statuses"]["200"], requests, "every answer is one to play: {figures}");
    // Each plays one quality and the sound: three reloads and three parts a second of either.
    assert!(requests > 200 * 20 * 8, "they play all the time: {figures}");
    let (sampled, waited) = (number("sampled"), number("sampled_that_waited"));
    assert!(sampled > 1_500 && waited * 3 > sampled, "many wait for what comes: {figures}");

    let mut counts = origin.counts();
    // Whom a token lets in only the origin can tell; it is asked once for each.
    let with_token = counts.extract_if(|uri, _| uri.contains("token=")).map(|(_, count)| count);
    assert_eq!(with_token.sum::<usize>(), tokens.len(), "a token is shown once");
    let (asked, distinct) = (counts.values().sum::<usize>(), counts.len());
    // All that players ask for and count, and the index.
    assert!(distinct as u64 <= number("distinct") + 1, "nobody wants the others: {counts:?}");
    let most: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(asked * 100 <= distinct * 105, "{asked} for {distinct} addresses: {most:?}");
    (figures["later_than_origin_ms"]["p95"].as_f64().unwrap(), figures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_before_a_stream_that_is_not_ready_is_one_request_a_second() {
    let hooks = |_: StreamName| async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        Wanted::NotReady
    };
    let origin = Origin::serve_with(hooks, OpenDoors).await;
    let varnish = Varnish::before(origin.counted).await;
    let began = Instant::now();
    let asking: Vec<_> = (0..50)
        .map(|_| {
            let url = varnish.url("soon/index.m3u8");
            tokio::spawn(async move {
                let client = reqwest::Client::new();
                let mut statuses = HashMap::new();
                for _ in 0..4 {
                    let status = client.get(&url).send().await.unwrap().status().as_u16();
                    *statuses.entry(status).or_insert(0) += 1;
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
                statuses
            })
        })
        .collect();
    for one in asking {
        assert_eq!(one.await.unwrap(), HashMap::from([(503, 4)]));
    }
    let asked: usize = origin.counts().values().sum();
    let most = began.elapsed().as_secs_f64() / 0.7 + 2.0;
    assert!(asked as f64 <= most, "{asked} requests within {:?}", began.elapsed());
}
