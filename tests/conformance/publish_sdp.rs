//! Tests of the SDP rules for publishers (RFC 9725 section 4.4).

use super::client::{assert_problem, open, post, value_of};
use super::offers::{publish_max_bundle, publish_two_videos, sections, small, without};
use crate::support::{Server, offers};

#[tokio::test]
async fn the_answer_receives_and_nothing_else() {
    let server = Server::start().await;
    let offer = offers::publish_simulcast();
    for (name, offer) in [("a", offer.clone()), ("b", offer.replace("a=sendonly", "a=sendrecv"))] {
        let session = open(&server, &format!("/whip/{name}"), &offer).await;
        for media in sections(&session.answer).media {
            assert!(media.contains(&"a=recvonly".into()), "W20: {media:?}");
        }
    }
    for direction in ["a=recvonly", "a=inactive"] {
        let response = post(&server, "/whip/c", &offer.replace("a=sendonly", direction)).await;
        assert_problem(response, &[400, 422], "W20").await;
    }
}

#[tokio::test]
async fn everything_travels_over_one_bundled_transport() {
    let server = Server::start().await;
    for (name, offer) in [("a", offers::publish_simulcast()), ("b", publish_max_bundle())] {
        let session = open(&server, &format!("/whip/{name}"), &offer).await;
        let answer = sections(&session.answer);
        assert!(answer.session.contains(&"a=group:BUNDLE 0 1".into()), "W21: {name}");
        let credentials = |prefix: &str| {
            let mut all: Vec<&str> =
                session.answer.lines().filter(|line| line.starts_with(prefix)).collect();
            all.dedup();
            all.len()
        };
        assert_eq!(credentials("a=ice-ufrag:"), 1, "W21: one ufrag, {name}");
        assert_eq!(credentials("a=ice-pwd:"), 1, "W21: one pwd, {name}");
        for (index, media) in answer.media.iter().enumerate() {
            let has_candidates = media.iter().any(|line| line.starts_with("a=candidate:"));
            assert_eq!(has_candidates, index == 0, "W21: candidates of section {index}, {name}");
        }
    }
}

#[tokio::test]
async fn rtp_and_rtcp_share_a_port() {
    let server = Server::start().await;
    let offer = offers::publish_simulcast();
    let session = open(&server, "/whip/a", &offer).await;
    for media in sections(&session.answer).media {
        assert!(media.contains(&"a=rtcp-mux".into()), "W22: {media:?}");
        assert!(media.contains(&"a=rtcp-mux-only".into()), "W23: {media:?}");
    }
    assert!(!offer.contains("a=rtcp-mux-only"), "W23: it is not asked of the offer");
    let response = post(&server, "/whip/b", &without(&offer, "a=rtcp-mux")).await;
    assert_problem(response, &[400, 422], "W22").await;
}

#[tokio::test]
async fn a_second_video_is_refused_with_the_whole_offer() {
    let server = Server::start().await;
    let response = post(&server, "/whip/a", &publish_two_videos()).await;
    assert_problem(response, &[400, 422], "W24").await;
}

#[tokio::test]
async fn tracks_without_a_media_stream_are_taken() {
    let server = Server::start().await;
    let offer = offers::publish_simulcast();
    let stream = value_of(&offer, "a=msid:").split(' ').next().unwrap().to_owned();
    open(&server, "/whip/dash", &offer.replace(&format!("a=msid:{stream} "), "a=msid:- ")).await;
    let none = without(&without(&offer, "a=msid:"), "a=ssrc:");
    let status = post(&server, "/whip/none", &none).await.status();
    assert_eq!(status, 201, "W25: no msid at all");
}

#[tokio::test]
async fn a_section_that_cannot_be_served_refuses_the_whole_offer() {
    let server = Server::start().await;
    let codecs = [("audio", 0, "PCMU/8000"), ("video", 96, "H264/90000")];
    let response = post(&server, "/whip/a", &small("sendonly", &codecs)).await;
    assert_problem(response, &[400, 422], "W26").await;
}

