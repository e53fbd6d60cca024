//! Tests of the SDP rules for viewers (WHEP sections 4.2.5 and 4.5).

use super::client::{assert_problem, open, post, publish, value_of, watch};
use super::offers::sections;
use crate::support::{Server, offers};

#[tokio::test]
async fn the_answer_sends_and_nothing_else() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let offer = offers::watch();
    for offer in [offer.clone(), offer.replace("a=recvonly", "a=sendrecv")] {
        let session = open(&server, "/whep/a", &offer).await;
        for media in sections(&session.answer).media {
            assert!(media.contains(&"a=sendonly".into()), "E3: {media:?}");
        }
    }
    for direction in ["a=sendonly", "a=inactive"] {
        let response = post(&server, "/whep/a", &offer.replace("a=recvonly", direction)).await;
        assert_problem(response, &[400, 422], "E3").await;
    }
}

#[tokio::test]
async fn the_answer_to_a_viewer_has_every_candidate() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let session = watch(&server, "a").await;
    let candidate = value_of(&session.answer, "a=candidate:");
    assert!(candidate.contains(" typ host"), "E14: {candidate}");
    assert!(session.answer.contains("a=end-of-candidates\r\n"), "E14: the list is complete");
}

#[tokio::test]
async fn one_media_stream_goes_out_over_one_transport() {
    let server = Server::start().await;
    publish(&server, "a").await;
    let session = watch(&server, "a").await;
    let answer = sections(&session.answer);
    assert!(answer.session.contains(&"a=group:BUNDLE 0 1".into()), "E15: {:?}", answer.session);
    for kind in ["m=audio ", "m=video "] {
        let count = answer.media.iter().filter(|media| media[0].starts_with(kind)).count();
        assert_eq!(count, 1, "E15: sections of {kind}");
    }
    let mut streams = Vec::new();
    for media in &answer.media {
        assert!(media.contains(&"a=rtcp-mux".into()), "E15: {media:?}");
        assert!(media.contains(&"a=rtcp-mux-only".into()), "E15: {media:?}");
        let msid = media.iter().find_map(|line| line.strip_prefix("a=msid:")).unwrap_or_default();
        streams.push(msid.split(' ').next().unwrap_or_default());
    }
    assert!(!streams[0].is_empty(), "E15: no msid in {:?}", answer.media[0]);
    assert_eq!(streams[0], streams[1], "E15: the sections are of one media stream");
}
