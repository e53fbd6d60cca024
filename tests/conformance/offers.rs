//! Offers made from Chromium's, each with one thing changed, and a reader for the answers.

use crate::support::offers;

/// The sections of an SDP text, line by line.
pub(crate) struct Sections {
    pub(crate) session: Vec<String>,
    pub(crate) media: Vec<Vec<String>>,
}

/// Takes a text apart.
pub(crate) fn sections(sdp: &str) -> Sections {
    let mut all: Vec<Vec<String>> = vec![Vec::new()];
    for line in sdp.lines() {
        if line.starts_with("m=") {
            all.push(Vec::new());
        }
        all.last_mut().unwrap().push(line.to_owned());
    }
    let session = all.remove(0);
    assert!(!all.is_empty(), "the text has no media sections: {sdp}");
    Sections { session, media: all }
}

/// The offer without the lines that begin like this.
pub(crate) fn without(offer: &str, prefix: &str) -> String {
    let kept = offer.lines().filter(|line| !line.starts_with(prefix));
    kept.map(|line| format!("{line}\r\n")).collect()
}

/// A publisher's offer whose last section, the video, stands there twice.
pub(crate) fn publish_two_videos() -> String {
    let offer = offers::publish_simulcast();
    let video = offer[offer.find("m=video").unwrap()..].replace("a=mid:1", "a=mid:2");
    offer.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + &video
}

/// A publisher's offer with bundled sections in the manner of `max-bundle`: only the first has a
/// port and candidates.
pub(crate) fn publish_max_bundle() -> String {
    let offer = offers::publish_simulcast();
    let (audio, video) = offer.split_at(offer.find("m=video").unwrap());
    let (media, rest) = video.split_once("\r\n").unwrap();
    let formats: Vec<&str> = media.split(' ').skip(2).collect();
    let rest = without(&without(rest, "a=candidate:"), "a=rtcp:");
    format!("{audio}m=video 0 {}\r\na=bundle-only\r\n{rest}", formats.join(" "))
}

/// A small offer: one section per line of `kind`, payload type and codec.
pub(crate) fn small(direction: &str, codecs: &[(&str, u8, &str)]) -> String {
    let mids: Vec<String> = (0..codecs.len()).map(|mid| mid.to_string()).collect();
    let mut offer = format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\n",
        mids.join(" ")
    );
    for (mid, (kind, pt, codec)) in mids.iter().zip(codecs) {
        let lines = [
            format!("m={kind} 9 UDP/TLS/RTP/SAVPF {pt}"),
            "c=IN IP4 0.0.0.0".into(),
            "a=ice-ufrag:abcd".into(),
            "a=ice-pwd:abcdefghijklmnopqrstuvwx".into(),
            format!("a=fingerprint:sha-256 {}", ["AB"; 32].join(":")),
            "a=setup:actpass".into(),
            format!("a=mid:{mid}"),
            format!("a={direction}"),
            "a=rtcp-mux".into(),
            format!("a=rtpmap:{pt} {codec}"),
        ];
        for line in lines {
            offer += &format!("{line}\r\n");
        }
    }
    offer
}