#[tokio::test]
async fn the_answer_takes_the_dtls_role_that_is_left() {
    let server = Server::start().await;
    let offer = offers::publish_simulcast();
    let rows = [("actpass", "passive"), ("active", "passive"), ("passive", "active")];
    for (offered, expected) in rows {
        let offer = offer.replace("a=setup:actpass", &format!("a=setup:{offered}"));
        let session = open(&server, &format!("/whip/{offered}"), &offer).await;
        let setup = value_of(&session.answer, "a=setup:");
        assert_eq!(setup, expected, "W27, W28: the answer to {offered}");
    }
}

#[tokio::test]
async fn the_answer_has_every_candidate() {
    let server = Server::start().await;
    let offer = without(&offers::publish_simulcast(), "a=candidate:");
    let session = open(&server, "/whip/a", &offer).await;
    let candidate = value_of(&session.answer, "a=candidate:");
    assert!(candidate.contains(" typ host"), "W29, W30: the first is a host's: {candidate}");
    let address = candidate.split(' ').nth(4).unwrap_or_default();
    assert!(address.parse::<std::net::Ipv4Addr>().is_ok(), "W30: IPv4 is first: {candidate}");
    assert!(candidate.to_ascii_lowercase().contains(" udp "), "W30: UDP: {candidate}");
    let lines: Vec<&str> = session.answer.lines().collect();
    assert!(lines.contains(&"a=end-of-candidates"), "W29: the list is complete");
    assert!(lines.contains(&"a=ice-options:trickle"), "W29: the client may trickle");
}

#[tokio::test]
async fn the_server_is_ice_lite() {
    let server = Server::start().await;
    let session = open(&server, "/whip/a", &offers::publish_simulcast()).await;
    let head = sections(&session.answer).session;
    assert!(head.contains(&"a=ice-lite".into()), "W31: {head:?}");
}

#[tokio::test]
async fn every_offered_layer_is_accepted() {
    let server = Server::start().await;
    let offer = offers::publish_simulcast();
    let offered = value_of(&offer, "a=simulcast:send ").to_owned();
    let numbered = {
        let mut numbered = offer.replace(&format!("send {offered}"), "send 0;1;2");
        for (number, rid) in offered.split(';').enumerate() {
            numbered = numbered.replace(&format!("a=rid:{rid} "), &format!("a=rid:{number} "));
        }
        numbered
    };
    for (name, offer, rids) in [("a", &offer, offered.as_str()), ("obs", &numbered, "0;1;2")] {
        let session = open(&server, &format!("/whip/{name}"), offer).await;
        let answered = value_of(&session.answer, "a=simulcast:");
        assert_eq!(answered, format!("recv {rids}"), "W32, W33: {name}");
        let line = format!("a=simulcast:recv {rids}\r\n");
        assert!(session.answer.contains(&line), "W33: one line that ends with CRLF, {name}");
        let lines: Vec<&str> =
            session.answer.lines().filter(|line| line.starts_with("a=rid:")).collect();
        let expected: Vec<String> =
            rids.split(';').map(|rid| format!("a=rid:{rid} recv")).collect();
        assert_eq!(lines, expected, "W32: {name}");
    }
}

#[tokio::test]
async fn extensions_keep_their_ids_and_video_has_retransmissions() {
    let server = Server::start().await;
    let offer = offers::publish_simulcast();
    let session = open(&server, "/whip/a", &offer).await;
    let (offered, answered) = (sections(&offer), sections(&session.answer));
    let video = &answered.media[1];
    for uri in ["sdes:mid", "sdes:rtp-stream-id", "sdes:repaired-rtp-stream-id"] {
        let line = offered.media[1].iter().find(|line| line.ends_with(uri)).unwrap();
        assert!(video.contains(line), "W34: {line} in {video:?}");
    }
    let formats: Vec<&str> = video[0].split(' ').skip(3).collect();
    let rtx = video.iter().any(|line| line.ends_with(&format!(" apt={}", formats[0])));
    assert!(rtx, "W34: RTX for payload type {} in {video:?}", formats[0]);
}

#[tokio::test]
async fn codecs_that_scale_by_themselves_are_taken() {
    let server = Server::start().await;
    for codec in ["AV1", "VP9"] {
        let codecs = [("audio", 111, "opus/48000/2"), ("video", 98, &format!("{codec}/90000"))];
        let response = post(&server, &format!("/whip/{codec}"), &small("sendonly", &codecs)).await;
        assert_eq!(response.status(), 201, "W35: {codec}");
    }
}
